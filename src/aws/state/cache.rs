//! A cache whose entries expire, and are evicted when unused.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::inventory::Fetched;

/// How long a "not found" is cached: the record may only not have propagated in AWS yet.
pub(super) const NOT_FOUND_TTL: Duration = Duration::from_secs(120);

/// Values and "not found" results by key, permanent or until a time.
pub(super) struct Cache<K, T, G = ()> {
    entries: HashMap<K, Entry<T, G>>,
    /// How often a value was inserted, or replaced by "not found".
    changes: u64,
}

struct Entry<T, G> {
    result: Fetched<T, G>,
    until: Option<Instant>,
    /// When it was last referenced.
    used: Instant,
}

impl<K, T, G> Default for Cache<K, T, G> {
    fn default() -> Self {
        Self { entries: HashMap::new(), changes: 0 }
    }
}

impl<K: Eq + Hash, T, G> Cache<K, T, G> {
    /// Returns the cached result unless it has expired.
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<&Fetched<T, G>> {
        let entry = self.entries.get(key)?;
        entry.until.is_none_or(|until| now < until).then_some(&entry.result)
    }

    /// Returns the last known value, expired or not: what to use while asking again fails.
    pub(super) fn last_known(&self, key: &K) -> Option<&T> {
        match &self.entries.get(key)?.result {
            Fetched::Known(value) => Some(value),
            _ => None,
        }
    }

    /// Caches a value, permanently if there is no time.
    pub(super) fn insert(&mut self, key: K, value: T, until: Option<Instant>) {
        self.changes += 1;
        self.entries.insert(key, Entry { result: Fetched::Known(value), until, used: Instant::now() });
    }

    /// Caches that there is no such thing.
    pub(super) fn insert_gone(&mut self, key: K, why: G, until: Instant) {
        self.changes += u64::from(self.last_known(&key).is_some());
        self.entries.insert(key, Entry { result: Fetched::Gone(why), until: Some(until), used: Instant::now() });
    }

    /// Returns a number that grows with each change of the values, other than evictions.
    pub(super) fn generation(&self) -> u64 {
        self.changes
    }

    /// Returns every known value.
    pub(super) fn values(&self) -> impl Iterator<Item = (&K, &T)> {
        self.entries.iter().filter_map(|(key, entry)| match &entry.result {
            Fetched::Known(value) => Some((key, value)),
            _ => None,
        })
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Evicts entries that are not referenced now and were not for `unused_for`.
    pub(super) fn evict_unused(&mut self, referenced: &HashSet<&K>, unused_for: Duration) {
        let now = Instant::now();
        self.entries.retain(|key, entry| {
            if referenced.contains(key) {
                entry.used = now;
            }
            entry.used == now || now.duration_since(entry.used) < unused_for
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_values_remain_last_known() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        let mut cache: Cache<&str, u8> = Cache::default();
        cache.insert("for ever", 1, None);
        cache.insert("a while", 2, Some(later));
        cache.insert_gone("gone", (), later);
        assert_eq!(cache.get(&"for ever", later), Some(&Fetched::Known(1)));
        assert_eq!((cache.get(&"a while", now), cache.get(&"a while", later)), (Some(&Fetched::Known(2)), None));
        assert_eq!((cache.get(&"gone", now), cache.get(&"gone", later)), (Some(&Fetched::Gone(())), None));
        assert_eq!((cache.last_known(&"a while"), cache.last_known(&"gone")), (Some(&2), None));
    }

    #[tokio::test(start_paused = true)]
    async fn evicts_unused_entries_after_a_while() {
        let mut cache: Cache<&str, u8> = Cache::default();
        cache.insert("used", 1, None);
        cache.insert("unused", 2, None);
        tokio::time::advance(Duration::from_secs(50)).await;
        cache.evict_unused(&HashSet::from([&"used"]), Duration::from_secs(60));
        assert_eq!(cache.len(), 2);
        tokio::time::advance(Duration::from_secs(50)).await;
        cache.evict_unused(&HashSet::new(), Duration::from_secs(60));
        assert_eq!((cache.last_known(&"used"), cache.len()), (Some(&1), 1));
        tokio::time::advance(Duration::from_secs(1)).await;
        cache.evict_unused(&HashSet::new(), Duration::ZERO);
        assert_eq!(cache.len(), 0);
    }
}
