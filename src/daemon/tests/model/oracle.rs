//! What must be published, from two sides that know nothing of how the program works.
//!
//! * *What the program was told.* The last word about each task decides, and no word changes nothing. So nothing that is
//!   known is missing, and nothing is there that AWS did not name.
//! * *What is true.* If nothing has been broken for an interval, whatever has not changed meanwhile is published as it is.
//!   A change that an event told of, or without events one that the watch waited for, is published within seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::INTERVAL;
use super::process::Seen;
use super::world::{Place, SCOPES, Stage, World};
use crate::inventory::TaskArn;

/// Within what time all that follows from a response is done. The clock stands still while the program works.
pub(super) const SETTLED: Duration = Duration::from_millis(5);

/// The promise of the refreshes: an interval, and the time that a refresh takes.
pub(super) const PROMISE: Duration = Duration::from_secs(INTERVAL.as_secs() + 2);

/// The promise of the events and of the watch.
const PROMPT: Duration = Duration::from_secs(6);

/// For how long after a fault the program may pause before it asks the queue, or looks at pending tasks, again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// For how long a pending task is watched closely, and for how many looks the watch has no need to slow down.
const CLOSELY: Duration = Duration::from_secs(110);
const MOST_LOOKS: usize = 100;

/// What a response says of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Up,
    Pending,
    Down,
    Nothing,
}

/// What a response does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// There is no such cluster, which was asked for by its name.
    Cluster(Place),
    /// A call failed.
    Other,
}

/// What a refresh or a look learned.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) tasks: BTreeMap<TaskArn, Said>,
    /// The clusters that have no other tasks.
    pub(super) whole: BTreeSet<Place>,
    /// Those of them that exist.
    pub(super) read: BTreeSet<Place>,
    pub(super) lacks: BTreeSet<Lack>,
}

/// A change that must be published soon, unless another follows.
struct Due {
    at: Instant,
    task: TaskArn,
    version: u64,
    since: Instant,
}

/// Compares what one process publishes with what it must publish.
pub(super) struct Oracle {
    /// The scopes of the process.
    configured: [bool; SCOPES],
    /// The targets in the file at the start, until the process was told anything; and whether there was a file.
    restored: Option<BTreeSet<TaskArn>>,
    had_file: bool,
    /// The targets of each scope, by the last word about each.
    known: [BTreeSet<TaskArn>; SCOPES],
    /// What the last refresh of each scope read, and what it lacked.
    read: [Option<BTreeSet<Place>>; SCOPES],
    lacks: [BTreeSet<Lack>; SCOPES],
    /// Whether everything has been known at some time.
    was_complete: bool,
    started: Instant,
    /// When the process was last told anything.
    told: Instant,
    /// Since when it knows that these tasks are pending.
    pending: BTreeMap<TaskArn, Instant>,
    /// The number of looks at each scope.
    pub(super) looks: [usize; SCOPES],
    due: Vec<Due>,
    last: Seen,
}

impl Oracle {
    /// Expects a new process to publish what the file has.
    pub(super) fn new(configured: [bool; SCOPES], seen: Seen, world: &World) -> Self {
        let restored = seen.tasks();
        let of_scope = |scope: usize| {
            let is_of = |arn: &&TaskArn| configured[scope] && world.lives[*arn].place.scope == scope;
            restored.iter().filter(is_of).cloned().collect()
        };
        let now = Instant::now();
        Self {
            configured,
            known: std::array::from_fn(of_scope),
            had_file: seen.file.is_some(),
            restored: Some(restored),
            read: Default::default(),
            lacks: Default::default(),
            was_complete: false,
            started: now,
            told: now,
            pending: BTreeMap::new(),
            looks: Default::default(),
            due: Vec::new(),
            last: seen,
        }
    }

    /// Records what was told in the middle of a refresh: only what is up.
    pub(super) fn told_in_part(&mut self, scope: usize, answer: &Answer) {
        let up = answer.tasks.iter().filter(|(_, said)| **said == Said::Up);
        self.known[scope].extend(up.map(|(arn, _)| arn.clone()));
        (self.restored, self.told) = (None, Instant::now());
    }

    /// Records what a look told.
    pub(super) fn told_of_some(&mut self, scope: usize, answer: Answer, world: &World) {
        self.told_in_part(scope, &answer);
        self.known[scope].retain(|arn| match answer.tasks.get(arn) {
            Some(said) => matches!(said, Said::Up | Said::Nothing),
            None => !answer.whole.contains(&world.lives[arn].place),
        });
        for (arn, said) in answer.tasks {
            match said {
                Said::Pending => self.pending.entry(arn).or_insert(self.told),
                _ => continue,
            };
        }
        self.lacks[scope].extend(answer.lacks);
        self.was_complete |= self.is_complete(world);
    }

    /// Records what a refresh told.
    pub(super) fn told(&mut self, scope: usize, mut answer: Answer, world: &World) {
        self.lacks[scope].clear();
        self.read[scope] = Some(std::mem::take(&mut answer.read));
        self.told_of_some(scope, answer, world);
    }

    /// Returns whether everything is known. A name is of no cluster in one scope if it is of one in another.
    fn is_complete(&self, world: &World) -> bool {
        let scopes = || (0..SCOPES).filter(|scope| self.configured[*scope]);
        let elsewhere = |place: &Place| {
            let read = scopes().filter_map(|scope| self.read[scope].as_ref()).flatten();
            let is_kept = self.known[place.scope].iter().any(|arn| world.lives[arn].place == *place);
            !is_kept && read.into_iter().any(|read| read.cluster == place.cluster)
        };
        let is_excused = |lack: &Lack| matches!(lack, Lack::Cluster(place) if elsewhere(place));
        scopes().all(|scope| self.read[scope].is_some() && self.lacks[scope].iter().all(is_excused))
    }

    /// Records a change of a task, of which an event told or not.
    pub(super) fn changed(&mut self, task: &TaskArn, told: bool, world: &World) {
        let (life, now) = (&world.lives[task], Instant::now());
        let scope = life.place.scope;
        let is_scanned = self.read[scope].as_ref().is_some_and(|read| read.contains(&life.place));
        let by_event = told && world.events && is_scanned && life.stage != Stage::Pending;
        let is_watched = self.pending.get(task).is_some_and(|since| now - *since < CLOSELY);
        // Where events tell of changes, a change of which none tells is left to the refreshes.
        let by_watch = !world.events && is_watched && self.looks[scope] < MOST_LOOKS && life.stage == Stage::Running;
        if self.configured[scope] && (by_event || by_watch) {
            self.due.push(Due { at: now + PROMPT, task: task.clone(), version: life.version, since: now });
        }
    }

    /// Returns when a check is needed even if the process is told nothing.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Compares what is seen with what is expected. Returns the difference.
    pub(super) fn check(&mut self, world: &World, seen: Seen) -> Result<(), String> {
        let now = Instant::now();
        self.check_path(&seen)?;
        for (arn, address) in &seen.targets {
            let expected = world.lives.get(arn).map(|life| format!("{}:9102", life.address));
            ensure(expected.as_ref() == Some(address), || format!("{arn} has the address {address}"))?;
        }
        if now - self.told >= SETTLED {
            self.check_told(world, &seen)?;
            self.check_truth(world, &seen, now)?;
        }
        self.last = seen;
        Ok(())
    }

    /// The file and `/targets` agree, and only a publication changes them.
    fn check_path(&self, seen: &Seen) -> Result<(), String> {
        let (last, [targets, publications]) = (&self.last, seen.versions);
        let file = if seen.written { &seen.targets } else { last.file.as_ref().unwrap_or(&last.targets) };
        let found = seen.file.as_ref();
        ensure(found.is_some() || file.is_empty() || !seen.written, || "no file".into())?;
        ensure(found.is_none_or(|found| found == file), || format!("the file has {found:?} and not {file:?}"))?;
        ensure(last.file.is_none() || found.is_some(), || "the file has gone".into())?;
        let [targets_before, publications_before] = last.versions;
        ensure(targets >= targets_before && publications >= publications_before, || "an older version".into())?;
        let (is_same, is_changed) = (last.targets == seen.targets, targets != targets_before);
        ensure(is_same || is_changed, || "other targets in the same version".into())?;
        ensure(!is_changed || publications != publications_before, || "changed without a publication".into())
    }

    /// What the process was told is published, no more and no less.
    fn check_told(&self, world: &World, seen: &Seen) -> Result<(), String> {
        let known = || self.known.iter().flatten().cloned().collect();
        let expected: BTreeSet<TaskArn> = self.restored.clone().unwrap_or_else(known);
        let published = seen.tasks();
        let missing: Vec<_> = expected.difference(&published).collect();
        ensure(missing.is_empty(), || format!("known and not published: {missing:?}"))?;
        let extra: Vec<_> = published.difference(&expected).collect();
        ensure(extra.is_empty(), || format!("published and not known: {extra:?}"))?;
        let complete = self.is_complete(world);
        ensure(seen.complete.is_none_or(|seen| seen == complete), || format!("not complete: {}", !complete))?;
        ensure(!seen.ready || self.had_file || self.was_complete, || "ready too early".into())?;
        ensure(seen.ready || !seen.written || !complete, || "complete and not ready".into())?;
        let is_first = self.last.file.is_none() && seen.file.as_ref().is_some_and(BTreeMap::is_empty);
        ensure(!is_first || self.was_complete, || "an empty file before everything is known".into())
    }

    /// What is true is published, unless it is too new or something is broken.
    fn check_truth(&mut self, world: &World, seen: &Seen, now: Instant) -> Result<(), String> {
        let calm_at = |time: Instant| world.calm.is_some_and(|since| since <= time);
        let must_be = |arn: &TaskArn| self.configured[world.lives[arn].place.scope] && world.is_up(arn);
        let check = |arn: &TaskArn, what: &str| {
            let (is, must) = (seen.targets.contains_key(arn), must_be(arn));
            ensure(is == must, || format!("{arn}: {what}: published: {is}, up: {must}"))
        };
        let before = now - PROMISE;
        if self.started <= before && calm_at(before) {
            ensure(seen.written, || "nothing written in an interval".into())?;
            let settled = world.lives.iter().filter(|(_, life)| life.changed <= before);
            settled.map(|(arn, _)| arn).try_for_each(|arn| check(arn, "for an interval"))?;
        }
        for due in self.due.extract_if(.., |due| due.at <= now) {
            if world.lives[&due.task].version == due.version && calm_at(due.since - LONGEST_PAUSE) {
                check(&due.task, "soon after its event or a look")?;
            }
        }
        Ok(())
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
