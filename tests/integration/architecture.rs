//! Holds the modules to the order that `src/lib.rs` lists them in.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that join the others and may import any of them.
const JOINTS: &[&str] = &["cli", "run"];

#[test]
fn a_module_imports_only_from_modules_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = modules(&fs::read_to_string(source.join("lib.rs")).unwrap());
    let mut arrows = 0;
    let mut wrong = Vec::new();
    for (position, module) in order.iter().enumerate() {
        for file in files_of(&source, module) {
            let text = fs::read_to_string(&file).unwrap();
            for import in imports(&text) {
                arrows += 1;
                let above = order[..=position].contains(&import);
                if !above && !JOINTS.contains(&module.as_str()) {
                    wrong.push(format!("{}: {module} imports {import}", file.display()));
                }
            }
        }
    }
    assert!(
        arrows > 10,
        "found only {arrows} imports: the search is broken"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in modules(&fs::read_to_string(source.join("lib.rs")).unwrap()) {
        let entry = files_of(&source, &module)
            .into_iter()
            .find(|file| file.ends_with("mod.rs") || file.parent() == Some(&source))
            .unwrap();
        let text = fs::read_to_string(&entry).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} has no module documentation",
            entry.display()
        );
    }
}

fn modules(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

fn files_of(source: &Path, module: &str) -> Vec<PathBuf> {
    let file = source.join(format!("{module}.rs"));
    if file.exists() {
        return vec![file];
    }
    let mut files = Vec::new();
    let mut folders = vec![source.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// First names behind `crate::`, also in `use crate::{a, b}` and in paths within code.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split("crate::").skip(1) {
        let names = match part.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => part
                .split([';', '(', ')', ' ', ','])
                .next()
                .unwrap_or_default(),
        };
        for name in names.split(',') {
            let name = name.trim().split("::").next().unwrap_or_default();
            if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                found.push(name.to_owned());
            }
        }
    }
    found
}
