//! Runs the real program against a simulated AWS. `README.md` shows how to write a test with it.

mod client;
mod file;
mod log;
mod program;
mod reader;
mod sockets;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use simaws::{SimAws, Task, World};
use tempfile::TempDir;

pub(crate) use client::{Metrics, Server, of_cluster, of_cluster_in, read_until_closed};
pub(crate) use log::{is_failure, text};
use program::Stdout;
pub(crate) use program::{Exited, Program, Signal};
pub(crate) use reader::Reader;
pub(crate) use sockets::{TcpState, tcp_sockets};

/// Only a failing test waits this long. A hanging call takes the program 15 s, and the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user of the project's image.
const UNPRIVILEGED_USER: u32 = 65_532;

/// The environment variable with the flags, one per line, for a test that runs in place of the program.
const STAND_IN_FLAGS: &str = "STAND_IN_FLAGS";

/// Returns the flags of the program if this process runs in its place.
pub(crate) fn stand_in_flags() -> Option<Vec<OsString>> {
    let flags = std::env::var(STAND_IN_FLAGS).ok()?;
    Some(flags.lines().map(OsString::from).collect())
}

/// Waits until the condition holds, or fails after a deadline. Nothing else in these tests waits for time to pass.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Fails unless one of several attempts takes less than this. Each returns its time, and a busy machine can make some of them
/// late, but not all.
pub(crate) fn assert_takes_less_than(limit: Duration, mut attempt: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    while took.last().is_none_or(|last| *last >= limit) {
        assert!(took.len() < 8, "none took less than {limit:?}: {took:?}");
        took.push(attempt());
    }
}

/// Runs every case on a thread of its own, because a test of faults mostly waits. Fails if any case fails.
pub(crate) fn run_concurrently<C: Debug + Sync>(cases: &[C], run: impl Fn(&C) + Sync) {
    thread::scope(|scope| {
        let runs: Vec<_> = cases.iter().map(|case| (case, scope.spawn(|| run(case)))).collect();
        let failed: Vec<_> = runs.into_iter().filter_map(|(case, run)| run.join().is_err().then_some(case)).collect();
        assert!(failed.is_empty(), "failed: {failed:#?}");
    });
}

/// The simulated AWS, a temporary directory and the program under test. Prints everything known when the test fails.
pub(crate) struct Scene {
    /// The simulated AWS.
    pub(crate) aws: SimAws,
    directory: TempDir,
    inputs: TempDir,
    file: PathBuf,
    flags: Vec<String>,
    environment: BTreeMap<String, OsString>,
    shell: Option<String>,
    stdout: Stdout,
    user: Option<(u32, TempDir)>,
    stand_in: Option<&'static str>,
    binary: Option<OsString>,
    program: Option<Program>,
    exited: Option<Exited>,
}

impl Scene {
    /// Starts a simulated AWS with this world. The program, not yet started, will refresh ten times a second and log
    /// at level debug as JSON.
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
            inputs: tempfile::tempdir().unwrap(),
            shell: None,
            stdout: Stdout::Collected,
            user: None,
            stand_in: None,
            binary: None,
            program: None,
            exited: None,
        }
    }

    /// Adds a flag. The last of a repeated flag wins, so this also overrides the flags above.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Sets the name of the output file in the temporary directory.
    pub(crate) fn write_to(mut self, name: &str) -> Self {
        self.file = self.directory.path().join(name);
        self
    }

    /// Sets an environment variable. The program sees these variables and no others.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Removes an environment variable.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Sets commands, such as `umask 027`, that a shell runs before it executes the program in its place.
    pub(crate) fn shell(&mut self, commands: &str) {
        self.shell = Some(commands.to_owned()).filter(|commands| !commands.is_empty());
    }

    /// Lets the standard output of the program fill up.
    pub(crate) fn leave_stdout_unread(&mut self) {
        self.stdout = Stdout::Unread;
    }

    /// Runs the program as a user whom file permissions stop, and returns the user's id. Root ignores permissions.
    pub(crate) fn as_unprivileged_user(&mut self) -> u32 {
        if !rustix::process::geteuid().is_root() {
            return rustix::process::geteuid().as_raw();
        }
        let home = tempfile::tempdir().unwrap();
        for directory in [home.path(), self.directory()] {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        }
        program::copy_for_everyone(home.path());
        self.user.insert((UNPRIVILEGED_USER, home)).0
    }

    /// Runs a test of this test binary in place of the program. The test gets the flags from [`stand_in_flags`].
    pub(crate) fn with_stand_in(mut self, test: &'static str) -> Self {
        self.stand_in = Some(test);
        self
    }

    /// Runs another program in place of the one under test.
    pub(crate) fn with_binary(mut self, binary: OsString) -> Self {
        self.binary = Some(binary);
        self
    }

    /// Returns the temporary directory, which holds the output file.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file outside of that directory, and returns its path.
    pub(crate) fn input(&self, name: &str, contents: &str) -> String {
        let path = self.inputs.path().join(name);
        fs::write(&path, contents).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// Adds a task to a cluster of the simulated AWS.
    pub(crate) fn add_task(&self, cluster: &str, task: Task) {
        self.aws.change(|world| world.cluster_mut(cluster).tasks.push(task));
    }

    /// Starts the program.
    pub(crate) fn start(&mut self) {
        assert!(self.program.is_none(), "the program is already running");
        let mut flags = vec![format!("-config.write-to={}", self.file.display())];
        flags.extend_from_slice(&self.flags);
        if let Some(test) = self.stand_in {
            self.environment.insert(STAND_IN_FLAGS.into(), flags.join("\n").into());
            flags = ["--exact", test, "--nocapture"].map(str::to_owned).into();
        }
        let copy = self.user.as_ref().map(|(_, home)| home.path().join("ecs-discovery").into_os_string());
        let binary = match self.stand_in {
            Some(_) => std::env::current_exe().unwrap().into_os_string(),
            None => copy.or(self.binary.clone()).unwrap_or_else(|| program::BINARY.into()),
        };
        let mut command = program::command(&binary, self.shell.as_deref(), self.user.as_ref().map(|(user, _)| *user));
        command.args(flags).env_clear().envs(&self.environment).current_dir(self.directory());
        self.program = Some(Program::start(command, self.stdout));
    }

    /// Starts the program and waits until the output file has exactly these targets.
    pub(crate) fn start_and_wait_for(&mut self, targets: &[&str]) {
        self.start();
        self.wait_for_targets(targets);
    }

    /// Starts the program and waits until it exits.
    pub(crate) fn run(&mut self) -> Exited {
        self.start();
        self.wait_for_exit()
    }

    /// Waits until the program exits.
    pub(crate) fn wait_for_exit(&mut self) -> Exited {
        wait_until("the program exits", || self.program().has_exited());
        let exited = self.program.take().unwrap().into_exited();
        self.exited.insert(exited).clone()
    }

    /// Returns the outcome of the last run.
    pub(crate) fn exited(&self) -> &Exited {
        self.exited.as_ref().expect("the program has exited")
    }

    /// Sends a signal to the program and waits until it exits.
    pub(crate) fn send(&mut self, signal: Signal) -> Exited {
        self.program().send(signal);
        self.wait_for_exit()
    }

    /// Stops the program as ECS does. It must exit with code 0 and leave no temporary file.
    pub(crate) fn stop(&mut self) {
        let exited = self.send(Signal::TERM);
        assert_eq!(exited.code, Some(0), "killed by {:?}", exited.signal);
        self.assert_no_temporary_files();
    }

    /// Returns the running program.
    pub(crate) fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the program has been started")
    }
}

impl Drop for Scene {
    /// Prints everything known if the test failed. Otherwise checks that the program broke none of AWS's limits.
    fn drop(&mut self) {
        let unexpected = self.aws.unexpected();
        if !thread::panicking() {
            assert!(unexpected.is_empty(), "unexpected calls: {unexpected:?}");
            return;
        }
        let file = fs::read(&self.file)
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(20_000)]).into_owned());
        let exited = self.exited.as_ref().map_or("", |exited| exited.stderr.as_str());
        let running = self.program.as_ref().map(|program| program.stderr().join("\n")).unwrap_or_default();
        let flags = self.flags.join(" ");
        eprintln!("--- flags: {flags}\n--- stderr:\n{exited}{running}");
        eprintln!("--- file {}:\n{}", self.file.display(), file.unwrap_or_else(|| "(none)".into()));
        eprintln!("--- calls: {}\n--- unexpected: {unexpected:?}", self.aws.calls());
    }
}
