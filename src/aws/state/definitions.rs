//! Task definitions. Each revision is described once, because it cannot change.

mod queue;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use self::queue::call_each;
use super::cache::{Cache, NOT_FOUND_TTL};
use super::isolate::isolate;
use super::unverified::{Unverified, report_corrected};
use crate::aws::api::ecs::Ecs;
use crate::aws::api::errors::SKIPPED;
use crate::inventory::{Failure, Failures, Fetched, Operation, TaskDefinition, TaskDefinitionArn};

/// The number of concurrent calls; DescribeTaskDefinition takes one definition at a time.
const CONCURRENCY: usize = 16;

/// The task definition cache.
pub(in crate::aws) struct Definitions {
    ecs: Ecs,
    cache: Cache<TaskDefinitionArn, Arc<TaskDefinition>>,
    /// Those that could not be described in the last refresh.
    failed: HashSet<TaskDefinitionArn>,
    unverified: Unverified<TaskDefinitionArn>,
}

/// The responses for task definitions that were not cached.
pub(in crate::aws) struct Described(Vec<Response>);

/// The response for a task definition.
type Response = (TaskDefinitionArn, Result<Option<Arc<TaskDefinition>>, Failure>);

impl Definitions {
    /// Returns a cache that starts with definitions of an earlier run.
    pub(in crate::aws) fn new(ecs: Ecs, restored: BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>>) -> Self {
        let unverified = Unverified::new(restored.keys().cloned());
        let mut cache = Cache::default();
        for (arn, definition) in restored {
            cache.insert(arn, definition, None);
        }
        Self { ecs, cache, failed: HashSet::new(), unverified }
    }

    /// Describes the wanted definitions that are not cached, and those that are to be compared with the cache file. Passes
    /// each that is known to `show` as soon as it is.
    pub(in crate::aws) async fn describe(
        &self,
        wanted: UnboundedReceiver<TaskDefinitionArn>,
        show: impl Fn(&TaskDefinitionArn, &Arc<TaskDefinition>),
    ) -> Described {
        let (now, due) = (Instant::now(), self.unverified.due());
        let mut last = Vec::new();
        let is_first = |arn: &TaskDefinitionArn| {
            let cached = self.cache.get(arn, now);
            if let Some(Fetched::Known(definition)) = cached {
                show(arn, definition);
            }
            if cached.is_some() && !due.contains(arn) {
                return false;
            }
            let can_wait = cached.is_some() || self.failed.contains(arn);
            if can_wait {
                last.push(arn.clone());
            }
            !can_wait
        };
        let call = |arn: TaskDefinitionArn| async {
            let call = self.ecs.describe_task_definition(&arn);
            let response = isolate(Operation::DescribeTaskDefinition, None, call).await;
            let response = response.map(|definition| definition.map(Arc::new));
            if let Ok(Some(definition)) = &response {
                show(&arn, definition);
            }
            (arn, response)
        };
        let mut described = call_each(wanted, CONCURRENCY, is_first, call).await;
        // Definitions that are known, or that keep failing, come last, so that the calls that are skipped because of
        // failures are their own.
        let last = stream::iter(last).map(call).buffer_unordered(CONCURRENCY);
        described.extend(last.collect::<Vec<_>>().await);
        Described(described)
    }

    /// Caches the responses, and returns what is known of the wanted definitions.
    pub(in crate::aws) fn learn<'a>(
        &mut self,
        described: Described,
        wanted: impl IntoIterator<Item = &'a TaskDefinitionArn>,
        failures: &mut Failures,
    ) -> HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>> {
        let now = Instant::now();
        let failed = |(_, response): &&Response| response.as_ref().is_err_and(|failure| failure.code != SKIPPED);
        self.failed = described.0.iter().filter(failed).map(|(arn, _)| arn.clone()).collect();
        let compared =
            described.0.iter().filter(|(_, response)| response.is_ok()).map(|(arn, _)| arn.clone()).collect();
        self.unverified.settle(&compared);
        let mut definitions = HashMap::new();
        for (arn, response) in described.0 {
            let cached = self.cache.last_known(&arn);
            match response {
                Ok(Some(definition)) if cached.is_some_and(|cached| *cached == definition) => {}
                Ok(Some(definition)) => {
                    cached.inspect(|_| report_corrected(&arn));
                    self.cache.insert(arn, definition, None);
                }
                Ok(None) => {
                    cached.inspect(|_| report_corrected(&arn));
                    self.cache.insert_gone(arn, (), now + NOT_FOUND_TTL);
                }
                // A comparison with the cache file, which a later refresh makes again.
                Err(_) if cached.is_some() => {}
                Err(failure) => {
                    definitions.insert(arn, Fetched::Unknown(failures.record(failure)));
                }
            }
        }
        for arn in wanted {
            if let Some(cached) = self.cache.get(arn, now)
                && !definitions.contains_key(arn)
            {
                definitions.insert(arn.clone(), cached.clone());
            }
        }
        definitions
    }

    /// Returns a number that grows with each definition that is learned.
    pub(in crate::aws) fn generation(&self) -> u64 {
        self.cache.generation()
    }

    /// Returns the known definitions.
    pub(in crate::aws) fn known(&self) -> BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>> {
        self.cache.values().map(|(arn, definition)| (arn.clone(), definition.clone())).collect()
    }

    /// Returns the number of cached definitions.
    pub(in crate::aws) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Evicts definitions that are not used now and were not for `unused_for`.
    pub(in crate::aws) fn evict_unused(&mut self, used: &HashSet<&TaskDefinitionArn>, unused_for: Duration) {
        self.cache.evict_unused(used, unused_for);
        self.unverified.retain(|arn| self.cache.last_known(arn).is_some());
    }
}
