//! Benchmarks refreshes of the real program against the simulated AWS with its quotas.
//!
//! | module | purpose |
//! |---|---|
//! | [`entry`] | whole or in the short form |
//! | [`world`] | the world of a benchmark |
//! | [`account`] | the flags for it, and a change of it |
//! | [`targets`] | its expected targets |
//! | [`program`], [`refreshed`] | the program as a child process; its refreshes and its resource usage |
//! | [`measure`] | a scenario from a cold start to a restart |
//! | [`table`], [`waterfall`] | the output |
//!
//! `cargo test` runs a short form: two small worlds, whose API calls and files are checked.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod account;
#[path = "../entry.rs"]
mod entry;
mod measure;
#[path = "../program.rs"]
mod program;
mod refreshed;
mod table;
#[path = "../targets.rs"]
mod targets;
mod waterfall;
#[path = "../world.rs"]
mod world;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use measure::{Measured, Round, Scenario, measure};
use program::{Outcome, binary};
use world::Shape;

const USAGE: &str =
    "cargo bench -p benches --bench refresh [-- [TASKS...] [--definitions N] [--clusters N] [--tenths-on-ec2 N]
    [--scopes N] [--refreshes N] [--interval SECONDS] [-FLAG...]]
With --scopes, each scope has TASKS tasks, and 12 definitions per 100 tasks. A FLAG is one of ecs-discovery's, such as
-config.meta-labels.";

fn main() -> ExitCode {
    entry::start("refresh", benchmark, short_form)
}

fn benchmark(arguments: &[String]) -> Outcome<()> {
    for scenario in scenarios(arguments)? {
        let measured = measure(&scenario)?;
        println!("\n{}", table::table(&scenario, &measured)?);
        let steady = measured.steady.last().unwrap_or(&measured.first);
        for (name, round) in [
            ("First refresh", &measured.first),
            ("Steady refresh", steady),
            ("First refresh after a restart", &measured.restarted),
        ] {
            println!("{name}:\n{}", waterfall::waterfall(&round.calls));
        }
        println!("{}", overhead_of_simaws(&measured, scenario.latency));
    }
    Ok(())
}

/// Reports how much time the simulated AWS takes itself.
fn overhead_of_simaws(measured: &Measured, latency: Duration) -> String {
    let calls = &measured.first.calls;
    let whole: Duration = calls.iter().map(|call| call.ended - call.begun).sum();
    let mean = whole.as_secs_f64() / calls.len().max(1) as f64;
    let beyond = 1000.0 * (mean - latency.as_secs_f64());
    format!("Mean overhead of the simulated AWS: {beyond:.1} ms per call.")
}

fn scenarios(arguments: &[String]) -> Outcome<Vec<Scenario>> {
    let (mut sizes, mut refreshes, mut interval, mut flags) = (Vec::new(), 20, None, Vec::new());
    let (mut definitions, mut clusters, mut tenths_on_ec2, mut scopes) = (None, None, None, None);
    let mut given = arguments.iter();
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--bench" => {}
            "--definitions" => definitions = Some(value()?.parse()?),
            "--clusters" => clusters = Some(value()?.parse()?),
            "--tenths-on-ec2" => tenths_on_ec2 = Some(value()?.parse()?),
            "--scopes" => scopes = Some(value()?.parse()?),
            "--refreshes" => refreshes = value()?.parse()?,
            "--interval" => interval = Some(Duration::from_secs_f64(value()?.parse()?)),
            other if other.starts_with("--") => return Err(USAGE.into()),
            flag if flag.starts_with('-') => flags.push(flag.to_owned()),
            size => sizes.push(size.parse().map_err(|_| format!("invalid number of tasks {size:?}\n{USAGE}"))?),
        }
    }
    if sizes.is_empty() {
        sizes = vec![100, 1_000, 10_000];
    }
    let shape = |tasks| {
        let usual = scopes.map_or_else(|| Shape::usual(tasks), |scopes| Shape::organisation(scopes, tasks));
        Shape {
            definitions: definitions.unwrap_or(usual.definitions),
            clusters: clusters.unwrap_or(usual.clusters),
            tenths_on_ec2: tenths_on_ec2.unwrap_or(usual.tenths_on_ec2),
            ..usual
        }
    };
    let binary = binary()?;
    let scenario = |tasks: usize| Scenario {
        binary: binary.clone(),
        shape: shape(tasks),
        refreshes,
        interval: interval.unwrap_or_else(|| usual_interval(shape(tasks))),
        latency: Duration::from_millis(15),
        flags: flags.clone(),
    };
    Ok(sizes.into_iter().map(scenario).collect())
}

/// Returns the interval after which AWS's token buckets are full again when a refresh lists and describes every task,
/// at 20 requests per second. The default interval of a minute is longer for up to 58,000 tasks.
fn refill_interval(tasks: usize) -> Duration {
    Duration::from_secs_f64(2.0 + tasks as f64 * 2.0 / 100.0 / 20.0)
}

/// Returns the interval that is used unless one is given. With several scopes, all first refreshes must end in the same
/// one, or else the scopes are not refreshed together: they end when the quotas permit, each a little later.
fn usual_interval(shape: Shape) -> Duration {
    let first = Duration::from_secs_f64(2.0 * shape.definitions as f64 / 20.0);
    let refill = refill_interval(shape.tasks);
    if shape.scopes > 1 { refill.max(first) } else { refill }
}

/// Checks that the benchmark works, and the exact API calls in small worlds.
fn short_form() -> Outcome<()> {
    short_form_of_one_scope()?;
    short_form_of_several_scopes()
}

fn short(shape: Shape, interval: u64) -> Outcome<Scenario> {
    let (interval, latency) = (Duration::from_secs(interval), Duration::from_millis(1));
    Ok(Scenario { binary: binary()?, shape, refreshes: 4, interval, latency, flags: Vec::new() })
}

fn short_form_of_one_scope() -> Outcome<()> {
    let scenario = short(Shape::usual(300), 1)?;
    let measured = measure(&scenario)?;
    // The clusters have 151, 90 and 59 tasks: four pages or batches of up to 100. A later refresh describes only a
    // tenth of the largest cluster again, which makes three batches.
    let listing = [("ecs:ListClusters", 1), ("ecs:ListTasks", 4)];
    let machines = [("ecs:DescribeContainerInstances", 3), ("ec2:DescribeInstances", 1)];
    let cold = [("ecs:DescribeTasks", 4), ("ecs:DescribeTaskDefinition", 18)];
    first_refresh(&measured.first, &[listing, machines, cold].concat())?;
    for steady in &measured.steady {
        exactly("steady", steady, &[&listing[..], &[("ecs:DescribeTasks", 3)]].concat())?;
    }
    let new_revision = [("ecs:DescribeTasks", 3), ("ecs:DescribeTaskDefinition", 1)];
    at_most("changed", &measured.changed, &[listing, new_revision].concat())?;
    // Up to forty entries of each kind that the cache file restored are verified. The new revision is not in it if the
    // program was stopped before it was written.
    let verified = [("ecs:DescribeTaskDefinition", 18 + 1), ("ecs:DescribeContainerInstances", 3)];
    let kept = [("ecs:DescribeTasks", 4), ("ec2:DescribeInstances", 1)];
    at_most("restarted", &measured.restarted, &[&listing[..], &kept, &verified].concat())?;
    println!("{}{}", table::table(&scenario, &measured)?, waterfall::waterfall(&measured.first.calls));
    Ok(())
}

/// In six scopes, three regions of two accounts, everything is asked for six times, but one role is assumed once.
fn short_form_of_several_scopes() -> Outcome<()> {
    const SCOPES: usize = 6;
    let scenario = short(Shape::organisation(SCOPES, 300), 5)?;
    let measured = measure(&scenario)?;
    let times = |calls: &[(&'static str, usize)]| -> Vec<_> {
        calls.iter().map(|(operation, count)| (*operation, count * SCOPES)).collect()
    };
    let listing = [("ecs:ListClusters", 1), ("ecs:ListTasks", 4)];
    let machines = [("ecs:DescribeContainerInstances", 3), ("ec2:DescribeInstances", 1)];
    let cold = [("ecs:DescribeTasks", 4), ("ecs:DescribeTaskDefinition", 36)];
    let role = ("sts:AssumeRole", 1);
    first_refresh(&measured.first, &[times(&[&listing[..], &machines, &cold].concat()), vec![role]].concat())?;
    for steady in &measured.steady {
        exactly("steady", steady, &times(&[&listing[..], &[("ecs:DescribeTasks", 3)]].concat()))?;
    }
    let new_revision = [("ecs:DescribeTasks", 3), ("ecs:DescribeTaskDefinition", 1)];
    at_most("changed", &measured.changed, &times(&[listing, new_revision].concat()))?;
    let verified = [("ecs:DescribeTaskDefinition", 36 + 1), ("ecs:DescribeContainerInstances", 3)];
    let kept = [("ecs:DescribeTasks", 4), ("ec2:DescribeInstances", 1)];
    let restarted = times(&[&listing[..], &kept, &verified].concat());
    at_most("restarted", &measured.restarted, &[restarted, vec![role]].concat())?;
    println!("{}", table::table(&scenario, &measured)?);
    Ok(())
}

/// Checks that a first refresh made exactly these calls. If it took longer than half a second, as on a busy machine,
/// hosts have also been looked up in the middle of it, for the targets that were published then.
fn first_refresh(round: &Round, budget: &[(&str, usize)]) -> Outcome<()> {
    const HOSTS: [&str; 2] = ["ecs:DescribeContainerInstances", "ec2:DescribeInstances"];
    if round.took < Duration::from_millis(450) {
        return exactly("first", round, budget);
    }
    let counts = round.counts();
    let actual = |operation: &str| counts.get(operation).copied().unwrap_or(0);
    let as_budgeted = |(operation, count): &(&str, usize)| match actual(operation) {
        more if HOSTS.contains(operation) => more >= *count,
        same => same == *count,
    };
    if budget.iter().all(as_budgeted) { Ok(()) } else { Err(differs("first", round, budget)) }
}

/// Checks that a refresh made exactly these calls, and that none was throttled.
fn exactly(name: &str, round: &Round, budget: &[(&str, usize)]) -> Outcome<()> {
    at_most(name, round, budget)?;
    let budgeted: usize = budget.iter().map(|(_, count)| count).sum();
    if round.calls.len() == budgeted { Ok(()) } else { Err(differs(name, round, budget)) }
}

/// Checks that a refresh made at most these calls, and that none was throttled.
fn at_most(name: &str, round: &Round, budget: &[(&str, usize)]) -> Outcome<()> {
    let allowed: BTreeMap<&str, usize> = budget.iter().copied().collect();
    let within = |(operation, count): (&&str, &usize)| *count <= allowed.get(operation).copied().unwrap_or(0);
    if round.counts().iter().all(within) && round.throttled() == 0 { Ok(()) } else { Err(differs(name, round, budget)) }
}

fn differs(name: &str, round: &Round, budget: &[(&str, usize)]) -> Box<dyn Error> {
    let (counts, throttled) = (round.counts(), round.throttled());
    format!("{name} refresh: {counts:?}, {throttled} throttled; expected {budget:?}").into()
}
