//! What happened, for the report of a violation.

use std::collections::VecDeque;
use std::time::Instant;

use crate::setup::Scope;

/// The entries that are kept, and those that a report shows.
const KEPT: usize = 20_000;
const SHOWN: usize = 40;

/// What an entry or a violation is about. What is absent is about all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct About {
    pub(crate) scope: Option<Scope>,
    pub(crate) cluster: Option<String>,
    pub(crate) task: Option<String>,
}

impl About {
    pub(crate) fn scope(scope: Scope) -> Self {
        Self { scope: Some(scope), ..Self::default() }
    }

    pub(crate) fn cluster(scope: Scope, cluster: &str) -> Self {
        Self { cluster: Some(cluster.to_owned()), ..Self::scope(scope) }
    }

    pub(crate) fn task(scope: Scope, cluster: &str, task: &str) -> Self {
        Self { task: Some(task.to_owned()), ..Self::cluster(scope, cluster) }
    }

    /// Returns whether an entry about `self` may explain what is about `other`.
    fn concerns(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        // The lives of other tasks explain nothing.
        let task = self.task.is_none() || self.task == other.task;
        task && same(self.scope.as_ref(), other.scope.as_ref()) && same(self.cluster.as_ref(), other.cluster.as_ref())
    }
}

struct Entry {
    at: Instant,
    about: About,
    what: String,
}

/// The latest entries.
pub(crate) struct History {
    start: Instant,
    entries: VecDeque<Entry>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), entries: VecDeque::new() }
    }

    pub(crate) fn add(&mut self, about: About, what: impl Into<String>) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at: Instant::now(), about, what: what.into() });
    }

    /// Returns the seconds since the start.
    pub(crate) fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.start).as_secs_f64()
    }

    /// Returns the latest entries that concern this, oldest first.
    pub(crate) fn about(&self, about: &About) -> String {
        let entries = self.entries.iter().rev().filter(|entry| entry.about.concerns(about)).take(SHOWN);
        let mut lines: Vec<String> = entries.map(|entry| self.line(entry)).collect();
        lines.reverse();
        lines.concat()
    }

    fn line(&self, entry: &Entry) -> String {
        let About { scope, cluster, task } = &entry.about;
        let place = [scope.map(Scope::name), cluster.clone(), task.clone()].into_iter().flatten();
        let place = place.collect::<Vec<_>>().join(" ");
        format!("  {:9.3} s  {place}: {}\n", self.seconds(entry.at), entry.what)
    }
}

/// What must never be.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) about: About,
}

impl Violation {
    pub(crate) fn new(about: About, what: impl Into<String>) -> Self {
        Self { what: what.into(), about }
    }

    /// Returns a violation that is of no place.
    pub(crate) fn general(what: impl Into<String>) -> Self {
        Self::new(About::default(), what)
    }
}
