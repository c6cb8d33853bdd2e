//! Strings that many values share, stored once.

use std::collections::HashSet;
use std::sync::Arc;

/// A string that many values share.
pub type Shared = Arc<str>;

/// A string interner: thousands of tasks have the same cluster, definition and container names.
#[derive(Debug, Default)]
pub struct Strings(HashSet<Shared>);

impl Strings {
    /// Returns the stored copy of a text, which it stores if it is new.
    pub fn share(&mut self, text: &str) -> Shared {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = Shared::from(text);
        self.0.insert(new.clone());
        new
    }

    /// Drops the strings that nobody else holds.
    pub fn evict_unused(&mut self) {
        self.0.retain(|text| Arc::strong_count(text) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_a_text_once_while_it_is_used() {
        let mut strings = Strings::default();
        let (one, other) = (strings.share("prod"), strings.share("prod"));
        assert!(Arc::ptr_eq(&one, &other));
        drop(strings.share("unused"));
        strings.evict_unused();
        assert_eq!(strings.0, HashSet::from([one]));
    }
}
