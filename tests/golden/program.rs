//! Golden worlds through the simulated AWS and the real program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use simaws::{Calls, Options, SimAws};

use super::difference::Difference;
use super::world::World;

/// What the real program makes of a world that it should not.
pub(crate) fn differences(world: &World) -> Vec<Difference> {
    let aws = SimAws::start_blocking(world.aws.clone()).unwrap();
    let whole = run(world, &aws, "expected.yml from the program");
    let calls = world
        .calls
        .as_ref()
        .and_then(|calls| Difference::between(&world.name, "calls", &sorted(calls), &shown(&aws.take_calls())));
    aws.set_options(Options { page_size: Some(1), ..Options::default() });
    let paged = run(world, &aws, "expected.yml from the program with pages of one");
    let unexpected = Difference::between(&world.name, "calls AWS has no use for", "", &aws.unexpected().join("\n"));
    [whole, calls, paged, unexpected].into_iter().flatten().collect()
}

/// One refresh of the real program, compared with what the world expects.
fn run(world: &World, aws: &SimAws, what: &str) -> Option<Difference> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("ecs_file_sd.yml");
    let output = program(world, aws, &file).output().unwrap();
    let got = fs::read_to_string(&file).unwrap_or_else(|error| format!("no file: {error}\n"));
    if output.status.success() {
        return Difference::between(&world.name, what, &world.expected, &got);
    }
    Difference::between(&world.name, what, &world.expected, &format!("{got}{}", told(&output)))
}

/// The program in an environment of ours alone: no profile, proxy or region of who runs the tests.
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

fn told(output: &Output) -> String {
    format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
}

fn shown(calls: &Calls) -> String {
    sorted(&calls.to_string().replace(", ", "\n"))
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.into_iter().flat_map(|line| [line, "\n"]).collect()
}

/// Works on the worlds side by side: most of a run is waiting for a process.
pub(crate) fn on_all_cores<T: Send>(worlds: &[World], work: impl Fn(&World) -> Vec<T> + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() * 2);
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(worlds.len()) {
            scope.spawn(|| {
                while let Some((at, world)) = taken(&next, worlds) {
                    let result = work(world);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().flat_map(|(_, result)| result).collect()
}

fn taken<'a>(next: &AtomicUsize, worlds: &'a [World]) -> Option<(usize, &'a World)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, worlds.get(at)?))
}
