//! Which targets a request for `/targets` is for.

use crate::inventory::{ClusterRef, Clusters};
use crate::status::Status;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All targets.
    All,
    /// The targets of these clusters, which have some.
    Of(Vec<ClusterRef>),
    /// The targets of a cluster that has none.
    Empty,
    /// Targets that may exist but are not known.
    Unavailable(&'static str),
    /// A cluster that nobody has ever seen.
    NotFound,
}

impl Asked {
    /// Returns what a query asks for. A mistyped name must not remove targets, nor a failure before anything was known:
    /// an empty list is only for a cluster that the last refresh found empty, or no longer found.
    pub(super) fn of(status: &Status, query: Option<&str>) -> Self {
        if status.targets.is_none() {
            return Self::Unavailable("no targets are known yet\n");
        }
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let Some((_, cluster)) = pairs.find(|(name, _)| name == "cluster") else { return Self::All };
        let asked = ClusterRef::from(&*cluster);
        let scanned = status.publication.iter().flat_map(|publication| publication.clusters());
        let clusters = Clusters::new(scanned.map(|state| &state.cluster));
        let with_targets = status.target_clusters.iter().filter(|arn| is_meant(&asked, arn, &clusters));
        let with_targets: Vec<ClusterRef> = with_targets.cloned().collect();
        if with_targets.is_empty() { without_targets(status, &asked, &clusters) } else { Self::Of(with_targets) }
    }
}

/// Returns whether a cluster is meant. A name means the cluster that is scanned under this name, or else all clusters
/// of this name.
fn is_meant(asked: &ClusterRef, arn: &ClusterRef, clusters: &Clusters<'_>) -> bool {
    match clusters.get(asked.as_str()) {
        Some(scanned) if !asked.is_arn() => clusters.of_arn(arn.as_str()) == Some(scanned),
        _ => asked.matches(arn.as_str()),
    }
}

fn without_targets(status: &Status, asked: &ClusterRef, clusters: &Clusters<'_>) -> Asked {
    const UNAVAILABLE: Asked = Asked::Unavailable("no targets of this cluster are known yet\n");
    let seen = status.seen.contains(asked);
    let Some(publication) = status.publication.as_deref() else {
        return if seen { UNAVAILABLE } else { Asked::NotFound };
    };
    let mut states = publication.clusters().filter(|state| is_scanned_as(asked, &state.cluster, clusters, seen));
    if states.any(|state| !state.complete) || (seen && publication.lacks_clusters()) {
        return UNAVAILABLE;
    }
    if seen { Asked::Empty } else { Asked::NotFound }
}

/// Returns whether a scanned cluster is meant.
fn is_scanned_as(asked: &ClusterRef, scanned: &ClusterRef, clusters: &Clusters<'_>, seen: bool) -> bool {
    if asked.is_arn() {
        // Nothing but an earlier sight of the ARN tells that a cluster scanned by name has it.
        return seen && clusters.of_arn(asked.as_str()) == Some(scanned);
    }
    match clusters.get(asked.as_str()) {
        Some(same) => same == scanned,
        None => asked.matches(scanned.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::file_sd::TargetGroup;
    use crate::inventory::{Failure, Failures, Operation, Scope, Snapshot};
    use crate::publish::{Outcome, Publication};
    use crate::refresh::{Cause, Refresh};
    use crate::staleness::ClusterState;
    use crate::status::SharedStatus;
    use crate::targets::Derived;
    use crate::writer::Written;

    const OURS: &str = "arn:aws:ecs:eu-west-1:111111111111:cluster/prod";
    const THEIRS: &str = "arn:aws:ecs:eu-west-1:222222222222:cluster/prod";
    const OTHERS: &str = "arn:aws:ecs:eu-west-1:333333333333:cluster/prod";

    fn targets(clusters: &[&str]) -> Arc<Vec<TargetGroup>> {
        let group = |arn: &&str| TargetGroup {
            targets: vec!["10.0.0.1:9102".into()],
            labels: [("cluster_arn", *arn)].into_iter().collect(),
        };
        Arc::new(clusters.iter().map(group).collect())
    }

    fn publication(scanned: &[(&str, bool)], with_targets: &[&str]) -> Arc<Publication> {
        Arc::new(published(refresh_of(scanned, with_targets)))
    }

    fn refresh_of(scanned: &[(&str, bool)], with_targets: &[&str]) -> Refresh {
        let state = |(cluster, complete): &(&str, bool)| ClusterState {
            cluster: (*cluster).into(),
            complete: *complete,
            last_complete: Instant::now(),
        };
        Refresh {
            scope: Scope { region: "eu-west-1".into(), account: None },
            cause: Cause::Interval,
            snapshot: Arc::new(Snapshot {
                clusters: vec![],
                unlisted: None,
                definitions: HashMap::new(),
                hosts: HashMap::new(),
                failures: Failures::default(),
            }),
            derived: Arc::new(Derived::default()),
            targets: targets(with_targets),
            kept: BTreeMap::new(),
            expired: BTreeMap::new(),
            oldest_kept: None,
            clusters: scanned.iter().map(state).collect(),
            took: Duration::ZERO,
        }
    }

    fn published(refresh: Refresh) -> Publication {
        Publication {
            targets: refresh.targets.clone(),
            refreshes: vec![Arc::new(refresh)],
            new: vec![],
            outstanding: 0,
            added: 0,
            removed: 0,
            output: Outcome::Written(Written::Unchanged),
        }
    }

    fn ask(status: &SharedStatus, cluster: &str) -> Asked {
        Asked::of(&status.get(), Some(&format!("cluster={cluster}")))
    }

    fn of(clusters: &[&str]) -> Asked {
        Asked::Of(clusters.iter().map(|arn| ClusterRef::from(*arn)).collect())
    }

    #[test]
    fn name_and_foreign_arn_are_two_clusters() {
        let status = SharedStatus::default();
        status.published(publication(&[("prod", true), (THEIRS, true)], &[OURS, THEIRS]));
        assert_eq!(
            ["prod", OURS, THEIRS].map(|cluster| ask(&status, cluster)),
            [of(&[OURS]), of(&[OURS]), of(&[THEIRS])]
        );
        assert_eq!(ask(&status, OTHERS), Asked::NotFound);
        status.published(publication(&[("prod", true), (THEIRS, false)], &[THEIRS]));
        assert_eq!(["prod", OURS].map(|cluster| ask(&status, cluster)), [Asked::Empty, Asked::Empty]);
        status.published(publication(&[("prod", true), (THEIRS, false)], &[OURS]));
        assert!(matches!(ask(&status, THEIRS), Asked::Unavailable(_)));
    }

    #[test]
    fn name_means_every_listed_cluster_of_that_name() {
        let status = SharedStatus::default();
        status.published(publication(&[(OURS, true), (THEIRS, true)], &[OURS, THEIRS]));
        assert_eq!(ask(&status, "prod"), of(&[OURS, THEIRS]));
    }

    #[test]
    fn cluster_that_is_gone_is_empty_and_an_unknown_one_is_not_found() {
        let status = SharedStatus::default();
        assert!(matches!(ask(&status, OURS), Asked::Unavailable(_)));
        status.restored(&targets(&[OURS]));
        assert_eq!((ask(&status, OURS), ask(&status, "other")), (of(&[OURS]), Asked::NotFound));
        status.published(publication(&[], &[]));
        for asked in [OURS, "prod"] {
            assert_eq!(ask(&status, asked), Asked::Empty, "{asked}");
        }
        assert_eq!([THEIRS, "pord", ""].map(|asked| ask(&status, asked)), [const { Asked::NotFound }; 3]);
    }

    #[test]
    fn cluster_is_not_gone_while_clusters_cannot_be_listed() {
        let status = SharedStatus::default();
        status.restored(&targets(&[OURS]));
        let mut unlisted = refresh_of(&[], &[]);
        let failed = Snapshot::failed(Failure {
            operation: Operation::ListClusters,
            cluster: None,
            code: "AccessDeniedException".into(),
            message: "no".into(),
            request_id: None,
            calls: 1,
            transient: false,
        });
        unlisted.snapshot = Arc::new(failed);
        status.published(Arc::new(published(unlisted)));
        assert!(matches!(ask(&status, OURS), Asked::Unavailable(_)));
        assert_eq!(ask(&status, "never"), Asked::NotFound);
    }
}
