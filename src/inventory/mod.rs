//! What one refresh learned of ECS and EC2, in lean types of our own.
//!
//! Only what decides a target is kept, and repeated strings are shared. How it is learned is
//! in `aws`; what follows from it is in [`crate::targets`].

mod clusters;
mod definition;
mod details;
mod failure;
mod glob;
mod identity;
mod instance;
mod names;
mod operation;
mod pattern;
mod place;
mod plan;
mod scope;
mod selection;
mod snapshot;
mod source;
mod strings;
mod task;

pub use self::clusters::*;
pub use self::definition::*;
pub use self::details::*;
pub use self::failure::*;
pub use self::glob::*;
pub use self::identity::*;
pub use self::instance::*;
pub use self::names::*;
pub use self::operation::*;
pub use self::pattern::*;
pub use self::place::*;
pub use self::plan::*;
pub use self::scope::*;
pub use self::selection::*;
pub use self::snapshot::*;
pub use self::source::*;
pub use self::strings::*;
pub use self::task::*;
