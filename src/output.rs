//! Where target groups are written: a file or standard output.

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::config;
use crate::file_sd::{Format, TargetGroup, parse_checked, render, write};
use crate::last_good;
use crate::writer::{FileWriter, IfUnchanged, Stamp, WriteError, Written};

/// An output, and the state that writing to it needs.
#[derive(Debug)]
pub enum Output {
    /// A file that is replaced atomically.
    File {
        /// The writer of the file.
        writer: FileWriter,
        /// The format of the file.
        format: Format,
        /// The groups that were written last, and the stamp of the file afterwards.
        last: Option<(Arc<Vec<TargetGroup>>, Stamp)>,
        /// What was warned of last.
        warned: Option<Written>,
    },
    /// Nowhere.
    Nowhere,
    /// Standard output, as YAML documents. Holds what was printed last.
    Stdout(Option<Vec<u8>>),
}

/// What an output held when the program started.
#[derive(Debug, PartialEq)]
pub enum Earlier {
    /// Nothing.
    Nothing,
    /// These groups, sorted.
    Groups(Arc<Vec<TargetGroup>>),
    /// Something that this program did not write. Holds why it cannot be used.
    Unreadable(String),
}

impl Output {
    /// Opens the configured output and returns what it holds already. Works on a thread for blocking work, because a large
    /// file takes seconds and a signal must not wait for it.
    pub async fn open_and_read(config: &config::Output) -> (Self, Earlier) {
        let config = config.clone();
        let read = spawn_blocking(move || {
            let output = Self::open(&config);
            let earlier = output.earlier();
            (output, earlier)
        });
        // Passes a panic on. Only the end of the runtime cancels the task, and then nobody waits here.
        read.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }

    /// Opens the configured output, and removes the temporary files of a killed predecessor.
    pub fn open(config: &config::Output) -> Self {
        let (path, format) = match config {
            config::Output::Nowhere => return Self::Nowhere,
            config::Output::Stdout => return Self::Stdout(None),
            config::Output::File { path, format } => (path, *format),
        };
        let writer = FileWriter::new(path);
        let leftovers = writer.remove_leftovers();
        if leftovers > 0 {
            tracing::info!(leftovers, "removed temporary files of a previous run");
        }
        Self::File { writer, format, last: None, warned: None }
    }

    /// Returns what the output holds already.
    pub fn earlier(&self) -> Earlier {
        let Self::File { writer, format, .. } = self else { return Earlier::Nothing };
        let groups = match writer.read() {
            Ok(None) => return Earlier::Nothing,
            Ok(Some(bytes)) => parse_checked(&bytes, *format, last_good::check),
            Err(error) => Err(error.to_string()),
        };
        match groups {
            Ok(mut groups) => {
                groups.sort_unstable();
                Earlier::Groups(Arc::new(groups))
            }
            Err(why) => Earlier::Unreadable(why),
        }
    }

    /// Writes the groups.
    pub async fn put(
        &mut self,
        groups: &Arc<Vec<TargetGroup>>,
        if_unchanged: IfUnchanged,
    ) -> Result<Written, WriteError> {
        match self {
            Self::Nowhere => Ok(Written::Unchanged),
            Self::File { writer, format, last, warned } => {
                let unchanged = last.take().filter(|(same, _)| Arc::ptr_eq(same, groups)).map(|(_, stamp)| stamp);
                let (writer, content, format) = (writer.clone(), groups.clone(), *format);
                let (written, stamp) = blocking(move || {
                    // Unchanged groups need not be rendered to be compared with an unchanged file.
                    let is_current = unchanged.is_some() && writer.stamp() == unchanged;
                    let written = if is_current && (if_unchanged == IfUnchanged::Leave || writer.touch().is_ok()) {
                        Written::Unchanged
                    } else {
                        writer.write(&|out| write(&content, format, out), if_unchanged)?
                    };
                    Ok((written, writer.stamp()))
                })
                .await?;
                *last = stamp.map(|stamp| (groups.clone(), stamp));
                warn_once(written, warned);
                Ok(written)
            }
            Self::Stdout(last) => {
                let bytes = render(groups, Format::Yaml);
                if last.as_ref() == Some(&bytes) {
                    return Ok(Written::Unchanged);
                }
                let (separator, printed) = (if last.is_some() { "---\n" } else { "" }, bytes.clone());
                let failed = |error| WriteError::other("write to", "standard output", error);
                blocking(move || print(separator, &printed).map_err(failed)).await?;
                *last = Some(bytes);
                Ok(Written::Replaced(None))
            }
        }
    }
}

/// Warns of a write that readers can notice, unless the same was warned of before.
fn warn_once(written: Written, warned: &mut Option<Written>) {
    if *warned == Some(written) {
        return;
    }
    match written {
        Written::InPlace(kind) => {
            let (error, remedy) = (io::Error::from(kind), in_place_remedy(kind));
            tracing::warn!(%error, remedy, "file written in place: it cannot be replaced, and readers may see a part of it");
        }
        Written::Replaced(Some(lost)) => tracing::warn!(
            previous = %lost.previous(),
            now = %lost.now(),
            remedy = "let everybody read the file (chmod o+r), or run as its owner or in its group",
            "file replaced: its previous owner or group may not read it any more"
        ),
        Written::Replaced(None) | Written::Unchanged => return,
    }
    *warned = Some(written);
}

fn in_place_remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ResourceBusy => "mount the directory instead of the file",
        _ => "make the directory writable for this process and not sticky, or mount a volume there",
    }
}

/// Writes on a thread for blocking work, so that a slow disk or reader does not block the rest. A write that has begun
/// is completed even if nobody waits for it.
async fn blocking<T: Send + 'static>(
    write: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, WriteError> {
    let written = spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(WriteError::other("write to", "the output", io::Error::other(error))))
}

fn print(separator: &str, bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(separator.as_bytes())?;
    stdout.write_all(bytes)?;
    stdout.flush()
}
