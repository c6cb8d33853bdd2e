//! Where target groups go: a file, or standard output.

use std::io::{self, Write};
use std::sync::Arc;

use crate::config;
use crate::file_sd::{Format, TargetGroup, parse, render, write};
use crate::last_good::are_ours;
use crate::writer::{FileWriter, Stamp, WriteError, Written};

/// An output and what it takes to write there.
#[derive(Debug)]
pub enum Output {
    /// A file that is replaced atomically.
    File {
        /// Replaces it.
        writer: FileWriter,
        /// Its format.
        format: Format,
        /// What was put there last, and the file as it was after that.
        last: Option<(Arc<Vec<TargetGroup>>, Stamp)>,
    },
    /// Nowhere.
    Nowhere,
    /// Standard output, as YAML documents; what was printed last.
    Stdout(Option<Vec<u8>>),
}

/// What an output held when the program started.
#[derive(Debug, PartialEq)]
pub enum Earlier {
    /// There was nothing.
    Nothing,
    /// These groups, sorted.
    Groups(Arc<Vec<TargetGroup>>),
    /// Something that cannot be read as ours, and why.
    Unreadable(String),
}

impl Output {
    /// Opens what the configuration names, and removes what a killed predecessor left there.
    pub fn open(config: &config::Output) -> Self {
        match config {
            config::Output::Nowhere => Self::Nowhere,
            config::Output::Stdout => Self::Stdout(None),
            config::Output::File { path, format } => {
                let writer = FileWriter::new(path);
                let leftovers = writer.remove_leftovers();
                if leftovers > 0 {
                    tracing::info!(leftovers, "removed temporary files of an earlier run");
                }
                Self::File { writer, format: *format, last: None }
            }
        }
    }

    /// The groups that are there already.
    pub fn earlier(&self) -> Earlier {
        let Self::File { writer, format, .. } = self else { return Earlier::Nothing };
        let groups = match writer.read() {
            Ok(None) => return Earlier::Nothing,
            Ok(Some(bytes)) => parse(&bytes, *format),
            Err(error) => Err(error.to_string()),
        };
        match groups {
            Ok(mut groups) if are_ours(&groups) => {
                groups.sort_unstable();
                Earlier::Groups(Arc::new(groups))
            }
            Ok(_) => Earlier::Unreadable("it has targets without the labels cluster_arn and task_arn".into()),
            Err(why) => Earlier::Unreadable(why),
        }
    }

    /// Puts the groups out. Where they are there already, a file's modification time is moved if `touch`.
    pub async fn put(&mut self, groups: &Arc<Vec<TargetGroup>>, touch: bool) -> Result<Written, WriteError> {
        match self {
            Self::Nowhere => Ok(Written::Unchanged),
            Self::File { writer, format, last } => {
                let unchanged = last.take().filter(|(same, _)| Arc::ptr_eq(same, groups)).map(|(_, stamp)| stamp);
                let (writer, content, format) = (writer.clone(), groups.clone(), *format);
                let (written, stamp) = apart(move || {
                    // What has not changed need not be rendered to be compared.
                    let written = if unchanged.is_some() && writer.stamp() == unchanged && (!touch || writer.touch()) {
                        Written::Unchanged
                    } else {
                        writer.write(&|out| write(&content, format, out), touch)?
                    };
                    Ok((written, writer.stamp()))
                })
                .await?;
                *last = stamp.map(|stamp| (groups.clone(), stamp));
                Ok(written)
            }
            Self::Stdout(last) => {
                let bytes = render(groups, Format::Yaml);
                if last.as_ref() == Some(&bytes) {
                    return Ok(Written::Unchanged);
                }
                let (again, printed) = (last.is_some(), bytes.clone());
                let failed = |error| WriteError::other("print to", "standard output", error);
                apart(move || print(again, &printed).map_err(failed)).await?;
                *last = Some(bytes);
                Ok(Written::Replaced)
            }
        }
    }
}

/// Writes on a thread of its own: a slow disk or reader must not hold up the rest, and once begun a write
/// ends though nobody waits for it.
async fn apart<T: Send + 'static>(
    write: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, WriteError> {
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(WriteError::other("write to", "the output", io::Error::other(error))))
}

fn print(again: bool, bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if again {
        stdout.write_all(b"---\n")?;
    }
    stdout.write_all(bytes)?;
    stdout.flush()
}
