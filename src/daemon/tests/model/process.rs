//! One process: the loops of the daemon, and what its readers see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::Model;
use super::source::Simulated;
use super::world::{Place, SCOPES};
use crate::config;
use crate::daemon::Daemon;
use crate::file_sd::{Format, TargetGroup, parse};
use crate::inventory::TaskArn;
use crate::output::{Earlier, Output};
use crate::publish::{Outcome, Publisher};
use crate::refresh::Refresher;
use crate::refresh::fixtures::rules;
use crate::status::SharedStatus;

/// The targets of tasks, with their addresses.
type Targets = BTreeMap<TaskArn, String>;

/// What the readers of a process see.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What `/targets` has.
    pub(super) targets: Targets,
    pub(super) file: Option<Targets>,
    /// Whether the last publication was written.
    pub(super) written: bool,
    /// Whether it was of everything.
    pub(super) complete: Option<bool>,
    pub(super) ready: bool,
    /// The versions of the targets and of the publications.
    pub(super) versions: [u64; 2],
}

impl Seen {
    pub(super) fn tasks(&self) -> BTreeSet<TaskArn> {
        self.targets.keys().cloned().collect()
    }
}

/// The file and the status of a process.
pub(super) struct Process {
    directory: PathBuf,
    status: Arc<SharedStatus>,
    /// What was last seen: most of the time nothing has changed, and parsing takes time.
    groups: Option<Arc<Vec<TargetGroup>>>,
    bytes: Option<Vec<u8>>,
    targets: Targets,
    file: Option<Targets>,
}

impl Process {
    /// Starts a process of these scopes, which finds what the one before has written.
    pub(super) fn start(model: &Rc<Model>, directory: &Path, scopes: [bool; SCOPES]) -> (Self, Daemon<Simulated>) {
        let path = directory.join("volume/targets.yml");
        let output = Output::open(&config::Output::File { path, format: Format::Yaml });
        let (earlier, status) = (output.earlier(), Arc::new(SharedStatus::default()));
        let groups = match &earlier {
            Earlier::Nothing => Arc::default(),
            Earlier::Groups(groups) => groups.clone(),
            Earlier::Unreadable(reason) => panic!("an unreadable file: {reason}"),
        };
        if earlier != Earlier::Nothing {
            status.restored(&groups);
        }
        let of_scope = |scope: usize| -> Arc<Vec<TargetGroup>> {
            let region = Place { scope, cluster: 0 }.region();
            let is_of = |group: &&TargetGroup| group.labels.get("cluster_arn").unwrap().contains(region);
            Arc::new(groups.iter().filter(is_of).cloned().collect())
        };
        let scopes: Vec<usize> = (0..SCOPES).filter(|scope| scopes[*scope]).collect();
        let publisher = Publisher::new(output, &earlier, scopes.iter().map(|scope| of_scope(*scope)));
        let refresher = |scope: &usize| Refresher::new(Simulated::new(model, *scope), rules(), of_scope(*scope), None);
        let refreshers = scopes.iter().map(refresher).collect();
        let daemon = Daemon::new(refreshers, publisher, status.clone(), Arc::default());
        let directory = directory.to_owned();
        let nothing = Targets::new();
        (Self { directory, status, groups: None, bytes: None, targets: nothing, file: None }, daemon)
    }

    /// Returns what readers see now.
    pub(super) fn seen(&mut self) -> Seen {
        let status = self.status.get();
        if self.groups.as_ref().map(Arc::as_ptr) != status.targets.as_ref().map(Arc::as_ptr) {
            self.targets = status.targets.as_deref().map(|groups| targets(groups)).unwrap_or_default();
            self.groups = status.targets;
        }
        // A volume that is away is only away for the program.
        let mut paths = ["volume", "away"].map(|name| self.directory.join(name).join("targets.yml")).into_iter();
        let bytes = paths.find_map(|path| fs::read(path).ok());
        if self.bytes != bytes {
            let parsed = bytes.as_ref().map(|bytes| parse(bytes, Format::Yaml).expect("a whole file"));
            (self.bytes, self.file) = (bytes, parsed.map(|groups| targets(&groups)));
        }
        let publication = status.publication.as_deref();
        Seen {
            targets: self.targets.clone(),
            file: self.file.clone(),
            written: publication.is_none_or(|last| matches!(last.output, Outcome::Written(_))),
            complete: publication.map(|last| last.complete()),
            ready: status.ready,
            versions: [status.targets_version, status.publication_version],
        }
    }
}

fn targets(groups: &[TargetGroup]) -> Targets {
    let target = |group: &TargetGroup| {
        let addresses: Vec<&str> = group.targets.iter().map(|target| &**target).collect();
        (group.labels.get("task_arn").unwrap().into(), addresses.join(","))
    };
    groups.iter().map(target).collect()
}
