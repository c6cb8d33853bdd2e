//! The Markdown files of the repository: fenced code, sections, tables, links, anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::blocks;

/// A Markdown file.
pub(crate) struct Page {
    /// Its path from the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every Markdown file, with the generated blocks rewritten if `UPDATE_DOCS=1` asks for it. The tests run
/// concurrently, so the rewriting comes before any of them reads a page.
static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    let update = std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1");
    let mut pages = Vec::new();
    read_folder(&root(), &mut pages);
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    for page in pages.iter_mut().filter(|_| update) {
        let text = blocks::rewrite(page);
        if text != page.text {
            fs::write(root().join(&page.path), &text).expect(&page.path);
            page.text = text;
        }
    }
    pages
});

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read_folder(folder: &Path, pages: &mut Vec<Page>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && (!name.starts_with('.') || name == ".github") {
            read_folder(&path, pages);
        } else if name.ends_with(".md") {
            let text = fs::read_to_string(&path).expect(&name);
            pages.push(Page { path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text });
        }
    }
}

/// Every Markdown file of the repository.
pub(crate) fn all() -> &'static [Page] {
    &PAGES
}

/// The README, the pages under `docs/` and SECURITY.md: what a user reads.
pub(crate) fn user_documents() -> impl Iterator<Item = &'static Page> {
    let is_one =
        |page: &&Page| page.path.starts_with("docs/") || ["README.md", "SECURITY.md"].contains(&page.path.as_str());
    all().iter().filter(is_one)
}

/// Returns the page at a path.
pub(crate) fn page(path: &str) -> &'static Page {
    all().iter().find(|page| page.path == path).unwrap_or_else(|| panic!("{path} is missing"))
}

/// Returns the text of a file of the repository.
pub(crate) fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns whether the repository has a file or a folder at a path.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

impl Page {
    /// Returns the fenced code blocks of a language.
    pub(crate) fn code(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(opened) = line.trim_start().strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
                if opened == language {
                    blocks.push(block.join("\n"));
                }
            }
        }
        blocks
    }

    /// Returns the lines outside of fenced code.
    pub(crate) fn prose(&self) -> impl Iterator<Item = &str> {
        let mut fenced = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
    }

    /// Returns the tables, each as its rows of cells, the header first. The line below the header has cells too.
    pub(crate) fn tables(&self) -> Vec<Vec<Vec<String>>> {
        let mut tables: Vec<Vec<Vec<String>>> = Vec::new();
        let mut inside = false;
        for line in self.prose() {
            let row = line.trim_start().starts_with('|');
            match (row, inside) {
                (true, true) => tables.last_mut().unwrap().push(cells(line)),
                (true, false) => tables.push(vec![cells(line)]),
                _ => {}
            }
            inside = row;
        }
        tables
    }

    /// Returns the targets of the links, and of the definitions of links (`[name]: target`).
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            let text = without_code(line);
            links.extend(text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
            if let Some((_, target)) = text.split_once("]: ").filter(|_| text.starts_with('[')) {
                links.push(target.trim().to_owned());
            }
        }
        links
    }

    /// Returns the anchors of the headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let anchors = headings.map(|heading| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let times = seen.entry(anchor.clone()).or_default();
            *times += 1;
            if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
        });
        anchors.collect()
    }
}

/// Splits a row of a table at its unescaped pipes.
pub(crate) fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            '|' if !escaped => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Returns a line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}
