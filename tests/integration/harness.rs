//! A simulated AWS, a directory with the file, and the real program between them.

mod client;
mod program;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use ecs_discovery::file_sd::{self, Format, TargetGroup};
use serde_json::Value;
use simaws::{SimAws, Task, World};
use tempfile::TempDir;

pub(crate) use client::{Metrics, Server, until_closed};
pub(crate) use program::{Ended, Program, Signal};
pub(crate) use reader::Reader;

/// Only a test that fails waits for so long: a hanging call takes the program 15 s, and the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user of the project's image.
const ORDINARY_USER: u32 = 65_532;

/// The refreshes that have ended, by what the log says of each: one of these in any case.
const ENDS: [&str; 5] = [
    "targets unchanged",
    "targets written",
    "cannot write targets",
    "existing file not overwritten",
    "no file written",
];

/// The environment variable with the flags, one a line, of a program that is played by a test.
const FLAGS_OF_THE_UNDERSTUDY: &str = "FLAGS_OF_THE_UNDERSTUDY";

/// The flags for the test that plays the program; none where it is not run for that.
pub(crate) fn flags_of_the_understudy() -> Option<Vec<OsString>> {
    let flags = std::env::var(FLAGS_OF_THE_UNDERSTUDY).ok()?;
    Some(flags.lines().map(OsString::from).collect())
}

/// Waits until the condition holds. The only place where anything here waits for time to pass.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Runs each case on a thread of its own, since most of a fault's time is spent waiting. Fails if any does.
pub(crate) fn all_at_once<C: Debug + Sync>(cases: &[C], run: impl Fn(&C) + Sync) {
    thread::scope(|scope| {
        let runs: Vec<_> = cases.iter().map(|case| (case, scope.spawn(|| run(case)))).collect();
        let failed: Vec<_> = runs.into_iter().filter_map(|(case, run)| run.join().is_err().then_some(case)).collect();
        assert!(failed.is_empty(), "failed: {failed:#?}");
    });
}

/// One test's stage. Shows all there is to see when the test fails.
pub(crate) struct Scene {
    /// The simulated AWS.
    pub(crate) aws: SimAws,
    directory: TempDir,
    file: PathBuf,
    flags: Vec<String>,
    environment: BTreeMap<String, OsString>,
    shell: Option<String>,
    stdout_is_read: bool,
    user: Option<(u32, TempDir)>,
    understudy: Option<&'static str>,
    program: Option<Program>,
    ended: Option<Ended>,
}

impl Scene {
    /// A world, and a program that refreshes ten times a second and logs everything as JSON.
    pub(crate) fn of(world: World) -> Self {
        let aws = SimAws::start_blocking(world).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let environment = [
            ("AWS_ENDPOINT_URL", aws.url()),
            ("AWS_ACCESS_KEY_ID", "AKIATEST".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        Self {
            environment: environment.map(|(name, value)| (name.to_owned(), value.into())).into(),
            file: directory.path().join("ecs_file_sd.yml"),
            flags: vec!["-config.scrape-interval=100ms".into(), "-log.level=debug".into(), "-log.format=json".into()],
            aws,
            directory,
            shell: None,
            stdout_is_read: true,
            user: None,
            understudy: None,
            program: None,
            ended: None,
        }
    }

    /// One more flag; of a repeated one the last wins.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Writes to this file in the directory instead.
    pub(crate) fn writing(mut self, name: &str) -> Self {
        self.file = self.directory.path().join(name);
        self
    }

    /// A variable of the environment; empty takes it away.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        if value.is_empty() {
            self.environment.remove(name);
        }
        self
    }

    /// What the shell does before it becomes the program, such as `umask 027`.
    pub(crate) fn shell(&mut self, commands: &str) {
        self.shell = Some(commands.to_owned()).filter(|commands| !commands.is_empty());
    }

    /// Nobody reads what the program prints.
    pub(crate) fn stdout_is_not_read(&mut self) {
        self.stdout_is_read = false;
    }

    /// Runs the program as an ordinary user, whom permissions stop. Tests may run as root, whom they do not.
    /// Returns the user's id.
    pub(crate) fn as_ordinary_user(&mut self) -> u32 {
        if !rustix::process::geteuid().is_root() {
            return rustix::process::geteuid().as_raw();
        }
        let home = tempfile::tempdir().unwrap();
        for directory in [home.path(), self.directory()] {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        }
        program::copy_for_everyone(home.path());
        self.user.insert((ORDINARY_USER, home)).0
    }

    /// Lets a test of this test program play the program; it gets its flags from [`flags_of_the_understudy`].
    pub(crate) fn played_by(mut self, test: &'static str) -> Self {
        self.understudy = Some(test);
        self
    }

    /// The directory that the file is in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Puts bytes where the program will find them.
    pub(crate) fn file_holds(&self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.file, bytes).unwrap();
    }

    /// A task comes up in a cluster.
    pub(crate) fn comes_up(&self, cluster: &str, task: Task) {
        self.aws.change(|world| world.cluster_mut(cluster).tasks.push(task));
    }

    /// Starts the program.
    pub(crate) fn start(&mut self) {
        assert!(self.program.is_none(), "the program runs already");
        let mut flags = vec![format!("-config.write-to={}", self.file.display())];
        flags.extend_from_slice(&self.flags);
        if let Some(test) = self.understudy {
            self.environment.insert(FLAGS_OF_THE_UNDERSTUDY.into(), flags.join("\n").into());
            flags = ["--exact", test, "--nocapture"].map(str::to_owned).into();
        }
        let copy = self.user.as_ref().map(|(_, home)| home.path().join("ecs-discovery").into_os_string());
        let binary = match self.understudy {
            Some(_) => std::env::current_exe().unwrap().into_os_string(),
            None => copy.unwrap_or_else(|| program::BINARY.into()),
        };
        let mut command = program::command(&binary, self.shell.as_deref(), self.user.as_ref().map(|(user, _)| *user));
        command.args(flags).env_clear().envs(&self.environment).current_dir(self.directory());
        self.program = Some(Program::start(command, self.stdout_is_read));
    }

    /// Runs the program to its end.
    pub(crate) fn run(&mut self) -> Ended {
        self.start();
        self.ended()
    }

    /// What the program was when it had ended by itself.
    pub(crate) fn ended(&mut self) -> Ended {
        until("the program ends", || self.program().has_ended());
        let ended = self.program.take().unwrap().into_ended();
        self.ended.insert(ended).clone()
    }

    /// Sends a signal, and waits for the end.
    pub(crate) fn send(&mut self, signal: Signal) -> Ended {
        self.program().send(signal);
        self.ended()
    }

    /// Ends the program as ECS does. It must leave no litter and no error behind.
    pub(crate) fn stop(&mut self) {
        let ended = self.send(Signal::TERM);
        assert_eq!(ended.code, Some(0), "killed by {:?}", ended.signal);
        self.assert_no_litter();
    }

    /// There is nothing in the directory but the file and the cache.
    pub(crate) fn assert_no_litter(&self) {
        let names: Vec<_> = fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let ours = [&self.file, &self.cache()];
        assert!(names.iter().all(|name| ours.contains(&name)), "litter: {names:?}");
    }

    /// Where the program keeps what cannot change.
    pub(crate) fn cache(&self) -> PathBuf {
        let name = self.file.file_name().unwrap().to_str().unwrap();
        self.file.with_file_name(format!(".{name}.cache"))
    }

    /// The program that runs.
    pub(crate) fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the program has been started")
    }

    /// The file's bytes; none where there is no file.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match fs::read(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            bytes => Some(bytes.unwrap()),
        }
    }

    /// The groups in the file, read strictly.
    pub(crate) fn groups(&self) -> Vec<TargetGroup> {
        self.bytes().map_or_else(Vec::new, |bytes| file_sd::parse(&bytes, Format::of(&self.file)).unwrap())
    }

    /// The targets in the file.
    pub(crate) fn targets(&self) -> BTreeSet<String> {
        self.groups().into_iter().flat_map(|group| group.targets).map(|target| target.to_string()).collect()
    }

    /// Waits until the file has these targets, and no others.
    pub(crate) fn until_targets(&self, targets: &[&str]) {
        let wanted: BTreeSet<String> = targets.iter().map(|&target| target.to_owned()).collect();
        until(&format!("the file has {wanted:?}"), || self.bytes().is_some() && self.targets() == wanted);
    }

    /// Starts the program and waits until the file has these targets.
    pub(crate) fn start_with(&mut self, targets: &[&str]) {
        self.start();
        self.until_targets(targets);
    }

    /// Waits until so many more refreshes have ended. One that is under way now does not count.
    pub(crate) fn after_refreshes(&mut self, count: usize) {
        let before = self.refreshes();
        until("refreshes go on", || self.refreshes() > before + count);
    }

    fn refreshes(&mut self) -> usize {
        self.log().iter().filter(|line| ENDS.iter().any(|end| text(line, "message").starts_with(end))).count()
    }

    /// The log up to now, a JSON object a line.
    pub(crate) fn log(&mut self) -> Vec<Value> {
        let lines = self.program().stderr();
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// Waits for a line of the log, and returns it.
    pub(crate) fn until_logged(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        until(&format!("the log says {what}"), || {
            found = self.log().into_iter().find(&is_it);
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for a message in the log that starts like this, and returns its line.
    pub(crate) fn until_message(&mut self, start: &str) -> Value {
        self.until_logged(start, |line| text(line, "message").starts_with(start))
    }

    /// Waits for the line of a failure, and returns it.
    pub(crate) fn until_failed(&mut self, operation: &str, code: &str) -> Value {
        self.until_logged(&format!("{operation} failed with {code}"), |line| is_failure(line, operation, code))
    }

    /// Reads the file in a loop from now on; these targets must always be there.
    pub(crate) fn reader(&self, targets: &[&str]) -> Reader {
        Reader::start(&self.file, targets)
    }
}

/// A text of a line of the log; empty where it has none.
pub(crate) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

/// Whether a line of the log is of this failure.
pub(crate) fn is_failure(line: &Value, operation: &str, code: &str) -> bool {
    text(line, "level") == "WARN" && text(line, "operation") == operation && text(line, "code") == code
}

impl Drop for Scene {
    /// Tells all where the test has failed; where not, the client must have broken none of AWS's limits.
    fn drop(&mut self) {
        let unexpected = self.aws.unexpected();
        if !thread::panicking() {
            assert!(unexpected.is_empty(), "unexpected calls: {unexpected:?}");
            return;
        }
        let file = fs::read(&self.file)
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(20_000)]).into_owned());
        let ended = self.ended.as_ref().map_or("", |ended| ended.stderr.as_str());
        let running = self.program.as_ref().map(|program| program.stderr().join("\n")).unwrap_or_default();
        let flags = self.flags.join(" ");
        eprintln!("--- flags: {flags}\n--- stderr:\n{ended}{running}");
        eprintln!("--- file {}:\n{}", self.file.display(), file.unwrap_or_else(|| "(none)".into()));
        eprintln!("--- calls: {}\n--- unexpected: {unexpected:?}", self.aws.calls());
    }
}
