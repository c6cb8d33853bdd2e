//! Task definitions. Each revision is described once, because it cannot change.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::cache::{Cache, NOT_FOUND_TTL};
use super::isolate::isolate;
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
}

/// The responses for task definitions that were not cached.
pub(in crate::aws) struct Described(Vec<Response>);

/// The response for a task definition.
type Response = (TaskDefinitionArn, Result<Option<TaskDefinition>, Failure>);

impl Definitions {
    /// Returns a cache that starts with definitions of an earlier run.
    pub(in crate::aws) fn new(ecs: Ecs, restored: BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>>) -> Self {
        let mut cache = Cache::default();
        for (arn, definition) in restored {
            cache.insert(arn, definition, None);
        }
        Self { ecs, cache, failed: HashSet::new() }
    }

    /// Describes the wanted definitions that are not cached, as they come in.
    pub(in crate::aws) async fn describe(&self, mut wanted: UnboundedReceiver<TaskDefinitionArn>) -> Described {
        let (now, mut seen, mut last) = (Instant::now(), HashSet::new(), Vec::new());
        let first = stream::poll_fn(|context| wanted.poll_recv(context))
            .filter(|arn| ready(self.cache.get(arn, now).is_none() && seen.insert(arn.clone())))
            .filter(|arn| {
                let failed = self.failed.contains(arn);
                if failed {
                    last.push(arn.clone());
                }
                ready(!failed)
            });
        let mut described = self.describe_each(first).await;
        // Definitions that keep failing come last, so that the calls that are skipped because of them are their own.
        described.extend(self.describe_each(stream::iter(last)).await);
        Described(described)
    }

    async fn describe_each(&self, arns: impl Stream<Item = TaskDefinitionArn>) -> Vec<Response> {
        let calls = arns.map(|arn| async move {
            let call = self.ecs.describe_task_definition(&arn);
            let response = isolate(Operation::DescribeTaskDefinition, None, call).await;
            (arn, response)
        });
        calls.buffer_unordered(CONCURRENCY).collect().await
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
        let mut definitions = HashMap::new();
        for (arn, response) in described.0 {
            match response {
                Ok(Some(definition)) => self.cache.insert(arn, Arc::new(definition), None),
                Ok(None) => self.cache.insert_gone(arn, (), now + NOT_FOUND_TTL),
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
    }
}
