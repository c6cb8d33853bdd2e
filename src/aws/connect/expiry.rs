//! Drops credentials that AWS says have expired.
//!
//! The wall clock may be behind, or was set back, so that the program takes expired credentials for valid ones.

use std::sync::Arc;

use super::login::Background;
use crate::inventory::{Attempt, Cached, Observer, Scope};

/// An observer of the calls that are made with some credentials.
pub(super) struct Expiry {
    pub(super) login: Background,
    /// The observer that attempts are passed on to.
    pub(super) observer: Arc<dyn Observer>,
}

impl Observer for Expiry {
    fn attempt(&self, attempt: &Attempt<'_>) {
        if is_expired(attempt.code) {
            self.login.expired();
        }
        self.observer.attempt(attempt);
    }

    fn cached(&self, scope: &Scope, cache: Cached, entries: usize) {
        self.observer.cached(scope, cache, entries);
    }
}

/// Returns whether the error code is that for expired credentials (Amazon ECS API Reference, "Common Error Types"). Query
/// services have a shorter one, and EC2 has the same for requests that are late (Amazon EC2 Developer Guide, "Error codes
/// for the Amazon EC2 API").
pub(super) fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredTokenException" | "ExpiredToken" | "RequestExpired")
}
