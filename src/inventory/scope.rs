//! Where clusters are: an account and a region.

use std::fmt;

use super::names::{arn_account, arn_region};
use super::strings::Shared;

/// One account in one region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The region.
    pub region: Shared,
    /// The account's ID; `None` while only its credentials are known.
    pub account: Option<Shared>,
}

impl Scope {
    /// Returns whether the resource with this ARN is in the scope. If the account is unknown, its credentials may be of
    /// any.
    pub fn contains(&self, arn: &str) -> bool {
        arn_region(arn) == Some(&*self.region)
            && (self.account.is_none() || arn_account(arn) == self.account.as_deref())
    }

    /// Returns the partition of the region, as ARNs name it.
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }
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

/// The partitions other than `aws`, with what the names of their regions begin with (botocore, `partitions.json`).
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
];

/// Returns the partition of a region, as ARNs name it.
pub fn partition(region: &str) -> &'static str {
    let other = PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix));
    other.map_or("aws", |(_, partition)| partition)
}

/// Returns whether a text can be a region, which becomes a label of host names.
pub fn is_region(text: &str) -> bool {
    let letters = text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    letters && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.len() < 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_follows_from_the_region() {
        for (region, expected) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition(region), expected, "{region}");
        }
    }

    #[test]
    fn region_is_a_label_of_host_names() {
        assert!(["eu-west-1", "r"].into_iter().all(is_region));
        assert!(!["", "eu west", "-a", "a-", "a.b", "é"].into_iter().any(is_region));
        assert!(!is_region(&"a".repeat(64)));
    }
}
