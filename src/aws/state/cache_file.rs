//! The cache file beside the output file. It holds what cannot change, so that a restart need not ask AWS again.
//!
//! It only ever saves calls: a damaged or foreign file, or one of another version, is ignored, and a file that
//! cannot be written costs only the calls of the next start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::config::AwsConfig;
use crate::inventory::{ContainerInstance, ContainerInstanceArn, Scope, TaskDefinition, TaskDefinitionArn};
use crate::writer::{FileWriter, IfUnchanged, Stamp, WriteError};

/// Identifies a file of this program.
const FORMAT: &str = "ecs-discovery cache";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 2;

/// The longest error of the parser, in characters.
const LONGEST_ERROR: usize = 200;

/// The contents of the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::aws) struct Contents {
    /// The settings that decide what the rest holds.
    pub(in crate::aws) learned_with: LearnedWith,
    /// Revisions of task definitions.
    pub(in crate::aws) task_definitions: BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>>,
    /// Container instances.
    pub(in crate::aws) container_instances: BTreeMap<ContainerInstanceArn, ContainerInstance>,
}

/// The settings that decide what is kept of task definitions and container instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::aws) struct LearnedWith {
    /// The environment variables that are kept.
    variables: Vec<String>,
    /// The attribute of container instances that is kept.
    host_attribute: Option<String>,
}

impl From<&AwsConfig> for LearnedWith {
    fn from(config: &AwsConfig) -> Self {
        Self { variables: config.variables.clone(), host_attribute: config.host_attribute.clone() }
    }
}

impl Contents {
    /// Returns the contents of a file; empty ones for a file that cannot be used.
    pub(in crate::aws) fn of_file(bytes: &[u8]) -> Self {
        parse(bytes).unwrap_or_default()
    }

    /// Returns what may be of a scope: it has all of it, if its account is known.
    pub(in crate::aws) fn of_scope(&self, scope: &Scope) -> Self {
        let definitions = self.task_definitions.iter().filter(|(arn, _)| scope.contains(arn.as_str()));
        let instances = self.container_instances.iter().filter(|(arn, _)| scope.contains(arn.as_str()));
        Self {
            learned_with: self.learned_with.clone(),
            task_definitions: definitions.map(|(arn, definition)| (arn.clone(), definition.clone())).collect(),
            container_instances: instances.map(|(arn, instance)| (arn.clone(), instance.clone())).collect(),
        }
    }

    /// Drops what was learned with other settings.
    pub(in crate::aws) fn learned_with(mut self, settings: &LearnedWith) -> Self {
        if self.learned_with.variables != settings.variables {
            self.task_definitions.clear();
        }
        if self.learned_with.host_attribute != settings.host_attribute {
            self.container_instances.clear();
        }
        Self { learned_with: settings.clone(), ..self }
    }
}

#[derive(Serialize)]
struct File<'a> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    contents: &'a Contents,
}

/// What says whether the contents can be parsed.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// The file.
pub(in crate::aws) struct CacheFile {
    writer: FileWriter,
    state: State,
    /// The generation of the caches that was last written, or is to be written next.
    generation: u64,
    /// The stamp of the file after it was last read or written.
    stamp: Option<Stamp>,
    desk: Arc<Mutex<Desk>>,
}

/// The stamp of the file after work.
type Stamped = Result<Option<Stamp>, WriteError>;

/// What is known of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has changed it.
    AsWritten,
    /// Somebody has removed or changed it.
    Changed,
    /// It cannot be written.
    Failed,
}

/// Work on a thread for blocking work.
enum Work {
    Look,
    Write(Contents),
}

/// The result of work.
enum Done {
    Looked(Option<Stamp>),
    Written(Stamped),
}

/// What is exchanged with the thread, which works as long as there is work.
#[derive(Default)]
struct Desk {
    working: bool,
    next: Option<Work>,
    done: Vec<Done>,
}

impl Desk {
    fn lock(desk: &Mutex<Self>) -> MutexGuard<'_, Self> {
        desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next work. If there is none, the thread ends.
    fn take(desk: &Mutex<Self>) -> Option<Work> {
        let mut desk = Self::lock(desk);
        let next = desk.next.take();
        desk.working = next.is_some();
        next
    }
}

impl CacheFile {
    /// Opens the file at a path, and returns its contents. Reads on a thread for blocking work, because a signal must not
    /// wait for a large file.
    pub(in crate::aws) async fn open(path: PathBuf) -> (Self, Contents) {
        let writer = FileWriter::private(&path);
        let file = writer.clone();
        let read = spawn_blocking(move || {
            file.remove_leftovers();
            let contents = match file.read() {
                Ok(None) => Ok(Contents::default()),
                Ok(Some(bytes)) => parse(&bytes),
                Err(error) => Err(error.to_string()),
            };
            (contents, file.stamp())
        });
        let (contents, stamp) = read.await.unwrap_or_else(|error| (Err(error.to_string()), None));
        let contents = contents.unwrap_or_else(|reason| {
            tracing::warn!(path = %path.display(), reason, "cache file ignored: asking AWS for everything again");
            Contents::default()
        });
        (Self { writer, state: State::AsWritten, generation: 0, stamp, desk: Arc::default() }, contents)
    }

    /// Writes the contents if their generation is new, or if somebody has removed or changed the file. Does not wait for
    /// the disk: a write in progress is followed by that of the newest contents.
    pub(in crate::aws) fn write(&mut self, generation: u64, contents: impl FnOnce() -> Contents) {
        let desk = self.desk.clone();
        let mut desk = Desk::lock(&desk);
        desk.done.drain(..).for_each(|done| self.finish(done));
        let is_written = generation == self.generation && self.state == State::AsWritten;
        if desk.working && generation == self.generation {
            return;
        }
        self.generation = generation;
        desk.next = Some(if is_written { Work::Look } else { Work::Write(contents()) });
        if !std::mem::replace(&mut desk.working, true) {
            let (writer, desk) = (self.writer.clone(), self.desk.clone());
            spawn_blocking(move || work(&writer, &desk));
        }
    }

    /// Takes the result of work. Logs a failed write, once for consecutive ones.
    fn finish(&mut self, done: Done) {
        match done {
            Done::Written(Ok(stamp)) => (self.state, self.stamp) = (State::AsWritten, stamp),
            Done::Looked(stamp) if stamp == self.stamp => {}
            Done::Looked(_) => self.state = State::Changed,
            Done::Written(Err(error)) => {
                if std::mem::replace(&mut self.state, State::Failed) != State::Failed {
                    tracing::warn!(%error, "cannot write the cache file: a restart will ask AWS for everything again");
                }
            }
        }
    }
}

/// Works until there is nothing left to do.
fn work(writer: &FileWriter, desk: &Mutex<Desk>) {
    while let Some(work) = Desk::take(desk) {
        let done = match work {
            Work::Look => Done::Looked(writer.stamp()),
            Work::Write(contents) => Done::Written(write(writer, &contents)),
        };
        Desk::lock(desk).done.push(done);
    }
}

fn write(writer: &FileWriter, contents: &Contents) -> Stamped {
    let bytes = render(contents);
    let written = writer.write(&|out| out.write_all(&bytes), IfUnchanged::Leave)?;
    tracing::debug!(bytes = bytes.len(), result = ?written, "cache file written");
    Ok(writer.stamp())
}

fn render(contents: &Contents) -> Vec<u8> {
    let file = File { format: FORMAT, version: VERSION, contents };
    // Serialising strings and numbers to memory cannot fail.
    serde_json::to_vec(&file).unwrap_or_default()
}

/// Returns a cache file as this program would write its contents, or why it is ignored.
pub fn rewrite(bytes: &[u8]) -> Result<Vec<u8>, String> {
    Ok(render(&parse(bytes)?))
}

fn parse(bytes: &[u8]) -> Result<Contents, String> {
    // Errors quote the file, which may hold anything.
    let short = |error: serde_json::Error| error.to_string().chars().take(LONGEST_ERROR).collect::<String>();
    let header: Header = serde_json::from_slice(bytes).map_err(short)?;
    if header.format != FORMAT {
        return Err("not a cache file of ecs-discovery".into());
    }
    if header.version != VERSION {
        return Err(format!("version {} is not supported, only {VERSION}", header.version));
    }
    serde_json::from_slice(bytes).map_err(short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inventory::{ContainerDefinition, NetworkMode};

    fn settings(variables: &[&str], host_attribute: Option<&str>) -> LearnedWith {
        let variables = variables.iter().map(|name| name.to_string()).collect();
        LearnedWith { variables, host_attribute: host_attribute.map(String::from) }
    }

    fn contents() -> Contents {
        let app = ContainerDefinition {
            name: "app".into(),
            image: Some("app:1".into()),
            docker_labels: [("PROMETHEUS_EXPORTER_PORT".into(), "9102".into())].into(),
            variables: [("PROMETHEUS_EXPORTER_PATH".into(), "/m".into())].into(),
        };
        let bare = ContainerDefinition { name: "bare".into(), ..ContainerDefinition::default() };
        let definition = |network_mode| {
            let containers = vec![app.clone(), bare.clone()];
            Arc::new(TaskDefinition { family: "web".into(), revision: 3, network_mode, containers })
        };
        Contents {
            learned_with: settings(&["PROMETHEUS_EXPORTER_PATH"], Some("ecs-discovery.host")),
            task_definitions: [
                ("web:3".into(), definition(NetworkMode::Awsvpc)),
                ("web:4".into(), definition(NetworkMode::Other("new".into()))),
            ]
            .into(),
            container_instances: [
                ("ci-1".into(), ContainerInstance { host_id: "i-1".into(), host_attribute: None }),
                ("ci-2".into(), ContainerInstance { host_id: "mi-2".into(), host_attribute: Some("10.0.0.2".into()) }),
            ]
            .into(),
        }
    }

    #[test]
    fn parses_what_it_renders() {
        assert_eq!(parse(&render(&contents())), Ok(contents()));
        assert_eq!(parse(&render(&Contents::default())), Ok(Contents::default()));
    }

    #[test]
    fn what_was_learned_with_other_settings_is_dropped() {
        let (variables, attribute) = (&["PROMETHEUS_EXPORTER_PATH"][..], Some("ecs-discovery.host"));
        let kept = |variables, attribute| {
            let contents = contents().learned_with(&settings(variables, attribute));
            (contents.task_definitions.len(), contents.container_instances.len())
        };
        assert_eq!(contents().learned_with(&settings(variables, attribute)), contents());
        assert_eq!(kept(&[], attribute), (0, 2));
        assert_eq!(kept(variables, None), (2, 0));
        assert_eq!(kept(variables, Some("other")), (2, 0));
    }

    #[test]
    fn rejects_other_files_with_the_reason() {
        let whole = String::from_utf8(render(&contents())).unwrap();
        for (text, why) in [
            (whole.replace(FORMAT, "something"), "not a cache file of ecs-discovery"),
            (whole.replace("\"version\":2", "\"version\":1"), "version 1 is not supported, only 2"),
            (whole.replace("task_definitions", "definitions"), "missing field `task_definitions`"),
            (whole[..whole.len() / 2].to_owned(), "EOF while parsing"),
            ("- targets: []".into(), "invalid number"),
            (String::new(), "EOF while parsing"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn survives_a_damaged_file(at in 0..600_usize, byte: u8, cut: bool) {
            let mut damaged = render(&contents());
            let at = at % damaged.len();
            if cut { damaged.truncate(at) } else { damaged[at] = byte }
            let _ = parse(&damaged);
        }
    }
}
