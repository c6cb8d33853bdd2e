//! When targets come into the file and leave it.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use std::{fs, io, thread};

use std::time::Duration;

use crate::program::Outcome;
use crate::targets::targets_in;

/// The time between two looks at the file, which is also the precision of all times.
const PAUSE: Duration = Duration::from_millis(10);

/// A file that is watched.
pub(crate) struct Watched {
    file: PathBuf,
    /// The inode and the time of the last content: the file is replaced rather than changed.
    version: Option<(u64, SystemTime)>,
    /// The targets in it.
    pub(crate) targets: BTreeSet<String>,
    /// When each target came into the file, and when it left it.
    pub(crate) came: HashMap<String, Instant>,
    pub(crate) left: HashMap<String, Instant>,
}

impl Watched {
    pub(crate) fn new(file: &Path) -> Self {
        let (came, left) = (HashMap::new(), HashMap::new());
        Self { file: file.to_owned(), version: None, targets: BTreeSet::new(), came, left }
    }

    /// Looks at the file until the condition holds. Fails after this time.
    pub(crate) fn wait_until(&mut self, what: &str, deadline: Instant, holds: impl Fn(&Self) -> bool) -> Outcome<()> {
        loop {
            self.look()?;
            if holds(self) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not before the deadline: {what}").into());
            }
            thread::park_timeout(PAUSE);
        }
    }

    fn look(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let metadata = match fs::metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            metadata => metadata?,
        };
        let version = Some((metadata.ino(), metadata.modified()?));
        if std::mem::replace(&mut self.version, version) == version {
            return Ok(());
        }
        let targets = targets_in(&self.file)?;
        self.came.extend(targets.difference(&self.targets).map(|target| (target.clone(), now)));
        self.left.extend(self.targets.difference(&targets).map(|target| (target.clone(), now)));
        self.targets = targets;
        Ok(())
    }
}
