//! Imports run one way: a module names only modules below it.

#![expect(clippy::unwrap_used, reason = "a test fails by them")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom to the top. Modules on one line may not name each other.
const LEVELS: &[&[&str]] = &[
    &["core"],
    &["config"],
    &["telemetry"],
    &["storage"],
    &["lightning"],
    &["ledger"],
    &["vouchers"],
    &["http"],
    &["outbound"],
    &["rates"],
    &["admin"],
    &["services"],
    &["web"],
    &["app"],
    &["cli"],
    &["fuzzing"],
];

/// What tests share may be used everywhere in tests; `crash_point!` is a macro.
const ANYWHERE: &[&str] = &["testing", "crash_point"];

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file holds tests alone.
fn is_tests(path: &str) -> bool {
    ["/tests/", "/tests.rs", "/property", "/fake.rs"].iter().any(|part| path.contains(part))
}

/// The modules that lines of a file name from the crate's root, with the line's number.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for part in line.split("crate::").skip(1) {
            let name: String =
                part.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            found.push((number + 1, name));
        }
    }
    found
}

#[test]
fn imports_run_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let Some(from) = path.split_once('/').map(|(module, _)| module) else { continue };
        if from == "testing" || is_tests(&path) {
            continue;
        }
        let from_level = level(from).unwrap_or_else(|| panic!("src/{from} has no level: add it to LEVELS"));
        for (line, to) in imports(&fs::read_to_string(&file).unwrap()) {
            if to == from || to.is_empty() || ANYWHERE.contains(&to.as_str()) {
                continue;
            }
            seen += 1;
            let to_level = level(&to).unwrap_or_else(|| panic!("{path}:{line} names an unknown module {to}"));
            if to_level >= from_level {
                wrong.push(format!("src/{path}:{line}: {from} -> {to}"));
            }
        }
    }
    assert!(seen > 1_000, "only {seen} imports were read");
    assert!(wrong.is_empty(), "these imports run the wrong way:\n{}", wrong.join("\n"));
}
