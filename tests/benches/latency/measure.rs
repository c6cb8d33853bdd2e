//! Measures one configuration under a load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use simaws::{Options, SimAws};

use crate::configuration::Configuration;
use crate::file::Watched;
use crate::load::{Load, Replaced, start};
use crate::program::{Outcome, Program, entry};
use crate::targets::targets;
use crate::world::{self, Shape};

/// The name of the queue of events.
const QUEUE: &str = "tasks";

/// Only a failing benchmark waits this long for the first refresh, or for the last change to be noticed.
const DEADLINE: Duration = Duration::from_secs(120);

/// A configuration under a load.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) configuration: Configuration,
    pub(crate) shape: Shape,
    pub(crate) load: Load,
    pub(crate) latency: Duration,
}

/// The measurements of a run, sorted.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    /// The times until tasks that run on Fargate, and on EC2, were in the file.
    pub(crate) fargate: Vec<Duration>,
    pub(crate) ec2: Vec<Duration>,
    /// The times until tasks that were to stop were out of the file.
    pub(crate) stopped: Vec<Duration>,
    /// The calls while tasks were created, and until every change was noticed.
    pub(crate) while_creating: Calls,
    pub(crate) all: Calls,
}

/// The calls of some time.
pub(crate) struct Calls {
    pub(crate) counts: BTreeMap<String, usize>,
    pub(crate) throttled: usize,
    pub(crate) seconds: f64,
}

impl Calls {
    fn between(calls: &simaws::Calls, begin: Instant, end: Instant) -> Self {
        let (mut counts, mut throttled) = (BTreeMap::new(), 0);
        for call in calls.spans().filter(|call| (begin..end).contains(&call.begun)) {
            *counts.entry(call.operation.clone()).or_default() += 1;
            throttled += usize::from(call.throttled);
        }
        Self { counts, throttled, seconds: (end - begin).as_secs_f64() }
    }

    /// Returns the number of calls of an operation.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.counts.get(operation).copied().unwrap_or(0)
    }

    /// Returns the calls of a service per second.
    pub(crate) fn rate(&self, service: &str) -> f64 {
        let calls = self.counts.iter().filter(|(operation, _)| operation.starts_with(service));
        calls.map(|(_, count)| *count).sum::<usize>() as f64 / self.seconds
    }
}

/// Runs the program under the load. Fails if it loses a target, or logs a warning.
pub(crate) fn measure(binary: &Path, run: &Run) -> Outcome<Measured> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("ecs_file_sd.yml");
    let aws = SimAws::start_blocking(world::of(run.shape))?;
    aws.set_options(Options { latency: run.latency, quotas: true, ..Options::default() });
    let before = aws.change(|world| targets(world));
    let flags = run.configuration.flags(&aws.queue(QUEUE));
    let program = Program::start(binary, &aws.url(), &path, &flags)?;
    let mut file = Watched::new(&path);
    file.wait_until("all targets", Instant::now() + DEADLINE, |file| file.targets == before)?;

    let begun = Instant::now();
    let replaced = start(&aws, &run.load, QUEUE).ok_or("there are too few tasks to replace")?;
    let end = begun + run.load.over;
    let last = replaced.iter().map(|one| one.old.1).max().unwrap_or(end).max(end);
    let expected = expected(before, &replaced);
    let is_over = |file: &Watched| Instant::now() > last && file.targets == expected;
    file.wait_until("every change is in the file", last + DEADLINE, is_over)?;
    let noticed = Instant::now();
    for (_, line) in program.log.try_iter() {
        entry(&line)?;
    }
    program.stop()?;

    let calls = aws.take_calls();
    let unexpected = aws.unexpected();
    if !unexpected.is_empty() {
        return Err(format!("calls that simaws rejected: {unexpected:?}").into());
    }
    let came = |on_ec2: bool| {
        let those = replaced.iter().filter(|one| one.on_ec2 == on_ec2);
        times(those.map(|one| (file.came.get(&one.new.0), one.new.1)))
    };
    Ok(Measured {
        name: run.configuration.name,
        fargate: came(false)?,
        ec2: came(true)?,
        stopped: times(replaced.iter().map(|one| (file.left.get(&one.old.0), one.old.1)))?,
        while_creating: Calls::between(&calls, begun, end),
        all: Calls::between(&calls, begun, noticed),
    })
}

/// Returns the targets after the load.
fn expected(mut targets: BTreeSet<String>, replaced: &[Replaced]) -> BTreeSet<String> {
    for Replaced { new, old, .. } in replaced {
        targets.remove(&old.0);
        targets.insert(new.0.clone());
    }
    targets
}

/// Returns the sorted times from changes to when they were noticed.
fn times<'a>(changes: impl Iterator<Item = (Option<&'a Instant>, Instant)>) -> Outcome<Vec<Duration>> {
    let time = |(noticed, happened): (Option<&Instant>, Instant)| noticed?.checked_duration_since(happened);
    let mut times = changes.map(time).collect::<Option<Vec<_>>>().ok_or("a change was noticed before it happened")?;
    times.sort_unstable();
    Ok(times)
}
