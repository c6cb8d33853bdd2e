//! Somebody who reads the file all the time, as Prometheus might at any moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ecs_discovery::file_sd::{Format, parse};

/// A thread that reads a file in a loop. It ends at the first reading that is not as it must be.
pub(crate) struct Reader {
    enough: Arc<AtomicBool>,
    readings: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Reader {
    /// Starts to read. The file must be there, whole, and hold these targets, every time.
    pub(crate) fn start(file: &Path, targets: &[&str]) -> Self {
        let (file, targets) = (file.to_owned(), targets.iter().map(|&target| target.to_owned()).collect());
        let (enough, readings) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stop, count) = (Arc::clone(&enough), Arc::clone(&readings));
        let thread = thread::spawn(move || read_on(&file, &targets, &stop, &count));
        Self { enough, readings, thread: Some(thread) }
    }

    /// How often it has read.
    pub(crate) fn readings(&self) -> usize {
        self.readings.load(Ordering::Relaxed)
    }

    /// Ends it. Every reading must have been as it must be.
    pub(crate) fn stop(mut self) {
        self.enough.store(true, Ordering::Relaxed);
        let seen = self.thread.take().unwrap().join().unwrap();
        assert_eq!(seen, Ok(()), "after {} readings", self.readings());
        assert!(self.readings() > 0);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

fn read_on(
    file: &PathBuf,
    targets: &BTreeSet<String>,
    enough: &AtomicBool,
    readings: &AtomicUsize,
) -> Result<(), String> {
    let mut last = Vec::new();
    loop {
        let stop = enough.load(Ordering::Relaxed);
        let bytes = fs::read(file).map_err(|error| format!("cannot read: {error}"))?;
        if bytes != last || readings.load(Ordering::Relaxed) == 0 {
            check(&bytes, Format::of(file), targets)?;
            last = bytes;
        }
        readings.fetch_add(1, Ordering::Relaxed);
        if stop {
            return Ok(());
        }
        // Others want to run too: there are two processors and dozens of these.
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn check(bytes: &[u8], format: Format, targets: &BTreeSet<String>) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    let groups = parse(bytes, format).map_err(|error| format!("not whole: {error}\n{}", shown()))?;
    if bytes.is_empty() {
        return Err("an empty file".to_owned());
    }
    let there: BTreeSet<String> =
        groups.into_iter().flat_map(|group| group.targets).map(|target| target.to_string()).collect();
    match targets.difference(&there).next() {
        Some(lost) => Err(format!("{lost} is lost:\n{}", shown())),
        None => Ok(()),
    }
}
