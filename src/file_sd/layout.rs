//! Recognises the layout in which this program and the original write target groups as YAML.
//!
//! The time and the memory that a YAML parser takes depend on what a document nests and repeats, and not only on its
//! size. Nothing does so in this layout: lists and maps are written line by line and three levels deep, with neither
//! brackets nor anchors, and text that could be taken for one is quoted.

/// Returns an error for the first line that does not fit the layout.
pub(super) fn check(list: &[u8]) -> Result<(), String> {
    let mut layout = Layout { inside: Inside::Nothing, continuation: Continuation::Refused };
    match list.split(|byte| *byte == b'\n').find(|line| !layout.accepts(line)) {
        Some(line) => {
            let excerpt = String::from_utf8_lossy(&line[..line.len().min(40)]);
            Err(format!("unexpected line {excerpt:?}"))
        }
        None => Ok(()),
    }
}

/// The state between two lines.
struct Layout {
    inside: Inside,
    continuation: Continuation,
}

/// What the next lines are entries of.
#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    Targets,
    Labels,
}

/// Whether a line may continue the text of the line before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continuation {
    Accepted,
    Refused,
}

impl Layout {
    fn accepts(&mut self, line: &[u8]) -> bool {
        let indentation = line.iter().take_while(|byte| **byte == b' ').count();
        let text = &line[indentation..];
        if has_line_break(text) {
            return false;
        }
        match (self.inside, indentation, text) {
            (_, _, []) => true,
            (_, 0, [b'-', b' ', key @ ..]) => self.key(key),
            (Inside::Targets, 2, [b'-', b' ', target @ ..]) => self.text(target),
            (_, 2, key) => self.key(key),
            (Inside::Labels, 4, label) => self.label(label),
            (Inside::Targets, 3.., _) | (Inside::Labels, 5.., _) => self.continuation == Continuation::Accepted,
            _ => false,
        }
    }

    /// Accepts a key of a group.
    fn key(&mut self, text: &[u8]) -> bool {
        self.continuation = Continuation::Refused;
        self.inside = match text {
            b"targets:" => Inside::Targets,
            b"labels:" => Inside::Labels,
            b"targets: []" | b"labels: {}" => Inside::Nothing,
            _ => return false,
        };
        true
    }

    /// Accepts a label name with its value.
    fn label(&mut self, text: &[u8]) -> bool {
        let name_ends = match text.first() {
            Some(quote @ (b'\'' | b'"')) => closing_quote(&text[1..], *quote).map(|at| at + 2),
            _ if !starts_plain(text) => None,
            _ => text.windows(2).position(|two| two == b": "),
        };
        let value = name_ends.and_then(|end| text[end..].strip_prefix(b": "));
        value.is_some_and(|value| self.text(value))
    }

    /// Accepts a text in one of YAML's styles.
    fn text(&mut self, text: &[u8]) -> bool {
        let (accepted, complete) = match text {
            [quote @ (b'\'' | b'"'), rest @ ..] => match closing_quote(rest, *quote) {
                Some(at) => (at + 1 == rest.len(), true),
                None => (true, false),
            },
            [b'|' | b'>', indicators @ ..] => {
                (indicators.iter().all(|byte| matches!(byte, b'-' | b'+' | b'1'..=b'9')), false)
            }
            // Followed by a colon it would be a key, and anything could be its value.
            plain => (starts_plain(plain) && !has_key_or_comment(plain), false),
        };
        self.continuation = if complete { Continuation::Refused } else { Continuation::Accepted };
        accepted
    }
}

/// Returns whether there is a character that YAML 1.1 takes for a line break, other than a newline. Both programs
/// escape them.
fn has_line_break(line: &[u8]) -> bool {
    line.contains(&b'\r')
        || line.windows(2).any(|two| two == "\u{85}".as_bytes())
        || line.windows(3).any(|three| three == "\u{2028}".as_bytes() || three == "\u{2029}".as_bytes())
}

/// Returns whether a text can start without quotes: it is not empty and its first character has no meaning in YAML.
fn starts_plain(text: &[u8]) -> bool {
    match text {
        [] | [b' ' | b'\t', ..] => false,
        [b'-' | b'?' | b':', rest @ ..] => !matches!(rest, [] | [b' ' | b'\t', ..]),
        [first, ..] => !b",[]{}#&*!|>'\"%@`".contains(first),
    }
}

fn has_key_or_comment(text: &[u8]) -> bool {
    text.ends_with(b":") || text.windows(2).any(|two| matches!(two, b": " | b":\t" | b" #" | b"\t#"))
}

/// Returns the position of the quote that closes a text.
fn closing_quote(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (*byte, text.get(at + 1)) {
            (b'\\', _) if quote == b'"' => at += 2,
            (b'\'', Some(b'\'')) if quote == b'\'' => at += 2,
            (byte, _) if byte == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(label: &str) -> bool {
        check(format!("- targets:\n  - a:1\n  labels:\n    {label}\n").as_bytes()).is_ok()
    }

    #[test]
    fn accepts_text_in_every_style() {
        for label in [
            "a: b",
            "a: -1",
            "a: b c",
            "a: b\n      c",
            "a: ''",
            "a: 'it''s: [fine]'",
            "a: 'b\n      [c'",
            r#"a: "\"[b]\" {""#,
            "a: \"b\\\n      c\"",
            "a: |-\n      [[[",
            "a: >2\n      b\n\n      c",
            "'a: b': c",
            r#""a\"": c"#,
            "a: b\n    c: d",
            "a: b\n- targets: []\n  labels: {}",
        ] {
            assert!(accepts(label), "{label:?}");
        }
    }

    #[test]
    fn rejects_collections_anchors_and_other_documents() {
        for label in [
            "a: [b]",
            "a: {b: c}",
            "a: *b",
            "a: &b c",
            "a: !b c",
            "a:",
            "a: ",
            "a:\n      [b]",
            "a: # b",
            "a: b # c",
            "a: b: c",
            "a: - b",
            "a: 'b' c",
            "a: 'b'\n      [c]",
            "a: | [b]",
            "[a]: b",
            "? a",
            "? a: b",
            "'a\n      ': b",
            "a: b\r  [c]",
            "a: b\u{2028}  [c]",
            "\ta: b",
            "a: b\n   c: d",
            "a: b\n---",
            "a: b\n...",
            "a: b\n# c",
            "a: b\n- - targets:",
            "a: b\n- targets: [c]",
            "a: b\n- *c",
            "a: b\nc: d",
        ] {
            assert!(!accepts(label), "{label:?}");
        }
        for target in ["[a]", "*a", "- a", "a: b", "a:", "'a': b", "", "? a", "#"] {
            assert!(check(format!("- targets:\n  - {target}\n").as_bytes()).is_err(), "{target:?}");
        }
    }
}
