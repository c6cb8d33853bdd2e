//! The top-level modules of `src/`: what each is for, and which others it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A top-level module.
#[derive(Default)]
pub(crate) struct Module {
    /// The first sentence of its documentation.
    pub(crate) job: String,
    /// The other top-level modules that its code imports, tests aside.
    pub(crate) imports: BTreeSet<String>,
}

/// Returns the modules by name.
pub(crate) fn all() -> BTreeMap<String, Module> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !["main", "lib"].contains(&name.as_str()) {
            let module = modules.entry(name).or_default();
            rust_files(&path).iter().for_each(|file| module.read(file));
        }
    }
    for (name, module) in &mut modules {
        module.imports.remove(name);
    }
    modules
}

/// Returns the Rust files at a path, without those that hold only tests.
fn rust_files(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().flat_map(|entry| rust_files(&entry.unwrap().path())).collect();
    }
    let tests = path.file_stem().is_some_and(|stem| stem == "tests" || stem == "fixtures");
    if tests { Vec::new() } else { vec![path.to_owned()] }
}

impl Module {
    fn read(&mut self, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        let top = file.parent().is_some_and(|parent| parent.ends_with("src")) || file.ends_with("mod.rs");
        // The documentation of src/NAME/mod.rs counts, and not that of src/NAME/PART/mod.rs.
        let depth = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().components().count();
        if top && depth <= 2 {
            self.job = first_sentence(&text);
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for import in line.split("crate::").skip(1) {
                let name: String = import.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                assert!(!name.is_empty(), "{}: write one `use` for each module: {line}", file.display());
                self.imports.insert(name);
            }
        }
    }
}

fn first_sentence(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    paragraph.split(". ").next().unwrap().trim_end_matches('.').to_owned()
}
