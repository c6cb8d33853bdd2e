//! Task definitions, of which each revision is asked for once: it cannot change.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::NOT_FOUND_FOR;
use super::cache::Cache;
use super::calls::Patience;
use super::ecs::Ecs;
use super::failure;
use crate::inventory::{Failure, Failures, Fetched, TaskDefinition, TaskDefinitionArn};

/// How many are asked for side by side; DescribeTaskDefinition takes one at a time.
const AT_ONCE: usize = 16;

/// What is known of task definitions.
pub(super) struct Definitions {
    ecs: Ecs,
    known: Cache<TaskDefinitionArn, Arc<TaskDefinition>>,
}

/// What became of asking for those that were not known.
pub(super) struct Asked(Vec<(TaskDefinitionArn, Result<Option<TaskDefinition>, Failure>)>);

impl Definitions {
    /// Begins with what is known from earlier.
    pub(super) fn new(ecs: Ecs, kept: BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>>) -> Self {
        let mut known = Cache::default();
        for (arn, definition) in kept {
            known.know(arn, definition, None);
        }
        Self { ecs, known }
    }

    /// Asks for those of the wanted ones that are not known, as they come in.
    pub(super) async fn ask(&self, mut wanted: UnboundedReceiver<TaskDefinitionArn>) -> Asked {
        let now = Instant::now();
        let (ecs, patience) = (&self.ecs, &Patience::for_rounds_of(AT_ONCE));
        let mut asked = HashSet::new();
        let unknown = stream::poll_fn(|context| wanted.poll_recv(context))
            .filter(|arn| ready(self.known.get(arn, now).is_none() && asked.insert(arn.clone())));
        let calls = unknown.map(|arn| async move {
            let give_up = || failure::given_up("DescribeTaskDefinition", None);
            let answer = patience.call(give_up, ecs.definition(&arn)).await;
            (arn, answer)
        });
        Asked(calls.buffer_unordered(AT_ONCE).collect().await)
    }

    /// Learns what was answered, and gives what is known of these.
    pub(super) fn learn<'a>(
        &mut self,
        asked: Asked,
        wanted: impl IntoIterator<Item = &'a TaskDefinitionArn>,
        failures: &mut Failures,
    ) -> HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>> {
        let now = Instant::now();
        let mut definitions = HashMap::new();
        for (arn, answer) in asked.0 {
            match answer {
                Ok(Some(definition)) => self.known.know(arn, Arc::new(definition), None),
                Ok(None) => self.known.know_gone(arn, (), now + NOT_FOUND_FOR),
                Err(failure) => {
                    definitions.insert(arn, Fetched::Unknown(failures.record(failure)));
                }
            }
        }
        for arn in wanted {
            if let Some(known) = self.known.get(arn, now)
                && !definitions.contains_key(arn)
            {
                definitions.insert(arn.clone(), known.clone());
            }
        }
        definitions
    }

    /// A number that grows with each that is learned.
    pub(super) fn learned(&self) -> u64 {
        self.known.learned()
    }

    /// Those that are known.
    pub(super) fn known(&self) -> BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>> {
        self.known.known().map(|(arn, definition)| (arn.clone(), definition.clone())).collect()
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets all but these and those that were of use a short while ago.
    pub(super) fn forget_others(&mut self, used: &HashSet<&TaskDefinitionArn>, unused_for: Duration) {
        self.known.forget_others(used, unused_for);
    }
}
