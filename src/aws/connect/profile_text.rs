//! Edits the text of a profile file before the SDK parses it: without empty settings, and with credential processes
//! that this program runs itself.
//!
//! The syntax is that of aws-runtime 1.10 (`env_config::parse`): a line at the margin is a section or a property, an
//! indented one continues the property. A property without a value has sub-properties in its continuation.

/// The file that a text is from. The syntax of sections differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `~/.aws/config`.
    Config,
    /// `~/.aws/credentials`.
    Credentials,
}

/// Returns the text without properties and sub-properties that have no value. In the other SDKs they count as unset.
/// Line numbers do not change.
pub(super) fn without_empty(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let end = at + 1 + lines[at + 1..].iter().take_while(|line| is_continuation(line)).count();
        match property(line) {
            Some((_, "")) => kept.extend(group_without_empty(&lines[at..end])),
            _ => kept.extend(&lines[at..end]),
        }
        at = end;
    }
    kept.into_iter().flat_map(|line| [line, "\n"]).collect()
}

/// Returns a property without a value and its continuation, with blank lines for what is empty.
fn group_without_empty<'a>(group: &[&'a str]) -> Vec<&'a str> {
    let has_value = |line: &str| !is_blank(line) && split(line).is_none_or(|(_, value)| !value.is_empty());
    let mut kept: Vec<_> = group.iter().map(|line| if has_value(line) { *line } else { "" }).collect();
    if kept.iter().any(|line| !line.is_empty()) {
        kept[0] = group[0];
    }
    kept
}

/// Returns the text with this line in place of each property `key` of the profile for which `replacement` has one.
pub(super) fn replace<'a>(text: &str, kind: Kind, key: &str, replacement: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut profile = None;
    let mut replaced = String::with_capacity(text.len());
    for line in text.lines() {
        if line.starts_with('[') {
            profile = profile_of(line, kind);
        }
        let is_key = property(line).is_some_and(|(name, _)| name.eq_ignore_ascii_case(key));
        let instead = profile.filter(|_| is_key).and_then(&replacement);
        replaced.extend([instead.unwrap_or(line), "\n"]);
    }
    replaced
}

/// Returns the values of a sub-property such as `endpoint_url` in the section `[services NAME]`, with their services.
pub(super) fn of_services<'a>(text: &'a str, name: &str, key: &str) -> Vec<(&'a str, &'a str)> {
    let (mut is_inside, mut service, mut found) = (false, "", Vec::new());
    for line in text.lines() {
        if let Some(header) = header(line) {
            is_inside =
                header.split_once([' ', '\t']).is_some_and(|(kind, of)| (kind, of.trim()) == ("services", name));
        } else if let Some((property, _)) = property(line) {
            service = property;
        } else if let Some((_, value)) = split(line).filter(|(property, _)| is_inside && *property == key) {
            found.push((service, value));
        }
    }
    found
}

/// Returns the name of the profile in `[default]` and, in the configuration file, `[profile NAME]`; in the credentials
/// file, `[NAME]`.
fn profile_of(line: &str, kind: Kind) -> Option<&str> {
    let name = header(line)?;
    match (kind, name.split_once([' ', '\t'])) {
        (Kind::Config, Some(("profile", name))) => Some(name.trim()),
        (Kind::Config, None) => (name == "default").then_some(name),
        (Kind::Credentials, None) => Some(name),
        _ => None,
    }
}

/// Returns the text between the brackets of a section's first line.
fn header(line: &str) -> Option<&str> {
    Some(line.split(['#', ';']).next()?.trim_end().strip_prefix('[')?.strip_suffix(']')?.trim())
}

/// Returns the name and the value of a property; `None` for any other line.
fn property(line: &str) -> Option<(&str, &str)> {
    if is_blank(line) || line.starts_with(['[', '#', ';', ' ', '\t']) { None } else { split(line) }
}

fn split(line: &str) -> Option<(&str, &str)> {
    let (name, value) = without_comment(line).split_once('=')?;
    Some((name.trim(), value.trim()))
}

/// A comment begins with a blank, so that `#` may be part of a value.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, char)| line[..*at].ends_with(char::is_whitespace);
    let comment = line.char_indices().filter(|(_, letter)| ['#', ';'].contains(letter)).find(begins);
    comment.map_or(line, |(at, _)| &line[..at])
}

fn is_continuation(line: &str) -> bool {
    is_blank(line) || line.starts_with([' ', '\t'])
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_settings_are_blanked() {
        for (text, want) in [
            ("[default]\nregion =\noutput = json\n", "[default]\n\noutput = json\n"),
            ("[default]\nregion= # none\n", "[default]\n\n"),
            ("[default]\nregion = #none\n", "[default]\n\n"),
            ("[default]\nregion = a#b\n", "[default]\nregion = a#b\n"),
            ("[services s]\necs =\n  endpoint_url = http://x\n", "[services s]\necs =\n  endpoint_url = http://x\n"),
            ("[services s]\necs =\n  endpoint_url =\n  a = b\n", "[services s]\necs =\n\n  a = b\n"),
            ("[services s]\necs =\n\n  endpoint_url =\nec2 =\n", "[services s]\n\n\n\n\n"),
            ("[default]\na = b\n  c =\n", "[default]\na = b\n  c =\n"),
            ("# region =\n[default]\nregion =\n[profile x]\n", "# region =\n[default]\n\n[profile x]\n"),
        ] {
            assert_eq!(without_empty(text), want, "{text}");
        }
    }

    #[test]
    fn property_of_a_profile_is_replaced() {
        let only_a = |profile: &str| (profile == "a").then_some("new");
        let text = "[default]\nKey = 1\n[profile a] # key\nKEY = 2\nother = 3\n[a]\nkey = 4\n";
        let config = "[default]\nKey = 1\n[profile a] # key\nnew\nother = 3\n[a]\nkey = 4\n";
        let credentials = "[default]\nKey = 1\n[profile a] # key\nKEY = 2\nother = 3\n[a]\nnew\n";
        assert_eq!(replace(text, Kind::Config, "key", only_a), config);
        assert_eq!(replace(text, Kind::Credentials, "key", only_a), credentials);
    }

    #[test]
    fn sub_properties_of_a_section_are_found() {
        let text = "[services a]\necs =\n  endpoint_url = 1\n  x = 2\nec2 =\n  endpoint_url = 3\n[services b]\necs =\n  endpoint_url = 4\n";
        assert_eq!(of_services(text, "a", "endpoint_url"), [("ecs", "1"), ("ec2", "3")]);
    }
}
