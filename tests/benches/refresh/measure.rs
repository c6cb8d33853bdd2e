//! Measures the program in a world: cold start, steady refreshes, a change, a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use simaws::{Options, SimAws, Span};

use crate::account::replace_a_hundredth;
use crate::program::{Outcome, Program};
use crate::refreshed::Refreshed;
use crate::targets::{targets, targets_in};
use crate::world::{self, Shape};

/// The call that starts a refresh of a scope and occurs once in it.
const FIRST_CALL: &str = "ecs:ListClusters";

/// A run to measure.
pub(crate) struct Scenario {
    pub(crate) binary: PathBuf,
    pub(crate) shape: Shape,
    /// The number of refreshes before the change, including the first one.
    pub(crate) refreshes: usize,
    pub(crate) interval: Duration,
    pub(crate) latency: Duration,
    /// Additional flags of the program.
    pub(crate) flags: Vec<String>,
}

/// The measurements of a scenario.
pub(crate) struct Measured {
    pub(crate) first: Round,
    pub(crate) steady: Vec<Round>,
    /// The refresh after 1 % of the tasks has changed.
    pub(crate) changed: Round,
    /// The first refresh of a new process in the same directory.
    pub(crate) restarted: Round,
    /// The size of the file in bytes.
    pub(crate) file: u64,
}

/// The measurements of one refresh of all scopes.
pub(crate) struct Round {
    /// The time from the first call to the last publication.
    pub(crate) took: Duration,
    /// How often the file was written.
    pub(crate) writes: usize,
    pub(crate) cpu: Duration,
    /// Resident memory in bytes after the refresh, and its peak until then.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    /// The API calls, ordered by their starts.
    pub(crate) calls: Vec<Span>,
}

impl Round {
    /// Returns the number of calls of each operation.
    pub(crate) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.calls {
            *counts.entry(call.operation.as_str()).or_default() += 1;
        }
        counts
    }

    pub(crate) fn throttled(&self) -> usize {
        self.calls.iter().filter(|call| call.throttled).count()
    }
}

/// Runs a scenario. Fails if a refresh fails or the file does not have the targets of the world.
pub(crate) fn measure(scenario: &Scenario) -> Outcome<Measured> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("ecs_file_sd.yml");
    let aws = SimAws::start_blocking(world::of(scenario.shape))?;
    let scopes = scenario.shape.scopes;
    let mut rounds = run(scenario, &aws, &file, |program| {
        let mut rounds = Vec::new();
        for _ in 0..scenario.refreshes {
            rounds.push(program.refreshed(scopes)?);
        }
        check(&aws, &file)?;
        aws.change(replace_a_hundredth);
        rounds.push(program.refreshed(scopes)?);
        if check(&aws, &file).is_err() {
            // This refresh had started before the change.
            rounds.push(program.refreshed(scopes)?);
            check(&aws, &file)?;
        }
        Ok(rounds)
    })?;
    let mut restarted = run(scenario, &aws, &file, |program| Ok(vec![program.refreshed(scopes)?]))?;
    check(&aws, &file)?;
    let unexpected = aws.unexpected();
    if !unexpected.is_empty() {
        return Err(format!("calls that simaws rejected: {unexpected:?}").into());
    }
    let (Some(changed), Some(restarted)) = (rounds.pop(), restarted.pop()) else { return Err("no refresh".into()) };
    rounds.truncate(scenario.refreshes);
    let (first, steady) = (rounds.remove(0), rounds);
    if steady.iter().any(|round| round.writes > 0) {
        return Err("the file was written although nothing had changed".into());
    }
    Ok(Measured { first, steady, changed, restarted, file: std::fs::metadata(&file)?.len() })
}

/// Runs the program once. The token buckets are full at the start.
fn run(
    scenario: &Scenario,
    aws: &SimAws,
    file: &Path,
    watch: impl FnOnce(&Program) -> Outcome<Vec<Refreshed>>,
) -> Outcome<Vec<Round>> {
    aws.set_options(Options { latency: scenario.latency, quotas: true, ..Options::default() });
    aws.take_calls();
    let interval = format!("-config.scrape-interval={}ms", scenario.interval.as_millis());
    let flags = [&[interval], scenario.shape.flags().as_slice(), &scenario.flags].concat();
    let program = Program::start(&scenario.binary, &aws.url(), file, &flags)?;
    let refreshes = watch(&program)?;
    program.stop()?;
    rounds(refreshes, calls(aws))
}

/// Returns the calls, ordered by their starts, after the simulated AWS has recorded the ends of all.
fn calls(aws: &SimAws) -> Vec<Span> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while aws.calls().spans().len() < aws.calls().total() && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(5));
    }
    let mut calls: Vec<Span> = aws.take_calls().spans().cloned().collect();
    calls.sort_by_key(|call| call.begun);
    calls
}

/// Assigns the calls to the refreshes, of which each scope makes one at a time.
fn rounds(refreshes: Vec<Refreshed>, calls: Vec<Span>) -> Outcome<Vec<Round>> {
    let mut by_refresh: Vec<Vec<Span>> = Vec::new();
    let mut started: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        let of_scope = started.entry(call.scope.clone()).or_default();
        *of_scope += usize::from(call.operation == FIRST_CALL);
        // A session is asked for before the first refresh of its scope.
        let refresh = of_scope.saturating_sub(1);
        by_refresh.resize_with(by_refresh.len().max(refresh + 1), Vec::new);
        by_refresh[refresh].push(call);
    }
    if by_refresh.len() < refreshes.len() {
        return Err(format!("{} refreshes, but {} calls of {FIRST_CALL}", refreshes.len(), by_refresh.len()).into());
    }
    let mut used = Duration::ZERO;
    let rounds = refreshes.into_iter().zip(by_refresh).map(|(Refreshed { published, writes, usage }, calls)| {
        let cpu = usage.cpu.saturating_sub(std::mem::replace(&mut used, usage.cpu));
        let took = calls.first().map_or(Duration::ZERO, |first| published.saturating_duration_since(first.begun));
        Round { took, writes, cpu, resident: usage.resident, peak: usage.peak, calls }
    });
    Ok(rounds.collect())
}

/// Checks that the file has exactly the targets of the world.
fn check(aws: &SimAws, file: &Path) -> Outcome<()> {
    let mut expected = BTreeSet::new();
    // Without a copy of the world, which may be large.
    aws.change(|world| expected = targets(world));
    let found = targets_in(file)?;
    if found == expected {
        return Ok(());
    }
    let (missing, wrong) = (expected.difference(&found).count(), found.difference(&expected).count());
    Err(format!("of {} targets in the file, {missing} are missing and {wrong} are wrong", expected.len()).into())
}
