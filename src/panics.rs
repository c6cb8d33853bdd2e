//! What becomes of the program when a part of it panics: it starts over in place.
//!
//! A panic is a defect, of ours or of a library's. Nothing that it may have left half-changed is worked on with: the
//! process executes its program anew, with the same id, so that a container lives on and nobody has to restart it.
//! What counts is in the output file and in the cache beside it, as for every restart. The release build could not
//! unwind from a panic anyhow (`Cargo.toml` says why).

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, io, panic};

/// Where a process tells the next one how many panics there have been.
const VARIABLE: &str = "ECS_DISCOVERY_PANICS";

/// After how many panics this process started; none in the usual case.
pub fn so_far() -> u64 {
    env::var(VARIABLE).ok().and_then(|panics| panics.parse().ok()).unwrap_or(0)
}

/// From now on a panic of any thread starts the program over, once it has been logged.
pub fn start_over_from_now_on() {
    let log = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        log(panic);
        let error = start_over();
        tracing::error!(%error, "cannot start over after a panic");
    }));
}

/// Returns only where that fails.
fn start_over() -> io::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut command = Command::new(program);
    let mut arguments = env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(VARIABLE, so_far().saturating_add(1).to_string()).exec()
}
