//! Asks AWS. The only module that names the AWS SDK.
//!
//! * [`connect`]: region, credentials, roles and clients.
//! * [`api`]: one file per service; conversion to our types, pagination, rate limits, errors.
//! * [`state`]: what is cached from one snapshot to the next, in memory and on disk.
//! * [`source`]: one round of calls, as a snapshot.

mod api;
mod connect;
mod source;
mod state;

pub use self::api::sqs::Sqs;
pub use self::connect::region::region_in_metadata;
pub use self::connect::{OPERATION_TIMEOUT, Offline, StartError};
pub use self::source::{Aws, OfTask};
pub use self::state::cache_file::rewrite as rewrite_cache_file;

/// The target of the SDK's log events that at TRACE show whole requests, and so the tokens of instance metadata.
pub const TARGET_WITH_SECRETS: &str = "aws_smithy_runtime::client::orchestrator";
