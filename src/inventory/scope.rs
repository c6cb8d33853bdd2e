//! Where clusters are: an account and a region.

use std::fmt;

use super::strings::Shared;

/// One account in one region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The region.
    pub region: Shared,
    /// The account's ID; `None` while only its credentials are known.
    pub account: Option<Shared>,
}

impl fmt::Display for Scope {
    /// Writes `ACCOUNT/REGION`, or only the region.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.account {
            write!(f, "{account}/")?;
        }
        write!(f, "{}", &*self.region)
    }
}
