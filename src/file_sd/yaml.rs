//! Writes target groups as YAML that every parser reads in the same way.
//!
//! The layout is the original's. A string is quoted unless it is a string in every version of YAML: emitters of YAML
//! 1.2 leave `yes`, `12:30:45` and `1_000` plain, which YAML 1.1 parsers take for a boolean and numbers (YAML 1.1, "Tag
//! repository"; YAML 1.2.2, chapters 7 and 10).

use std::fmt::Write;
use std::io;

use super::group::TargetGroup;

/// Words that are a boolean, null or a number in some version of YAML.
const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];

/// The length of the longest of [`WORDS`].
const LONGEST_WORD: usize = 8;

/// Writes the groups as a YAML document.
pub(super) fn write(groups: &[TargetGroup], out: &mut dyn io::Write) -> io::Result<()> {
    if groups.is_empty() {
        return out.write_all(b"[]\n");
    }
    let mut text = String::new();
    for group in groups {
        text.clear();
        write_group(&mut text, group);
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn write_group(text: &mut String, group: &TargetGroup) {
    text.push_str(if group.targets.is_empty() { "- targets: []\n" } else { "- targets:\n" });
    for target in group.targets.iter() {
        text.push_str("  - ");
        write_scalar(text, target);
        text.push('\n');
    }
    if group.labels.iter().next().is_none() {
        text.push_str("  labels: {}\n");
        return;
    }
    text.push_str("  labels:\n");
    for (name, value) in group.labels.iter() {
        text.push_str("    ");
        write_scalar(text, name);
        text.push_str(": ");
        write_scalar(text, value);
        text.push('\n');
    }
}

/// Splits a list into lists of at least this size, before lines that begin an item.
pub(super) fn parts(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let least = size.min(rest.len());
        let next = rest[least..].windows(3).position(|three| three == b"\n- ");
        let (part, remainder) = rest.split_at(next.map_or(rest.len(), |at| least + at + 1));
        rest = remainder;
        (!part.is_empty()).then_some(part)
    })
}

fn write_scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if text.chars().all(is_printable) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        write_escaped(out, text);
    }
}

/// Returns whether an unquoted text is a string in every version of YAML: it has no special characters, and it is not a
/// number, a date or one of [`WORDS`]. No number or date has two dots.
fn is_plain(text: &str) -> bool {
    let is_ordinary = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b':' | b'-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.matches('.').count() > 1;
    starts_well
        && text.bytes().all(is_ordinary)
        && !text.ends_with(':')
        && (text.len() > LONGEST_WORD || !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)))
}

/// Returns whether a character may appear between single quotes: it is printable and not a line break.
fn is_printable(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric()
}

/// Writes a text in double quotes, with special and unprintable characters escaped.
fn write_escaped(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        let written = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if is_printable(c) => write!(out, "{c}"),
            c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04X}", u32::from(c)),
            c => write!(out, "\\U{:08X}", u32::from(c)),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_word_is_the_longest_of_the_words() {
        assert_eq!(WORDS.iter().map(|word| word.len()).max(), Some(LONGEST_WORD));
    }

    #[test]
    fn quotes_text_unless_it_is_always_a_string() {
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
            write_scalar(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
        }
    }
}
