//! What cannot change, kept beside the output file: a restart need not ask AWS for it again.
//!
//! Only ever a saving: a file that is damaged, foreign or of another version is ignored, and one that
//! cannot be written costs nothing but the calls of the next start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::inventory::{ContainerInstanceArn, Shared, TaskDefinition, TaskDefinitionArn};
use crate::writer::{FileWriter, IfUnchanged, WriteError, Written};

/// By which a file of this program is known.
const FORMAT: &str = "ecs-discovery cache";

/// The version of the contents that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What is kept.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Revisions of task definitions.
    pub(super) task_definitions: BTreeMap<TaskDefinitionArn, Arc<TaskDefinition>>,
    /// What ECS calls the machines behind container instances.
    pub(super) container_instances: BTreeMap<ContainerInstanceArn, Shared>,
}

#[derive(Serialize, Deserialize)]
struct File<K> {
    format: String,
    version: u32,
    #[serde(flatten)]
    kept: K,
}

/// What tells whether the rest can be read.
#[derive(Deserialize)]
struct Nothing {}

/// The file.
pub(super) struct CacheFile {
    writer: FileWriter,
    /// How much had been learned when it was last written.
    written_at: u64,
    writing: Option<JoinHandle<Result<Written, WriteError>>>,
    failed: bool,
}

impl CacheFile {
    /// The file at this path, and what it holds.
    pub(super) fn open(path: &Path) -> (Self, Kept) {
        let writer = FileWriter::private(path);
        writer.remove_leftovers();
        let kept = match writer.read() {
            Ok(None) => Kept::default(),
            Ok(Some(bytes)) => read(&bytes).unwrap_or_else(|why| ignored(path, &why)),
            Err(error) => ignored(path, &error.to_string()),
        };
        (Self { writer, written_at: 0, writing: None, failed: false }, kept)
    }

    /// Keeps this, where something has been learned since the last time. Does not wait for the disk: what a slow one is
    /// still busy with is for the next time.
    pub(super) async fn keep(&mut self, learned: u64, kept: impl FnOnce() -> Kept) {
        if let Some(writing) = self.writing.take_if(|writing| writing.is_finished()) {
            self.report(writing.await.ok());
        }
        if self.writing.is_some() || (learned == self.written_at && !self.failed) {
            return;
        }
        self.written_at = learned;
        let (writer, bytes) = (self.writer.clone(), bytes(&kept()));
        self.writing =
            Some(tokio::task::spawn_blocking(move || writer.write(&|out| out.write_all(&bytes), IfUnchanged::Leave)));
    }

    /// Says once that it cannot be written.
    fn report(&mut self, written: Option<Result<Written, WriteError>>) {
        let failed_before = std::mem::replace(&mut self.failed, !matches!(written, Some(Ok(_))));
        if let Some(Err(error)) = written
            && !failed_before
        {
            tracing::warn!(%error, "cache not written: after a restart AWS is asked for everything again");
        }
    }
}

fn ignored(path: &Path, why: &str) -> Kept {
    tracing::warn!(path = %path.display(), why, "cache ignored: AWS is asked for everything again");
    Kept::default()
}

fn bytes(kept: &Kept) -> Vec<u8> {
    let file = File { format: FORMAT.into(), version: VERSION, kept };
    // Strings and numbers in memory have nothing that can fail.
    serde_json::to_vec(&file).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Result<Kept, String> {
    let header: File<Nothing> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if header.format != FORMAT {
        return Err("it is not one of ours".into());
    }
    if header.version != VERSION {
        return Err(format!("it has version {}, and this program reads version {VERSION}", header.version));
    }
    serde_json::from_slice::<File<Kept>>(bytes).map(|file| file.kept).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inventory::{ContainerDefinition, NetworkMode};

    fn kept() -> Kept {
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
        Kept {
            task_definitions: [
                ("web:3".into(), definition(NetworkMode::Awsvpc)),
                ("web:4".into(), definition(NetworkMode::Other("new".into()))),
            ]
            .into(),
            container_instances: [("ci-1".into(), "i-1".into())].into(),
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        assert_eq!(read(&bytes(&kept())), Ok(kept()));
        assert_eq!(read(&bytes(&Kept::default())), Ok(Kept::default()));
    }

    #[test]
    fn other_files_are_ignored_with_the_reason() {
        let whole = String::from_utf8(bytes(&kept())).unwrap();
        for (text, why) in [
            (whole.replace(FORMAT, "something"), "it is not one of ours"),
            (whole.replace("\"version\":1", "\"version\":2"), "it has version 2, and this program reads version 1"),
            (whole.replace("task_definitions", "definitions"), "missing field `task_definitions`"),
            (whole[..whole.len() / 2].to_owned(), "EOF while parsing"),
            ("- targets: []".into(), "invalid number"),
            (String::new(), "EOF while parsing"),
        ] {
            let refused = read(text.as_bytes()).unwrap_err();
            assert!(refused.starts_with(why), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_read_whole_or_not_at_all(at in 0..600_usize, byte: u8, cut: bool) {
            let mut damaged = bytes(&kept());
            let at = at % damaged.len();
            if cut { damaged.truncate(at) } else { damaged[at] = byte }
            let _ = read(&damaged);
        }
    }
}
