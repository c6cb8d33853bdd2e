//! The refreshes of the program, read from its log, and its resource usage, read from `/proc`.

use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::program::{Outcome, Program, entry};

/// Only a failing benchmark waits this long.
const DEADLINE: Duration = Duration::from_secs(300);

/// A process that uses no CPU for this long is idle.
const IDLE: Duration = Duration::from_millis(50);

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
            let entry = entry(&line)?;
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
}
