//! The account of the process's own credentials.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;

use super::retry;
use crate::aws::api::errors;
use crate::inventory::Shared;

/// Asks STS for the account, which needs no permission. If there is no response for now, the account stays unknown until
/// the next start: discovery goes on without it.
pub(super) async fn own(shared: &SdkConfig) -> Option<Shared> {
    let client = Client::from_conf(Builder::from(shared).retry_partition(retry::partition("sts".into())).build());
    let error = match client.get_caller_identity().send().await {
        Ok(identity) => match identity.account() {
            Some(account) => {
                tracing::debug!(account, "account of the process's own credentials");
                return Some(account.into());
            }
            None => "no account in the response".into(),
        },
        Err(error) => errors::chain(&error),
    };
    tracing::warn!(
        error,
        "the account of the process's own credentials is not known: ARNs in accounts without a role count as in it"
    );
    None
}
