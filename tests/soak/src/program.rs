//! The program as a child process: one life of it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::clock::Clock;
use crate::history::Violation;
use crate::setup::Setup;

/// The environment variable with the path of the program, if it is not beside the soak; and that of another version, with
/// which it takes turns: each restart is then an upgrade or a downgrade.
const BINARY_VARIABLE: &str = "ECS_DISCOVERY_BIN";
const OTHER_VARIABLE: &str = "ECS_DISCOVERY_OTHER_BIN";

/// The program has a second to shut down. Here it may have to share its processor.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// The messages of which each publication logs exactly one, with their parts in the metric `file_writes_total`.
const PUBLICATIONS: [&str; 5] = [
    "targets written",
    "targets unchanged",
    "cannot write targets",
    "existing file not overwritten",
    "no file written",
];

/// The lines of the log that a report shows.
const KEPT_LINES: usize = 60;

/// The size of a file that fits on the full disk.
const FULL: u64 = 2000;

/// What the log has told.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) web: Option<SocketAddr>,
    /// The number of publications, and of those that changed the file.
    pub(crate) publications: u64,
    pub(crate) written: u64,
    /// The number of publications of which no metric tells, because nothing was known.
    pub(crate) without_result: u64,
    pub(crate) panics: u64,
    lines: VecDeque<String>,
    ended: bool,
}

impl Log {
    /// Takes a line. Returns whether it tells of a publication.
    fn take(&mut self, line: String) -> bool {
        let publications = self.publications;
        if let Some(message) = text(&line, "message") {
            self.publications += u64::from(PUBLICATIONS.iter().any(|start| message.starts_with(start)));
            self.without_result += u64::from(message == PUBLICATIONS[4]);
            self.written += u64::from(message == PUBLICATIONS[0]);
            self.panics += u64::from(message.contains("panicked"));
            if message == "listening" {
                self.web = text(&line, "address").and_then(|address| address.parse().ok());
            }
        } else {
            // Nothing else may print to the standard error.
            self.panics += 1;
        }
        if text(&line, "level") != Some("DEBUG") {
            self.lines.truncate(KEPT_LINES - 1);
            self.lines.push_front(line);
        }
        self.publications > publications
    }
}

/// Returns a member of a line of the log without parsing all of it: there are hundreds a second.
fn text<'a>(line: &'a str, member: &str) -> Option<&'a str> {
    let start = line.find(&format!("\"{member}\":\""))? + member.len() + 4;
    line[start..].split('"').next()
}

/// A running program. It is killed on drop.
pub(crate) struct Program {
    child: Child,
    pub(crate) setup: Setup,
    log: Arc<Mutex<Log>>,
}

/// What all lives have in common.
pub(crate) struct Place {
    /// The versions of the program, which take turns.
    pub(crate) binaries: Vec<PathBuf>,
    pub(crate) aws: String,
    pub(crate) file: PathBuf,
    pub(crate) queue: String,
    /// The wall clock of all lives, if it can be set.
    pub(crate) clock: Option<Clock>,
    /// Counts the publications of all lives.
    pub(crate) publications: Arc<AtomicU64>,
}

/// Returns the program that Cargo builds beside the soak, or those that the environment names.
pub(crate) fn binaries() -> Result<Vec<PathBuf>, String> {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let soak = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = || soak.parent().map(|directory| directory.join("ecs-discovery"));
    let binaries = named(BINARY_VARIABLE).or_else(beside).into_iter().chain(named(OTHER_VARIABLE));
    let binaries: Vec<PathBuf> = binaries.collect();
    match binaries.iter().find(|binary| !binary.is_file()) {
        Some(none) => Err(format!("no program {}: cargo build --workspace --all-targets", none.display())),
        None => Ok(binaries),
    }
}

impl Program {
    pub(crate) fn start(setup: Setup, place: &Place) -> Result<Self, String> {
        // The shell lets a write beyond the limit of file sizes fail, instead of killing the process by SIGXFSZ.
        let mut command = Command::new("/bin/sh");
        let binary = &place.binaries[setup.life % place.binaries.len()];
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(binary);
        command.args(["-log.format=json", "-log.level=debug", "-web.listen-address=127.0.0.1:0", "-config.write-to"]);
        command.arg(&place.file).args(setup.flags(&place.queue));
        command.env_clear().envs([
            ("AWS_ENDPOINT_URL", place.aws.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", &setup.access_key()),
            ("AWS_SECRET_ACCESS_KEY", "soak"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        command.envs(place.clock.iter().flat_map(Clock::environment));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let log = Arc::new(Mutex::new(Log::default()));
        let (shared, stderr) = (Arc::clone(&log), child.stderr.take().ok_or("stderr is not piped")?);
        let publications = Arc::clone(&place.publications);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let published = lock(&shared).take(line);
                publications.fetch_add(u64::from(published), Ordering::SeqCst);
            }
            lock(&shared).ended = true;
        });
        Ok(Self { child, setup, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what the log has told so far.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    /// Returns the latest lines of the log above level debug, oldest first.
    pub(crate) fn lines(&self) -> String {
        self.log().lines.iter().rev().map(|line| format!("  {line}\n")).collect()
    }

    /// Returns why the program does not run any more, or has panicked.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(Violation::general(format!("the program exited with {status}")));
        }
        match self.log().panics {
            0 => Ok(()),
            _ => Err(Violation::general("the program panicked")),
        }
    }

    pub(crate) fn send(&self, signal: Signal) {
        // The program has not been waited for, so that the id is its own.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Lets the disk be full, or not: no file can grow beyond a limit.
    pub(crate) fn set_full_disk(&self, full: bool) -> Result<(), String> {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let current = if full { Some(FULL) } else { maximum };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, Rlimit { current, maximum })
            .map(drop)
            .map_err(|error| format!("prlimit: {error}"))
    }

    /// Kills the program.
    pub(crate) fn kill(mut self) -> Result<(), Violation> {
        self.send(Signal::KILL);
        self.wait().map(drop)
    }

    /// Stops the program as ECS does.
    pub(crate) fn terminate(mut self) -> Result<(), Violation> {
        self.send(Signal::TERM);
        let status = self.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(Violation::general(format!("the program exited with {status} after SIGTERM")))
    }

    /// Waits for the exit, and the end of the log.
    fn wait(&mut self) -> Result<ExitStatus, Violation> {
        let mut status = None;
        wait_until(|| {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        wait_until(|| self.log().ended);
        status.ok_or_else(|| Violation::general(format!("the program has not exited within {SHUTDOWN:?}")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() && start.elapsed() < SHUTDOWN {
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Locks what a thread shares. The soak ends when a thread panics.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether only the file and its cache are in the directory.
pub(crate) fn leftovers(file: &Path) -> Vec<PathBuf> {
    let entries = file.parent().and_then(|directory| directory.read_dir().ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(".tmp")).collect()
}
