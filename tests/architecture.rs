//! The imports between modules of `src/` form no cycle, so that every module can be read and changed without the ones
//! above it.
//!
//! A module is a file. It imports another where a path in its code, `use` or otherwise, leads to an item of the other;
//! re-exports (`pub use self::…`) are followed to the file that defines the item. Code under `#[cfg(test)]` does not
//! count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// A path of identifiers from the root of the crate.
type ModulePath = Vec<String>;

/// A parsed module.
struct Module {
    file: syn::File,
    /// The names that the module re-exports, with the paths that they lead to. The name `*` is a glob.
    exports: Vec<(String, ModulePath)>,
}

/// Returns every module of the crate.
fn modules() -> BTreeMap<ModulePath, Module> {
    let mut modules = BTreeMap::new();
    read_module(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs").as_path(), vec![], &mut modules);
    modules
}

fn read_module(path: &Path, module: ModulePath, modules: &mut BTreeMap<ModulePath, Module>) {
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let directory = match path.file_stem().unwrap().to_str().unwrap() {
        "lib" | "mod" => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    };
    for item in &file.items {
        if let Item::Mod(child) = item
            && child.content.is_none()
            && !is_test(&child.attrs)
        {
            let name = child.ident.to_string();
            let candidates = [directory.join(format!("{name}.rs")), directory.join(&name).join("mod.rs")];
            let file = candidates.iter().find(|file| file.exists()).expect("a file for each module");
            read_module(file, [module.as_slice(), &[name]].concat(), modules);
        }
    }
    let exports = exports(&file, &module);
    modules.insert(module, Module { file, exports });
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

/// Returns the names that `pub use` makes available in a module.
fn exports(file: &syn::File, module: &ModulePath) -> Vec<(String, ModulePath)> {
    let mut exports = Vec::new();
    for item in &file.items {
        if let Item::Use(item) = item
            && !matches!(item.vis, Visibility::Inherited)
        {
            for path in leaves(&item.tree) {
                if let Some(path) = absolute(&path, module, &BTreeSet::new()) {
                    exports.push((path.last().unwrap().clone(), path));
                }
            }
        }
    }
    exports
}

/// Returns the paths in a tree of imports.
fn leaves(tree: &UseTree) -> Vec<ModulePath> {
    match tree {
        UseTree::Path(path) => {
            let head = path.ident.to_string();
            leaves(&path.tree).into_iter().map(|leaf| [vec![head.clone()], leaf].concat()).collect()
        }
        UseTree::Name(name) => vec![vec![name.ident.to_string()]],
        UseTree::Rename(name) => vec![vec![name.ident.to_string()]],
        UseTree::Glob(_) => vec![vec!["*".into()]],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// Returns a path from the root of the crate; `None` for a path that leads out of it. `children` are the names of child
/// modules, which paths may start with.
fn absolute(path: &[String], module: &ModulePath, children: &BTreeSet<String>) -> Option<ModulePath> {
    let (mut base, mut rest) = match path.first()?.as_str() {
        "crate" => (vec![], &path[1..]),
        "self" => (module.clone(), &path[1..]),
        "super" => (module[..module.len().checked_sub(1)?].to_vec(), &path[1..]),
        child if children.contains(child) => (module.clone(), path),
        _ => return None,
    };
    while rest.first().is_some_and(|first| first == "super") {
        base.pop()?;
        rest = &rest[1..];
    }
    Some([base.as_slice(), rest].concat())
}

/// Returns the module that defines the item at a path.
fn defining_module(path: &[String], modules: &BTreeMap<ModulePath, Module>) -> ModulePath {
    // The longest prefix that is a module; what follows is an item of it.
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length])).unwrap();
    let (module, item) = path.split_at(length);
    let exported = item.first().and_then(|name| {
        let exports = &modules[module].exports;
        let named = exports.iter().find(|(exported, _)| exported == name && name != "*").map(|(_, path)| path.clone());
        named.or_else(|| {
            let globs = exports.iter().filter(|(exported, _)| exported == "*").map(|(_, path)| &path[..path.len() - 1]);
            globs
                .filter(|glob| defines(&modules[*glob].file, name))
                .map(|glob| [glob, std::slice::from_ref(name)].concat())
                .next()
        })
    });
    match exported {
        Some(path) if path[..] != *module => defining_module(&path, modules),
        _ => module.to_vec(),
    }
}

/// Returns whether a file defines an item with this name. (A macro may define any.)
fn defines(file: &syn::File, name: &str) -> bool {
    file.items.iter().any(|item| match item {
        Item::Struct(item) => item.ident == name,
        Item::Enum(item) => item.ident == name,
        Item::Trait(item) => item.ident == name,
        Item::Type(item) => item.ident == name,
        Item::Const(item) => item.ident == name,
        Item::Fn(item) => item.sig.ident == name,
        Item::Macro(item) => item.mac.tokens.to_string().split_whitespace().any(|word| word == name),
        _ => false,
    })
}

/// Collects the paths in the code of a module, except in tests and in re-exports of children.
struct Paths<'a> {
    module: &'a ModulePath,
    children: BTreeSet<String>,
    found: BTreeSet<ModulePath>,
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(item) if is_test(&item.attrs) => {}
            Item::Fn(item) if is_test(&item.attrs) => {}
            Item::Use(item) if matches!(item.vis, Visibility::Inherited) => {
                let paths = leaves(&item.tree);
                self.found.extend(paths.iter().filter_map(|path| absolute(path, self.module, &self.children)));
            }
            // A re-export is followed where it is used.
            Item::Use(_) => {}
            item => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.found.extend(absolute(&segments, self.module, &self.children));
        }
        visit::visit_path(self, path);
    }
}

/// Returns the modules that each module imports.
fn imports(modules: &BTreeMap<ModulePath, Module>) -> BTreeMap<&ModulePath, BTreeSet<ModulePath>> {
    modules
        .iter()
        .map(|(name, module)| {
            let is_child = |path: &&ModulePath| path.len() == name.len() + 1 && path.starts_with(name);
            let children = modules.keys().filter(is_child).map(|path| path.last().unwrap().clone()).collect();
            let mut paths = Paths { module: name, children, found: BTreeSet::new() };
            paths.visit_file(&module.file);
            let imported = paths.found.iter().map(|path| defining_module(path, modules));
            (name, imported.filter(|imported| imported != name).collect())
        })
        .collect()
}

/// Returns a cycle, if there is one.
fn cycle(imports: &BTreeMap<&ModulePath, BTreeSet<ModulePath>>) -> Option<Vec<ModulePath>> {
    let (mut done, mut path) = (BTreeSet::new(), Vec::new());
    imports.keys().find_map(|start| visit(start, imports, &mut done, &mut path))
}

fn visit(
    module: &ModulePath,
    imports: &BTreeMap<&ModulePath, BTreeSet<ModulePath>>,
    done: &mut BTreeSet<ModulePath>,
    path: &mut Vec<ModulePath>,
) -> Option<Vec<ModulePath>> {
    if let Some(at) = path.iter().position(|known| known == module) {
        return Some([&path[at..], std::slice::from_ref(module)].concat());
    }
    if done.contains(module) {
        return None;
    }
    path.push(module.clone());
    let found = imports[module].iter().find_map(|imported| visit(imported, imports, done, path));
    path.pop();
    done.insert(module.clone());
    found
}

fn name(module: &ModulePath) -> String {
    if module.is_empty() { "crate".into() } else { module.join("::") }
}

#[test]
fn modules_import_each_other_in_one_direction() {
    let modules = modules();
    let imports = imports(&modules);
    assert!(modules.len() > 40, "all modules are read");
    if let Some(cycle) = cycle(&imports) {
        panic!("import cycle: {}", cycle.iter().map(name).collect::<Vec<_>>().join(" → "));
    }
}

#[test]
fn every_import_is_found() {
    let modules = modules();
    let imports = imports(&modules);
    let imports = |from: &str, to: &str| {
        let path = |text: &str| text.split("::").map(String::from).collect::<ModulePath>();
        imports[&path(from)].contains(&path(to))
    };
    // By `use` through a re-export, by `super`, by a glob re-export of a macro's items, and by a path in an expression.
    assert!(imports("daemon", "refresh"));
    assert!(imports("explain::text", "explain::rows"));
    assert!(imports("targets::labels", "inventory::names"));
    assert!(imports("aws::source::scan_all", "aws::state::scan"));
    assert!(imports("run", "web"));
    assert!(!imports("inventory::task", "inventory"));
}

/// The modules that compute without I/O, clock, environment or logs.
const PURE: [&str; 8] =
    ["targets", "last_good", "retention", "schedule", "staleness", "file_sd", "filter", "inventory"];

#[test]
fn pure_modules_import_only_pure_modules() {
    let modules = modules();
    for (module, imported) in imports(&modules) {
        if module.first().is_some_and(|first| PURE.contains(&first.as_str())) {
            let allowed = |path: &ModulePath| PURE.contains(&path[0].as_str()) || path[0] == "config";
            let other: Vec<_> = imported.iter().filter(|path| !path.is_empty() && !allowed(path)).map(name).collect();
            assert!(other.is_empty(), "{} imports {other:?}", name(module));
        }
    }
}

/// What each of these modules may import, apart from itself and the pure modules.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("aws", &["config", "events", "http", "writer"]),
    ("events", &[]),
    ("refresh", &["config"]),
    ("publish", &["output", "refresh", "writer"]),
    ("telemetry", &["config", "events", "printable", "publish", "refresh", "status", "writer"]),
    ("writer", &[]),
    ("cli", &["config", "printable"]),
];

#[test]
fn modules_import_only_what_their_job_needs() {
    let modules = modules();
    for (module, imported) in imports(&modules) {
        let Some((own, allowed)) = ALLOWED.iter().find(|(name, _)| module.first().is_some_and(|first| first == name))
        else {
            continue;
        };
        let is_allowed = |path: &&ModulePath| {
            let first = path[0].as_str();
            first == *own || PURE.contains(&first) || allowed.contains(&first)
        };
        let other: Vec<_> = imported.iter().filter(|path| !is_allowed(path)).map(name).collect();
        assert!(other.is_empty(), "{} imports {other:?}", name(module));
    }
}
