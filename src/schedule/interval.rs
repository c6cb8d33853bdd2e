//! The time between refreshes if nobody sets it (`-config.scrape-interval=auto`).
//!
//! Each scope has its own: the shortest with which its calls take no more than a tenth of what AWS allows.

use std::collections::VecDeque;
use std::time::Duration;

use super::BATCH;
use crate::config::Interval;

/// The longest interval.
const LONGEST: Duration = Interval::LONGEST_AUTO;

/// A tenth of the refill of every ECS bucket: 20 calls a second (Amazon ECS API Reference, "Request throttling for the
/// Amazon ECS API"). The rest is for consoles, deployments and other agents, which share the buckets.
const CALLS_PER_SECOND: f64 = 2.0;

/// What calls between refreshes take of that at most, however many they are: they are bounded otherwise, and longer
/// intervals would not make them fewer.
const MOST_BETWEEN: f64 = 1.0;

/// The intervals to choose from, in seconds. Their distance keeps small changes of the fleet from changing the interval.
const STEPS: [u64; 16] = [10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300];

/// An interval is lengthened only if this many refreshes in a row ask for it: the first refresh after a deployment also
/// describes new task definitions.
const TO_LENGTHEN: usize = 2;

/// An interval is shortened only if this many refreshes in a row ask for it.
const TO_SHORTEN: usize = 4;

/// And only if a third less than the current one would do: steps are up to a third apart, so that calls that vary by a
/// twentieth do not make the interval flap.
const MARGIN: f64 = 0.66;

/// The calls that count against one of AWS's buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Those of a refresh, retries included.
    pub refresh: u32,
    /// Those between the refresh before and this one.
    pub between: u32,
}

/// Whether events say what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// They do: refreshes only find what events miss.
    Flowing,
    /// They do not.
    Absent,
}

/// What decides how many calls a refresh needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The number of tasks of each cluster.
    pub clusters: Vec<usize>,
    /// The part of its running tasks that a refresh describes, in clusters of more than one batch: one in this many.
    pub describes_one_in: usize,
}

impl Fleet {
    /// Predicts the calls of a refresh that finds nothing new, of ListTasks and DescribeTasks together, which share the
    /// fullest bucket.
    pub fn calls(&self) -> u32 {
        let cluster = |tasks: &usize| {
            let pages = tasks.div_ceil(BATCH);
            let described = tasks.div_ceil(self.describes_one_in.max(1)).max((*tasks).min(BATCH));
            pages.max(1) + described.div_ceil(BATCH)
        };
        u32::try_from(self.clusters.iter().map(cluster).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

/// An interval that follows the calls of the refreshes.
#[derive(Debug)]
pub struct AutoInterval {
    current: Duration,
    /// How many seconds the last refreshes needed, oldest first.
    needed: VecDeque<f64>,
}

impl AutoInterval {
    /// Returns the interval for a fleet, from what its refreshes will need: those that were made so far, at a start, say
    /// little.
    pub fn new(fleet: &Fleet) -> Self {
        Self { current: step(f64::from(fleet.calls()) / CALLS_PER_SECOND), needed: VecDeque::new() }
    }

    /// Returns the interval.
    pub fn interval(&self, events: Events) -> Duration {
        if events == Events::Flowing { LONGEST } else { self.current }
    }

    /// Records the calls of a refresh in each bucket. `since` is the time since the refresh before.
    pub fn refreshed(&mut self, buckets: &[Calls], since: Duration) {
        let needed = buckets.iter().map(|calls| seconds(*calls, since)).fold(0.0, f64::max);
        if self.needed.len() == TO_SHORTEN {
            self.needed.pop_front();
        }
        self.needed.push_back(needed);
        let last = |count: usize| self.needed.iter().rev().take(count).copied();
        let current = self.current.as_secs_f64();
        if self.needed.len() >= TO_LENGTHEN && last(TO_LENGTHEN).all(|needed| needed > current) {
            self.change(last(TO_LENGTHEN).fold(f64::INFINITY, f64::min));
        } else if self.needed.len() == TO_SHORTEN && last(TO_SHORTEN).all(|needed| needed < current * MARGIN) {
            self.change(last(TO_SHORTEN).fold(0.0, f64::max));
        }
    }

    fn change(&mut self, needed: f64) {
        let next = step(needed);
        if next != self.current {
            self.current = next;
            self.needed.clear();
        }
    }
}

/// Returns how far apart refreshes with these calls must be.
fn seconds(calls: Calls, since: Duration) -> f64 {
    let between = f64::from(calls.between) / since.as_secs_f64().max(1.0);
    f64::from(calls.refresh) / (CALLS_PER_SECOND - between.min(MOST_BETWEEN))
}

/// Returns the shortest interval to choose from that is not shorter than this.
fn step(needed: f64) -> Duration {
    let seconds = STEPS.iter().map(|step| Duration::from_secs(*step)).find(|step| step.as_secs_f64() >= needed);
    seconds.unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHORTEST: Duration = Duration::from_secs(10);

    fn fleet(clusters: &[usize]) -> Fleet {
        Fleet { clusters: clusters.to_vec(), describes_one_in: 10 }
    }

    fn of_refresh(refresh: u32) -> [Calls; 1] {
        [Calls { refresh, between: 0 }]
    }

    /// Refreshes this often with this many calls, and returns the interval after each refresh.
    fn follow(interval: &mut AutoInterval, refresh: u32, times: usize) -> Vec<u64> {
        let mut after = || {
            let since = interval.interval(Events::Absent);
            interval.refreshed(&of_refresh(refresh), since);
            interval.interval(Events::Absent).as_secs()
        };
        (0..times).map(|_| after()).collect()
    }

    #[test]
    fn fleet_predicts_calls_and_interval() {
        for (clusters, calls, seconds) in [
            (&[][..], 0, 10),
            (&[0], 1, 10),
            (&[1], 2, 10),
            (&[100], 2, 10),
            (&[900], 10, 10),
            (&[1700], 19, 10),
            (&[5000], 55, 30),
            (&[20_000], 220, 120),
            (&[100_000], 1100, 300),
            (&[10; 20], 40, 20),
            (&[0; 1000], 1000, 300),
        ] {
            assert_eq!(fleet(clusters).calls(), calls, "{clusters:?}");
            assert_eq!(AutoInterval::new(&fleet(clusters)).interval(Events::Absent).as_secs(), seconds, "{clusters:?}");
        }
        let all = Fleet { clusters: vec![5000], describes_one_in: 1 };
        assert_eq!((all.calls(), AutoInterval::new(&all).current.as_secs()), (100, 50));
    }

    #[test]
    fn follows_the_fleet_as_it_grows_and_shrinks() {
        let mut interval = AutoInterval::new(&fleet(&[900]));
        assert_eq!(follow(&mut interval, 55, 3), [10, 30, 30]);
        assert_eq!(follow(&mut interval, 10_000, 2), [30, 300]);
        assert_eq!(follow(&mut interval, 10, 5), [300, 300, 300, 10, 10]);
    }

    #[test]
    fn one_expensive_refresh_changes_nothing() {
        let mut interval = AutoInterval::new(&fleet(&[5000]));
        for refresh in [55, 600, 55, 55, 600, 55] {
            assert_eq!(follow(&mut interval, refresh, 1), [30], "{refresh}");
        }
    }

    #[test]
    fn fullest_bucket_decides() {
        let mut interval = AutoInterval::new(&fleet(&[900]));
        let buckets = [Calls { refresh: 1, between: 0 }, Calls { refresh: 60, between: 0 }, Calls::default()];
        (0..2).for_each(|_| interval.refreshed(&buckets, SHORTEST));
        assert_eq!(interval.interval(Events::Absent).as_secs(), 30);
    }

    #[test]
    fn calls_between_refreshes_leave_less_for_them() {
        let mut interval = AutoInterval::new(&fleet(&[1700]));
        let calls = |between| [Calls { refresh: 19, between }];
        (0..2).for_each(|_| interval.refreshed(&calls(5), SHORTEST));
        assert_eq!(interval.interval(Events::Absent).as_secs(), 15, "half a call a second");
        (0..2).for_each(|_| interval.refreshed(&calls(10_000), SHORTEST));
        assert_eq!(interval.interval(Events::Absent).as_secs(), 20, "but not more than half of the calls");
    }

    #[test]
    fn events_lengthen_the_interval() {
        let interval = AutoInterval::new(&fleet(&[900]));
        assert_eq!([Events::Absent, Events::Flowing].map(|events| interval.interval(events).as_secs()), [10, 300]);
    }

    proptest! {
        #[test]
        fn calls_stay_within_a_tenth_of_the_refill(refresh in 0..2000_u32, before in 0..20_000_usize) {
            let mut interval = AutoInterval::new(&fleet(&[before]));
            follow(&mut interval, refresh, 50);
            let seconds = interval.interval(Events::Absent).as_secs_f64();
            prop_assert!((10.0..=300.0).contains(&seconds));
            prop_assert!(f64::from(refresh) / seconds <= CALLS_PER_SECOND || seconds == 300.0);
            // Not much longer than needed either: to the next step, and within the margin.
            prop_assert!(seconds * MARGIN <= (f64::from(refresh) / CALLS_PER_SECOND * 4.0 / 3.0).max(10.0));
        }

        /// A fleet whose calls vary by a twentieth, as when tasks come and go.
        #[test]
        fn small_changes_do_not_make_it_flap(
            refresh in 20..600_u32, noise in proptest::collection::vec(-0.05..0.05_f64, 200)
        ) {
            let mut interval = AutoInterval::new(&fleet(&[0]));
            let calls = noise.iter().map(|noise| (f64::from(refresh) * (1.0 + noise)) as u32);
            let after: Vec<u64> = calls.flat_map(|calls| follow(&mut interval, calls, 1)).collect();
            let changes = after.windows(2).filter(|pair| pair[0] != pair[1]).count();
            prop_assert!(changes <= 2, "{after:?}");
        }
    }
}
