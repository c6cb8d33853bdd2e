//! The output file that exists at the start.
//!
//! The first byte of the input is `j` for JSON, and anything else for YAML; the rest is the file.
//!
//! Invariant: parsing takes memory in proportion to the file's size, and fails with one short line or returns target groups.
//! These are the same when they are written in either format and parsed again; from YAML they are what the YAML parser makes
//! of the file as a whole. If AWS cannot be reached, all of them are kept.

use ecs_discovery::file_sd::{Format, TargetGroup, parse, parse_checked, render};
use ecs_discovery::inventory::{Failure, Operation, Snapshot};
use ecs_discovery::last_good::{check, merge};
use ecs_discovery::targets::Derived;

use crate::memory::within;

/// Returns whether a label name may be too long for YAML, which limits keys to 1,024 characters, of which an escaped byte
/// takes up to six. No label of ours is.
fn has_long_name(group: &TargetGroup) -> bool {
    group.labels.iter().any(|(name, _)| 6 * name.len() > 1_000)
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((first, file)) = data.split_first() else { return };
    let format = if *first == b'j' { Format::Json } else { Format::Yaml };
    match within((4 << 20) + 200 * file.len(), || parse(file, format)) {
        Err(why) => assert!(!why.contains('\n') && why.chars().count() <= 201, "{why:?}"),
        Ok(groups) => {
            for format in [Format::Yaml, Format::Json] {
                if format == Format::Yaml && groups.iter().any(has_long_name) {
                    continue;
                }
                assert_eq!(parse(&render(&groups, format), format).as_ref(), Ok(&groups), "{format:?}");
            }
            if format == Format::Yaml && !groups.is_empty() {
                let at_once: Vec<TargetGroup> = serde_yaml::from_slice(without_comments(file)).unwrap();
                assert_eq!(at_once, groups, "in parts and at once");
            }
        }
    }
    if let Ok(groups) = parse_checked(file, format, check) {
        check_kept(groups);
    }
}

/// Cuts off the lines before the list, which may be comments in any encoding.
fn without_comments(file: &[u8]) -> &[u8] {
    let starts = file.windows(3).position(|three| three == b"\n- ").filter(|_| !file.starts_with(b"- "));
    &file[starts.map_or(0, |at| at + 1)..]
}

fn check_kept(mut groups: Vec<TargetGroup>) {
    groups.sort_unstable();
    let unreachable = Failure {
        operation: Operation::ListClusters,
        cluster: None,
        code: "Timeout".into(),
        message: "no response".into(),
        request_id: None,
        calls: 1,
        transient: true,
    };
    let merged = merge(&groups, &Snapshot::failed(unreachable), &Derived::default(), |_, _| true);
    groups.dedup();
    assert_eq!(*merged.groups, groups);
}
