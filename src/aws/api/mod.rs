//! The AWS API: one call at a time, rate-limited and observed, with responses and errors in our types.

pub(super) mod circuit_breaker;
pub(super) mod ec2;
pub(super) mod ecs;
pub(super) mod errors;
pub(super) mod rate_limit;
pub(super) mod sqs;

mod attempts;
mod call;
mod convert;
mod pages;

pub(super) use self::attempts::Reporter;
pub(super) use self::call::Caller;
