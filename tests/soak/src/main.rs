//! Runs the program for a long time against a simulated AWS in which everything changes and much fails, and checks it
//! with an oracle. `README.md` says what is promised, and how to read a report.
//!
//! | module | purpose |
//! |---|---|
//! | [`world`], [`task`] | the random world: tasks and clusters come and go |
//! | [`chaos`] | faults of AWS, and what happens to the process |
//! | [`setup`], [`program`], [`clock`] | the flags of a life of the program, its process and its wall clock |
//! | [`oracle`], [`refreshes`] | what must and may be in the file, from what was true and what the simulated AWS saw |
//! | [`readers`], [`clients`], [`groups`] | readers of the file, polite and hostile clients, and what they read |
//! | [`settle`], [`metrics`] | exact checks while nothing changes |
//! | [`measure`] | memory, file descriptors, threads and series |
//! | [`soak`] | a run: storms, and calm in between |
//! | [`history`], [`shrink`] | the report of a violation, and with how little it occurs |
#![allow(clippy::print_stdout, reason = "the result")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod chaos;
mod clients;
mod clock;
mod groups;
mod history;
mod measure;
mod metrics;
mod oracle;
mod program;
mod random;
mod readers;
mod refreshes;
mod settle;
mod setup;
mod shared;
mod shrink;
mod soak;
mod task;
mod world;

use std::process::ExitCode;

use soak::Options;

const USAGE: &str = "soak [--seed N] [--publications N] [--without NAME[,NAME…]] [--shrink]";

fn main() -> ExitCode {
    let run = options(std::env::args().skip(1)).and_then(|(options, shrinks)| {
        println!("soak: seed {}, {} publications", options.seed, options.publications);
        let result = soak::run(&options)?;
        println!("{}", result.line(&options));
        let Some(report) = &result.report else { return Ok(true) };
        println!("{report}");
        if shrinks {
            shrink::shrink(&options, result.publications)?;
        }
        Ok(false)
    });
    match run {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns the options, and whether to shrink what violates.
fn options(mut arguments: impl Iterator<Item = String>) -> Result<(Options, bool), String> {
    let (mut options, mut shrinks) = (Options::default(), false);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("not a number: {text}"));
        match argument.as_str() {
            "--seed" => options.seed = number(value()?)?,
            "--publications" => options.publications = number(value()?)?,
            "--without" => options.without.extend(value()?.split(',').map(str::to_owned)),
            "--shrink" => shrinks = true,
            _ => return Err(format!("usage: {USAGE}\nnames: {}", chaos::Chaos::ingredients().join(" "))),
        }
    }
    Ok((options, shrinks))
}
