//! A concurrent reader of the output file: Prometheus may read it at any moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ecs_discovery::file_sd::{Format, parse};

/// A thread that reads a file in a loop until a read gives an unexpected result.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Reader {
    /// Starts to read. Every read must give a complete file with at least these targets.
    pub(crate) fn start(file: &Path, targets: &[&str]) -> Self {
        let (file, targets) = (file.to_owned(), targets.iter().map(|&target| target.to_owned()).collect());
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&reads));
        let thread = thread::spawn(move || read_in_a_loop(&file, &targets, &stopped, &count));
        Self { stop, reads, thread: Some(thread) }
    }

    /// Returns the number of reads so far.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Stops reading and checks that every read gave the expected result.
    pub(crate) fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.take().unwrap().join().unwrap();
        assert_eq!(seen, Ok(()), "after {} reads", self.reads());
        assert!(self.reads() > 0);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn read_in_a_loop(
    file: &PathBuf,
    targets: &BTreeSet<String>,
    stop: &AtomicBool,
    reads: &AtomicUsize,
) -> Result<(), String> {
    let mut last = Vec::new();
    loop {
        // Before the read, so that the last read comes after the call of `Reader::stop`.
        let is_last = stop.load(Ordering::Relaxed);
        let bytes = fs::read(file).map_err(|error| format!("cannot read: {error}"))?;
        if bytes != last || reads.load(Ordering::Relaxed) == 0 {
            check(&bytes, Format::of(file), targets)?;
            last = bytes;
        }
        reads.fetch_add(1, Ordering::Relaxed);
        if is_last {
            return Ok(());
        }
        // Leaves processor time to the dozens of other tests.
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn check(bytes: &[u8], format: Format, targets: &BTreeSet<String>) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    let groups = parse(bytes, format).map_err(|error| format!("incomplete: {error}\n{}", shown()))?;
    if bytes.is_empty() {
        return Err("an empty file".to_owned());
    }
    let found: BTreeSet<String> =
        groups.iter().flat_map(|group| &*group.targets).map(|target| target.to_string()).collect();
    match targets.difference(&found).next() {
        Some(missing) => Err(format!("{missing} is missing:\n{}", shown())),
        None => Ok(()),
    }
}
