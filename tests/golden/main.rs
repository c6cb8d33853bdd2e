//! Golden worlds: `tests/golden/<a sentence>/` states one row of the contract.
//!
//! | file | holds |
//! |---|---|
//! | `world.json` | what there is in AWS, as simaws reads it |
//! | `args` | the flags, one per line; without the file `-config.cluster=prod` |
//! | `expected.yml` | the exact bytes of the output |
//! | `skipped` | the containers that are no targets, `TASK/CONTAINER: reason`, sorted; `-` for no container |
//! | `calls` | optional: every call the real program makes, `ecs:ListTasks 1` |
//!
//! Each world goes through the pure core, by a conversion of its own ([`snapshot`]), and through the
//! simulated AWS and the real program, twice: with pages as large as AWS's and with pages of one.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` rewrites `expected.yml` and `skipped` as the pure core has
//! them now. They state what the contract says and not what the code does: review each by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and a world that cannot be read is a failed test"
)]

mod difference;
mod generated;
mod invariants;
mod program;
mod properties;
mod snapshot;
mod world;

use ecs_discovery::file_sd::{Format, render};
use ecs_discovery::targets::{Skipped, derive};

use difference::Difference;
use world::World;

#[test]
fn every_world_goes_through_the_pure_core() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let differences: Vec<Difference> = world::all()
        .iter()
        .flat_map(|world| {
            let (yaml, skipped) = derived(world);
            if update {
                world.rewrite(&yaml, &skipped);
                return vec![];
            }
            let yaml = Difference::between(&world.name, "expected.yml", &world.expected, &yaml);
            yaml.into_iter()
                .chain(Difference::between(&world.name, "skipped", &world.skipped, &skipped))
                .collect::<Vec<_>>()
        })
        .collect();
    difference::assert_none(&differences);
}

#[test]
fn every_world_goes_through_the_real_program() {
    let differences = program::on_all_cores(&world::all(), program::differences);
    difference::assert_none(&differences);
}

/// The file and the list of skipped containers that the pure core makes of a world.
fn derived(world: &World) -> (String, String) {
    let config = world.config();
    let derived = derive(&snapshot::of(&world.aws, &config.aws.clusters), &config.rules);
    assert_eq!(derived.unknown, [], "{}: a golden world has no failures", world.name);
    let mut lines: Vec<String> = derived.skipped.iter().map(line).collect();
    lines.sort_unstable();
    (String::from_utf8(render(&derived.groups, Format::Yaml)).unwrap(), lines.concat())
}

fn line(skipped: &Skipped) -> String {
    format!("{}/{}: {}\n", skipped.task.id(), skipped.container.as_deref().unwrap_or("-"), skipped.reason)
}
