//! What is remembered from one refresh to the next.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::inventory::Fetched;

/// Answers by what they are about, for ever or until a time.
pub(super) struct Cache<K, T, G = ()> {
    entries: HashMap<K, Entry<T, G>>,
    /// How often something was learned.
    learned: u64,
}

struct Entry<T, G> {
    answer: Fetched<T, G>,
    until: Option<Instant>,
    /// When it was last of use.
    used: Instant,
}

impl<K, T, G> Default for Cache<K, T, G> {
    fn default() -> Self {
        Self { entries: HashMap::new(), learned: 0 }
    }
}

impl<K: Eq + Hash, T, G> Cache<K, T, G> {
    /// The answer, where one is known and has not expired.
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<&Fetched<T, G>> {
        let entry = self.entries.get(key)?;
        entry.until.is_none_or(|until| now < until).then_some(&entry.answer)
    }

    /// The last known value, expired or not: what to go on with when asking again failed.
    pub(super) fn last_known(&self, key: &K) -> Option<&T> {
        match &self.entries.get(key)?.answer {
            Fetched::Known(value) => Some(value),
            _ => None,
        }
    }

    /// Remembers a value, for ever where there is no time.
    pub(super) fn know(&mut self, key: K, value: T, until: Option<Instant>) {
        self.learned += 1;
        self.entries.insert(key, Entry { answer: Fetched::Known(value), until, used: Instant::now() });
    }

    /// Remembers that there is no such thing.
    pub(super) fn know_gone(&mut self, key: K, why: G, until: Instant) {
        self.entries.insert(key, Entry { answer: Fetched::Gone(why), until: Some(until), used: Instant::now() });
    }

    /// A number that grows with each value that is learned.
    pub(super) fn learned(&self) -> u64 {
        self.learned
    }

    /// Every known value.
    pub(super) fn known(&self) -> impl Iterator<Item = (&K, &T)> {
        self.entries.iter().filter_map(|(key, entry)| match &entry.answer {
            Fetched::Known(value) => Some((key, value)),
            _ => None,
        })
    }

    /// How many answers are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets everything but this, and what was of use in the time before.
    pub(super) fn forget_others(&mut self, referenced: &HashSet<&K>, unused_for: Duration) {
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
    fn answers_expire_and_values_are_still_known() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        let mut cache: Cache<&str, u8> = Cache::default();
        cache.know("for ever", 1, None);
        cache.know("a while", 2, Some(later));
        cache.know_gone("gone", (), later);
        assert_eq!(cache.get(&"for ever", later), Some(&Fetched::Known(1)));
        assert_eq!((cache.get(&"a while", now), cache.get(&"a while", later)), (Some(&Fetched::Known(2)), None));
        assert_eq!((cache.get(&"gone", now), cache.get(&"gone", later)), (Some(&Fetched::Gone(())), None));
        assert_eq!((cache.last_known(&"a while"), cache.last_known(&"gone")), (Some(&2), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_of_no_use_is_forgotten_in_time() {
        let mut cache: Cache<&str, u8> = Cache::default();
        cache.know("used", 1, None);
        cache.know("unused", 2, None);
        tokio::time::advance(Duration::from_secs(50)).await;
        cache.forget_others(&HashSet::from([&"used"]), Duration::from_secs(60));
        assert_eq!(cache.len(), 2);
        tokio::time::advance(Duration::from_secs(50)).await;
        cache.forget_others(&HashSet::new(), Duration::from_secs(60));
        assert_eq!((cache.last_known(&"used"), cache.len()), (Some(&1), 1));
        tokio::time::advance(Duration::from_secs(1)).await;
        cache.forget_others(&HashSet::new(), Duration::ZERO);
        assert_eq!(cache.len(), 0);
    }
}
