//! The real discovery loop in a child process, its log and its file.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ecs_discovery::cli::{self, Parsed};
use ecs_discovery::file_sd::{Format, TargetGroup, parse};
use serde_json::Value;

/// The first argument that makes the demo run the discovery loop instead.
pub(crate) const AS_DISCOVERY: &str = "--as-ecs-discovery";

/// The deadline for everything: retries of a call that is always throttled take up to 7.5 s.
const DEADLINE: Duration = Duration::from_secs(14);

/// The time between checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Runs the discovery loop like `src/main.rs`, but shuts down at the end of standard input, so that it exits with the
/// demo in any case.
pub(crate) fn run_discovery(arguments: impl Iterator<Item = OsString>) -> Outcome<()> {
    let Parsed::Run(config) = cli::parse(arguments, |_| None)? else { return Err("nothing to run".into()) };
    ecs_discovery::init_logs(config.log);
    let (shutdown, requested) = tokio::sync::oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(shutdown);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(ecs_discovery::run(*config, async move { drop(requested.await) }))?)
}

/// The process, its log and its file.
pub(crate) struct Discovery {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    file: PathBuf,
}

impl Discovery {
    /// Starts the process with an AWS endpoint, and without the AWS settings of the user.
    pub(crate) fn start(aws: &str, file: &Path, flags: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(AS_DISCOVERY).args(flags).arg("-log.format=json").arg("-config.write-to").arg(file);
        command.env_clear().envs([
            ("AWS_ENDPOINT_URL", aws),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "demo"),
            ("AWS_SECRET_ACCESS_KEY", "demo"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        // In a process group of its own: Ctrl-C is for the demo, which then shuts the process down.
        command.process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            let log: Arc<Mutex<Vec<Value>>> = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        Ok(Self { child, log, file: file.to_owned() })
    }

    /// Returns the target groups in the file, none if there is no file yet.
    pub(crate) fn groups(&self) -> Outcome<Vec<TargetGroup>> {
        read(&self.file)
    }

    /// Returns the targets of a container.
    pub(crate) fn targets_of(&self, container: &str) -> Outcome<Vec<String>> {
        Ok(self.groups()?.iter().filter(|group| label(group, "container_name") == container).map(url).collect())
    }

    /// Waits until a container has exactly these targets.
    pub(crate) fn wait_for_targets(&mut self, container: &str, targets: &[String]) -> Outcome<()> {
        let mut targets = targets.to_vec();
        targets.sort_unstable();
        self.wait_for(&format!("{container} at {}", targets.join(", ")), |it| {
            let mut found = it.targets_of(container)?;
            found.sort_unstable();
            Ok((found == targets).then_some(()))
        })
    }

    /// Waits for a line of the log, after this many lines, whose message contains the text.
    pub(crate) fn wait_for_log(&mut self, after: usize, message: &str) -> Outcome<Value> {
        self.wait_for(&format!("the log message {message:?}"), |it| {
            let lines = it.log.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(lines.iter().skip(after).find(|line| text(line, "message").contains(message)).cloned())
        })
    }

    /// Returns the number of lines logged so far.
    pub(crate) fn logged(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until the closure finds something, and returns it.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut find: impl FnMut(&Self) -> Outcome<Option<T>>) -> Outcome<T> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = find(self)? {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("waited for {what}, but the process exited: {status}\n{}", self.whole_log()).into());
            }
            if Instant::now() > deadline {
                let targets: Vec<String> = self.groups()?.iter().map(url).collect();
                let (seconds, log) = (DEADLINE.as_secs(), self.whole_log());
                return Err(format!("waited {seconds} s for {what}; targets: {targets:?}\n{log}").into());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn whole_log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("  log: {line}\n")).collect()
    }

    /// Shuts the process down, and returns how long that takes.
    pub(crate) fn stop(mut self) -> Outcome<Duration> {
        let start = Instant::now();
        drop(self.child.stdin.take());
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(start.elapsed()),
                Some(status) => return Err(format!("the process exited with {status}\n{}", self.whole_log()).into()),
                None if start.elapsed() > DEADLINE => return Err("the process does not shut down".into()),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the file in a loop, far more often than Prometheus, and keeps every version of it.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen, String>>,
}

/// What the reader has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) reads: usize,
    pub(crate) versions: Vec<Vec<TargetGroup>>,
}

impl Reader {
    pub(crate) fn start(file: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Ordering::Relaxed) {
                let groups = read(&file).map_err(|error| format!("incomplete file: {error}"))?;
                if !groups.is_empty() {
                    seen.reads += 1;
                    if seen.versions.last() != Some(&groups) {
                        seen.versions.push(groups);
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
            Ok(seen)
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Outcome<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| "the reader panicked")??)
    }
}

fn read(file: &Path) -> Outcome<Vec<TargetGroup>> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let groups = parse(&bytes, Format::Yaml)?;
    let is_complete = |group: &TargetGroup| group.targets.len() == 1 && group.labels.get("docker_image").is_some();
    if groups.is_empty() || !groups.iter().all(is_complete) {
        return Err(String::from_utf8_lossy(&bytes).into());
    }
    Ok(groups)
}

/// Returns `host:port/path`.
pub(crate) fn url(group: &TargetGroup) -> String {
    format!("{}{}", group.targets.join(","), group.labels.get("__metrics_path__").unwrap_or("/metrics"))
}

pub(crate) fn label<'a>(group: &'a TargetGroup, name: &str) -> &'a str {
    group.labels.get(name).unwrap_or("-")
}

pub(crate) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}
