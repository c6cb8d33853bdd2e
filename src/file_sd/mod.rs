//! Prometheus's file_sd format: writing and parsing target groups.
//!
//! Equal groups give equal bytes. Format: Prometheus documentation, "Configuration", `<file_sd_config>`.

mod format;
mod group;
mod layout;
mod parse;
mod yaml;

use std::io;

pub use self::format::Format;
pub use self::group::{Labels, TargetGroup};
pub use self::parse::{parse, parse_checked};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_groups_are_an_empty_list() {
        assert_eq!(render(&[], Format::Yaml), b"[]\n");
        assert_eq!(render(&[], Format::Json), b"[]\n");
    }

    #[test]
    fn a_group_looks_like_the_originals() {
        let labels = [("task_arn", "arn:aws:ecs:r:a:task/c/1"), ("task_revision", "3")];
        let group = TargetGroup { targets: ["10.0.0.1:9102".into()].into(), labels: labels.into_iter().collect() };
        assert_eq!(
            String::from_utf8(render(&[group], Format::Yaml)).unwrap(),
            "- targets:\n  - 10.0.0.1:9102\n  labels:\n    task_arn: arn:aws:ecs:r:a:task/c/1\n    task_revision: '3'\n"
        );
    }
}
