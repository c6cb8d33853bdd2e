//! Globs: patterns with `*` and `?`.

use super::strings::Shared;

/// A pattern in which `*` stands for any run of characters, also an empty one, and `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(Shared);

/// A character of a text of which not everything is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// This character.
    Is(char),
    /// A digit, each of which is possible.
    AnyDigit,
    /// A digit that only a wildcard matches for certain.
    EveryDigit,
}

impl Symbol {
    fn may_be(self, literal: char) -> bool {
        match self {
            Self::Is(character) => character == literal,
            Self::AnyDigit => literal.is_ascii_digit(),
            Self::EveryDigit => false,
        }
    }
}

impl Glob {
    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the pattern has no wildcards, and thus matches only itself.
    pub fn is_exact(&self) -> bool {
        !has_wildcards(&self.0)
    }

    /// Returns whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.chars(), text.chars());
        // The last `*`, as the pattern after it and the text from which that is tried next. An earlier `*` need not be
        // tried again: what it could take in addition, the last one can take too. Thus the time is at most the product of
        // the two lengths.
        let mut last_star = None;
        loop {
            let (mut pattern_after, mut text_after) = (pattern.clone(), text.clone());
            match (pattern_after.next(), text_after.next()) {
                (Some('*'), _) => last_star = Some((pattern_after.clone(), text.clone())),
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => text = text_after,
                (None, None) => return true,
                _ => {
                    let Some((after_star, tried)) = &mut last_star else { return false };
                    if tried.next().is_none() {
                        return false;
                    }
                    text = tried.clone();
                    pattern_after = after_star.clone();
                }
            }
            pattern = pattern_after;
        }
    }

    /// Returns what is left of the pattern after a text that begins with these symbols, for every way to match them.
    pub(super) fn after(&self, symbols: impl IntoIterator<Item = Symbol>) -> Vec<&str> {
        let pattern: Vec<(usize, char)> = self.0.char_indices().collect();
        // Which positions of the pattern can be the next one.
        let mut next = vec![false; pattern.len() + 1];
        next[0] = true;
        skip_stars(&pattern, &mut next);
        for symbol in symbols {
            let mut after = vec![false; pattern.len() + 1];
            for (at, (_, wanted)) in pattern.iter().enumerate().filter(|(at, _)| next[*at]) {
                match wanted {
                    '*' => after[at] = true,
                    '?' => after[at + 1] = true,
                    literal => after[at + 1] |= symbol.may_be(*literal),
                }
            }
            skip_stars(&pattern, &mut after);
            next = after;
        }
        let offset = |at: usize| pattern.get(at).map_or(self.0.len(), |(offset, _)| *offset);
        next.iter().enumerate().filter(|(_, reached)| **reached).map(|(at, _)| &self.0[offset(at)..]).collect()
    }
}

impl From<&str> for Glob {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// Returns whether a text has `*` or `?`.
pub(super) fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Adds the positions after a `*`, which may match nothing.
fn skip_stars(pattern: &[(usize, char)], reached: &mut [bool]) {
    for (at, (_, wanted)) in pattern.iter().enumerate() {
        if reached[at] && *wanted == '*' {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn star_is_any_run_and_question_mark_one_character() {
        for (pattern, matching, others) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "a/b:c"], &[]),
            ("web-?", &["web-1", "web-é"], &["web-", "web-12", "xweb-1"]),
            ("web*", &["web", "web-1"], &["we", "xweb"]),
            ("*a*b", &["ab", "xaxbxb"], &["a", "abx", "ba"]),
            ("a**?", &["ab", "abc"], &["a"]),
            ("prod", &["prod"], &["Prod", "prod-1"]),
        ] {
            let glob = Glob::from(pattern);
            assert!(matching.iter().all(|text| glob.matches(text)), "{pattern}");
            assert!(!others.iter().any(|text| glob.matches(text)), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!Glob::from("*a".repeat(100).as_str()).matches(&"a".repeat(99)));
        assert!(!Glob::from(("*a".repeat(50) + "b").as_str()).matches(&"a".repeat(10_000)));
    }

    #[test]
    fn rest_of_the_pattern_for_every_way_to_match() {
        let after = |pattern: &str, text: &str| -> Vec<String> {
            Glob::from(pattern).after(text.chars().map(Symbol::Is)).into_iter().map(String::from).collect()
        };
        assert_eq!(after("abc", "ab"), ["c"]);
        assert_eq!(after("a*bc", "ab"), ["*bc", "bc", "c"]);
        assert!(after("abc", "b").is_empty());
        let digits = |symbol| Glob::from("1?*").after([symbol, symbol]).len();
        assert_eq!((digits(Symbol::AnyDigit), digits(Symbol::EveryDigit)), (2, 0));
    }

    /// Matches by the definition, in exponential time.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            ([wanted, rest @ ..], [found, after @ ..]) => {
                (*wanted == '?' || wanted == found) && by_definition(rest, after)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_defined(pattern in "[ab*?é]{0,7}", text in "[abé]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = by_definition(&characters(&pattern), &characters(&text));
            prop_assert_eq!(Glob::from(pattern.as_str()).matches(&text), expected);
            let rests = Glob::from(pattern.as_str());
            let rests = rests.after(text.chars().map(Symbol::Is));
            prop_assert_eq!(rests.contains(&""), expected);
        }
    }
}
