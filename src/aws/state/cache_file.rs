//! The cache file beside the output file. It holds what cannot change, so that a restart need not ask AWS again.
//!
//! It only ever saves calls: a damaged or foreign file, or one of another version, is ignored, and a file that
//! cannot be written costs only the calls of the next start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::inventory::{ContainerInstanceArn, Shared, TaskDefinition, TaskDefinitionArn};
use crate::writer::{FileWriter, IfUnchanged, WriteError, Written};

/// Identifies a file of this program.
const FORMAT: &str = "ecs-discovery cache";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// The contents of the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::aws) struct Contents {
    /// Revisions of task definitions.
    pub(in crate::aws) task_definitions: BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>>,
    /// Host ids by container instance.
    pub(in crate::aws) container_instances: BTreeMap<ContainerInstanceArn, Shared>,
}

#[derive(Serialize, Deserialize)]
struct File<C> {
    format: String,
    version: u32,
    #[serde(flatten)]
    contents: C,
}

/// Parses only the header.
#[derive(Deserialize)]
struct Ignored {}

/// The file.
pub(in crate::aws) struct CacheFile {
    writer: FileWriter,
    /// The generation of the caches that was last written.
    written: u64,
    writing: Option<JoinHandle<Result<Written, WriteError>>>,
    failed: bool,
}

impl CacheFile {
    /// Opens the file at a path, and returns its contents.
    pub(in crate::aws) fn open(path: &Path) -> (Self, Contents) {
        let writer = FileWriter::private(path);
        writer.remove_leftovers();
        let contents = match writer.read() {
            Ok(None) => Contents::default(),
            Ok(Some(bytes)) => parse(&bytes).unwrap_or_else(|reason| ignored(path, &reason)),
            Err(error) => ignored(path, &error.to_string()),
        };
        (Self { writer, written: 0, writing: None, failed: false }, contents)
    }

    /// Writes the contents if their generation is new. Does not wait for the disk: while an earlier write is in
    /// progress, the next refresh tries again.
    pub(in crate::aws) async fn write(&mut self, generation: u64, contents: impl FnOnce() -> Contents) {
        if let Some(writing) = self.writing.take_if(|writing| writing.is_finished()) {
            self.report(writing.await.ok());
        }
        if self.writing.is_some() || (generation == self.written && !self.failed) {
            return;
        }
        self.written = generation;
        let (writer, bytes) = (self.writer.clone(), render(&contents()));
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let written = writer.write(&|out| out.write_all(&bytes), IfUnchanged::Leave)?;
            tracing::debug!(bytes = bytes.len(), result = ?written, "cache file written");
            Ok(written)
        }));
    }

    /// Logs a failed write, once for consecutive ones.
    fn report(&mut self, written: Option<Result<Written, WriteError>>) {
        let failed_before = std::mem::replace(&mut self.failed, !matches!(written, Some(Ok(_))));
        if let Some(Err(error)) = written
            && !failed_before
        {
            tracing::warn!(%error, "cannot write the cache file: a restart will ask AWS for everything again");
        }
    }
}

fn ignored(path: &Path, reason: &str) -> Contents {
    tracing::warn!(path = %path.display(), reason, "cache file ignored: asking AWS for everything again");
    Contents::default()
}

fn render(contents: &Contents) -> Vec<u8> {
    let file = File { format: FORMAT.into(), version: VERSION, contents };
    // Serialising strings and numbers to memory cannot fail.
    serde_json::to_vec(&file).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Result<Contents, String> {
    let header: File<Ignored> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if header.format != FORMAT {
        return Err("not a cache file of ecs-discovery".into());
    }
    if header.version != VERSION {
        return Err(format!("version {} is not supported, only {VERSION}", header.version));
    }
    serde_json::from_slice::<File<Contents>>(bytes).map(|file| file.contents).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inventory::{ContainerDefinition, NetworkMode};

    fn contents() -> Contents {
        let app = ContainerDefinition {
            name: "app".into(),
            image: Some("app:1".into()),
            docker_labels: [("PROMETHEUS_EXPORTER_PORT".into(), "9102".into())].into(),
        };
        let bare = ContainerDefinition { name: "bare".into(), ..ContainerDefinition::default() };
        let definition = |network_mode| {
            let containers = vec![app.clone(), bare.clone()];
            Arc::new(TaskDefinition { family: "web".into(), revision: 3, network_mode, containers })
        };
        Contents {
            task_definitions: [
                ("web:3".into(), definition(NetworkMode::Awsvpc)),
                ("web:4".into(), definition(NetworkMode::Other("new".into()))),
            ]
            .into(),
            container_instances: [("ci-1".into(), "i-1".into())].into(),
        }
    }

    #[test]
    fn parses_what_it_renders() {
        assert_eq!(parse(&render(&contents())), Ok(contents()));
        assert_eq!(parse(&render(&Contents::default())), Ok(Contents::default()));
    }

    #[test]
    fn rejects_other_files_with_the_reason() {
        let whole = String::from_utf8(render(&contents())).unwrap();
        for (text, why) in [
            (whole.replace(FORMAT, "something"), "not a cache file of ecs-discovery"),
            (whole.replace("\"version\":1", "\"version\":2"), "version 2 is not supported, only 1"),
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
