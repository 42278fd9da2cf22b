//! Files that may be deleted at any time: the network graph, scores, timestamps.
//!
//! Each carries a checksum, so that a torn write reads as "not there" instead of stopping the node.
//! Written through a temporary file, without waiting for the disk.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::hashes::{Hash, sha256};

/// Bytes of checksum before the content.
const CHECKSUM: usize = 32;

/// Keys of LDK that are safe to lose.
const KEYS: [&str; 4] = ["network_graph", "scorer", "external_pathfinding_scores_cache", "node_metrics"];

pub(super) struct Cache {
    folder: PathBuf,
    next: AtomicU64,
    written: Mutex<[u64; KEYS.len()]>,
}

/// A write's place in the order of all writes; a later one wins whichever is carried out first.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

impl Cache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, next: AtomicU64::new(1), written: Mutex::new([0; KEYS.len()]) }
    }

    /// Whether a key of LDK belongs here.
    pub(super) fn holds(primary: &str, secondary: &str, key: &str) -> bool {
        primary.is_empty() && secondary.is_empty() && KEYS.contains(&key)
    }

    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// `None` also for what is damaged.
    pub(super) fn read(&self, key: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(self.folder.join(key)).ok()?;
        let (sum, content) = bytes.split_at_checked(CHECKSUM)?;
        if sha256::Hash::hash(content).as_byte_array() != sum {
            tracing::warn!(key, "a cache file is damaged; starting without it");
            return None;
        }
        Some(content.to_vec())
    }

    pub(super) fn write(&self, key: &str, content: &[u8], ticket: Ticket) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = KEYS.iter().zip(written.iter_mut()).find(|(name, _)| **name == key).map(|(_, slot)| slot);
        match slot {
            Some(newest) if *newest > ticket.0 => return Ok(()),
            Some(newest) => *newest = ticket.0,
            None => return Err(io::Error::other("not a key of the cache")),
        }
        fs::create_dir_all(&self.folder)?;
        let temporary = self.folder.join(format!("{key}.new"));
        let mut bytes = sha256::Hash::hash(content).to_byte_array().to_vec();
        bytes.extend_from_slice(content);
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, self.folder.join(key))
    }

    pub(super) fn remove(&self, key: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_reads_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        cache.write("scorer", b"scores", cache.ticket()).unwrap();
        assert_eq!(cache.read("scorer").unwrap(), b"scores");
        fs::write(folder.path().join("scorer"), b"half a file").unwrap();
        assert_eq!(cache.read("scorer"), None);
        fs::write(folder.path().join("scorer"), [0; 40]).unwrap();
        assert_eq!(cache.read("scorer"), None);
    }

    #[test]
    fn an_older_write_carried_out_later_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let (first, second) = (cache.ticket(), cache.ticket());
        cache.write("scorer", b"new", second).unwrap();
        cache.write("scorer", b"old", first).unwrap();
        assert_eq!(cache.read("scorer").unwrap(), b"new");
    }
}
