//! Publication: the targets of all scopes together, in the output.

mod absent;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use self::absent::without_absent;
use crate::file_sd::TargetGroup;
use crate::output::{Earlier, Output};
use crate::refresh::{Cause, Refresh};
use crate::writer::{IfUnchanged, WriteError, Written};

/// Writes the output, and keeps what one publication needs from the one before.
pub struct Publisher {
    output: Output,
    /// Why the output has contents that only complete targets may replace.
    unreadable: Option<String>,
    /// The targets that were last written, sorted.
    written: Arc<Vec<TargetGroup>>,
    /// Whether readers have had targets of this process, or of an earlier one: from then on, they get all that follow.
    in_force: bool,
    scopes: Vec<Latest>,
    /// The targets of all scopes, sorted, unless one of the lists has changed since they were last merged.
    targets: Option<Arc<Vec<TargetGroup>>>,
    /// The scopes that have been refreshed since the last publication.
    new: BTreeSet<usize>,
}

/// What was learned last of a scope.
enum Latest {
    /// Nothing yet. Holds its targets of an earlier run, or those that are known in the middle of the first refresh.
    Targets(Arc<Vec<TargetGroup>>),
    /// The last refresh.
    Refreshed(Arc<Refresh>),
}

/// A publication.
#[derive(Debug)]
pub struct Publication {
    /// The last refresh of each scope that has been refreshed.
    pub refreshes: Vec<Arc<Refresh>>,
    /// Those of them that were not published before.
    pub new: Vec<Arc<Refresh>>,
    /// The number of scopes that have not been refreshed yet.
    pub outstanding: usize,
    /// The targets of all scopes, including last known ones, sorted.
    pub targets: Arc<Vec<TargetGroup>>,
    /// The number of targets that are new in the output.
    pub added: usize,
    /// The number of targets that are no longer in the output.
    pub removed: usize,
    /// Whether the targets are valid for readers, even if they could not be written.
    pub in_force: bool,
    /// The result of writing the output.
    pub output: Outcome,
}

/// The result of writing the output.
#[derive(Debug)]
pub enum Outcome {
    /// The output was written, or had not changed.
    Written(Written),
    /// The output could not be written.
    Failed(WriteError),
    /// The existing file was kept, because it is unreadable and the targets were incomplete. Holds the reason.
    NotOverwritten(String),
    /// Nothing was learned, and no previous targets exist.
    NothingKnown,
}

impl Publication {
    /// Returns whether the last refresh of every scope learned all its targets.
    pub fn complete(&self) -> bool {
        self.outstanding == 0 && self.refreshes.iter().all(|refresh| refresh.complete())
    }

    /// Returns whether anything failed, even though what was learned is written.
    pub fn failed(&self) -> bool {
        let failed = self.outstanding > 0 || self.refreshes.iter().any(|refresh| refresh.failed());
        failed || matches!(self.output, Outcome::Failed(_))
    }
}

impl Publisher {
    /// Returns a publisher of scopes with these targets of an earlier run. `earlier` is what the output holds.
    pub fn new(output: Output, earlier: &Earlier, scopes: impl IntoIterator<Item = Arc<Vec<TargetGroup>>>) -> Self {
        let (written, unreadable) = match earlier {
            Earlier::Nothing => (Arc::default(), None),
            Earlier::Groups(groups) => (groups.clone(), None),
            Earlier::Unreadable(reason) => (Arc::default(), Some(reason.clone())),
        };
        Self {
            output,
            unreadable,
            written,
            in_force: matches!(earlier, Earlier::Groups(_)),
            scopes: scopes.into_iter().map(Latest::Targets).collect(),
            targets: None,
            new: BTreeSet::new(),
        }
    }

    /// Records the last refresh of a scope.
    pub fn refreshed(&mut self, scope: usize, refresh: Arc<Refresh>) {
        if let Some(latest) = self.scopes.get_mut(scope) {
            // Equal lists are shared.
            self.targets.take_if(|_| !Arc::ptr_eq(latest.targets(), &refresh.targets));
            if refresh.cause == Cause::Start {
                // Only its targets: the rest is learned again, and takes memory when most of it is needed.
                *latest = Latest::Targets(refresh.targets.clone());
                return;
            }
            *latest = Latest::Refreshed(refresh);
            self.new.insert(scope);
        }
    }

    /// Writes the targets of all scopes.
    pub async fn publish(&mut self) -> Publication {
        let latest =
            self.scopes.iter().enumerate().filter_map(|(scope, latest)| Some((scope, latest.refresh()?.clone())));
        let (scopes, refreshes): (Vec<_>, Vec<_>) = latest.unzip();
        let outstanding = self.scopes.len() - refreshes.len();
        let refreshes = if self.scopes.len() > 1 { without_absent(refreshes) } else { refreshes };
        let new = scopes.iter().zip(&refreshes).filter(|(scope, _)| self.new.contains(scope));
        let new = new.map(|(_, refresh)| refresh.clone()).collect();
        self.new.clear();
        let complete = outstanding == 0 && refreshes.iter().all(|refresh| refresh.complete());
        let targets = self.targets.take().unwrap_or_else(|| self.merged());
        let (added, removed) = difference(&self.written, &targets);
        // Shares an equal list instead of holding it twice.
        let targets = if added + removed == 0 { self.written.clone() } else { targets };
        self.targets = Some(targets.clone());
        let output = self.write(&targets, complete).await;
        if matches!(output, Outcome::Written(_)) {
            (self.written, self.unreadable) = (targets.clone(), None);
        }
        self.in_force |= !matches!(output, Outcome::NotOverwritten(_) | Outcome::NothingKnown);
        Publication { refreshes, new, outstanding, targets, added, removed, in_force: self.in_force, output }
    }

    /// Returns the targets of all scopes, sorted.
    fn merged(&self) -> Arc<Vec<TargetGroup>> {
        if let [scope] = self.scopes.as_slice() {
            return scope.targets().clone();
        }
        let mut all = Vec::with_capacity(self.scopes.iter().map(|scope| scope.targets().len()).sum());
        all.extend(self.scopes.iter().flat_map(|scope| scope.targets().iter().cloned()));
        // The stable sort takes the sorted lists as they are and merges them.
        all.sort();
        all.dedup();
        Arc::new(all)
    }

    async fn write(&mut self, groups: &Arc<Vec<TargetGroup>>, complete: bool) -> Outcome {
        match &self.unreadable {
            Some(reason) if !complete => return Outcome::NotOverwritten(reason.clone()),
            // An empty list is for an empty success; whoever waits for the file goes on waiting.
            None if !complete && self.written.is_empty() && groups.is_empty() => return Outcome::NothingKnown,
            _ => {}
        }
        // The modification time tells readers when the file was last known to be complete.
        let if_unchanged = if complete { IfUnchanged::Touch } else { IfUnchanged::Leave };
        match self.output.put(groups, if_unchanged).await {
            Ok(written) => Outcome::Written(written),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Latest {
    fn refresh(&self) -> Option<&Arc<Refresh>> {
        match self {
            Self::Targets(_) => None,
            Self::Refreshed(refresh) => Some(refresh),
        }
    }

    fn targets(&self) -> &Arc<Vec<TargetGroup>> {
        match self {
            Self::Targets(targets) => targets,
            Self::Refreshed(refresh) => &refresh.targets,
        }
    }
}

/// Returns how many groups of the second, sorted list are new, and how many of the first are gone.
fn difference(old: &Arc<Vec<TargetGroup>>, new: &Arc<Vec<TargetGroup>>) -> (usize, usize) {
    if Arc::ptr_eq(old, new) {
        return (0, 0);
    }
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let (mut added, mut removed) = (0, 0);
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return (added, removed),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            // Most groups are shared by both lists, which only equality is quick to see.
            (Some(old), Some(new)) if old == new => Ordering::Equal,
            (Some(old), Some(new)) => old.cmp(new),
        };
        removed += usize::from(order.is_lt() && old.next().is_some());
        added += usize::from(order.is_gt() && new.next().is_some());
        if order.is_eq() {
            old.next();
            new.next();
        }
    }
}
