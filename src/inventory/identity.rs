//! Whose credentials calls are made with.

use std::fmt;

use super::strings::Shared;

/// Whose credentials calls are made with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// The process's own.
    Own,
    /// Those of a role that it assumes.
    Role(RoleArn),
}

impl Identity {
    /// Returns the account, as far as it is known without asking.
    pub fn account(&self) -> Option<&Shared> {
        match self {
            Self::Own => None,
            Self::Role(role) => Some(role.account()),
        }
    }

    /// Returns the role.
    pub fn role(&self) -> Option<&RoleArn> {
        match self {
            Self::Own => None,
            Self::Role(role) => Some(role),
        }
    }
}

impl fmt::Display for Identity {
    /// Writes it as `-config.role-arn` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("self"),
            Self::Role(role) => f.write_str(role.as_str()),
        }
    }
}

/// The ARN of a role, `arn:PARTITION:iam::ACCOUNT:role/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    arn: Shared,
    account: Shared,
}

impl RoleArn {
    /// Parses an ARN; `None` if it is not that of a role.
    pub fn parse(arn: &str) -> Option<Self> {
        let fields: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = fields[..] else { return None };
        let name = resource.strip_prefix("role/")?;
        let is_account = !account.is_empty() && account.chars().all(|digit| digit.is_ascii_digit());
        let is_role = !partition.is_empty() && is_account && !name.is_empty() && !name.contains(char::is_whitespace);
        is_role.then(|| Self { arn: arn.into(), account: account.into() })
    }

    /// Returns the ARN.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// Returns the account that the role is in.
    pub fn account(&self) -> &Shared {
        &self.account
    }

    /// Returns the partition that the role is in, such as `aws`.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arn_has_a_partition_and_an_account() {
        for name in ["r", "path/to/r", "a,b=c"] {
            let role = RoleArn::parse(&format!("arn:aws-cn:iam::123456789012:role/{name}")).unwrap();
            assert_eq!((&**role.account(), role.partition()), ("123456789012", "aws-cn"));
        }
    }

    #[test]
    fn other_arns_are_no_roles() {
        for text in [
            "",
            "role",
            "arn:aws:iam::123456789012:user/r",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam:eu-west-1:123456789012:role/r",
            "arn:aws:sts::123456789012:assumed-role/r/s",
            "arn:aws:iam:::role/r",
            "arn:aws:iam::x:role/r",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert_eq!(RoleArn::parse(text), None, "{text}");
        }
    }
}
