use std::sync::Arc;
use std::time::Duration;

use super::Refresh;
use super::fixtures::{Fixture, Script, Step, failure, last_unknown, missing, running, unlisted, without_labels};
use crate::file_sd::TargetGroup;
use crate::inventory::Operation;
use crate::publish::Outcome;
use crate::status::SharedStatus;

#[tokio::test(start_paused = true)]
async fn keeps_the_targets_of_a_cluster_that_cannot_be_listed() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(unlisted()), Step::Learns(running(&[]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut scope = fixture.scope(&script);
    scope.refresh().await;
    let (refresh, _) = scope.refresh().await;
    assert_eq!(refresh.kept.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
    scope.refresh().await;
    assert_eq!(std::fs::read(fixture.path()).unwrap(), b"[]\n", "an empty success is written");
}

#[tokio::test(start_paused = true)]
async fn keeps_the_targets_of_a_task_that_cannot_be_described_and_updates_others() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(last_unknown(&["c", "b"]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut scope = fixture.scope(&script);
    scope.refresh().await;
    let (refresh, publication) = scope.refresh().await;
    assert!(refresh.failed());
    assert_eq!((publication.added, publication.removed), (1, 1));
    assert_eq!(fixture.tasks().unwrap(), ["b", "c"]);
}

/// Texts of equal groups are the same ones, however many times the program has derived them.
#[tokio::test(start_paused = true)]
async fn unchanged_targets_are_held_once() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(running(&["0", "b"]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut scope = fixture.scope(&script);
    let (first, _) = scope.refresh().await;
    let (second, _) = scope.refresh().await;
    let task = |groups: &[TargetGroup]| groups.last().unwrap().labels.get("task_arn").unwrap().as_ptr();
    assert_eq!(task(&second.targets), task(&first.targets));
    assert_eq!(task(&second.derived.groups), task(&first.targets));
}

#[tokio::test(start_paused = true)]
async fn writes_nothing_after_a_failure_without_previous_targets() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(unlisted())]));
    let (_, publication) = fixture.scope(&script).refresh().await;
    assert!(matches!(publication.output, Outcome::NothingKnown));
    assert_eq!(fixture.tasks(), None);
}

/// Whether the file can be written makes no difference to the readers of `/targets`.
#[tokio::test(start_paused = true)]
async fn unwritten_targets_go_when_their_tasks_have_gone() {
    let mut incomplete = running(&[]);
    incomplete.failures.record(failure(Operation::DescribeTaskDefinition));
    let fixture = Fixture::new();
    let script = Script::of([Step::Learns(running(&["a"])), Step::Learns(incomplete)]);
    let (mut scope, status) = (fixture.scope(&script), SharedStatus::default());
    std::fs::create_dir(fixture.path()).unwrap();
    let seen = || status.get().targets.map(|targets| targets.len());
    let mut counts = Vec::new();
    for _ in 0..2 {
        let (_, publication) = scope.refresh().await;
        status.published(Arc::new(publication));
        counts.push(seen());
    }
    assert_eq!(counts, [Some(1), Some(0)]);
}

#[tokio::test(start_paused = true)]
async fn restart_during_an_outage_loses_no_targets() {
    let fixture = Fixture::new();
    fixture.scope(&Script::of([Step::Learns(running(&["a"]))])).refresh().await;
    let (_, publication) = fixture.scope(&Script::of([Step::Learns(unlisted())])).refresh().await;
    assert_eq!((publication.targets.len(), publication.added, publication.removed), (1, 0, 0));
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn replaces_an_unreadable_file_only_after_a_refresh_without_failures() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "- targets: ['theirs:1']\n").unwrap();
    let script = Script::of([Step::Learns(last_unknown(&["a", "b"])), Step::Learns(running(&["a", "b"]))]);
    let mut scope = fixture.scope(&script);
    assert!(matches!(scope.refresh().await.1.output, Outcome::NotOverwritten(_)));
    assert_eq!(std::fs::read_to_string(fixture.path()).unwrap(), "- targets: ['theirs:1']\n");
    scope.refresh().await;
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
}

/// It is a failure, but the targets are complete.
#[tokio::test(start_paused = true)]
async fn a_failure_that_only_labels_depend_on_costs_targets_nothing() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "- targets: ['theirs:1']\n").unwrap();
    let script = Script::of([Step::Learns(without_labels(&["a", "b"])), Step::Learns(without_labels(&[]))]);
    let mut scope = fixture.scope(&script);
    let (refresh, publication) = scope.refresh().await;
    assert!(publication.failed() && publication.complete());
    assert!(refresh.kept.is_empty() && refresh.clusters.iter().all(|cluster| cluster.complete));
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"], "even an unreadable file is replaced");
    let status = SharedStatus::default();
    status.published(Arc::new(publication));
    assert!(status.get().ready && status.get().last_success.is_none());
    scope.refresh().await;
    assert_eq!(std::fs::read(fixture.path()).unwrap(), b"[]\n", "an empty success is written");
}

#[tokio::test(start_paused = true)]
async fn retries_a_failed_write() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path()).unwrap();
    let mut scope = fixture.scope(&Script::of([Step::Learns(running(&["a"]))]));
    let (_, publication) = scope.refresh().await;
    assert!(publication.failed() && matches!(publication.output, Outcome::Failed(_)));
    std::fs::remove_dir(fixture.path()).unwrap();
    assert!(!scope.refresh().await.1.failed());
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
    assert_eq!(std::fs::read_dir(fixture.directory.path()).unwrap().count(), 1, "no litter");
}

#[tokio::test]
async fn shares_the_results_of_equal_snapshots() {
    let steps = [running(&["a", "b"]), running(&["a", "b"]), unlisted(), running(&["a", "b"]), running(&["a"])];
    let (fixture, script) = (Fixture::new(), Script::of(steps.map(Step::Learns)));
    let mut scope = fixture.scope(&script);
    let ((first, _), (second, published)) = (scope.refresh().await, scope.refresh().await);
    assert!(Arc::ptr_eq(&first.derived, &second.derived) && Arc::ptr_eq(&first.targets, &second.targets));
    assert!(Arc::ptr_eq(&second.targets, &published.targets));
    assert_eq!((published.added, published.removed), (0, 0));
    let (failed, _) = scope.refresh().await;
    assert_eq!((failed.derived.groups.len(), failed.targets.len(), failed.kept.len()), (0, 2, 1));
    let ((again, _), (changed, published)) = (scope.refresh().await, scope.refresh().await);
    assert_eq!((again.derived.groups.len(), again.targets.len(), again.kept.len()), (2, 2, 0));
    assert_eq!((changed.targets.len(), published.removed), (1, 1));
    assert_eq!(fixture.tasks(), Some(vec!["a".to_owned()]));
}

const MINUTE: Duration = Duration::from_secs(60);

/// Refreshes once a minute with these snapshots, and returns for each the numbers of targets that were kept and that
/// expired, and the age of the oldest in minutes.
async fn each_minute(max_stale: Option<Duration>, steps: Vec<Step>) -> Vec<(usize, usize, Option<u64>)> {
    let (fixture, count) = (Fixture::new(), steps.len());
    let mut scope = fixture.scope_with(&Script::of(steps), max_stale);
    let mut results = Vec::new();
    for _ in 0..count {
        let (refresh, _) = scope.refresh().await;
        let Refresh { kept, expired, oldest_kept, .. } = &*refresh;
        let age = oldest_kept.map(|at| super::now().duration_since(at).as_secs() / 60);
        results.push((kept.values().sum(), expired.values().sum(), age));
        tokio::time::advance(MINUTE).await;
    }
    results
}

fn learns<const N: usize>(snapshots: [crate::inventory::Snapshot; N]) -> Vec<Step> {
    snapshots.into_iter().map(Step::Learns).collect()
}

#[tokio::test(start_paused = true)]
async fn targets_of_a_failing_cluster_are_kept_forever_by_default() {
    let steps = [running(&["a"])].into_iter().chain(std::iter::repeat_n(unlisted(), 500)).map(Step::Learns).collect();
    let results = each_minute(None, steps).await;
    assert_eq!(results[0], (0, 0, None));
    assert_eq!(results[500], (1, 0, Some(500)));
}

#[tokio::test(start_paused = true)]
async fn targets_of_a_missing_cluster_are_kept_for_an_hour() {
    let steps = [running(&["a", "b"])].into_iter().chain(std::iter::repeat_n(missing(), 63)).map(Step::Learns);
    let results = each_minute(None, steps.collect()).await;
    assert_eq!(results[60], (2, 0, Some(60)), "59 minutes after AWS first said so");
    assert_eq!(results[61], (0, 2, None));
    assert_eq!(results[62], (0, 0, None), "once");
}

#[tokio::test(start_paused = true)]
async fn a_failure_neither_ends_nor_begins_the_hour_of_a_missing_cluster() {
    let mut steps = learns([running(&["a"]), unlisted(), unlisted(), missing()]);
    steps.extend(std::iter::repeat_n(Step::Learns(unlisted()), 59));
    steps.push(Step::Learns(missing()));
    let results = each_minute(None, steps).await;
    assert_eq!(results[62].0, 1);
    assert_eq!(results[63], (0, 1, None));
    let mut steps = learns([running(&["a"]), missing(), running(&["a"])]);
    steps.extend(std::iter::repeat_n(Step::Learns(missing()), 60));
    assert_eq!(each_minute(None, steps).await[62], (1, 0, Some(60)), "a success ends it");
}

#[tokio::test(start_paused = true)]
async fn max_stale_counts_from_when_each_target_was_last_learned() {
    let steps = learns([
        running(&["a", "b"]),
        last_unknown(&["a", "b"]),
        last_unknown(&["a", "b"]),
        unlisted(),
        unlisted(),
        unlisted(),
    ]);
    let results = each_minute(Some(3 * MINUTE), steps).await;
    let b_only = [(0, 0, None), (1, 0, Some(1)), (1, 0, Some(2))];
    assert_eq!(results[..3], b_only);
    assert_eq!(results[3], (1, 1, Some(1)), "b expires, a was learned a minute ago");
    assert_eq!(results[4..], [(1, 0, Some(2)), (0, 1, None)]);
}

/// The file does not say when each of its targets was learned.
#[tokio::test(start_paused = true)]
async fn max_stale_counts_from_the_start_for_restored_targets() {
    let (fixture, limit) = (Fixture::new(), Some(3 * MINUTE));
    fixture.scope(&Script::of([Step::Learns(running(&["a"]))])).refresh().await;
    tokio::time::advance(10 * MINUTE).await;
    let mut scope = fixture.scope_with(&Script::of([Step::Learns(unlisted())]), limit);
    tokio::time::advance(2 * MINUTE).await;
    assert_eq!(scope.refresh().await.0.targets.len(), 1);
    tokio::time::advance(MINUTE).await;
    assert_eq!(scope.refresh().await.0.targets.len(), 0);
    assert_eq!(std::fs::read(fixture.path()).unwrap(), b"[]\n");
}

/// A name and the ARN of a cluster of the same name in another account.
#[tokio::test(start_paused = true)]
async fn clusters_of_equal_names_do_not_keep_each_others_targets() {
    let theirs = "arn:aws:ecs:eu-west-1:222222222222:cluster/prod";
    let both = |ours: crate::inventory::Snapshot| {
        let mut snapshot = ours;
        let other = crate::inventory::ClusterTasks { cluster: theirs.into(), tasks: Ok(vec![]), details: None };
        snapshot.clusters.push(other);
        snapshot
    };
    let fixture = Fixture::new();
    let script = Script::of([running(&["a"]), unlisted(), running(&[])].map(|ours| Step::Learns(both(ours))));
    let mut scope = fixture.scope(&script);
    let complete = |refresh: &Refresh| refresh.clusters.iter().map(|state| state.complete).collect::<Vec<_>>();
    assert_eq!(complete(&scope.refresh().await.0), [true, true]);
    let (refresh, _) = scope.refresh().await;
    assert_eq!((refresh.targets.len(), complete(&refresh)), (1, vec![false, true]));
    assert!(scope.refresh().await.0.targets.is_empty());
}
