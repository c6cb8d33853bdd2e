//! Where tasks run.

use std::collections::HashSet;

use super::names::{ClusterRef, arn_account, arn_region};
use super::scope::Scope;
use super::snapshot::{ClusterTasks, Fetched};
use super::strings::Shared;
use super::task::Task;

/// A scope, a cluster in it, or the tasks of one service and family in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The scope.
    pub scope: Scope,
    /// The cluster; `None` for the whole scope.
    pub cluster: Option<ClusterRef>,
    /// The tasks; `None` for the whole cluster.
    pub workload: Option<Workload>,
}

/// The tasks of one group and family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// `service:NAME` or `family:NAME`; some tasks have none.
    pub group: Option<Shared>,
    /// The family of their task definition.
    pub family: Shared,
}

impl Place {
    /// Returns a scope.
    pub fn scope(scope: &Scope) -> Self {
        Self { scope: scope.clone(), cluster: None, workload: None }
    }

    /// Returns a cluster.
    pub fn cluster(scope: &Scope, cluster: &ClusterRef) -> Self {
        Self { scope: scope_of(cluster, scope), cluster: Some(cluster.clone()), workload: None }
    }

    /// Returns tasks of a cluster, which are in the scope of its ARN.
    pub fn tasks(cluster_arn: &str, group: Option<&str>, family: &str) -> Self {
        let cluster = ClusterRef::from(cluster_arn);
        let region = arn_region(cluster_arn).unwrap_or_default().into();
        let scope = scope_of(&cluster, &Scope { region, account: None });
        let workload = Workload { group: group.map(Into::into), family: family.into() };
        Self { scope, cluster: Some(cluster), workload: Some(workload) }
    }

    /// Returns each place in a scanned cluster where tasks were described, once.
    pub fn of_tasks<'a>(scope: &'a Scope, tasks: &'a ClusterTasks) -> impl Iterator<Item = Self> + 'a {
        let mut known = HashSet::new();
        let described = tasks.tasks.iter().flatten().filter_map(|listed| match &listed.task {
            Fetched::Known(task) => Some(&**task),
            Fetched::Gone(()) | Fetched::Unknown(_) => None,
        });
        let each = described.filter(move |task| known.insert((task.group.as_deref(), task.definition.family())));
        each.map(|task| {
            let cluster = cluster_of(task).unwrap_or_else(|| tasks.cluster.clone());
            let workload = Workload { group: task.group.clone(), family: task.definition.family().into() };
            Self { scope: scope_of(&cluster, scope), cluster: Some(cluster), workload: Some(workload) }
        })
    }
}

/// Returns the ARN of a task's cluster, as far as it is known.
fn cluster_of(task: &Task) -> Option<ClusterRef> {
    let arn = task.cluster.clone().or_else(|| task.arn.cluster());
    arn.map(|arn| arn.shared().into())
}

/// Returns the scope in a cluster's ARN, which knows better than the scope in which it is scanned.
fn scope_of(cluster: &ClusterRef, scanned: &Scope) -> Scope {
    let (region, account) = (arn_region(cluster.as_str()), arn_account(cluster.as_str()));
    // Places are many: those of one scope share its strings.
    Scope {
        region: match region {
            Some(region) if *region != *scanned.region => region.into(),
            _ => scanned.region.clone(),
        },
        account: match account {
            Some(account) if Some(account) != scanned.account.as_deref() => Some(account.into()),
            _ => scanned.account.clone(),
        },
    }
}
