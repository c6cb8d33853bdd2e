//! The program under test as a child process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ecs-discovery");

/// Builds the command. A shell prepares what the parent process cannot (`umask`, `ulimit`) and then executes the
/// program.
pub(crate) fn command(binary: &OsStr, shell: Option<&str>, user: Option<u32>) -> Command {
    let mut command = match shell {
        None => Command::new(binary),
        Some(commands) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(format!("{commands}; exec \"$0\" \"$@\"")).arg(binary);
            command
        }
    };
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command
}

/// Copies the program to where any user can execute it; a build directory may be private.
pub(crate) fn copy_for_everyone(directory: &Path) {
    // Not `fs::copy`: a child that another test forks meanwhile would inherit the descriptor that is open for writing,
    // and executing the copy would fail with ETXTBSY.
    let copied = Command::new("cp").arg(BINARY).arg(directory).status();
    assert!(copied.is_ok_and(|status| status.success()), "cannot copy the program");
}

/// What happens to the standard output of the program.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stdout {
    /// A thread reads it.
    Collected,
    /// Nobody reads it, so that the pipe fills up.
    Unread,
}

/// A running program. It is killed on drop.
pub(crate) struct Program {
    child: Child,
    status: Option<ExitStatus>,
    stdout: Option<Lines>,
    stderr: Lines,
}

/// A program that has exited.
#[derive(Clone, Debug)]
pub(crate) struct Exited {
    /// The exit code, unless a signal killed it.
    pub(crate) code: Option<i32>,
    /// The signal that killed it, if any.
    pub(crate) signal: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error, which is the log.
    pub(crate) stderr: String,
}

impl Program {
    /// Starts the program.
    pub(crate) fn start(mut command: Command, stdout: Stdout) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = (stdout == Stdout::Collected).then(|| Lines::of(child.stdout.take().expect("stdout is piped")));
        let stderr = Lines::of(child.stderr.take().expect("stderr is piped"));
        Self { child, status: None, stdout, stderr }
    }

    /// Returns the lines logged so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how many bytes of its standard output are unread.
    pub(crate) fn unread(&self) -> u64 {
        self.child.stdout.as_ref().map_or(0, |pipe| rustix::io::ioctl_fionread(pipe).unwrap())
    }

    /// Whether the program has exited.
    pub(crate) fn has_exited(&mut self) -> bool {
        self.status = self.status.or_else(|| self.child.try_wait().unwrap());
        self.status.is_some()
    }

    /// Sends a signal.
    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program is running");
    }

    /// Waits for the exit and returns the outcome.
    pub(crate) fn into_exited(mut self) -> Exited {
        let status = self.child.wait().unwrap();
        Exited {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.take().map_or_else(String::new, Lines::all),
            stderr: std::mem::take(&mut self.stderr).all(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exited {
    /// Returns the log, one JSON object per line.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The lines of a pipe, collected on a thread: a full pipe would block the program.
#[derive(Default)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&lines);
        let thread = thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                collected.lock().unwrap().push(line);
            }
        });
        Self { lines, thread: Some(thread) }
    }

    fn so_far(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until the other end of the pipe is closed, and returns all lines.
    fn all(self) -> String {
        if let Some(thread) = self.thread {
            thread.join().unwrap();
        }
        let lines = self.lines.lock().unwrap();
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}
