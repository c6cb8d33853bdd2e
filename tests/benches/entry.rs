//! How a benchmark starts: whole, or from `cargo test` in its short form.

use std::process::ExitCode;

use crate::program::Outcome;

/// Runs a benchmark with the arguments of the process.
pub(crate) fn start(
    name: &str,
    benchmark: impl FnOnce(&[String]) -> Outcome<()>,
    short_form: impl FnOnce() -> Outcome<()>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_benchmark = arguments.iter().any(|argument| argument == "--bench");
    let result = if is_benchmark { benchmark(&arguments) } else { short_form() };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
