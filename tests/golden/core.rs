//! Golden worlds through the pure core: no HTTP, no AWS SDK. See `README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and an unreadable world is a failed test"
)]

mod diff;
mod invariants;
mod report;
mod snapshot;
mod world;

use std::process::ExitCode;

use ecs_discovery::cli::{self, Parsed};
use ecs_discovery::config::{Config, MetaLabels};
use ecs_discovery::file_sd::{Format, render};
use ecs_discovery::targets::{Skipped, derive};

use report::Report;
use world::World;

fn main() -> ExitCode {
    world::run("core", check).exit_code()
}

fn check(world: &World, report: &mut Report) {
    let config = config(world);
    let snapshot = snapshot::of(&world.aws, &config.aws);
    let derived = derive(&snapshot, &config.rules);
    assert_eq!(derived.unknown, [], "no AWS call fails in a golden world");

    report.golden(world, "expected.yml", std::str::from_utf8(&render(&derived.groups, Format::Yaml)).unwrap());
    let mut skipped: Vec<String> = derived.skipped.iter().map(line).collect();
    skipped.sort_unstable();
    report.golden(world, "skipped", &skipped.concat());

    let file = world.text("expected.yml").unwrap_or_default();
    let invariants = [
        invariants::of_file(&file, config.rules.meta_labels != MetaLabels::Off),
        invariants::of_skipped(&world.text("skipped").unwrap_or_default()),
        invariants::of_meta_labels(&snapshot, &config.rules),
    ];
    for broken in invariants.into_iter().filter_map(Result::err) {
        report.problem(&broken);
    }
}

/// The configuration that the world's flags give.
fn config(world: &World) -> Config {
    match cli::parse(world.args.clone(), |_| None) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("args: not the flags of a run: {other:?}"),
    }
}

fn line(skipped: &Skipped) -> String {
    format!("{}/{}: {}\n", skipped.task.id(), skipped.container.as_deref().unwrap_or("-"), skipped.reason)
}
