//! The documents of a folder, in memory, read again when the folder changes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rust_embed::RustEmbed;

use super::document::Document;

/// Documents of a folder; more are left out.
const MOST: usize = 500;

/// Bytes of one file.
const FILE_BYTES: u64 = 1024 * 1024;

/// Bytes of all files.
const ALL_BYTES: u64 = 32 * 1024 * 1024;

/// The folder is looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is sold where no folder is configured.
#[derive(RustEmbed)]
#[folder = "src/services/content/demo"]
struct Demo;

/// The documents, in the order of their files' names.
pub(super) type Documents = Arc<Vec<Document>>;

/// Where documents are.
pub(super) struct ContentStore {
    folder: Option<PathBuf>,
    documents: RwLock<Documents>,
    seen: Mutex<Seen>,
}

/// What the folder was like.
#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    files: Vec<File>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    name: String,
    bytes: u64,
    changed: Option<SystemTime>,
}

impl ContentStore {
    /// The documents of a folder, or those that are built in. Blocks.
    pub(super) fn open(folder: Option<PathBuf>) -> Self {
        let content_store = Self { folder, documents: RwLock::default(), seen: Mutex::default() };
        if content_store.folder.is_some() {
            content_store.look();
        } else {
            let name_of = |name: std::borrow::Cow<'static, str>| name.into_owned();
            let mut names: Vec<_> = Demo::iter().map(name_of).collect();
            names.sort_unstable();
            let read = |name: &String| Demo::get(name).map(|file| (name.clone(), file.data.into_owned()));
            content_store.put(documents(names.iter().filter_map(read)));
        }
        content_store
    }

    /// The documents as they are known.
    pub(super) fn documents(&self) -> Documents {
        Arc::clone(&self.documents.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the folder should be looked at again.
    pub(super) fn is_stale(&self) -> bool {
        if self.folder.is_none() {
            return false;
        }
        // Whoever holds it is looking.
        self.seen.try_lock().is_ok_and(|seen| seen.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY))
    }

    /// Looks at the folder, and reads it if it has changed. Blocks.
    pub(super) fn look(&self) {
        let Some(folder) = &self.folder else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let files = match list(folder) {
            Ok(files) => files,
            Err(error) => {
                if seen.at.is_none() {
                    tracing::warn!(folder = %folder.display(), %error, "the folder of documents can't be read");
                }
                seen.at = Some(Instant::now());
                return;
            }
        };
        let first = seen.at.is_none();
        seen.at = Some(Instant::now());
        if files == seen.files && !first {
            return;
        }
        let mut bytes = 0_u64;
        let fits = |file: &&File| {
            bytes = bytes.saturating_add(file.bytes);
            file.bytes <= FILE_BYTES && bytes <= ALL_BYTES
        };
        let read =
            |file: &File| std::fs::read(folder.join(&file.name)).ok().map(|bytes| (file.name.clone(), bytes));
        self.put(documents(files.iter().filter(fits).take(MOST).filter_map(read)));
        seen.files = files;
    }

    fn put(&self, documents: Vec<Document>) {
        *self.documents.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(documents);
    }
}

/// The files of a folder by name; no hidden ones.
fn list(folder: &Path) -> std::io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(about) = std::fs::metadata(entry.path()) else { continue };
        if about.is_file() && !name.starts_with('.') {
            files.push(File { name, bytes: about.len(), changed: about.modified().ok() });
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads files; of two documents with one slug the first counts.
fn documents(files: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<Document> {
    let mut slugs = HashSet::new();
    let mut documents = Vec::new();
    for (name, bytes) in files {
        match Document::read(&name, &bytes) {
            Ok(document) if slugs.insert(document.slug.clone()) => documents.push(document),
            Ok(document) => tracing::warn!(file = name, slug = document.slug, "two documents have one slug"),
            Err(error) => tracing::warn!(file = name, %error, "a file of the content folder is not sold"),
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_documents_are_good() {
        let documents = ContentStore::open(None).documents();
        let slugs: Vec<_> = documents.iter().map(|document| document.slug.as_str()).collect();
        assert_eq!(slugs, ["halvings", "sats-and-msats", "what-is-l402"]);
    }

    #[test]
    fn a_folder_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let content_store = ContentStore::open(Some(folder.path().to_owned()));
        assert!(content_store.documents().is_empty());
        write("b.md", "---\nslug: one\n---\nfirst");
        write("c.md", "---\nslug: one\n---\nsecond");
        write("a.json", "[1]");
        write(".hidden.md", "no");
        write("notes.txt", "no");
        std::fs::write(folder.path().join("large.md"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
        std::fs::create_dir(folder.path().join("d.md")).unwrap();
        content_store.look();
        let slugs = |content_store: &ContentStore| {
            content_store.documents().iter().map(|document| document.slug.clone()).collect::<Vec<_>>()
        };
        assert_eq!(slugs(&content_store), ["a", "one"]);
        std::fs::remove_file(folder.path().join("a.json")).unwrap();
        content_store.look();
        assert_eq!(slugs(&content_store), ["one"]);
        assert!(!content_store.is_stale(), "it was looked at just now");
    }

    #[test]
    fn a_folder_that_is_missing_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let content_store = ContentStore::open(Some(folder.path().join("nowhere")));
        assert!(content_store.documents().is_empty());
        assert!(ContentStore::open(None).documents().len() > 1 && !ContentStore::open(None).is_stale());
    }
}
