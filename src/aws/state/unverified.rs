//! What was restored from the cache file and not compared with AWS yet.

use std::collections::{HashSet, VecDeque};
use std::fmt::Display;
use std::hash::Hash;

/// Within how many refreshes everything that was restored is compared, if no call fails.
const REFRESHES: usize = 10;

/// How many are compared in one refresh even if they are more than its part: fewer than the burst of any of AWS's
/// buckets, so that no call waits for them. What was planted in the file of a small fleet lasts for one refresh.
const AT_ONCE: usize = 40;

/// The keys of restored entries. Each refresh compares a part of them, so that a restart makes few calls at a time.
pub(super) struct Unverified<K> {
    queue: VecDeque<K>,
    batch: usize,
}

impl<K: Eq + Hash> Unverified<K> {
    /// Returns the keys in random order: a program that makes a single refresh each time it is started compares
    /// everything in the long run.
    pub(super) fn new(restored: impl IntoIterator<Item = K>) -> Self {
        // The order of a hash set is random.
        let queue: VecDeque<K> = restored.into_iter().collect::<HashSet<K>>().into_iter().collect();
        Self { batch: queue.len().div_ceil(REFRESHES).max(AT_ONCE), queue }
    }

    /// Returns the keys to compare in this refresh.
    pub(super) fn due(&self) -> HashSet<&K> {
        self.queue.iter().take(self.batch).collect()
    }

    /// Removes the due keys that have been compared. The others are due again after the rest.
    pub(super) fn settle(&mut self, compared: &HashSet<K>) {
        let due: Vec<K> = self.queue.drain(..self.batch.min(self.queue.len())).collect();
        self.queue.extend(due.into_iter().filter(|key| !compared.contains(key)));
    }

    /// Removes keys whose entries no longer exist.
    pub(super) fn retain(&mut self, exists: impl Fn(&K) -> bool) {
        self.queue.retain(exists);
    }
}

/// Reports that AWS contradicts a restored entry. What the file holds cannot change, so somebody changed the file.
pub(super) fn report_corrected(entry: &impl Display) {
    tracing::warn!(%entry, "cache file corrected: an entry did not match AWS");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(unverified: &Unverified<usize>) -> HashSet<usize> {
        unverified.due().into_iter().copied().collect()
    }

    #[test]
    fn compares_everything_within_ten_refreshes_and_little_at_once() {
        for (restored, refreshes) in [(0, 0), (1, 1), (40, 1), (41, 2), (95, 3), (400, 10), (1000, 10), (1001, 10)] {
            let (mut unverified, mut seen) = (Unverified::new(0..restored), HashSet::new());
            let mut taken = 0;
            while !unverified.due().is_empty() {
                let due = due(&unverified);
                unverified.settle(&due);
                seen.extend(due);
                taken += 1;
            }
            assert_eq!((seen.len(), taken), (restored, refreshes), "{restored}");
        }
    }

    #[test]
    fn what_could_not_be_compared_is_due_after_the_rest() {
        let mut unverified = Unverified::new(0..5 * AT_ONCE);
        let first = due(&unverified);
        unverified.settle(&HashSet::new());
        for _ in 1..5 {
            let due = due(&unverified);
            assert!(due.is_disjoint(&first));
            unverified.settle(&due);
        }
        assert_eq!(due(&unverified), first);
        unverified.retain(|_| false);
        assert!(unverified.due().is_empty());
    }
}
