//! The real discovery loop in a process of its own, its logs, and the file that it keeps.

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

/// As its first argument, what makes the demo be the program instead.
pub(crate) const AS_DISCOVERY: &str = "--as-ecs-discovery";

/// A call that AWS throttles throughout takes up to 7.5 seconds of retries.
const PATIENCE: Duration = Duration::from_secs(14);

/// How often to look whether something has come true.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// What `src/main.rs` does, except that it is told to stop by the end of its standard input: so it ends with
/// the demo, however that ends.
pub(crate) fn be_it(arguments: impl Iterator<Item = OsString>) -> Outcome<()> {
    let Parsed::Run(config) = cli::parse(arguments, |_| None)? else { return Err("nothing to run".into()) };
    ecs_discovery::telemetry::init(config.log);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(stop);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(ecs_discovery::run(*config, async move { drop(stopped.await) }))?)
}

/// The process, what it has logged, and the file that it keeps.
pub(crate) struct Discovery {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    file: PathBuf,
}

impl Discovery {
    /// Starts it against an AWS at this address, with nothing of the user's own AWS settings.
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
        // In a group of its own: Ctrl-C is for the demo, which then tells it to stop.
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

    /// The targets in the file; none where there is no file yet.
    pub(crate) fn groups(&self) -> Outcome<Vec<TargetGroup>> {
        read(&self.file)
    }

    /// The targets of a container.
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

    /// Waits until it has logged a line with this in its message, after so many lines.
    pub(crate) fn wait_for_log(&mut self, after: usize, message: &str) -> Outcome<Value> {
        self.wait_for(&format!("the log to say {message:?}"), |it| {
            let lines = it.log.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(lines.iter().skip(after).find(|line| text(line, "message").contains(message)).cloned())
        })
    }

    /// How many lines it has logged.
    pub(crate) fn logged(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until something holds, and gives what it found.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut holds: impl FnMut(&Self) -> Outcome<Option<T>>) -> Outcome<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = holds(self)? {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("waited for {what}, but discovery ended: {status}\n{}", self.whole_log()).into());
            }
            if Instant::now() > deadline {
                let targets: Vec<String> = self.groups()?.iter().map(url).collect();
                let (seconds, log) = (PATIENCE.as_secs(), self.whole_log());
                return Err(format!("waited {seconds} s for {what}; targets: {targets:?}\n{log}").into());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn whole_log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("  log: {line}\n")).collect()
    }

    /// Tells it to stop, and how long it takes to.
    pub(crate) fn stop(mut self) -> Outcome<Duration> {
        let start = Instant::now();
        drop(self.child.stdin.take());
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(start.elapsed()),
                Some(status) => return Err(format!("discovery ended with {status}\n{}", self.whole_log()).into()),
                None if start.elapsed() > PATIENCE => return Err("discovery does not stop".into()),
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

/// Reads the file as fast as it can, as no Prometheus would, and remembers each version of it.
pub(crate) struct Reader {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen, String>>,
}

/// What the reader saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) reads: usize,
    pub(crate) versions: Vec<Vec<TargetGroup>>,
}

impl Reader {
    pub(crate) fn start(file: PathBuf) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !ended.load(Ordering::Relaxed) {
                let groups = read(&file).map_err(|error| format!("a reader met a file that is not whole: {error}"))?;
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
        Self { end, thread }
    }

    pub(crate) fn end(self) -> Outcome<Seen> {
        self.end.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| "the reader panicked")??)
    }
}

fn read(file: &Path) -> Outcome<Vec<TargetGroup>> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let groups = parse(&bytes, Format::Yaml)?;
    let whole = |group: &TargetGroup| group.targets.len() == 1 && group.labels.get("docker_image").is_some();
    if groups.is_empty() || !groups.iter().all(whole) {
        return Err(String::from_utf8_lossy(&bytes).into());
    }
    Ok(groups)
}

/// `host:port/path`
pub(crate) fn url(group: &TargetGroup) -> String {
    format!("{}{}", group.targets.join(","), group.labels.get("__metrics_path__").unwrap_or("/metrics"))
}

pub(crate) fn label<'a>(group: &'a TargetGroup, name: &str) -> &'a str {
    group.labels.get(name).unwrap_or("-")
}

pub(crate) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}
