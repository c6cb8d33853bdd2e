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

/// Escapes the same characters in a JSON document, where serialisers leave some of them in strings as they are.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // A line feed between tokens is harmless, and strings have none.
    let is_unsafe = |c| c != '\n' && is_unsafe(c);
    if !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unsafe(c) {
            // Writing to memory cannot fail. All of these characters have four digits.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character controls a terminal or ends a line. Bidirectional controls reorder what a person reads (Unicode
/// Standard Annex #9).
pub fn is_unsafe(c: char) -> bool {
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

    #[test]
    fn escaped_json_has_the_same_meaning() {
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\n\u{1b}\u{7f} äöü"});
        let json = serde_json::to_string_pretty(&value).unwrap_or_default();
        let escaped = escape_json(&json);
        assert!(json.contains('\u{9b}') && !escaped.contains(|c| c != '\n' && is_unsafe(c)), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).ok(), Some(value));
    }
}
