//! The cache file, which all scopes share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache_file::{CacheFile, Contents, LearnedWith};

/// One scope's part of the cache file.
#[derive(Clone)]
pub(in crate::aws) struct SharedFile {
    file: Arc<Mutex<Parts>>,
    part: usize,
}

struct Parts {
    file: CacheFile,
    learned_with: LearnedWith,
    parts: Vec<Part>,
}

/// What a scope has learned, and the generation of it.
#[derive(Default)]
struct Part {
    generation: u64,
    contents: Contents,
}

impl SharedFile {
    /// Opens the file for a number of scopes. Returns a part for each, and what the file holds.
    pub(in crate::aws) async fn open(path: PathBuf, learned_with: LearnedWith, scopes: usize) -> (Vec<Self>, Contents) {
        let (file, contents) = CacheFile::open(path).await;
        let contents = contents.learned_with(&learned_with);
        let parts = (0..scopes).map(|_| Part::default()).collect();
        let file = Arc::new(Mutex::new(Parts { file, learned_with, parts }));
        ((0..scopes).map(|part| Self { file: file.clone(), part }).collect(), contents)
    }

    /// Writes the file if the generation of this part is new, with the parts of the other scopes as of their last writes.
    pub(in crate::aws) fn write(&self, generation: u64, contents: impl FnOnce() -> Contents) {
        let Parts { file, learned_with, parts } = &mut *self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.get_mut(self.part).filter(|part| part.generation != generation) {
            *part = Part { generation, contents: contents() };
        }
        // The generations only grow, so that their sum changes with each of them.
        let all = parts.iter().map(|part| part.generation).sum();
        file.write(all, || merged(learned_with, parts));
    }
}

fn merged(learned_with: &LearnedWith, parts: &[Part]) -> Contents {
    let mut all = Contents { learned_with: learned_with.clone(), ..Contents::default() };
    for Part { contents, .. } in parts {
        all.task_definitions.extend(contents.task_definitions.clone());
        all.container_instances.extend(contents.container_instances.clone());
    }
    all
}
