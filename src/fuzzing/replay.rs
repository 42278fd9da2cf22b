//! The corpus, run through the same targets on whatever compiler there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{TARGETS, Target};

/// All of the corpus together.
const MOST_BYTES: u64 = 2 * 1_024 * 1_024;

/// The inputs of a target: one a line, in base64, some of them marked as seeds.
fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let path = corpus().join(format!("{}.txt", target.name));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| BASE64_STANDARD.decode(line.trim_start_matches("seed ")).unwrap()).collect()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[test]
fn what_fuzzing_found_is_read_without_a_finding() {
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() >= 5, "{} has hardly any inputs", target.name);
        for (line, data) in inputs.iter().enumerate() {
            let end = std::panic::catch_unwind(|| (target.run)(data));
            assert!(end.is_ok(), "line {} of {}", line + 1, target.name);
        }
    }
}

#[test]
fn corpus_is_small_and_has_a_file_for_each_target() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| format!("{}.txt", target.name)).collect();
    let files: Vec<_> = std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap()).collect();
    let found: BTreeSet<_> = files.iter().map(|file| file.file_name().into_string().unwrap()).collect();
    assert_eq!(found, names);
    assert!(files.iter().map(|file| file.metadata().unwrap().len()).sum::<u64>() < MOST_BYTES);
}

/// The longest inputs of one kind. What takes time out of proportion to its length is slow here, which the test runner
/// reports.
#[test]
fn long_inputs_of_one_kind_are_read() {
    for target in TARGETS {
        for unit in [
            "[",
            "{\"a\":",
            "(",
            "\"",
            ",",
            "%",
            "**/",
            "<p",
            "a=b,",
            "\u{200b}",
            "lightning:",
            "\\",
            "9",
            "\n",
        ] {
            let data = unit.repeat(target.most / unit.len());
            (target.run)(data.as_bytes());
        }
    }
}
