//! The real program as a child process.

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

/// How to start it. A shell only prepares what a parent cannot (`umask`, `ulimit`), and then becomes it.
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

/// A copy of the program that any user can reach, unlike a home directory's build. Another program copies
/// it: a file that is open for writing here could not be executed by whoever forks at the same time.
pub(crate) fn copy_for_everyone(directory: &Path) {
    let copied = Command::new("cp").arg(BINARY).arg(directory).status();
    assert!(copied.is_ok_and(|status| status.success()), "cannot copy the program");
}

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    status: Option<ExitStatus>,
    stdout: Option<Lines>,
    stderr: Lines,
}

/// What a program was.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Its exit code; none where a signal killed it.
    pub(crate) code: Option<i32>,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it logged.
    pub(crate) stderr: String,
}

impl Program {
    /// Starts it; without `read_stdout` nobody reads what it prints.
    pub(crate) fn start(mut command: Command, read_stdout: bool) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = read_stdout.then(|| Lines::of(child.stdout.take().expect("it is piped")));
        let stderr = Lines::of(child.stderr.take().expect("it is piped"));
        Self { child, status: None, stdout, stderr }
    }

    /// The lines that it has logged.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many bytes it has printed that nobody has read.
    pub(crate) fn unread(&self) -> u64 {
        self.child.stdout.as_ref().map_or(0, |pipe| rustix::io::ioctl_fionread(pipe).unwrap())
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.status = self.status.or_else(|| self.child.try_wait().unwrap());
        self.status.is_some()
    }

    /// Sends it a signal.
    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program is there");
    }

    /// What it was, now that it has ended.
    pub(crate) fn into_ended(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        Ended {
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

impl Ended {
    /// What it logged, a JSON object a line.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The lines from a pipe, collected on a thread: a full pipe would stop the program.
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

    /// All lines, when the other end of the pipe is closed.
    fn all(self) -> String {
        if let Some(thread) = self.thread {
            thread.join().unwrap();
        }
        let lines = self.lines.lock().unwrap();
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}
