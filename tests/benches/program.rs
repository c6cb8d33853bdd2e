//! The program as a child process, and its log.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The environment variable with the path of the program, if it is not beside the benchmark.
const BINARY_VARIABLE: &str = "ECS_DISCOVERY_BIN";

/// Returns the program that Cargo builds beside this benchmark, `target/PROFILE/ecs-discovery`.
pub(crate) fn binary() -> Outcome<PathBuf> {
    let other = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from);
    let benchmark = std::env::current_exe()?;
    let beside = benchmark.ancestors().nth(2).map(|profile| profile.join("ecs-discovery"));
    let Some(binary) = other.or(beside).filter(|binary| binary.is_file()) else {
        let build = if cfg!(debug_assertions) { "--workspace --all-targets" } else { "--release" };
        return Err(format!("no ecs-discovery beside {}: cargo build {build}", benchmark.display()).into());
    };
    Ok(binary)
}

/// A running program. It is killed on drop.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// The lines of its log, and when they were read.
    pub(crate) log: Receiver<(Instant, String)>,
}

impl Program {
    /// Starts the program with a controlled environment.
    pub(crate) fn start(binary: &Path, aws: &str, file: &Path, flags: &[String]) -> Outcome<Self> {
        let mut command = Command::new(binary);
        command.args(["-log.format=json", "-log.level=debug", "-config.write-to"]).arg(file).args(flags);
        command.env_clear().envs([
            ("AWS_ENDPOINT_URL", aws),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "benchmark"),
            ("AWS_SECRET_ACCESS_KEY", "benchmark"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let (send, log) = channel();
        let stderr = child.stderr.take().ok_or("stderr is not piped")?;
        thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.map(|line| send.send((Instant::now(), line))).take_while(Result::is_ok).for_each(drop);
        });
        Ok(Self { child, log })
    }

    /// Stops the program as ECS does.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the program exited with {status}").into()) }
    }
}

/// Parses a line of the log. Fails if it is a warning or an error.
pub(crate) fn entry(line: &str) -> Outcome<Value> {
    let entry: Value = serde_json::from_str(line).map_err(|_| line.to_owned())?;
    if matches!(entry["level"].as_str(), Some("INFO" | "DEBUG")) { Ok(entry) } else { Err(line.into()) }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
