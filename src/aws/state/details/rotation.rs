//! When to describe what may change at any time, such as the tags of services. Pure: the caller passes the time.
//!
//! Something new is described in the refresh that first sees it. What is known is described again in turn: the calls
//! are spread evenly over [`WITHIN`], and where there are so many that they would come closer together than `spacing`,
//! they keep that distance and the rotation takes longer. Calls are filled up with what was described least recently.
//! None of this depends on how often refreshes happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// Within what time everything is described again, unless that takes more calls than `spacing` allows.
pub(super) const WITHIN: Duration = Duration::from_secs(10 * 60);

/// How much too early a call may be made. Refreshes are not exactly as far apart as their interval: a call that is due at
/// the time of a refresh should not wait for the next one.
const EARLY: Duration = Duration::from_secs(2);

/// What is known of keys, which a call takes up to `batch` of, all of one group.
#[derive(Debug)]
pub(super) struct Rotation<G, K, V> {
    batch: usize,
    /// The least time between two calls for what is known.
    spacing: Duration,
    groups: BTreeMap<G, BTreeMap<K, Entry<V>>>,
    /// The groups whose last call failed, with the time of that call.
    failed: BTreeMap<G, Instant>,
    /// When the next call for what is known is due; `None` if nothing is.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Entry<V> {
    /// `None` if there is no such thing.
    value: Option<V>,
    described: Instant,
    /// When it was last wanted.
    used: Instant,
}

/// The keys of one call.
pub(super) type Call<G, K> = (G, Vec<K>);

/// The calls of one refresh.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<G, K> {
    /// For each group that did not fail, in any order.
    pub(super) calls: BTreeMap<G, Vec<Vec<K>>>,
    /// One for each group that did, least recently tried first: to be made in this order until one fails.
    pub(super) probes: Vec<Call<G, K>>,
}

/// The keys that are wanted, by group.
pub(super) type Wanted<G, K> = BTreeMap<G, BTreeSet<K>>;

impl<G: Ord + Clone, K: Ord + Clone, V> Rotation<G, K, V> {
    pub(super) fn new(batch: usize, spacing: Duration) -> Self {
        Self { batch, spacing, groups: BTreeMap::new(), failed: BTreeMap::new(), due: None }
    }

    /// Returns the calls to make now.
    pub(super) fn plan(&mut self, wanted: &Wanted<G, K>, now: Instant) -> Plan<G, K> {
        let due = self.take_due(wanted, now);
        self.plan_calls(wanted, due)
    }

    /// Returns the calls for what is new in groups that have not failed.
    pub(super) fn plan_new(&self, wanted: &Wanted<G, K>) -> Plan<G, K> {
        Plan { probes: Vec::new(), ..self.plan_calls(wanted, 0) }
    }

    /// Returns the calls for what is new, and up to `due` calls for what is known.
    fn plan_calls(&self, wanted: &Wanted<G, K>, mut due: usize) -> Plan<G, K> {
        let mut plan = Plan { calls: BTreeMap::new(), probes: Vec::new() };
        let mut queues = BTreeMap::new();
        for (group, keys) in wanted {
            let (mut first, mut queue) = self.split(group, keys);
            let free = first.len().next_multiple_of(self.batch) - first.len();
            first.extend(queue.drain(..free.min(queue.len())).map(|(_, key)| key));
            if self.failed.contains_key(group) {
                // One call is enough to find out whether the group can be described again.
                first.extend(queue.drain(..).map(|(_, key)| key));
                first.truncate(self.batch);
                if !first.is_empty() {
                    plan.probes.push((group.clone(), first));
                }
                continue;
            }
            if !first.is_empty() {
                plan.calls.insert(group.clone(), first.chunks(self.batch).map(<[K]>::to_vec).collect());
            }
            queues.insert(group, queue);
        }
        plan.probes.sort_by_key(|(group, _)| self.failed.get(group).copied());
        while due > 0
            && let Some((group, queue)) = queues.iter_mut().min_by_key(|(_, queue)| oldest(queue))
            && !queue.is_empty()
        {
            let keys = queue.drain(..self.batch.min(queue.len())).map(|(_, key)| key).collect();
            plan.calls.entry((*group).clone()).or_default().push(keys);
            due -= 1;
        }
        plan
    }

    /// Records what a call returned: `None` for a key that does not exist.
    pub(super) fn learn(&mut self, group: &G, described: impl IntoIterator<Item = (K, Option<V>)>, now: Instant) {
        self.failed.remove(group);
        let entries = self.groups.entry(group.clone()).or_default();
        let described = described.into_iter();
        entries.extend(described.map(|(key, value)| (key, Entry { value, described: now, used: now })));
    }

    /// Records that a call for a group failed.
    pub(super) fn fail(&mut self, group: &G, now: Instant) {
        self.failed.insert(group.clone(), now);
    }

    /// Returns what is known in a group.
    pub(super) fn known(&self, group: &G) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.groups.get(group).into_iter().flatten();
        entries.filter_map(|(key, entry)| Some((key, entry.value.as_ref()?)))
    }

    /// Evicts what is not wanted now and was not for `unused_for`.
    pub(super) fn evict_unused(&mut self, wanted: &Wanted<G, K>, unused_for: Duration, now: Instant) {
        for (group, entries) in &mut self.groups {
            let wanted = wanted.get(group);
            entries.retain(|key, entry| {
                if wanted.is_some_and(|keys| keys.contains(key)) {
                    entry.used = now;
                }
                entry.used == now || now.saturating_duration_since(entry.used) < unused_for
            });
        }
        self.groups.retain(|_, entries| !entries.is_empty());
        self.failed.retain(|group, _| wanted.contains_key(group));
    }

    /// Returns the new keys of a group, and the known ones, least recently described first.
    fn split(&self, group: &G, keys: &BTreeSet<K>) -> (Vec<K>, Vec<(Instant, K)>) {
        let entries = self.groups.get(group);
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for key in keys {
            match entries.and_then(|entries| entries.get(key)) {
                Some(entry) => known.push((entry.described, key.clone())),
                None => new.push(key.clone()),
            }
        }
        known.sort_unstable();
        (new, known)
    }

    /// Returns the number of calls for what is known that are due now.
    fn take_due(&mut self, wanted: &Wanted<G, K>, now: Instant) -> usize {
        let calls: usize = wanted.values().map(|keys| keys.len().div_ceil(self.batch)).sum();
        let Some(period) = WITHIN.checked_div(u32::try_from(calls).unwrap_or(u32::MAX)) else {
            self.due = None;
            return 0;
        };
        let period = period.max(self.spacing);
        // What is known grows in between, and then the next call comes sooner; after a long pause it is enough to
        // describe everything once.
        let last = now.checked_sub(WITHIN).unwrap_or(now);
        let mut due = self.due.map_or(now + period, |due| due.min(now + period).max(last));
        let mut number = 0;
        while due <= now + EARLY {
            due += period;
            number += 1;
        }
        self.due = Some(due);
        number
    }
}

/// Returns when the first key of a queue was described; an empty queue comes last.
fn oldest<K>(queue: &[(Instant, K)]) -> (bool, Option<Instant>) {
    (queue.is_empty(), queue.first().map(|(described, _)| *described))
}

#[cfg(test)]
mod tests;
