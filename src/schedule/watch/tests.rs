use proptest::prelude::*;

use super::super::budget::{COST, LARGEST, REWARD};
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn task(cluster: &str, id: usize) -> (ClusterRef, TaskArn) {
    (cluster.into(), format!("arn:aws:ecs:eu-west-1:123456789012:task/{cluster}/{id:06}").as_str().into())
}

fn nobody(_: &TaskArn) -> bool {
    false
}

/// Makes each look as soon as it is due, and returns when and at what.
fn looks(watch: &mut Watch, start: Instant, until: Duration) -> Vec<(f64, Batch)> {
    let mut looks = Vec::new();
    while let Some(due) = watch.next_due().filter(|due| *due < start + until) {
        let batch = watch.take_due(due).expect("a look is due when it says so");
        looks.push(((due - start).as_secs_f64(), batch));
    }
    looks
}

fn times(looks: &[(f64, Batch)]) -> Vec<f64> {
    looks.iter().map(|(at, _)| *at).collect()
}

#[test]
fn nothing_is_due_when_nothing_is_pending() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    assert_eq!((watch.next_due(), watch.take_due(start + MINUTE)), (None, None));
    watch.update([task("prod", 1)], nobody, start);
    assert_eq!((watch.len(), watch.take_due(start + seconds(1))), (1, None));
    watch.update([], nobody, start);
    assert!(watch.is_empty() && watch.next_due().is_none());
}

#[test]
fn a_task_is_watched_closely_for_two_minutes_and_then_less_and_less() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    watch.update([task("prod", 1)], nobody, start);
    let at = times(&looks(&mut watch, start, seconds(3600)));
    let close: Vec<f64> = (1..=60).map(|look| f64::from(look * 2)).collect();
    assert_eq!(at[..60], close);
    // After 5, 10, 20 and 40 s; 80 s later there has been a refresh.
    assert_eq!(at[60..], [125.0, 135.0, 155.0, 195.0]);
    assert_eq!(watch.len(), 1, "it is still pending, but left to the refreshes");
}

#[test]
fn tasks_are_not_watched_if_refreshes_are_as_frequent() {
    let start = Instant::now();
    let mut watch = Watch::new(seconds(2), start);
    watch.update([task("prod", 1)], nobody, start);
    assert_eq!(watch.next_due(), None);
}

#[test]
fn events_make_close_looks_unnecessary() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    watch.set_pace(Pace::Loose, start);
    watch.update([task("prod", 1)], nobody, start);
    assert_eq!(times(&looks(&mut watch, start, seconds(3600))), [5.0, 15.0, 35.0, 75.0]);
}

#[test]
fn tasks_are_watched_closely_again_when_events_fall_silent() {
    let start = Instant::now();
    let mut watch = Watch::new(5 * MINUTE, start);
    watch.set_pace(Pace::Loose, start);
    watch.update([task("prod", 1)], nobody, start);
    watch.refreshed(start);
    assert_eq!(times(&looks(&mut watch, start, seconds(50))), [5.0, 15.0, 35.0]);
    watch.set_pace(Pace::Close, start + seconds(50));
    let at = times(&looks(&mut watch, start, seconds(60)));
    assert_eq!(at, [52.0, 54.0, 56.0, 58.0]);
    // Setting the same again, as after every event, postpones nothing and hurries nothing.
    watch.set_pace(Pace::Close, start + seconds(59));
    assert_eq!(watch.next_due(), Some(start + seconds(60)));
    watch.set_pace(Pace::Loose, start + seconds(59));
    assert_eq!(times(&looks(&mut watch, start, seconds(200))), [60.0, 140.0], "as if it had been loose all the time");
}

#[test]
fn task_that_was_left_to_the_refreshes_is_watched_closely_when_events_fall_silent() {
    let start = Instant::now();
    let mut watch = Watch::new(seconds(5), start);
    watch.set_pace(Pace::Loose, start);
    watch.update([task("prod", 1)], nobody, start);
    assert_eq!(watch.next_due(), None);
    watch.set_pace(Pace::Close, start + seconds(1));
    assert_eq!(watch.next_due(), Some(start + seconds(3)));
}

#[test]
fn tasks_of_a_cluster_share_a_call() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    watch.update([task("prod", 1)], nobody, start);
    watch.update([task("prod", 1), task("prod", 2)], nobody, start + Duration::from_millis(1500));
    let looks = looks(&mut watch, start, seconds(10));
    assert_eq!(times(&looks), [2.0, 4.0, 6.0, 8.0]);
    assert!(looks.iter().all(|(_, batch)| batch.tasks.len() == 2), "{looks:?}");
}

#[test]
fn a_call_takes_a_hundred_tasks_and_the_rest_follow_a_second_later() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    watch.update((0..150).map(|id| task("prod", id)), nobody, start);
    let looks = looks(&mut watch, start, Duration::from_millis(3500));
    assert_eq!(times(&looks), [2.0, 3.0]);
    let first: Vec<_> = looks[0].1.tasks.clone();
    assert_eq!(first.len(), 100);
    assert!((0..150).all(|id| looks.iter().any(|(_, batch)| batch.tasks.contains(&task("prod", id).1))));
}

#[test]
fn clusters_take_turns() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    let clusters = ["a", "b", "c"];
    watch.update(clusters.iter().flat_map(|cluster| (0..300).map(|id| task(cluster, id))), nobody, start);
    let looks = looks(&mut watch, start, seconds(11));
    for cluster in clusters {
        let count = looks.iter().filter(|(_, batch)| batch.cluster.as_str() == cluster).count();
        assert_eq!(count, 3, "{cluster}: {looks:?}");
    }
}

#[test]
fn refreshes_and_failures_postpone_looks() {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE, start);
    watch.update([task("prod", 1)], nobody, start);
    watch.refreshed(start + Duration::from_millis(1900));
    assert_eq!(watch.next_due(), Some(start + Duration::from_millis(3900)));
    watch.failed(start + seconds(3));
    assert_eq!(watch.next_due(), Some(start + seconds(7)));
    watch.failed(start + seconds(7));
    assert_eq!(watch.take_due(start + seconds(14)), None);
    assert!(watch.take_due(start + seconds(15)).is_some());
    watch.succeeded();
    watch.failed(start + seconds(15));
    assert_eq!(watch.next_due(), Some(start + seconds(19)));
}

/// What happens in one second of a fleet.
#[derive(Clone, Debug)]
struct Second {
    starts: usize,
    come_up: usize,
    stop: usize,
    fails: bool,
}

fn a_second(come_up: std::ops::Range<usize>) -> impl Strategy<Value = Second> {
    (0..30_usize, come_up, 0..30_usize, proptest::bool::weighted(0.05))
        .prop_map(|(starts, come_up, stop, fails)| Second { starts, come_up, stop, fails })
}

/// Lives through these seconds, and returns the looks and how many tasks came up.
fn live(fleet: &[Second], clusters: usize) -> (Vec<(Duration, Batch)>, usize) {
    let start = Instant::now();
    let mut watch = Watch::new(MINUTE * 5, start);
    let (mut pending, mut started, mut up, mut looks) = (Vec::new(), 0, 0, Vec::new());
    for (second, happens) in fleet.iter().enumerate() {
        let now = start + seconds(second as u64);
        for _ in 0..happens.starts {
            pending.push(task(&format!("c-{}", started % clusters), started));
            started += 1;
        }
        let coming: Vec<TaskArn> = pending.drain(..happens.come_up.min(pending.len())).map(|(_, arn)| arn).collect();
        up += coming.len();
        pending.drain(..happens.stop.min(pending.len()));
        watch.update(pending.clone(), |arn| coming.contains(arn), now);
        if happens.fails {
            watch.failed(now);
        }
        while let Some(due) = watch.next_due().filter(|due| *due < now + seconds(1)) {
            let batch = watch.take_due(due.max(now)).expect("a look is due");
            looks.push((due.max(now) - start, batch));
        }
    }
    (looks, up)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The bound of a crash loop, in which tasks start for ever and none comes up, and of any other fleet.
    #[test]
    fn calls_are_bounded_by_time_and_by_tasks_that_come_up(
        fleet in proptest::collection::vec(a_second(0..2), 1..400), clusters in 1..6_usize
    ) {
        let (looks, up) = live(&fleet, clusters);
        let time = seconds(fleet.len() as u64);
        let bound = LARGEST as usize + (time.as_secs() / COST.as_secs()) as usize + up * REWARD as usize;
        prop_assert!(looks.len() <= bound, "{} calls, {up} up, {time:?}", looks.len());
        prop_assert!(looks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= seconds(1)));
    }

    #[test]
    fn calls_name_1_to_100_pending_tasks_of_one_cluster_once(
        fleet in proptest::collection::vec(a_second(0..30), 1..100), clusters in 1..6_usize
    ) {
        for (_, batch) in live(&fleet, clusters).0 {
            prop_assert!((1..=BATCH).contains(&batch.tasks.len()));
            let prefix = format!("arn:aws:ecs:eu-west-1:123456789012:task/{}/", batch.cluster);
            prop_assert!(batch.tasks.iter().all(|arn| arn.as_str().starts_with(&prefix)));
            let unique: std::collections::HashSet<_> = batch.tasks.iter().collect();
            prop_assert_eq!(unique.len(), batch.tasks.len());
        }
    }
}

#[test]
fn crash_loop_slows_down_to_a_call_in_ten_seconds() {
    let crash = Second { starts: 1, come_up: 0, stop: 1, fails: false };
    let mut fleet = vec![Second { starts: 20, come_up: 0, stop: 0, fails: false }];
    fleet.extend(std::iter::repeat_n(crash, 7200));
    let (looks, _) = live(&fleet, 1);
    let last_hour = looks.iter().filter(|(at, _)| *at >= seconds(3600)).count();
    assert!((355..=361).contains(&last_hour), "{last_hour}");
}

#[test]
fn healthy_fleet_is_watched_closely_for_ever() {
    // Each minute nine tasks start and nine come up; each takes half a minute.
    let second = |second: usize| Second {
        starts: usize::from(second.is_multiple_of(7)),
        come_up: usize::from(second > 30 && second.is_multiple_of(7)),
        stop: 0,
        fails: false,
    };
    let fleet: Vec<Second> = (0..7200).map(second).collect();
    let (looks, _) = live(&fleet, 1);
    let gaps = looks.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert_eq!(gaps.max(), Some(CLOSE));
}
