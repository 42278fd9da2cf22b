//! The corpus, run through the same targets on whatever compiler there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::TARGETS;

/// All of the corpus together.
const MOST_BYTES: u64 = 2 * 1_024 * 1_024;

/// One input, with the machine busy with other tests: what is quadratic takes longer.
const PATIENCE: Duration = Duration::from_secs(2);

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_fuzzing_found_is_read_without_a_finding() {
    for target in TARGETS {
        let files = files(&corpus().join(target.name));
        assert!(files.len() >= 5, "{} has hardly any inputs", target.name);
        for file in files {
            let data = std::fs::read(&file).unwrap();
            let began = Instant::now();
            let end = std::panic::catch_unwind(|| (target.run)(&data));
            assert!(end.is_ok(), "{}", file.display());
            assert!(began.elapsed() < PATIENCE, "{} took {:?}", file.display(), began.elapsed());
        }
    }
}

#[test]
fn corpus_is_small_and_has_a_folder_for_each_target() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let folders = files(&corpus());
    let found: BTreeSet<_> =
        folders.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(found, names);
    let sizes = folders.iter().flat_map(|folder| files(folder)).map(|file| file.metadata().unwrap().len());
    assert!(sizes.sum::<u64>() < MOST_BYTES);
}

/// Nothing that a target is given may take time out of proportion to its length.
#[test]
fn long_inputs_take_no_longer_than_their_length() {
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
            let began = Instant::now();
            (target.run)(data.as_bytes());
            assert!(began.elapsed() < PATIENCE, "{} {unit:?} took {:?}", target.name, began.elapsed());
        }
    }
}
