//! Where a wallet's node keeps its state: in memory, and written behind into one file.
//!
//! ldk-node's own store waits for the disk at every step of every payment. A wallet must not be what a measurement of
//! satchel measures, so this one hands each change to the operating system and goes on. That survives the end of the
//! process, however it comes, but not a power cut: no store for real money.
//!
//! The file is a list of changes, the newest last. It is rewritten without what was replaced each time it is opened.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::future::ready;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ldk_node::lightning::io as node_io;
use ldk_node::lightning::util::async_poll::AsyncResult;
use ldk_node::lightning::util::persist::{KVStore, KVStoreSync};

/// Primary namespace, secondary namespace, key.
type Name = (String, String, String);

/// A key-value store for one node.
pub(super) struct LogStore {
    inner: Mutex<Inner>,
}

struct Inner {
    values: BTreeMap<Name, Vec<u8>>,
    file: File,
}

impl LogStore {
    /// Opens the store in `dir`, or makes one.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join("store.log");
        let values = match fs::read(&path) {
            Ok(bytes) => replay(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        rewrite(&path, &values)?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { inner: Mutex::new(Inner { values, file }) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rewrite(path: &Path, values: &BTreeMap<Name, Vec<u8>>) -> io::Result<()> {
    let beside: PathBuf = path.with_extension("new");
    let mut bytes = Vec::new();
    for (name, value) in values {
        bytes.extend(record(name, Some(value))?);
    }
    fs::write(&beside, bytes)?;
    fs::rename(beside, path)
}

/// One change: three names and a value, each after its length. A removal has the largest length and no value.
fn record(name: &Name, value: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in [&name.0, &name.1, &name.2] {
        push_length(&mut bytes, part.len())?;
        bytes.extend(part.as_bytes());
    }
    match value {
        Some(value) => {
            push_length(&mut bytes, value.len())?;
            bytes.extend(value);
        }
        None => bytes.extend(u32::MAX.to_be_bytes()),
    }
    Ok(bytes)
}

fn push_length(bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    match u32::try_from(length) {
        Ok(length) if length < u32::MAX => {
            bytes.extend(length.to_be_bytes());
            Ok(())
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "too large for a wallet's store")),
    }
}

/// Applies all whole changes; a last one that was cut off never happened.
fn replay(mut bytes: &[u8]) -> BTreeMap<Name, Vec<u8>> {
    let mut values = BTreeMap::new();
    while let Some((name, value)) = next_change(&mut bytes) {
        match value {
            Some(value) => values.insert(name, value),
            None => values.remove(&name),
        };
    }
    values
}

fn next_change(bytes: &mut &[u8]) -> Option<(Name, Option<Vec<u8>>)> {
    let mut text = || String::from_utf8(take_part(bytes)??).ok();
    let name = (text()?, text()?, text()?);
    Some((name, take_part(bytes)?))
}

/// `None` at the end, `Some(None)` for the mark of a removal.
fn take_part(bytes: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    if length == u32::MAX {
        *bytes = rest;
        return Some(None);
    }
    let (part, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(part.to_vec()))
}

fn name(primary: &str, secondary: &str, key: &str) -> Name {
    (primary.to_owned(), secondary.to_owned(), key.to_owned())
}

impl KVStoreSync for LogStore {
    fn read(&self, primary: &str, secondary: &str, key: &str) -> Result<Vec<u8>, node_io::Error> {
        let missing = || {
            node_io::Error::new(
                node_io::ErrorKind::NotFound,
                format!("nothing at {primary}/{secondary}/{key}"),
            )
        };
        self.lock().values.get(&name(primary, secondary, key)).cloned().ok_or_else(missing)
    }

    fn write(&self, primary: &str, secondary: &str, key: &str, buf: Vec<u8>) -> Result<(), node_io::Error> {
        let name = name(primary, secondary, key);
        let record = record(&name, Some(&buf))?;
        let mut inner = self.lock();
        inner.file.write_all(&record)?;
        inner.values.insert(name, buf);
        Ok(())
    }

    fn remove(&self, primary: &str, secondary: &str, key: &str, _lazy: bool) -> Result<(), node_io::Error> {
        let name = name(primary, secondary, key);
        let record = record(&name, None)?;
        let mut inner = self.lock();
        if inner.values.remove(&name).is_some() {
            inner.file.write_all(&record)?;
        }
        Ok(())
    }

    fn list(&self, primary: &str, secondary: &str) -> Result<Vec<String>, node_io::Error> {
        let first = name(primary, secondary, "");
        let inner = self.lock();
        let within = |(name, _): &(&Name, &Vec<u8>)| name.0 == primary && name.1 == secondary;
        Ok(inner.values.range(first..).take_while(within).map(|(name, _)| name.2.clone()).collect())
    }
}

/// The same, done by the time the future is made, so that changes keep their order.
impl KVStore for LogStore {
    fn read(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
    ) -> AsyncResult<'static, Vec<u8>, node_io::Error> {
        Box::pin(ready(KVStoreSync::read(self, primary, secondary, key)))
    }

    fn write(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        buf: Vec<u8>,
    ) -> AsyncResult<'static, (), node_io::Error> {
        Box::pin(ready(KVStoreSync::write(self, primary, secondary, key, buf)))
    }

    fn remove(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        lazy: bool,
    ) -> AsyncResult<'static, (), node_io::Error> {
        Box::pin(ready(KVStoreSync::remove(self, primary, secondary, key, lazy)))
    }

    fn list(&self, primary: &str, secondary: &str) -> AsyncResult<'static, Vec<String>, node_io::Error> {
        Box::pin(ready(KVStoreSync::list(self, primary, secondary)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &LogStore, primary: &str, key: &str, value: &[u8]) {
        KVStoreSync::write(store, primary, "s", key, value.to_vec()).unwrap();
    }

    fn keys(store: &LogStore, primary: &str) -> Vec<String> {
        KVStoreSync::list(store, primary, "s").unwrap()
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = LogStore::open(dir.path()).unwrap();
        put(&store, "p", "b", b"old");
        put(&store, "p", "b", b"new");
        put(&store, "p", "a", b"");
        put(&store, "p", "gone", b"x");
        put(&store, "q", "c", b"other");
        KVStoreSync::remove(&store, "p", "s", "gone", false).unwrap();
        KVStoreSync::remove(&store, "p", "s", "never", true).unwrap();

        for store in [store, LogStore::open(dir.path()).unwrap(), LogStore::open(dir.path()).unwrap()] {
            assert_eq!(keys(&store, "p"), ["a", "b"]);
            assert_eq!(keys(&store, "q"), ["c"]);
            assert_eq!(keys(&store, ""), Vec::<String>::new());
            assert_eq!(KVStoreSync::read(&store, "p", "s", "b").unwrap(), b"new");
            assert_eq!(KVStoreSync::read(&store, "p", "s", "a").unwrap(), b"");
            let missing = KVStoreSync::read(&store, "p", "s", "gone").unwrap_err();
            assert_eq!(missing.kind(), node_io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_change_that_was_cut_off_never_happened() {
        let whole = [record(&name("p", "s", "a"), Some(b"1")), record(&name("p", "s", "a"), Some(b"2"))];
        let whole: Vec<u8> = whole.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(replay(&whole).into_values().collect::<Vec<_>>(), [b"2"]);
        for end in whole.len() / 2..whole.len() {
            assert_eq!(replay(&whole[..end]).into_values().collect::<Vec<_>>(), [b"1"], "{end}");
        }
    }
}
