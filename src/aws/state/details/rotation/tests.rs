use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A rotation with a clock of its own, whose calls all succeed unless the group is out of order.
struct Simulation {
    rotation: Rotation<usize, usize, Instant>,
    wanted: Wanted<usize, usize>,
    now: Instant,
    broken: BTreeSet<usize>,
}

impl Simulation {
    fn new(spacing: Duration, groups: impl IntoIterator<Item = usize>) -> Self {
        let wanted = groups.into_iter().enumerate().map(|(group, keys)| (group, (0..keys).collect()));
        let (rotation, now) = (Rotation::new(10, spacing), Instant::now());
        Self { rotation, wanted: wanted.collect(), now, broken: BTreeSet::new() }
    }

    /// Makes a refresh after this time, and returns the calls that it made.
    fn refresh(&mut self, after: Duration) -> Vec<Call<usize, usize>> {
        self.now += after;
        let Plan { calls, probes } = self.rotation.plan(&self.wanted, self.now);
        let mut made = Vec::new();
        for (group, batches) in calls {
            for keys in batches {
                made.push((group, keys.clone()));
                if !self.make(group, keys) {
                    break;
                }
            }
        }
        for (group, keys) in probes {
            made.push((group, keys.clone()));
            if !self.make(group, keys) {
                break;
            }
        }
        self.rotation.evict_unused(&self.wanted, Duration::ZERO, self.now);
        made
    }

    fn make(&mut self, group: usize, keys: Vec<usize>) -> bool {
        let works = !self.broken.contains(&group);
        if works {
            self.rotation.learn(&group, keys.into_iter().map(|key| (key, Some(self.now))), self.now);
        } else {
            self.rotation.fail(&group, self.now);
        }
        works
    }

    /// Returns the age of what was described least recently.
    fn oldest(&self) -> Duration {
        let ages = self.wanted.keys().flat_map(|group| self.rotation.known(group)).map(|(_, at)| self.now - *at);
        ages.max().unwrap_or_default()
    }

    fn known(&self) -> usize {
        self.wanted.keys().map(|group| self.rotation.known(group).count()).sum()
    }
}

#[test]
fn thousand_services_take_one_call_a_minute() {
    let mut simulation = Simulation::new(MINUTE, [100; 10]);
    assert_eq!(simulation.refresh(Duration::ZERO).len(), 100, "each is described when it is first seen");
    let calls: Vec<_> = (0..300).flat_map(|_| simulation.refresh(MINUTE)).collect();
    assert_eq!(calls.len(), 300);
    assert!(calls.iter().all(|(_, keys)| keys.len() == 10));
    let mut times = HashMap::new();
    calls.iter().flat_map(|(group, keys)| keys.iter().map(move |key| (group, key))).for_each(|key| {
        *times.entry(key).or_insert(0) += 1;
    });
    assert!(times.len() == 1000 && times.values().all(|times| *times == 3), "in turn");
}

#[test]
fn hundred_services_are_at_most_ten_minutes_old() {
    for groups in [vec![100], vec![10; 10], vec![1; 10], vec![55, 1, 1, 1, 11]] {
        let mut simulation = Simulation::new(MINUTE, groups.clone());
        let first = simulation.refresh(Duration::ZERO).len();
        let mut calls = 0;
        for _ in 0..100 {
            calls += simulation.refresh(MINUTE).len();
            assert!(simulation.oldest() <= WITHIN + MINUTE, "{groups:?}");
        }
        assert!(calls <= first * 10, "{groups:?}: {calls} calls");
    }
}

#[test]
fn number_of_calls_does_not_depend_on_the_interval() {
    for (seconds, jitter) in [(5, 0), (60, 0), (60, 400), (300, 0), (300, 900)] {
        let mut simulation = Simulation::new(MINUTE, [100; 10]);
        simulation.refresh(Duration::ZERO);
        let refreshes = 6000 / seconds;
        let calls: usize = (0..refreshes)
            .map(|n| {
                let early = if n % 2 == 0 { jitter } else { 0 };
                let late = if n % 2 == 1 { jitter } else { 0 };
                simulation.refresh(Duration::from_millis(seconds * 1000 + late - early)).len()
            })
            .sum();
        assert!((99..=100).contains(&calls), "every {seconds} s ± {jitter} ms: {calls}");
    }
}

#[test]
fn clusters_take_one_call_in_ten_minutes() {
    let mut simulation = Simulation::new(Duration::ZERO, [10]);
    assert_eq!(simulation.refresh(Duration::ZERO).len(), 1);
    let calls: Vec<_> = (0..100).map(|_| simulation.refresh(MINUTE).len()).collect();
    assert_eq!(calls.iter().sum::<usize>(), 10);
    assert!(calls.chunks(10).all(|ten| ten == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
}

#[test]
fn thousand_services_in_ten_clusters_take_110_calls_in_100_minutes() {
    let mut services = Simulation::new(MINUTE, [100; 10]);
    let mut clusters = Simulation::new(Duration::ZERO, [10]);
    services.refresh(Duration::ZERO);
    clusters.refresh(Duration::ZERO);
    let calls: usize = (0..100).map(|_| services.refresh(MINUTE).len() + clusters.refresh(MINUTE).len()).sum();
    assert_eq!(calls, 110);
}

#[test]
fn new_key_is_described_at_once_with_the_oldest_of_its_group() {
    let mut simulation = Simulation::new(MINUTE, [30, 5]);
    simulation.refresh(Duration::ZERO);
    simulation.wanted.get_mut(&0).unwrap().insert(99);
    let calls = simulation.refresh(Duration::from_secs(5));
    assert_eq!(calls, [(0, vec![99, 0, 1, 2, 3, 4, 5, 6, 7, 8])]);
    assert!(simulation.refresh(Duration::from_secs(5)).is_empty());
}

#[test]
fn between_refreshes_only_what_is_new_is_described() {
    let mut simulation = Simulation::new(MINUTE, [5, 5]);
    simulation.broken.insert(1);
    simulation.refresh(Duration::ZERO);
    let some = Wanted::from([(0, BTreeSet::from([4, 99])), (1, BTreeSet::from([0]))]);
    let plan = simulation.rotation.plan_new(&some);
    assert_eq!(plan, Plan { calls: BTreeMap::from([(0, vec![vec![99, 4]])]), probes: vec![] });
    let known = Wanted::from([(0, BTreeSet::from([1, 2]))]);
    assert_eq!(simulation.rotation.plan_new(&known), Plan { calls: BTreeMap::new(), probes: vec![] });
}

#[test]
fn failed_group_costs_one_call_per_refresh_and_the_others_nothing() {
    let mut simulation = Simulation::new(MINUTE, [100, 10]);
    simulation.broken.insert(0);
    assert_eq!(simulation.refresh(Duration::ZERO).len(), 2, "one of each group");
    for _ in 0..100 {
        let calls = simulation.refresh(MINUTE);
        assert_eq!(calls.iter().filter(|(group, _)| *group == 0).count(), 1);
        assert!(simulation.oldest() <= WITHIN + MINUTE);
    }
    simulation.broken.clear();
    simulation.refresh(MINUTE);
    simulation.refresh(MINUTE);
    assert_eq!(simulation.known(), 110);
}

#[test]
fn failed_groups_are_tried_in_turn_until_one_fails() {
    let mut simulation = Simulation::new(MINUTE, [5; 6]);
    simulation.broken.extend(0..6);
    assert_eq!(simulation.refresh(Duration::ZERO).len(), 6);
    let tried: Vec<_> = (0..6).flat_map(|_| simulation.refresh(MINUTE)).map(|(group, _)| group).collect();
    assert_eq!(tried, [0, 1, 2, 3, 4, 5], "one in each refresh");
    simulation.broken.retain(|group| *group == 3);
    simulation.refresh(MINUTE);
    assert_eq!(simulation.known(), 15, "those before the one that still fails");
    simulation.refresh(MINUTE);
    assert_eq!(simulation.known(), 25);
}

#[test]
fn what_is_unused_is_evicted_after_a_while() {
    let mut simulation = Simulation::new(MINUTE, [3]);
    simulation.refresh(Duration::ZERO);
    let none = Wanted::new();
    simulation.rotation.evict_unused(&none, MINUTE, simulation.now + MINUTE / 2);
    assert_eq!(simulation.known(), 3);
    simulation.rotation.evict_unused(&none, MINUTE, simulation.now + MINUTE);
    assert_eq!(simulation.known(), 0);
    assert_eq!(simulation.rotation.plan(&none, simulation.now), Plan { calls: BTreeMap::new(), probes: vec![] });
}

proptest! {
    /// However groups, refreshes and failures come and go: everything wanted is known as soon as its group works, no call
    /// is too large or mixes groups, and what is known is not described more often than the budget allows.
    #[test]
    fn keeps_the_budget_and_forgets_nothing(
        steps in prop::collection::vec((1_u64..400, prop::collection::vec(0_usize..35, 1..5), any::<Option<u8>>()), 1..40),
    ) {
        let mut simulation = Simulation::new(MINUTE, []);
        let (mut budget, start) = (0, simulation.now);
        for (seconds, groups, broken) in steps {
            simulation.wanted = groups.into_iter().enumerate().map(|(group, keys)| (group, (0..keys).collect())).collect();
            simulation.broken = broken.map(|group| usize::from(group % 5)).into_iter().collect();
            let failed = simulation.rotation.failed.clone();
            let before: HashMap<usize, usize> =
                simulation.wanted.iter().map(|(group, keys)| {
                    let known = simulation.rotation.known(group).filter(|(key, _)| keys.contains(key)).count();
                    (*group, (keys.len() - known).div_ceil(10))
                }).collect();
            let made = simulation.refresh(Duration::from_secs(seconds));
            prop_assert!(made.iter().all(|(_, keys)| (1..=10).contains(&keys.len())));
            let new: usize = before.iter().filter(|(group, _)| !failed.contains_key(group)).map(|(_, calls)| calls).sum();
            budget += made.len().saturating_sub(new + failed.len());
            prop_assert!(budget as u64 <= (simulation.now - start).as_secs() / 60 + 1);
            for (group, keys) in &simulation.wanted {
                if !failed.contains_key(group) && !simulation.broken.contains(group) {
                    prop_assert_eq!(simulation.rotation.known(group).count(), keys.len());
                }
            }
        }
    }
}
