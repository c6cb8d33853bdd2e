//! Target groups as a reader sees them. The lines of the file are read by hand, so that a mistake in the program's own
//! parser does not hide one in what it writes.

use std::collections::BTreeMap;

use ecs_discovery::file_sd::{self, Format, TargetGroup};

/// A target with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) target: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Group {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Reads a file line by line. Any line that the program does not write is an error, as is a part of a group.
pub(crate) fn of_lines(bytes: &[u8]) -> Result<Vec<Group>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if text == "[]\n" {
        return Ok(Vec::new());
    }
    let Some(text) = text.strip_suffix('\n') else { return Err(format!("no newline at the end: {:?}", end(text))) };
    let mut groups: Vec<Group> = Vec::new();
    let mut lines = text.split('\n');
    while let Some(line) = lines.next() {
        if line == "- targets:" {
            let target = lines.next().and_then(|line| line.strip_prefix("  - ")).ok_or("a group without a target")?;
            if lines.next() != Some("  labels:") {
                return Err(format!("{target} without labels"));
            }
            groups.push(Group { target: unquoted(target)?, labels: BTreeMap::new() });
            continue;
        }
        let label = line.strip_prefix("    ").and_then(|label| label.split_once(": "));
        let (Some((name, value)), Some(group)) = (label, groups.last_mut()) else {
            return Err(format!("not a line of a group: {line:?}"));
        };
        if group.labels.insert(name.to_owned(), unquoted(value)?).is_some() {
            return Err(format!("{name} twice"));
        }
    }
    let last = ["task_arn", "cluster_arn", "container_arn", "docker_image"];
    match groups.iter().find(|group| last.iter().any(|name| group.label(name).is_empty())) {
        Some(group) => Err(format!("a part of a group: {group:?}")),
        None => Ok(groups),
    }
}

/// Reads a file with the program's own, strict parser.
pub(crate) fn of_strict_parser(bytes: &[u8], format: Format) -> Result<Vec<Group>, String> {
    file_sd::parse(bytes, format)?.into_iter().map(group).collect()
}

fn group(group: TargetGroup) -> Result<Group, String> {
    let [target] = &*group.targets else { return Err(format!("not one target: {group:?}")) };
    let labels = group.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Group { target: target.to_string(), labels })
}

/// Returns the value of a scalar. None of the simulated names needs an escape.
fn unquoted(scalar: &str) -> Result<String, String> {
    let quote = scalar.chars().next().filter(|first| ['\'', '"'].contains(first));
    let Some(quote) = quote else { return Ok(scalar.to_owned()) };
    let inner = scalar.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner.filter(|inner| !inner.contains(quote)).map(str::to_owned).ok_or_else(|| format!("not a scalar: {scalar:?}"))
}

fn end(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(80))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "- targets:\n  - 10.0.0.1:9102\n  labels:\n    task_arn: t\n    task_revision: '3'\n    \
                        cluster_arn: c\n    container_arn: a\n    docker_image: app:1\n";

    #[test]
    fn lines_and_strict_parser_agree() {
        let groups = of_lines(FILE.as_bytes()).unwrap();
        assert_eq!(groups, of_strict_parser(FILE.as_bytes(), Format::Yaml).unwrap());
        assert_eq!((groups[0].target.as_str(), groups[0].label("task_revision")), ("10.0.0.1:9102", "3"));
        assert_eq!(of_lines(b"[]\n"), Ok(vec![]));
    }

    #[test]
    fn no_part_of_a_file_is_a_file() {
        let whole = FILE.repeat(2);
        let parts = (0..whole.len()).filter(|length| *length != FILE.len());
        for length in parts {
            assert!(of_lines(&whole.as_bytes()[..length]).is_err(), "{length}");
        }
    }
}
