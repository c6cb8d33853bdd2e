//! Strings that many values share, held once.

use std::collections::HashSet;
use std::sync::Arc;

/// A string that many values share.
pub type Shared = Arc<str>;

/// A set of strings of which each is held once: thousands of tasks have the same cluster, definition and
/// container names.
#[derive(Debug, Default)]
pub struct Strings(HashSet<Shared>);

impl Strings {
    /// The one copy of this text.
    pub fn share(&mut self, text: &str) -> Shared {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = Shared::from(text);
        self.0.insert(new.clone());
        new
    }

    /// Lets go of those that nobody else holds any more.
    pub fn forget_unused(&mut self) {
        self.0.retain(|text| Arc::strong_count(text) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once_and_as_long_as_it_is_used() {
        let mut strings = Strings::default();
        let (one, other) = (strings.share("prod"), strings.share("prod"));
        assert!(Arc::ptr_eq(&one, &other));
        drop(strings.share("unused"));
        strings.forget_unused();
        assert_eq!(strings.0, HashSet::from([one]));
    }
}
