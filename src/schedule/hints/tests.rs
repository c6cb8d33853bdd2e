use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn cluster(name: &str) -> ClusterArn {
    format!("arn:aws:ecs:eu-west-1:123456789012:cluster/{name}").as_str().into()
}

fn task(id: usize) -> TaskArn {
    format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{id:06}").as_str().into()
}

fn running(id: usize, version: u64) -> Hint {
    let (cluster, task) = (cluster("prod"), task(id));
    Hint { cluster, task, version, last_status: TaskStatus::Running, stop_requested: false }
}

fn stopping(id: usize, version: u64) -> Hint {
    Hint { stop_requested: true, ..running(id, version) }
}

/// Returns hints for the clusters `prod`, scanned by name, and `other`, scanned by ARN.
fn hints() -> Hints {
    let mut hints = Hints::default();
    hints.set_scanned(["prod".into(), cluster("other").shared().into()]);
    hints
}

fn ids(batch: Option<Batch>) -> Vec<usize> {
    batch.map_or(vec![], |batch| batch.tasks.iter().map(|task| task.id().parse().unwrap()).collect())
}

#[test]
fn hints_of_half_a_second_share_a_call() {
    let (mut hints, start) = (hints(), Instant::now());
    for (id, at) in [(1, 0), (2, 200), (3, 499)] {
        assert_eq!(hints.add(running(id, 1), Known::Nothing, start + millis(at)), Added::Accepted);
    }
    assert_eq!(hints.next_due(), Some(start + GATHER), "later hints do not postpone the call");
    assert_eq!(hints.take_due(start + millis(499)), None);
    let batch = hints.take_due(start + GATHER).unwrap();
    assert_eq!(batch.cluster, "prod".into(), "as it is scanned");
    assert_eq!(ids(Some(batch)), [1, 2, 3]);
    assert_eq!(hints.next_due(), None);
    hints.described([1, 2, 3].map(|id| (task(id), Some(1))), start + GATHER);
    assert!(hints.is_empty());
}

#[test]
fn each_cluster_has_calls_of_its_own_for_100_tasks() {
    let (mut hints, start) = (hints(), Instant::now());
    for id in 0..150 {
        hints.add(running(id, 1), Known::Nothing, start);
    }
    let other = Hint { cluster: cluster("other"), task: task(999), ..running(0, 1) };
    hints.add(other, Known::Nothing, start + millis(100));
    let sizes = std::iter::from_fn(|| hints.take_due(start + millis(600)))
        .map(|batch| (batch.cluster.name().to_owned(), batch.tasks.len()));
    assert_eq!(sizes.collect::<Vec<_>>(), [("prod".into(), 100), ("prod".into(), 50), ("other".into(), 1)]);
}

#[test]
fn what_is_known_already_costs_no_call() {
    let starting = |status| Hint { last_status: status, ..running(1, 5) };
    for (hint, known, expected) in [
        (running(1, 5), Known::Nothing, Added::Accepted),
        (running(1, 5), Known::Version(4), Added::Accepted),
        (running(1, 5), Known::Version(5), Added::NothingNew),
        (running(1, 5), Known::Version(6), Added::NothingNew),
        // Out of order: it was seen stopping, but versions decide, and this one is newer only if AWS says so.
        (running(1, 5), Known::Stopping, Added::Accepted),
        (stopping(1, 5), Known::Version(4), Added::Accepted),
        (stopping(1, 5), Known::Stopping, Added::NothingNew),
        (stopping(1, 5), Known::Nothing, Added::NothingNew),
        (starting(TaskStatus::Provisioning), Known::Nothing, Added::NothingNew),
        (starting(TaskStatus::Activating), Known::Version(2), Added::NothingNew),
        (starting(TaskStatus::Stopped), Known::Version(2), Added::Accepted),
        (starting(TaskStatus::Unknown), Known::Version(2), Added::Accepted),
        (Hint { cluster: cluster("foreign"), ..running(1, 5) }, Known::Nothing, Added::OtherCluster),
    ] {
        let mut hints = hints();
        assert_eq!(hints.add(hint.clone(), known, Instant::now()), expected, "{hint:?} {known:?}");
        assert_eq!(hints.len(), usize::from(expected == Added::Accepted));
    }
}

#[test]
fn repeated_and_older_events_add_nothing() {
    let (mut hints, start) = (hints(), Instant::now());
    let added = [3, 3, 1, 4].map(|version| hints.add(running(1, version), Known::Nothing, start));
    assert_eq!(added, [Added::Accepted, Added::NothingNew, Added::NothingNew, Added::Accepted]);
    assert_eq!(ids(hints.take_due(start + GATHER)), [1]);
}

#[test]
fn an_older_version_is_described_again_a_few_times() {
    let (mut hints, start) = (hints(), Instant::now());
    hints.add(running(1, 5), Known::Nothing, start);
    let mut at = Vec::new();
    while let Some(due) = hints.next_due() {
        at.push((due - start).as_millis());
        assert_eq!(ids(hints.take_due(due)), [1]);
        hints.described([(task(1), Some(4))], due);
    }
    assert_eq!(at, [500, 1500, 3500, 7500]);
    assert!(hints.is_empty());
}

#[test]
fn retries_do_not_join_an_earlier_call() {
    let (mut hints, start) = (hints(), Instant::now());
    hints.add(running(1, 5), Known::Nothing, start);
    hints.take_due(start + GATHER);
    hints.described([(task(1), Some(4))], start + GATHER);
    hints.add(running(2, 1), Known::Nothing, start + GATHER);
    assert_eq!(ids(hints.take_due(start + GATHER * 2)), [2]);
    assert_eq!(ids(hints.take_due(start + GATHER * 3)), [1]);
}

#[test]
fn a_gone_task_and_one_without_a_version_are_not_described_again() {
    for version in [None, Some(0), Some(5), Some(6)] {
        let (mut hints, start) = (hints(), Instant::now());
        hints.add(running(1, 5), Known::Nothing, start);
        hints.take_due(start + GATHER);
        hints.described([(task(1), version)], start + GATHER);
        assert!(hints.is_empty(), "{version:?}");
    }
}

#[test]
fn failed_calls_are_made_again_a_few_times() {
    let (mut hints, start) = (hints(), Instant::now());
    hints.add(running(1, 5), Known::Nothing, start);
    let mut calls = 0;
    while let Some(due) = hints.next_due() {
        let batch = hints.take_due(due).unwrap();
        hints.failed(&batch, due);
        calls += 1;
    }
    assert_eq!((calls, hints.len()), (4, 0));
}

#[test]
fn an_event_during_a_call_leads_to_another() {
    let (mut hints, start) = (hints(), Instant::now());
    hints.add(running(1, 5), Known::Nothing, start);
    hints.take_due(start + GATHER).unwrap();
    let during = start + millis(600);
    assert_eq!(hints.add(stopping(1, 6), Known::Version(4), during), Added::Accepted);
    hints.described([(task(1), Some(5))], start + millis(700));
    assert_eq!(hints.next_due(), Some(during + GATHER));
    hints.take_due(during + GATHER).unwrap();
    // The second event came with the first response.
    hints.described([(task(1), Some(6))], during + GATHER);
    assert!(hints.is_empty());
}

#[test]
fn hints_count_before_the_clusters_are_known() {
    let (mut hints, start) = (Hints::default(), Instant::now());
    hints.add(running(1, 1), Known::Nothing, start);
    hints.add(Hint { cluster: cluster("foreign"), task: task(2), ..running(2, 1) }, Known::Nothing, start);
    hints.set_scanned(["prod".into()]);
    assert_eq!(ids(hints.take_due(start + GATHER)), [1]);
    assert!(hints.next_due().is_none() && hints.gathering.is_empty());
}

#[test]
fn a_flood_is_bounded_in_memory() {
    let (mut hints, now) = (hints(), Instant::now());
    let added: Vec<_> = (0..MOST + 5).map(|id| hints.add(running(id, 1), Known::Nothing, now)).collect();
    assert_eq!(added[MOST - 1..MOST + 1], [Added::Accepted, Added::TooMany]);
    assert_eq!(hints.len(), MOST);
    assert_eq!(hints.add(running(1, 2), Known::Nothing, now), Added::Accepted, "a newer event of a kept one");
}

proptest! {
    /// However events are ordered and repeated, the last call for each task is made after its newest event, and the
    /// number of calls is bounded.
    #[test]
    fn every_task_is_described_in_its_newest_version(
        events in proptest::collection::vec((0..20_usize, 1..6_u64, 0..2000_u64), 1..100)
    ) {
        let (mut hints, start) = (hints(), Instant::now());
        let (mut newest, mut seen) = (HashMap::new(), HashMap::new());
        let mut events = events;
        events.sort_by_key(|(_, _, at)| *at);
        let (mut events, mut calls) = (events.into_iter().peekable(), 0);
        loop {
            let due = hints.next_due();
            let next = events.peek().map(|(_, _, at)| start + millis(*at));
            match (next, due) {
                (Some(at), due) if due.is_none_or(|due| at <= due) => {
                    let (id, version, _) = events.next().unwrap();
                    let known = seen.get(&id).map_or(Known::Nothing, |version| Known::Version(*version));
                    hints.add(running(id, version), known, at);
                    let newest = newest.entry(id).or_insert(0);
                    *newest = version.max(*newest);
                }
                (_, Some(due)) => {
                    calls += 1;
                    let described = ids(hints.take_due(due));
                    for id in &described {
                        seen.insert(*id, newest[id]);
                    }
                    hints.described(described.into_iter().map(|id| (task(id), Some(newest[&id]))), due);
                }
                (_, None) => break,
            }
        }
        prop_assert_eq!(seen, newest);
        prop_assert!(calls <= 6, "one in half a second at most: {calls}");
    }
}
