//! Benchmarks how soon the real program notices tasks that start and stop, against the simulated AWS with its quotas.
//!
//! | module | purpose |
//! |---|---|
//! | [`entry`] | whole or in the short form |
//! | [`world`], [`targets`] | the fleet at the start, and its targets |
//! | [`load`] | tasks that are replaced, each with a life of its own |
//! | [`configuration`] | the flags to compare |
//! | [`program`], [`file`] | the program as a child process; when its file changes |
//! | [`measure`] | one configuration under a load |
//! | [`first_start`] | a start without a file |
//! | [`table`] | the output |
//!
//! `cargo test` runs a short form with shorter lives, which checks that everything is found with few calls, and no times.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod configuration;
#[path = "../entry.rs"]
mod entry;
mod file;
mod first_start;
mod load;
mod measure;
#[path = "../program.rs"]
mod program;
mod table;
#[path = "../targets.rs"]
mod targets;
#[path = "../world.rs"]
mod world;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use configuration::Configuration;
use load::Load;
use measure::{Measured, Run, measure};
use program::{Outcome, binary};
use world::Shape;

const USAGE: &str =
    "cargo bench -p benches --bench latency [-- [loads] [first-start] [--tasks N] [--clusters N] [--starts N] [--over SECONDS]]
--tasks is for both, and by default 900 for loads and 10,000 for the first start.";

/// The latency of the simulated AWS.
const LATENCY: Duration = Duration::from_millis(15);

fn main() -> ExitCode {
    entry::start("latency", benchmark, short_form)
}

fn benchmark(arguments: &[String]) -> Outcome<()> {
    let (mut tasks, mut clusters, mut starts, mut over, mut parts) = (None, None, 200, 210, Vec::new());
    let mut given = arguments.iter();
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--bench" => {}
            "--tasks" => tasks = Some(value()?.parse()?),
            "--clusters" => clusters = Some(value()?.parse()?),
            "--starts" => starts = value()?.parse()?,
            "--over" => over = value()?.parse()?,
            "loads" | "first-start" => parts.push(argument.as_str()),
            _ => return Err(USAGE.into()),
        }
    }
    let shape = |tasks| {
        let usual = Shape::usual(tasks);
        Shape { clusters: clusters.unwrap_or(usual.clusters), ..usual }
    };
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    if wanted("loads") {
        loads(shape(tasks.unwrap_or(900)), Load::of(starts, Duration::from_secs(over)))?;
    }
    if wanted("first-start") {
        for skewed in [true, false] {
            let shape = Shape { skewed, ..shape(tasks.unwrap_or(10_000)) };
            println!("{}", table::of_first_start(shape, &first_start::measure(shape, LATENCY)?));
        }
    }
    Ok(())
}

/// Measures every configuration under two loads, all at once: they mostly wait.
fn loads(shape: Shape, many: Load) -> Outcome<()> {
    let few = Load::a_hundredth_a_minute(shape.tasks);
    let runs =
        |load: Load| Configuration::ALL.map(|configuration| Run { configuration, shape, load, latency: LATENCY });
    let measured = measure_all(&[runs(many), runs(few)].concat())?;
    let (many, few) = measured.split_at(Configuration::ALL.len());
    println!("{}", table::of_loads(shape, many, few));
    Ok(())
}

/// Measures concurrently.
fn measure_all(runs: &[Run]) -> Outcome<Vec<Measured>> {
    let binary = binary()?;
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            runs.iter().map(|run| scope.spawn(|| measure(&binary, run).map_err(|error| error.to_string()))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let results = results.into_iter().map(|result| result.unwrap_or_else(|_| Err("a run panicked".to_owned())));
    let named =
        results.zip(runs).map(|(result, run)| result.map_err(|error| format!("{}: {error}", run.configuration.name)));
    Ok(named.collect::<Result<_, _>>()?)
}

/// Checks that every start and stop is noticed, with no more calls than the triggers explain.
fn short_form() -> Outcome<()> {
    const STARTS: usize = 10;
    let shape = Shape::usual(60);
    let load = Load::shortened(STARTS);
    let configurations = [
        Configuration { name: "without watch", interval: "2s", watch: false, events: false },
        Configuration { name: "watch", interval: "5s", watch: true, events: false },
        Configuration { name: "events", interval: "5m", watch: true, events: true },
    ];
    let latency = Duration::from_millis(1);
    let measured = measure_all(&configurations.map(|configuration| Run { configuration, shape, load, latency }))?;
    for (of, measured) in configurations.iter().zip(&measured) {
        let calls = &measured.all;
        let (refreshes, described) = (calls.count("ecs:ListClusters"), calls.count("ecs:DescribeTasks"));
        // Every cluster has up to 100 tasks. The watch makes a call a second at most, and an event leads to one, or to
        // two if AWS described an older version.
        let allowed = match of {
            Configuration { events: true, .. } => 2 * 2 * STARTS,
            Configuration { watch: true, .. } => (refreshes + 1) * shape.clusters + calls.seconds.ceil() as usize + 1,
            // The first of them may have begun before.
            _ => (refreshes + 1) * shape.clusters,
        };
        if described > allowed || (of.events && refreshes > 0) || calls.throttled > 0 {
            let counts = &calls.counts;
            return Err(format!("{}: {allowed} calls of DescribeTasks allowed, but {counts:?}", of.name).into());
        }
    }
    println!("{}", table::of_loads(shape, &measured, &[]));
    let shape = Shape { skewed: true, ..Shape::usual(300) };
    println!("{}", table::of_first_start(shape, &first_start::measure(shape, latency)?));
    Ok(())
}
