//! Target groups as YAML that every reader reads the same.
//!
//! The original's layout. Text is quoted unless no version of YAML could take it for anything else:
//! emitters of YAML 1.2 leave `yes`, `12:30:45` or `1_000` plain, which readers of YAML 1.1 take for a
//! boolean and numbers (YAML 1.1, "Tag repository"; YAML 1.2.2, chapters 7 and 10).

use std::fmt::Write;
use std::io;

use super::TargetGroup;

/// Words that stand for a boolean, null or a key of its own in some version of YAML.
const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];

/// The length of the longest of them.
const LONGEST_WORD: usize = 8;

/// Writes the groups as a YAML document.
pub(super) fn write(groups: &[TargetGroup], out: &mut dyn io::Write) -> io::Result<()> {
    if groups.is_empty() {
        return out.write_all(b"[]\n");
    }
    let mut text = String::new();
    for group in groups {
        text.clear();
        item(&mut text, group);
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn item(text: &mut String, group: &TargetGroup) {
    text.push_str(if group.targets.is_empty() { "- targets: []\n" } else { "- targets:\n" });
    for target in &group.targets {
        text.push_str("  - ");
        scalar(text, target);
        text.push('\n');
    }
    if group.labels.iter().next().is_none() {
        text.push_str("  labels: {}\n");
        return;
    }
    text.push_str("  labels:\n");
    for (name, value) in group.labels.iter() {
        text.push_str("    ");
        scalar(text, name);
        text.push_str(": ");
        scalar(text, value);
        text.push('\n');
    }
}

/// Cuts a list into lists of at least so many bytes: before a line that begins an item.
pub(super) fn parts(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let least = size.min(rest.len());
        let next = rest[least..].windows(3).position(|three| three == b"\n- ");
        let (part, others) = rest.split_at(next.map_or(rest.len(), |at| least + at + 1));
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

fn scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if text.chars().all(is_harmless) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        escaped(out, text);
    }
}

/// Whether a text is that text without quotes in every version of YAML: characters without a meaning, and
/// not the form of a number, a date or a word with one. Two dots are in none of these forms.
fn is_plain(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b':' | b'-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.matches('.').count() > 1;
    starts_well
        && text.bytes().all(fine)
        && !text.ends_with(':')
        && (text.len() > LONGEST_WORD || !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)))
}

/// Whether a character may stand between single quotes: it is printable and no line break.
fn is_harmless(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric()
}

/// In double quotes, with whatever is not harmless escaped.
fn escaped(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        let written = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if is_harmless(c) => write!(out, "{c}"),
            c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04X}", u32::from(c)),
            c => write!(out, "\\U{:08X}", u32::from(c)),
        };
        debug_assert!(written.is_ok(), "writing to a string has nothing that can fail");
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_longer_than_the_longest() {
        assert_eq!(WORDS.iter().map(|word| word.len()).max(), Some(LONGEST_WORD));
    }

    #[test]
    fn text_is_quoted_unless_it_can_be_nothing_else() {
        for (text, expected) in [
            ("arn:aws:ecs:eu-west-1:123456789012:task/prod/1", "arn:aws:ecs:eu-west-1:123456789012:task/prod/1"),
            ("10.0.0.1:9102", "10.0.0.1:9102"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
            ),
            ("[::1]:80", "'[::1]:80'"),
            ("__scheme__", "__scheme__"),
            ("/metrics", "/metrics"),
            ("3", "'3'"),
            ("1.5", "'1.5'"),
            ("0x1f", "'0x1f'"),
            ("1_000", "'1_000'"),
            ("12:30:45", "'12:30:45'"),
            ("2001-01-01", "'2001-01-01'"),
            (".5", "'.5'"),
            (".nan", "'.nan'"),
            ("-1", "'-1'"),
            ("yes", "'yes'"),
            ("Off", "'Off'"),
            ("NULL", "'NULL'"),
            ("~", "'~'"),
            ("<<", "'<<'"),
            ("=", "'='"),
            ("a:", "'a:'"),
            ("", "''"),
            (" a ", "' a '"),
            ("a b", "'a b'"),
            ("it's", "'it''s'"),
            ("é", "'é'"),
            ("a\nb", "\"a\\nb\""),
            ("a\\\t\"", "\"a\\\\\\t\\\"\""),
            ("\u{85}\u{2028}\u{feff}", "\"\\u0085\\u2028\\uFEFF\""),
            ("\u{1f600}", "\"\\U0001F600\""),
        ] {
            let mut out = String::new();
            scalar(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
        }
    }
}
