//! Which account and region a call is for.

use std::fmt;

use crate::request::Request;

/// One account in one region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Scope {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned() }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

impl Request {
    /// Returns the scope of the call, given that of calls without a role or a signature. AssumeRole is a call for the
    /// account of the role.
    pub(crate) fn scope(&self, home: &Scope) -> Scope {
        let account = self.text("RoleArn").and_then(account_of_role).or_else(|| account_of_key(&self.access_key));
        Scope {
            account: account.unwrap_or(&home.account).to_owned(),
            region: Some(&self.region).filter(|region| !region.is_empty()).unwrap_or(&home.region).clone(),
        }
    }
}

/// Returns the account in `arn:aws:iam::ACCOUNT:role/NAME`.
fn account_of_role(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| is_number(account))
}

/// Returns the account in the key id of a session, `ASIA-ROLE-ACCOUNT-NUMBER`; other keys are of the home account.
fn account_of_key(key: &str) -> Option<&str> {
    let (rest, _number) = key.strip_prefix("ASIA-")?.rsplit_once('-')?;
    rest.rsplit_once('-').map(|(_role, account)| account).filter(|account| is_number(account))
}

/// Returns a key id with the name and the account of the role, so that it tells which credentials signed a call.
pub(crate) fn session_key(role: &str, account: &str, number: &str) -> String {
    format!("ASIA-{role}-{account}-{number}")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_belongs_to_the_account_of_its_role() {
        assert_eq!(account_of_key(&session_key("my-role", "222222222222", "00000000000a")), Some("222222222222"));
        for key in ["", "AKIATEST", "ASIA-simaws-task", "ASIA-simaws-instance"] {
            assert_eq!(account_of_key(key), None, "{key}");
        }
    }
}
