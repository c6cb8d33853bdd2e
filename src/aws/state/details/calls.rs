//! Makes the calls that no target depends on, so that they cost targets nothing: neither data nor much time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::rotation::Call;
use crate::aws::api::errors;
use crate::aws::state::isolate::isolate;
use crate::inventory::{ClusterRef, Failure, Operation};

/// How long a refresh waits for these calls. What is not described by then is described by later refreshes.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The number of groups of calls that are made concurrently, and of concurrent calls in one of them.
const CONCURRENT_GROUPS: usize = 4;
const CONCURRENT_CALLS: usize = 4;

/// The number of failed calls after which a refresh makes no more: they cost the quota of others, too.
const MOST_FAILURES: usize = 4;

/// The calls of one operation in one refresh.
pub(super) struct Calls {
    operation: Operation,
    deadline: Instant,
    failures: AtomicUsize,
}

/// A call with its response.
pub(super) type Made<G, K, T> = (Call<G, K>, Result<T, Failure>);

impl Calls {
    pub(super) fn new(operation: Operation, start: Instant) -> Self {
        Self { operation, deadline: start + PATIENCE, failures: AtomicUsize::new(0) }
    }

    /// Makes the calls of each group: one first, and the others only if it succeeds. Calls that are not made have no
    /// response.
    pub(super) async fn groups<G: Clone, K, T, F: Future<Output = Result<T, Failure>>>(
        &self,
        groups: BTreeMap<G, Vec<Vec<K>>>,
        call: impl Fn(G, &[K]) -> F,
    ) -> Vec<Made<G, K, T>>
    where
        K: Clone,
    {
        let call = &call;
        let groups = groups.into_iter().map(|(group, batches)| async move {
            let failed = &AtomicUsize::new(0);
            let make = |keys: Vec<K>| {
                let group = group.clone();
                async move {
                    if failed.load(Ordering::Relaxed) > 0 {
                        return None;
                    }
                    let response = self.one(call(group.clone(), &keys)).await?;
                    failed.fetch_add(usize::from(response.is_err()), Ordering::Relaxed);
                    Some(((group, keys), response))
                }
            };
            let mut batches = batches.into_iter();
            let mut made = Vec::new();
            if let Some(first) = batches.next() {
                made.extend(make(first).await);
            }
            let others: Vec<_> = stream::iter(batches.map(&make)).buffer_unordered(CONCURRENT_CALLS).collect().await;
            made.extend(others.into_iter().flatten());
            made
        });
        stream::iter(groups).buffer_unordered(CONCURRENT_GROUPS).concat().await
    }

    /// Makes calls one after the other until one fails.
    pub(super) async fn probes<G: Clone, K, T, F: Future<Output = Result<T, Failure>>>(
        &self,
        probes: Vec<Call<G, K>>,
        call: impl Fn(G, &[K]) -> F,
    ) -> Vec<Made<G, K, T>> {
        let mut made = Vec::new();
        for (group, keys) in probes {
            let Some(response) = self.one(call(group.clone(), &keys)).await else { break };
            let failed = response.is_err();
            made.push(((group, keys), response));
            if failed {
                break;
            }
        }
        made
    }

    async fn one<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Option<Result<T, Failure>> {
        if Instant::now() >= self.deadline || self.failures.load(Ordering::Relaxed) >= MOST_FAILURES {
            return None;
        }
        let response = timeout_at(self.deadline, isolate(self.operation, None, call)).await;
        let response = response.unwrap_or_else(|_| Err(errors::too_late(self.operation, None, PATIENCE)));
        self.failures.fetch_add(usize::from(response.is_err()), Ordering::Relaxed);
        Some(response)
    }
}

/// Returns a failure with the cluster that the call was for.
pub(super) fn in_cluster(failure: Failure, cluster: &ClusterRef) -> Failure {
    Failure { cluster: Some(cluster.clone()), ..failure }
}
