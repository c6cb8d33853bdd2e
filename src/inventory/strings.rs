//! Strings that many values share, stored once.

use std::collections::HashSet;
use std::sync::Arc;

/// A string that many values share.
pub type Shared = Arc<str>;

/// An interner of strings and of lists of them: thousands of tasks have the same cluster, definition and container names,
/// and thousands of targets the same label names.
#[derive(Debug, Default)]
pub struct Strings {
    strings: HashSet<Shared>,
    lists: HashSet<Arc<[Shared]>>,
}

impl Strings {
    /// Returns the stored copy of a text, which it stores if it is new.
    pub fn share(&mut self, text: &str) -> Shared {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let new = Shared::from(text);
        self.strings.insert(new.clone());
        new
    }

    /// Does the same for a list.
    pub fn share_list(&mut self, list: &[Shared]) -> Arc<[Shared]> {
        if let Some(known) = self.lists.get(list) {
            return known.clone();
        }
        let new: Arc<[Shared]> = list.iter().map(|text| self.share(text)).collect();
        self.lists.insert(new.clone());
        new
    }

    /// Drops what nobody else holds.
    pub fn evict_unused(&mut self) {
        self.lists.retain(|list| Arc::strong_count(list) > 1);
        self.strings.retain(|text| Arc::strong_count(text) > 1);
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
        assert_eq!(strings.strings, HashSet::from([one]));
    }

    #[test]
    fn stores_a_list_once_while_it_is_used() {
        let mut strings = Strings::default();
        let (one, other) = (strings.share_list(&["a".into()]), strings.share_list(&["a".into()]));
        assert!(Arc::ptr_eq(&one, &other) && Arc::ptr_eq(&one[0], &strings.share("a")));
        drop((one, other));
        strings.evict_unused();
        assert!(strings.lists.is_empty() && strings.strings.is_empty());
    }
}
