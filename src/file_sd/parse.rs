//! Parses target groups. Time and memory are proportional to the size of the file, whatever it holds.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::format::Format;
use super::group::TargetGroup;
use super::{layout, yaml};
use crate::inventory::Strings;

/// The least size of the parts in which YAML is parsed: the parser takes several times the memory of what it is given.
const PART: usize = 64 << 10;

/// The largest target group in YAML. AWS limits a task definition to 64 KiB and a resource to 50 tags.
const LARGEST_GROUP: usize = 1 << 20;

/// The longest error, in characters: errors quote the file.
const LONGEST_ERROR: usize = 200;

/// Parses what [`write()`](super::write()) or the original program wrote. As in Prometheus, an unknown field is an
/// error, and an empty file has no groups.
pub fn parse(bytes: &[u8], format: Format) -> Result<Vec<TargetGroup>, String> {
    parse_checked(bytes, format, |_| Ok(()))
}

/// Does the same, and ends at the first group for which `check` returns an error.
pub fn parse_checked(
    bytes: &[u8],
    format: Format,
    check: impl Fn(&TargetGroup) -> Result<(), String>,
) -> Result<Vec<TargetGroup>, String> {
    let mut groups = Groups { all: Vec::new(), strings: Strings::default(), check: &check };
    let parsed = match format {
        Format::Yaml => parse_yaml(bytes, PART, &mut groups),
        Format::Json => parse_json(bytes, &mut groups),
    };
    parsed.map(|()| groups.all).map_err(|error| short(&error))
}

fn parse_json(bytes: &[u8], groups: &mut Groups<'_>) -> Result<(), String> {
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    json.deserialize_seq(groups).and_then(|()| json.end()).map_err(|error| error.to_string())
}

fn parse_yaml(bytes: &[u8], part_size: usize, groups: &mut Groups<'_>) -> Result<(), String> {
    let list = without_preamble(bytes);
    if matches!(list.trim_ascii_end(), b"" | b"[]") {
        return Ok(());
    }
    for part in yaml::parts(list, part_size) {
        if part.len() > part_size + LARGEST_GROUP {
            return Err(format!("a target group of more than {LARGEST_GROUP} bytes"));
        }
        layout::check(part)?;
        serde_yaml::Deserializer::from_slice(part).deserialize_seq(&mut *groups).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Cuts off comments, blank lines and the marker of the document before a list.
fn without_preamble(mut bytes: &[u8]) -> &[u8] {
    let mut marked = false;
    loop {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let line = bytes[..end].trim_ascii();
        let is_marker = line == b"---" && !marked;
        if bytes.is_empty() || !(line.is_empty() || line.starts_with(b"#") || is_marker) {
            return bytes;
        }
        marked |= is_marker;
        bytes = &bytes[end..];
    }
}

/// Returns an error as one line of limited length.
fn short(error: &str) -> String {
    let mut text: String = error.chars().take(LONGEST_ERROR).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.len() < error.len() {
        text.push('…');
    }
    text
}

/// The groups so far.
struct Groups<'a> {
    all: Vec<TargetGroup>,
    strings: Strings,
    check: &'a dyn Fn(&TargetGroup) -> Result<(), String>,
}

impl<'de> Visitor<'de> for &mut Groups<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of target groups")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(mut group) = list.next_element::<TargetGroup>()? {
            (self.check)(&group).map_err(A::Error::custom)?;
            group.labels = group.labels.shared(&mut self.strings);
            self.all.push(group);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::render;
    use super::*;

    fn group(target: &str, labels: &[(&str, &str)]) -> TargetGroup {
        TargetGroup { targets: [target.into()].into(), labels: labels.iter().copied().collect() }
    }

    #[test]
    fn an_empty_file_has_no_groups() {
        for text in ["", "\n", "[]", "[]\n", "---\n[]\n", "# nothing\n\n"] {
            assert_eq!(parse(text.as_bytes(), Format::Yaml), Ok(vec![]), "{text:?}");
        }
        assert_eq!([&b"\n"[..], b"[]"].map(|text| parse(text, Format::Json)), [Ok(vec![]), Ok(vec![])]);
    }

    /// As Go's yaml package (version 2) writes them: sorted labels, folded lines, three styles of quotes.
    #[test]
    fn parses_the_originals_layout() {
        let text = "# kept by hand\n---\n- labels:\n    a: 'x: y'\n    b: \"1\"\n    c: |-\n      l1\n      - l2\n    d: long\n      \
                    text\n    e: \"\"\n  targets:\n  - 10.0.0.1:1\n- targets:\n  - '[::1]:1'\n  labels: {}\n";
        let first = [("a", "x: y"), ("b", "1"), ("c", "l1\n- l2"), ("d", "long text"), ("e", "")];
        assert_eq!(parse(text.as_bytes(), Format::Yaml), Ok(vec![group("10.0.0.1:1", &first), group("[::1]:1", &[])]));
    }

    #[test]
    fn rejects_what_is_not_a_list_of_groups() {
        for text in [
            "targets: []",
            "- target: []",
            "- targets: []\n  unknown: 1",
            "- targets:\n  - a\n  targets:\n  - b",
            "- targets:\n  - a\n  labels:\n    a: [b]",
            "---\n---\n[]",
            "[]\n- targets: []",
            "- targets: []\n...\n- targets: []",
            "\u{0}\u{1}",
            "- targets:\n  - a\n  labels:\n    tas",
        ] {
            assert!(parse(text.as_bytes(), Format::Yaml).is_err(), "{text:?}");
        }
        assert!(parse(&[0xff, 0xfe, 0x00], Format::Yaml).is_err());
        for text in ["nothing", "[] []", "{}", "[1]"] {
            assert!(parse(text.as_bytes(), Format::Json).is_err(), "{text:?}");
        }
    }

    #[test]
    fn errors_are_short() {
        for (text, format) in [
            (format!("[\"{}\"]", "é".repeat(1000)), Format::Json),
            (format!("- targets:\n  - a\n  labels:\n    {}", "é".repeat(1000)), Format::Yaml),
            (format!("- targets:\n  - a\n  labels:\n    a: \"\\{}\"", "é".repeat(1000)), Format::Yaml),
        ] {
            let error = parse(text.as_bytes(), format).unwrap_err();
            assert!(error.chars().count() <= LONGEST_ERROR + 1, "{error}");
        }
    }

    #[test]
    fn ends_at_the_first_group_that_is_not_accepted() {
        let groups = [group("a", &[]), group("b", &[]), group("c", &[])];
        let check = |group: &TargetGroup| if *group.targets[0] == *"b" { Err("no b".into()) } else { Ok(()) };
        for format in [Format::Yaml, Format::Json] {
            let error = parse_checked(&render(&groups, format), format, check).unwrap_err();
            assert!(error.starts_with("no b"), "{error}");
        }
    }

    /// Generates any text, and text that YAML could take for something else.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[-:#&*!|>'\"%@`{}\\[\\], \\t\\n\\r~?<=0-9a-z\u{85}\u{2028}\u{feff}]{0,12}",
            proptest::sample::select(
                &["yes", "~", "null", "1e3", "0x10", "1_000", "12:30:45", "2001-01-01", "<<", "="][..]
            )
            .prop_map(String::from),
        ]
    }

    /// Generates lines that a list may have, in any order.
    fn lines() -> impl Strategy<Value = String> {
        let lines = proptest::sample::select(
            &[
                "- targets:",
                "- targets: []",
                "- labels:",
                "  - b",
                "- c",
                "  labels:",
                "  labels: {}",
                "    k: v",
                "    k: \"v",
                "      w\"",
                "  w\"",
                "    'k': 'v'",
                "---",
                "...",
                "# note",
                "",
                " - d",
                "- |",
                "    k: |",
                "      [",
                "    k: >-",
                "- *a",
                "[]",
                "  targets:",
                "    l: x: [",
                "  - - f",
                "      m: [",
            ][..],
        );
        vec(lines, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn parsing_in_parts_equals_parsing_at_once(text in lines()) {
            let mut groups = Groups { all: Vec::new(), strings: Strings::default(), check: &|_| Ok(()) };
            if parse_yaml(text.as_bytes(), 1, &mut groups).is_ok() {
                let at_once = serde_yaml::from_str::<Option<Vec<TargetGroup>>>(&text).map(Option::unwrap_or_default);
                prop_assert_eq!(groups.all, at_once.unwrap(), "{}", text);
            }
        }

        #[test]
        fn parses_what_it_renders(
            groups in vec((text(), vec(text(), 0..4)), 0..4),
            json: bool,
        ) {
            let format = if json { Format::Json } else { Format::Yaml };
            let groups: Vec<TargetGroup> = groups
                .into_iter()
                .map(|(target, values)| TargetGroup {
                    targets: [target.into()].into(),
                    labels: values.into_iter().enumerate().map(|(n, value)| (format!("l{n}"), value)).collect(),
                })
                .collect();
            prop_assert_eq!(parse(&render(&groups, format), format), Ok(groups));
        }
    }
}
