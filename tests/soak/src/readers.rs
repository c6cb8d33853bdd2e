//! Readers of the file: one checks what it says after every publication, another parses it strictly.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use ecs_discovery::file_sd::Format;

use crate::groups::{self, Group};
use crate::history::Violation;
use crate::shared::Shared;

const PAUSE: Duration = Duration::from_millis(1);

/// Identifies a version of the file.
type Stamp = (u64, u64, i64, i64);

fn stamp(file: &Path) -> Option<Stamp> {
    let file = fs::metadata(file).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

/// Checks every version of the file that it sees, and each version again after every publication. Returns how many
/// versions it saw.
pub(crate) fn follow(shared: &Shared) -> u64 {
    let (mut versions, mut bytes, mut seen) = (0, Vec::new(), Vec::new());
    let mut last = (None, 0);
    while !shared.has_ended() {
        let now = (stamp(&shared.file), shared.publications());
        if now == last {
            park_timeout(PAUSE);
            continue;
        }
        last = now;
        let from = Instant::now();
        match fs::read(&shared.file) {
            Ok(read) if read == bytes => {}
            Ok(read) => {
                (versions, bytes) = (versions + 1, read);
                match groups::of_lines(&bytes) {
                    Ok(groups) => seen = groups,
                    Err(why) => shared.report(Err(Violation::general(format!("a reader saw half a file: {why}")))),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && versions == 0 => continue,
            Err(error) => shared.report(Err(Violation::general(format!("a reader could not read the file: {error}")))),
        }
        let read = (from, Instant::now());
        let checked = shared.oracle().check("the file", &seen, read);
        shared.report(checked);
    }
    versions
}

/// Parses one version after the other with the program's own parser. Returns how many.
pub(crate) fn parse(shared: &Shared) -> u64 {
    let (mut versions, mut last) = (0, None);
    while !shared.has_ended() {
        let now = stamp(&shared.file);
        if now == last {
            park_timeout(PAUSE);
            continue;
        }
        last = now;
        let start = Instant::now();
        let Ok(bytes) = fs::read(&shared.file) else { continue };
        let parsed = groups::of_strict_parser(&bytes, Format::Yaml);
        let same = parsed.and_then(|strict| {
            let lines = groups::of_lines(&bytes)?;
            if strict == lines { Ok(()) } else { Err("lines and parser disagree".to_owned()) }
        });
        shared.report(same.map_err(|why| Violation::general(format!("a reader saw half a file: {why}"))));
        versions += 1;
        // Half of a processor is enough for a reader.
        park_timeout(start.elapsed());
    }
    versions
}

/// Reads the file now.
pub(crate) fn read(file: &Path) -> Result<Vec<Group>, Violation> {
    let bytes = fs::read(file).map_err(|error| Violation::general(format!("the file cannot be read: {error}")))?;
    groups::of_lines(&bytes).map_err(|why| Violation::general(format!("half a file: {why}")))
}
