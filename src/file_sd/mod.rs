//! Prometheus's file_sd format: target groups, to bytes and back.
//!
//! Equal groups give equal bytes. Format: Prometheus documentation, "Configuration", `<file_sd_config>`.

mod yaml;

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::inventory::Shared;

/// How a file is written. Prometheus picks the format by the end of the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For `.yml`, `.yaml` and everything else.
    Yaml,
    /// For `.json`.
    Json,
}

impl Format {
    /// The format in which Prometheus reads a file of this name.
    pub fn of(path: &Path) -> Self {
        let json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Yaml }
    }
}

/// Targets, and the labels that they share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetGroup {
    /// `host:port` each; ours have one to a group.
    pub targets: Vec<String>,
    /// The labels of each of them.
    #[serde(default)]
    pub labels: Labels,
}

impl Ord for TargetGroup {
    fn cmp(&self, other: &Self) -> Ordering {
        // By task and container, which come first among the labels, and by address last: a group keeps
        // its place when an address changes, and a file its diff.
        (&self.labels, &self.targets).cmp(&(&other.labels, &other.targets))
    }
}

impl PartialOrd for TargetGroup {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Labels in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(Shared, Shared)>);

impl Labels {
    /// Adds a label at the end.
    pub fn push(&mut self, name: impl Into<Shared>, value: impl Into<Shared>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// Each label in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<Shared>, V: Into<Shared>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Labels::default();
                while let Some((name, value)) = map.next_entry::<Shared, Shared>()? {
                    labels.push(name, value);
                }
                Ok(labels)
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The groups as a file. Never empty: where there is nothing it says `[]`.
pub fn render(groups: &[TargetGroup], format: Format) -> Vec<u8> {
    let text = match format {
        Format::Yaml => yaml::render(groups),
        // Strings in memory have nothing that can fail, and an unfinished file must not go on.
        #[allow(clippy::expect_used)]
        Format::Json => serde_json::to_string_pretty(groups).expect("strings are JSON") + "\n",
    };
    text.into_bytes()
}

/// Reads what [`render`] or the original program wrote, strictly: a field that Prometheus does not know
/// is an error. An empty file has no groups.
pub fn parse(bytes: &[u8], format: Format) -> Result<Vec<TargetGroup>, String> {
    match format {
        Format::Yaml => serde_yaml::from_slice::<Option<_>>(bytes).map(Option::unwrap_or_default).map_err(one_line),
        Format::Json if bytes.trim_ascii().is_empty() => Ok(Vec::new()),
        Format::Json => serde_json::from_slice(bytes).map_err(one_line),
    }
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
    fn nothing_is_an_empty_list() {
        assert_eq!(render(&[], Format::Yaml), b"[]\n");
        assert_eq!(render(&[], Format::Json), b"[]\n");
        assert_eq!([Format::Yaml, Format::Json].map(|format| parse(b"\n", format)), [Ok(vec![]), Ok(vec![])]);
    }

    #[test]
    fn a_group_reads_like_the_originals() {
        let groups = [group("10.0.0.1:9102", &[("task_arn", "arn:aws:ecs:r:a:task/c/1"), ("task_revision", "3")])];
        assert_eq!(
            String::from_utf8(render(&groups, Format::Yaml)).unwrap(),
            "- targets:\n  - 10.0.0.1:9102\n  labels:\n    task_arn: arn:aws:ecs:r:a:task/c/1\n    task_revision: '3'\n"
        );
    }

    #[test]
    fn what_is_not_a_list_of_groups_is_refused() {
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
    fn the_name_decides_the_format() {
        for (name, format) in
            [("a.json", Format::Json), ("a.JSON", Format::Json), ("a.yml", Format::Yaml), ("json", Format::Yaml)]
        {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    /// Texts that YAML could take for something else, among any text.
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
        fn what_is_rendered_is_read_back_the_same(
            groups in vec((text(), vec(text(), 0..4)), 0..4),
            json: bool,
        ) {
            let format = if json { Format::Json } else { Format::Yaml };
            let groups: Vec<TargetGroup> = groups
                .into_iter()
                .map(|(target, values)| TargetGroup {
                    targets: vec![target],
                    labels: values.into_iter().enumerate().map(|(n, value)| (format!("l{n}"), value)).collect(),
                })
                .collect();
            prop_assert_eq!(parse(&render(&groups, format), format), Ok(groups));
        }
    }
}
