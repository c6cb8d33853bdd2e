//! The oracle: what has been true when, and so what must and what may be in the file.
//!
//! * A target *must* be there if it came up before an undisturbed refresh that is known to be published, and is still up.
//!   No fault takes it away from then on.
//! * A target *may* be there as long as it was up at, or after, the start of the last such refresh of its cluster.
//! * In a life that does not scan a cluster, none of its targets may be there once the file has been written.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use simaws::Span;

use crate::groups::Group;
use crate::history::{About, History, Violation};
use crate::refreshes::Refreshes;
use crate::setup::{Scope, Setup};

/// For how long targets that have gone are remembered, if nothing may show them any more.
const REMEMBERED: Duration = Duration::from_secs(120);

/// A target and its life.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) scope: Scope,
    pub(crate) cluster: &'static str,
    pub(crate) task: String,
    pub(crate) group: Group,
    /// It came up between these times.
    pub(crate) up: (Instant, Instant),
    /// It went between these times.
    pub(crate) down: Option<(Instant, Instant)>,
    /// The number of undisturbed refreshes after which it must have gone.
    pub(crate) gone_after: usize,
}

/// The task's ARN and the container's name.
type Key = (String, String);

/// The oracle.
pub(crate) struct Oracle {
    pub(crate) history: History,
    pub(crate) refreshes: Refreshes,
    targets: HashMap<Key, Target>,
    /// The number of calls in each scope that have begun, by operation; and before this life.
    begun: HashMap<(Scope, String), u64>,
    before: HashMap<(Scope, String), u64>,
    /// How many contents were checked.
    pub(crate) checks: u64,
}

impl Oracle {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            history: History::new(),
            refreshes: Refreshes::new(setup),
            targets: HashMap::new(),
            begun: HashMap::new(),
            before: HashMap::new(),
            checks: 0,
        }
    }

    /// Begins a life of the program, after the end of the one before.
    pub(crate) fn begin_life(&mut self, setup: Setup) {
        self.history.add(About::default(), format!("start {setup:?}"));
        self.refreshes.begin_life(setup);
        self.before = self.begun.clone();
    }

    /// Records that a target came up.
    pub(crate) fn came_up(&mut self, target: Target) {
        let key = (target.group.label("task_arn").to_owned(), target.group.label("container_name").to_owned());
        self.targets.insert(key, target);
    }

    /// Records that targets went between these times.
    pub(crate) fn went(&mut self, between: (Instant, Instant), gone_after: usize, which: impl Fn(&Target) -> bool) {
        for target in self.targets.values_mut().filter(|target| target.down.is_none() && which(target)) {
            (target.down, target.gone_after) = (Some(between), gone_after);
        }
    }

    /// Takes the calls that have begun, and those that have ended.
    pub(crate) fn observe<'a>(
        &mut self,
        begun: impl IntoIterator<Item = ((Scope, String), u64)>,
        ended: impl Iterator<Item = &'a Span>,
    ) {
        for (what, count) in begun {
            *self.begun.entry(what).or_default() += count;
        }
        self.refreshes.observe(ended);
    }

    /// Returns how many calls of an operation the program may have counted in this life.
    pub(crate) fn possible(&self, scope: Scope, operation: &str) -> u64 {
        let of = |counts: &HashMap<(Scope, String), u64>| {
            counts.get(&(scope, operation.to_owned())).copied().unwrap_or_default()
        };
        of(&self.begun) - of(&self.before)
    }

    /// Checks what a reader has read between these times.
    pub(crate) fn check(
        &mut self,
        source: &str,
        groups: &[Group],
        (from, to): (Instant, Instant),
    ) -> Result<(), Violation> {
        self.checks += 1;
        let mut seen: BTreeMap<(&str, &str), &Group> = BTreeMap::new();
        for group in groups {
            let key = (group.label("task_arn"), group.label("container_name"));
            if seen.insert(key, group).is_some() {
                return Err(Violation::general(format!("{source}: {} is there twice", describe(group))));
            }
            self.check_present(source, group, (from, to))?;
        }
        let missing = self.targets.iter().find(|((task, container), target)| {
            self.must_be_there(target, from, to) && !seen.contains_key(&(task.as_str(), container.as_str()))
        });
        if let Some((_, target)) = missing {
            let up = self.history.seconds(target.up.1);
            let why = format!("it is up since {up:.3} s, and was learned since");
            let what = format!("{source}: {} is missing: {why}", describe(&target.group));
            return Err(Violation::new(about(target), what));
        }
        self.forget(to);
        Ok(())
    }

    fn check_present(&self, source: &str, group: &Group, (from, to): (Instant, Instant)) -> Result<(), Violation> {
        let key = (group.label("task_arn").to_owned(), group.label("container_name").to_owned());
        let Some(target) = self.targets.get(&key) else {
            let what = format!("{source}: {} was never true, or went long ago", describe(group));
            return Err(Violation::general(what));
        };
        let wrong = |why: String| {
            Err(Violation::new(about(target), format!("{source}: {} is there, but {why}", describe(group))))
        };
        if target.up.0 > to {
            return wrong("was not up yet".to_owned());
        }
        let labels = group.labels.iter().filter(|(name, _)| !name.starts_with("__meta_"));
        if !labels.eq(&target.group.labels) || group.target != target.group.target {
            return wrong(format!("differs from {:?}: {group:?}", target.group));
        }
        if !self.refreshes.setup().selects(target.scope, target.cluster)
            && self.refreshes.has_dropped(target.scope, from)
        {
            return wrong("its cluster is not scanned".to_owned());
        }
        match target.down {
            Some((_, down)) if self.is_over(target, down, from) => {
                wrong(format!("went at {:.3} s, and its cluster was learned since", self.history.seconds(down)))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a target that went by this time may not be read any more at another.
    fn is_over(&self, target: &Target, down: Instant, at: Instant) -> bool {
        let since = self.refreshes.undisturbed(target.scope, target.cluster, at).filter(|one| one.start > down);
        since.count() >= target.gone_after
    }

    fn must_be_there(&self, target: &Target, from: Instant, to: Instant) -> bool {
        let learned = || self.refreshes.undisturbed(target.scope, target.cluster, from).next();
        target.down.is_none_or(|(before, _)| before > to)
            && learned().is_some_and(|refresh| refresh.start > target.up.1)
    }

    /// Forgets targets that went long ago.
    fn forget(&mut self, now: Instant) {
        let mut targets = std::mem::take(&mut self.targets);
        targets.retain(|_, target| {
            let Some((_, down)) = target.down.filter(|(_, down)| now.saturating_duration_since(*down) > REMEMBERED)
            else {
                return true;
            };
            let scanned = self.refreshes.setup().selects(target.scope, target.cluster);
            if scanned { !self.is_over(target, down, now) } else { !self.refreshes.has_dropped(target.scope, now) }
        });
        self.targets = targets;
    }
}

fn about(target: &Target) -> About {
    About::task(target.scope, target.cluster, &target.task)
}

fn describe(group: &Group) -> String {
    format!("{} (container {} of {})", group.target, group.label("container_name"), group.label("task_arn"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refreshes::Disturbs;

    const SCOPE: Scope = Scope(0);
    const CLUSTER: &str = "c-1";

    fn now() -> (Instant, Instant) {
        (Instant::now(), Instant::now())
    }

    /// Returns an oracle that knows of one target, which is up.
    fn oracle() -> (Oracle, Group) {
        let labels = [("task_arn", "task"), ("container_name", "app")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let group = Group { target: "10.0.0.1:9102".to_owned(), labels };
        let mut oracle = Oracle::new(Setup::first());
        oracle.came_up(Target {
            scope: SCOPE,
            cluster: CLUSTER,
            task: "task".to_owned(),
            group: group.clone(),
            up: now(),
            down: None,
            gone_after: 1,
        });
        (oracle, group)
    }

    /// Lets a refresh of the scope begin, which proves that the one before is published.
    fn refresh(oracle: &mut Oracle) {
        let (begun, ended) = now();
        let span = Span {
            operation: "ecs:ListClusters".to_owned(),
            scope: SCOPE.name(),
            begun,
            ended,
            throttled: false,
            access_key: "AKIALIFE-1".to_owned(),
            cluster: None,
            continues: false,
            fault: None,
        };
        oracle.observe([], [span].iter());
    }

    fn is_right(oracle: &mut Oracle, groups: &[Group]) -> bool {
        oracle.check("test", groups, now()).is_ok()
    }

    #[test]
    fn target_must_be_there_once_a_refresh_is_known_to_be_published() {
        let (mut oracle, group) = oracle();
        assert!(is_right(&mut oracle, &[]) && is_right(&mut oracle, std::slice::from_ref(&group)));
        refresh(&mut oracle);
        assert!(is_right(&mut oracle, &[]), "it is not published yet");
        refresh(&mut oracle);
        assert!(!is_right(&mut oracle, &[]) && is_right(&mut oracle, std::slice::from_ref(&group)));
    }

    #[test]
    fn target_that_went_may_stay_until_an_undisturbed_refresh() {
        let (mut oracle, group) = oracle();
        (0..2).for_each(|_| refresh(&mut oracle));
        oracle.went(now(), 1, |_| true);
        let window = oracle.refreshes.begin(Disturbs::calls_of(SCOPE, CLUSTER));
        (0..3).for_each(|_| refresh(&mut oracle));
        oracle.refreshes.end(window);
        assert!(is_right(&mut oracle, std::slice::from_ref(&group)), "its cluster failed");
        (0..3).for_each(|_| refresh(&mut oracle));
        assert!(!is_right(&mut oracle, std::slice::from_ref(&group)) && is_right(&mut oracle, &[]));
    }

    #[test]
    fn fault_of_one_cluster_does_not_excuse_another() {
        let (mut oracle, group) = oracle();
        oracle.went(now(), 1, |_| true);
        oracle.refreshes.begin(Disturbs::calls_of(SCOPE, "c-2"));
        (0..3).for_each(|_| refresh(&mut oracle));
        assert!(!is_right(&mut oracle, std::slice::from_ref(&group)));
    }

    #[test]
    fn wrong_and_unknown_targets_are_found() {
        let (mut oracle, group) = oracle();
        let changed = Group { target: "10.0.0.2:9102".to_owned(), ..group.clone() };
        let mut other = group.clone();
        other.labels.insert("task_arn".to_owned(), "other".to_owned());
        for groups in [&[changed][..], &[other], &[group.clone(), group]] {
            assert!(!is_right(&mut oracle, groups), "{groups:?}");
        }
    }
}
