//! Makes untrusted text safe to print: docker labels and names must not control a terminal or fake a line.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes control characters, line separators and bidirectional overrides as `\u{…}`, `\n` and so on.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to memory cannot fail. The default escape covers what `escape_debug` leaves as it is.
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Bidirectional controls reorder what a person reads (Unicode Standard Annex #9).
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_only_what_controls_a_terminal() {
        for (text, expected) in [
            ("plain äöü 漢字 \"quoted\" \\", "plain äöü 漢字 \"quoted\" \\"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{1b}[2J\u{7}", "\\u{1b}[2J\\u{7}"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("a\u{202e}b\u{2028}c", "a\\u{202e}b\\u{2028}c"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }
}
