//! Golden worlds through simaws and the real program. See `README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and an unreadable world is a failed test"
)]

mod diff;
mod report;
mod world;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use simaws::{Options, SimAws};

use report::Report;
use world::World;

fn main() -> ExitCode {
    world::run("program", check).exit_code()
}

fn check(world: &World, report: &mut Report) {
    let aws = SimAws::start_blocking(world.aws.clone()).unwrap();
    refresh_once(world, &aws, "expected.yml", report);
    let calls = aws.take_calls();
    if world.text("calls").is_some() {
        report.golden(world, "calls", &(calls.to_string().replace(", ", "\n") + "\n"));
    }

    aws.set_options(Options { page_size: Some(1), ..Options::default() });
    refresh_once(world, &aws, "expected.yml with one item per page", report);
    report.compare("calls that simaws rejected", "", &aws.unexpected().join("\n"));
}

/// Runs the program for one refresh and compares its file with the expected one.
fn refresh_once(world: &World, aws: &SimAws, what: &str, report: &mut Report) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("ecs_file_sd.yml");
    let output = program(world, aws, &file).output().unwrap();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        report.problem(&format!("{what}: the program failed, {}\n{stderr}", output.status));
    }
    let got = fs::read_to_string(&file).unwrap_or_else(|error| format!("no file: {error}\n"));
    report.compare(what, &world.text("expected.yml").unwrap_or_default(), &got);
}

/// The program, without the profile, proxy or region of whoever runs the tests.
fn program(world: &World, aws: &SimAws, file: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ecs-discovery"));
    program.env_clear().envs([
        ("AWS_ACCESS_KEY_ID", "AKIDGOLDEN"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", world.aws.region.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", aws.url().as_str()),
    ]);
    program.args(&world.args).args(["-config.scrape-times=1", "-config.write-to"]).arg(file);
    program
}
