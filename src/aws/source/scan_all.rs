//! Scans all clusters of a scope.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::unbounded_channel;

use super::progress::Progress;
use super::those::wanted_definition;
use crate::aws::api::ecs::Ecs;
use crate::aws::state::definitions::{Definitions, Described};
use crate::aws::state::isolate::isolate;
use crate::aws::state::scan::{Scan, scan};
use crate::aws::state::tasks::TaskCache;
use crate::inventory::{ClusterRef, Failure, Operation, Task};

/// The number of clusters that are scanned concurrently.
const CONCURRENT_CLUSTERS: usize = 8;

/// A cluster and the result of scanning it.
pub(super) type Scanned = (ClusterRef, Result<Scan, Failure>);

/// Scans the clusters concurrently, and meanwhile describes the definitions of their tasks.
pub(super) async fn scan_all(
    ecs: &Ecs,
    tasks: &HashMap<ClusterRef, TaskCache>,
    failed: &HashSet<ClusterRef>,
    clusters: Vec<ClusterRef>,
    definitions: &Definitions,
    progress: Option<&Progress>,
) -> (Vec<Scanned>, Described) {
    let (want, wanted) = unbounded_channel();
    let empty = &TaskCache::default();
    let scanning = async move {
        let show = |cluster: &ClusterRef, task: &Arc<Task>| {
            if let Some(definition) = wanted_definition(task) {
                // The receiver lives as long as the scans.
                let _ = want.send(definition.clone());
                if let Some(progress) = progress {
                    progress.task(cluster, task);
                }
            }
        };
        let show = &show;
        let mut clusters: Vec<_> = clusters.into_iter().enumerate().collect();
        // If many clusters keep failing, the calls that are skipped because of them are their own.
        clusters.sort_by_key(|(_, cluster)| failed.contains(cluster));
        let scans = clusters.into_iter().map(|(place, cluster)| async move {
            let cache = tasks.get(&cluster).unwrap_or(empty);
            let show = |task: &Arc<Task>| show(&cluster, task);
            let scan = isolate(Operation::ListTasks, Some(&cluster), scan(ecs, &cluster, cache, show)).await;
            (place, (cluster, scan))
        });
        // Unordered, so that a cluster that hangs does not keep later ones from starting.
        let mut scanned: Vec<_> = stream::iter(scans).buffer_unordered(CONCURRENT_CLUSTERS).collect().await;
        scanned.sort_unstable_by_key(|(place, _)| *place);
        scanned.into_iter().map(|(_, scanned)| scanned).collect()
    };
    let show = |arn: &_, definition: &_| {
        if let Some(progress) = progress {
            progress.definition(arn, definition);
        }
    };
    // `scanning` drops its sender when it ends, which ends `describe`.
    tokio::join!(scanning, definitions.describe(wanted, show))
}
