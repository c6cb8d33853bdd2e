use std::sync::Arc;

use super::Outcome;
use super::fixtures::{Fixture, Script, Step, last_unknown, running, unlisted};

#[tokio::test(start_paused = true)]
async fn keeps_the_targets_of_a_cluster_that_cannot_be_listed() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(unlisted()), Step::Learns(running(&[]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut refresher = fixture.refresher(&script);
    refresher.refresh().await;
    let refresh = refresher.refresh().await;
    assert_eq!(refresh.kept.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
    refresher.refresh().await;
    assert_eq!(std::fs::read(fixture.path()).unwrap(), b"[]\n", "an empty success is written");
}

#[tokio::test(start_paused = true)]
async fn keeps_the_targets_of_a_task_that_cannot_be_described_and_updates_others() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(last_unknown(&["c", "b"]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut refresher = fixture.refresher(&script);
    refresher.refresh().await;
    let refresh = refresher.refresh().await;
    assert!(refresh.failed());
    assert_eq!((refresh.added, refresh.removed), (1, 1));
    assert_eq!(fixture.tasks().unwrap(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn writes_nothing_after_a_failure_without_previous_targets() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(unlisted())]));
    let refresh = fixture.refresher(&script).refresh().await;
    assert!(matches!(refresh.output, Outcome::NothingKnown));
    assert_eq!(fixture.tasks(), None);
}

#[tokio::test(start_paused = true)]
async fn restart_during_an_outage_loses_no_targets() {
    let fixture = Fixture::new();
    fixture.refresher(&Script::of([Step::Learns(running(&["a"]))])).refresh().await;
    let refresh = fixture.refresher(&Script::of([Step::Learns(unlisted())])).refresh().await;
    assert_eq!((refresh.targets.len(), refresh.added, refresh.removed), (1, 0, 0));
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn replaces_an_unreadable_file_only_after_a_refresh_without_failures() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "- targets: ['theirs:1']\n").unwrap();
    let script = Script::of([Step::Learns(last_unknown(&["a", "b"])), Step::Learns(running(&["a", "b"]))]);
    let mut refresher = fixture.refresher(&script);
    assert!(matches!(refresher.refresh().await.output, Outcome::NotOverwritten(_)));
    assert_eq!(std::fs::read_to_string(fixture.path()).unwrap(), "- targets: ['theirs:1']\n");
    refresher.refresh().await;
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn retries_a_failed_write() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path()).unwrap();
    let mut refresher = fixture.refresher(&Script::of([Step::Learns(running(&["a"]))]));
    let refresh = refresher.refresh().await;
    assert!(refresh.failed() && matches!(refresh.output, Outcome::Failed(_)));
    std::fs::remove_dir(fixture.path()).unwrap();
    assert!(!refresher.refresh().await.failed());
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
    assert_eq!(std::fs::read_dir(fixture.directory.path()).unwrap().count(), 1, "no litter");
}

#[tokio::test]
async fn shares_the_results_of_equal_snapshots() {
    let steps = [running(&["a", "b"]), running(&["a", "b"]), unlisted(), running(&["a", "b"]), running(&["a"])];
    let (fixture, script) = (Fixture::new(), Script::of(steps.map(Step::Learns)));
    let mut refresher = fixture.refresher(&script);
    let (first, second) = (refresher.refresh().await, refresher.refresh().await);
    assert!(Arc::ptr_eq(&first.derived, &second.derived) && Arc::ptr_eq(&first.targets, &second.targets));
    assert_eq!((second.added, second.removed), (0, 0));
    let failed = refresher.refresh().await;
    assert_eq!((failed.derived.groups.len(), failed.targets.len(), failed.kept.len()), (0, 2, 1));
    let (again, changed) = (refresher.refresh().await, refresher.refresh().await);
    assert_eq!((again.derived.groups.len(), again.targets.len(), again.kept.len()), (2, 2, 0));
    assert_eq!((changed.targets.len(), changed.removed), (1, 1));
    assert_eq!(fixture.tasks(), Some(vec!["a".to_owned()]));
}
