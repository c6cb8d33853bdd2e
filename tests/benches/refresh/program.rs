//! The program as a child process: its refreshes, read from its log, and its resource usage, read from `/proc`.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The environment variable with the path of the program, if it is not beside the benchmark.
const BINARY_VARIABLE: &str = "ECS_DISCOVERY_BIN";

/// Only a failing benchmark waits this long.
const DEADLINE: Duration = Duration::from_secs(300);

/// A process that uses no CPU for this long is idle.
const IDLE: Duration = Duration::from_millis(50);

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
    child: Child,
    log: Receiver<(Instant, String)>,
}

/// A finished refresh of all scopes.
pub(crate) struct Refreshed {
    /// When it was published.
    pub(crate) published: Instant,
    /// How often the file was written.
    pub(crate) writes: usize,
    /// The resource usage after it.
    pub(crate) usage: Usage,
}

/// The resource usage of a process so far.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Resident memory in bytes, and its peak.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
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

    /// Waits for the end of the next refresh of all scopes, and until the program is idle.
    pub(crate) fn refreshed(&self, scopes: usize) -> Outcome<Refreshed> {
        let deadline = Instant::now() + DEADLINE;
        let (mut refreshed, mut writes) = (0, 0);
        loop {
            let (at, line) = match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return Err("no refresh ended before the deadline".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("the program exited".into()),
            };
            let entry: Value = serde_json::from_str(&line).map_err(|_| line.clone())?;
            if !matches!(entry["level"].as_str(), Some("INFO" | "DEBUG")) {
                return Err(line.into());
            }
            let message = entry["message"].as_str().unwrap_or_default();
            if matches!(message, "targets written" | "targets unchanged") {
                writes += usize::from(message == "targets written");
                // Several scopes are published as they finish, and before that in part: that took no refresh. With one
                // scope, the log does not say how many.
                let whole = entry["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0);
                refreshed += entry["scopes"].as_u64().unwrap_or(u64::from(whole));
            }
            if refreshed >= scopes as u64 {
                return Ok(Refreshed { published: at, writes, usage: self.wait_until_idle()? });
            }
        }
    }

    /// Waits until the program uses no CPU.
    fn wait_until_idle(&self) -> Outcome<Usage> {
        let mut before = self.usage()?;
        loop {
            thread::park_timeout(IDLE);
            let now = self.usage()?;
            if now.cpu == before.cpu {
                return Ok(now);
            }
            before = now;
        }
    }

    fn usage(&self) -> Outcome<Usage> {
        let process = Process::new(i32::try_from(self.child.id())?)?;
        let (stat, status) = (process.stat()?, process.status()?);
        let cpu = Duration::from_secs_f64((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64);
        let bytes = |kilobytes: Option<u64>| kilobytes.map(|kilobytes| kilobytes * 1024).ok_or("no VmRSS, no VmHWM");
        Ok(Usage { cpu, resident: bytes(status.vmrss)?, peak: bytes(status.vmhwm)? })
    }

    /// Stops the program as ECS does.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the program exited with {status}").into()) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
