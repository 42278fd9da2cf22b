//! What tests of several modules share.

use std::path::Path;

use proptest::prelude::ProptestConfig;

use crate::core::ids::Secret;
use crate::storage::{DatabaseKey, Store, StoreError};

/// Properties with a usual number of cases of their own; `PROPTEST_CASES` says otherwise, as for all others.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { usual };
    ProptestConfig { cases, ..asked }
}

/// The bytes of a database's files, as whoever copies them reads them.
pub(crate) fn database_bytes(path: &Path) -> Vec<u8> {
    let with = |ending: &str| std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default();
    [with(""), with("-wal")].concat()
}

/// Whether some bytes hold a text or, of hex, what that stands for.
pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    let unhexed = || -> Option<Vec<u8>> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
    };
    has(text.as_bytes()) || (text.len() >= 16 && unhexed().is_some_and(|raw| has(&raw)))
}

/// A copy of a database, opened by a thief: with a seed of their own, whose mark they had to put in first.
pub(crate) fn stolen_copy(path: &Path) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("satchel.db");
    for ending in ["", "-wal"] {
        let _ = std::fs::copy(format!("{}{ending}", path.display()), format!("{}{ending}", copy.display()));
    }
    let key = DatabaseKey::of_seed(&Secret::new("a thief's seed"), None).unwrap();
    assert!(matches!(Store::open(&copy, &key), Err(StoreError::OtherSeed(_))));
    key.forge_mark(&copy);
    let store = Store::open(&copy, &key).unwrap();
    (folder, store)
}
