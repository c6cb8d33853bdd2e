//! Prometheus's file_sd format: writing and parsing target groups.
//!
//! Equal groups give equal bytes. Format: Prometheus documentation, "Configuration", `<file_sd_config>`.

mod group;
mod yaml;

use std::path::Path;
use std::{fmt, io};

pub use self::group::{Labels, TargetGroup};
use crate::inventory::Strings;

/// The format of a file, which Prometheus tells from the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For `.yml`, `.yaml` and every other name.
    Yaml,
    /// For `.json`.
    Json,
}

impl Format {
    /// Returns the format in which Prometheus reads a file of this name.
    pub fn of(path: &Path) -> Self {
        let json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Yaml }
    }
}

/// The least number of bytes of YAML that are parsed at a time.
const PART: usize = 64 << 10;

/// Writes the groups, one by one. No groups are written as `[]`, so that a file is never empty.
pub fn write(groups: &[TargetGroup], format: Format, out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Yaml => yaml::write(groups, out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, groups)?;
            out.write_all(b"\n")
        }
    }
}

/// Returns the groups as the bytes of a file.
pub fn render(groups: &[TargetGroup], format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail, and an incomplete file must not be used.
    #[allow(clippy::expect_used)]
    write(groups, format, &mut bytes).expect("writing to memory cannot fail");
    bytes
}

/// Parses what [`write()`] or the original program wrote. As in Prometheus, an unknown field is an error, and an empty
/// file has no groups.
pub fn parse(bytes: &[u8], format: Format) -> Result<Vec<TargetGroup>, String> {
    let mut strings = Strings::default();
    let share = |mut groups: Vec<TargetGroup>| {
        groups.iter_mut().for_each(|group| group.labels = group.labels.shared(&mut strings));
        groups
    };
    match format {
        Format::Yaml => in_parts(bytes, PART, share).or_else(|_| yaml_groups(bytes)),
        Format::Json if bytes.trim_ascii().is_empty() => Ok(Vec::new()),
        Format::Json => serde_json::from_slice(bytes).map(share).map_err(one_line),
    }
}

/// Parses a list part by part, since the parser takes several times the memory of the document that it is given.
fn in_parts(
    bytes: &[u8],
    size: usize,
    mut share: impl FnMut(Vec<TargetGroup>) -> Vec<TargetGroup>,
) -> Result<Vec<TargetGroup>, String> {
    let mut all = Vec::new();
    for part in yaml::parts(bytes, size) {
        // A document marker ends the list, so that the parts after it would be parsed on their own.
        let is_marker = |line: &[u8]| line.starts_with(b"---") || line.starts_with(b"...");
        if !part.starts_with(b"- ") || part.split(|byte| *byte == b'\n').any(is_marker) {
            return Err("more than one list".into());
        }
        all.append(&mut share(yaml_groups(part)?));
    }
    Ok(all)
}

fn yaml_groups(bytes: &[u8]) -> Result<Vec<TargetGroup>, String> {
    serde_yaml::from_slice::<Option<_>>(bytes).map(Option::unwrap_or_default).map_err(one_line)
}

fn one_line(error: impl fmt::Display) -> String {
    error.to_string().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn group(target: &str, labels: &[(&str, &str)]) -> TargetGroup {
        TargetGroup { targets: vec![target.into()], labels: labels.iter().copied().collect() }
    }

    #[test]
    fn no_groups_are_an_empty_list() {
        assert_eq!(render(&[], Format::Yaml), b"[]\n");
        assert_eq!(render(&[], Format::Json), b"[]\n");
        assert_eq!([Format::Yaml, Format::Json].map(|format| parse(b"\n", format)), [Ok(vec![]), Ok(vec![])]);
    }

    #[test]
    fn a_group_looks_like_the_originals() {
        let groups = [group("10.0.0.1:9102", &[("task_arn", "arn:aws:ecs:r:a:task/c/1"), ("task_revision", "3")])];
        assert_eq!(
            String::from_utf8(render(&groups, Format::Yaml)).unwrap(),
            "- targets:\n  - 10.0.0.1:9102\n  labels:\n    task_arn: arn:aws:ecs:r:a:task/c/1\n    task_revision: '3'\n"
        );
    }

    #[test]
    fn parses_in_parts_only_a_single_list() {
        for text in
            ["[]\n- targets: [a]", "- targets: [a]\n...\n- targets: [a]", "# note\n- targets: [a]", "- targets: *a"]
        {
            assert!(in_parts(text.as_bytes(), 1, |groups| groups).is_err(), "{text:?}");
        }
        let two = in_parts(b"- targets: [a]\n- targets: [b]\n", 1, |groups| groups);
        assert_eq!(two, Ok(vec![group("a", &[]), group("b", &[])]));
    }

    #[test]
    fn rejects_what_is_not_a_list_of_groups() {
        for text in [
            "targets: []",
            "- target: [a]",
            "- targets: [a]\n  unknown: 1",
            "- targets: [a]\n  labels: {a: [b]}",
            "\u{0}\u{1}",
            "- targets:\n  - a\n  labels:\n    tas",
        ] {
            assert!(parse(text.as_bytes(), Format::Yaml).is_err(), "{text:?}");
        }
        assert!(parse(&[0xff, 0xfe, 0x00], Format::Yaml).is_err());
        assert!(parse(b"nothing", Format::Json).is_err());
    }

    #[test]
    fn the_file_name_decides_the_format() {
        for (name, format) in
            [("a.json", Format::Json), ("a.JSON", Format::Json), ("a.yml", Format::Yaml), ("json", Format::Yaml)]
        {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
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

    proptest! {
        #[test]
        fn parsing_in_parts_equals_parsing_at_once(
            lines in vec(
                proptest::sample::select(
                    &[
                        "- targets: [a]", "- targets:", "  - b", "- c", "  labels: {x: y}", "  labels:", "    k: v",
                        "    k: \"v", "  w\"", "- labels: {k: v}", "---", "...", "# note", "", " - d", "- |", "- &a e",
                        "- *a", "[]", "    k: >", "- - f",
                    ][..]
                ),
                0..9,
            )
        ) {
            let text = lines.join("\n");
            if let Ok(groups) = in_parts(text.as_bytes(), 1, |groups| groups) {
                prop_assert_eq!(Ok(groups), yaml_groups(text.as_bytes()), "{}", text);
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
                    targets: vec![target.into()],
                    labels: values.into_iter().enumerate().map(|(n, value)| (format!("l{n}"), value)).collect(),
                })
                .collect();
            prop_assert_eq!(parse(&render(&groups, format), format), Ok(groups));
        }
    }
}
