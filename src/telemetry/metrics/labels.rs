//! The labels of metrics.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

use crate::inventory::{Attempt, ClusterRef, Operation, Scope, arn_account};

/// A longer error code, or one with characters that codes do not have, is not an error code.
const LONGEST_CODE: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
    pub(super) revision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ByStage {
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ByCluster {
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) cluster: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ByScope {
    pub(super) account_id: String,
    pub(super) region: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByCause {
    pub(super) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByEvent {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByQueue {
    pub(super) queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByReason {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ByCode {
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) service: &'static str,
    pub(super) operation: &'static str,
    pub(super) code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ByOperation {
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) service: &'static str,
    pub(super) operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByCache {
    pub(super) cache: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByResult {
    pub(super) result: WriteResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)] // the names are the label values
pub(super) enum WriteResult {
    replaced,
    unchanged,
    failed,
    not_overwritten,
}

impl ByScope {
    /// Returns a scope. The account is empty while only its credentials are known.
    pub(super) fn of(scope: &Scope) -> Self {
        let account = scope.account.as_deref().unwrap_or_default();
        Self { account_id: account.to_owned(), region: scope.region.to_string() }
    }

    /// Returns no scope, for what is not of one.
    pub(super) fn none() -> Self {
        Self { account_id: String::new(), region: String::new() }
    }

    pub(super) fn stage(&self, stage: &'static str) -> ByStage {
        let Self { account_id, region } = self.clone();
        ByStage { account_id, region, stage }
    }

    pub(super) fn operation(&self, operation: Operation) -> ByOperation {
        let Self { account_id, region } = self.clone();
        ByOperation { account_id, region, service: operation.service(), operation: operation.name() }
    }

    pub(super) fn code(&self, operation: Operation, code: &str) -> ByCode {
        let ByOperation { account_id, region, service, operation } = self.operation(operation);
        ByCode { account_id, region, service, operation, code: code.to_owned() }
    }

    pub(super) fn has(&self, account_id: &str, region: &str) -> bool {
        self.account_id == account_id && self.region == region
    }
}

impl ByCluster {
    pub(super) fn of(scope: &Scope, cluster: &ClusterRef) -> Self {
        // An ARN knows better than the credentials whose cluster it is.
        let account = arn_account(cluster.as_str()).or(scope.account.as_deref());
        Self {
            account_id: account.unwrap_or_default().to_owned(),
            region: scope.region.to_string(),
            cluster: cluster.name().to_owned(),
        }
    }
}

/// Returns the code of an attempt as a label.
pub(super) fn code<'a>(attempt: &Attempt<'a>) -> &'a str {
    let is_code = attempt.code.len() <= LONGEST_CODE
        && attempt.code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if is_code { attempt.code } else { "other" }
}
