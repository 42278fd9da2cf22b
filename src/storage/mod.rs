//! The one SQLite file: `satchel.db`.
//!
//! One thread owns the only writing connection, and with it every commit and every checkpoint
//! (SQLite 3.45 can corrupt a WAL that two connections write or checkpoint). It drains its queue into
//! one transaction, gives each job a savepoint, commits once with `synchronous=FULL`, and only then
//! answers: whoever got an answer has something durable. Reads run on `query_only` connections in
//! threads of their own, so no SQL ever blocks the async runtime.
//!
//! The store knows no service's tables. SQL lives in the module it belongs to; here are the file, the
//! queue, the migrations, and the key-value rows that LDK keeps its state in ([`kv`]).
//!
//! **Crash behaviour**: a job that was not answered may or may not be in the file; a job that was
//! answered `Ok` is. Jobs are committed in the order in which they were queued.
//!
//! **Disk full**: jobs that belong to a person's request fail at once with [`StoreError::Unavailable`].
//! LDK's own rows are kept and tried again until there is room, because LDK treats a failed write as
//! the end of the process: the node waits, nothing is lost, and everything goes on by itself.

pub mod export;
pub mod kv;
mod migrations;
mod readers;
mod sealed;
mod writer;

use std::cell::RefCell;
use std::fs::{File, Permissions};
use std::ops::Deref;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use readers::Readers;
pub use sealed::DatabaseKey;
use writer::Writer;

/// How long a connection waits for a lock that by design nobody else should hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Mode of the database's files.
const PRIVATE: u32 = 0o600;

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file can't be written or read now: disk full, input/output error. Try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A statement failed: a bug, or a constraint the caller did not expect.
    #[error("database: {0}")]
    Sql(Arc<rusqlite::Error>),
    /// The store has been shut down.
    #[error("the database is closed")]
    Closed,
    /// The file was written by a newer Satchel.
    #[error("{0} was written by a newer version of satchel; install that version or a later one")]
    TooNew(PathBuf),
    /// It was sealed with the key of another seed.
    #[error(
        "{0} belongs to another seed than the one in the data folder: put the seed file back that it was made with, or move \
         the database away"
    )]
    OtherSeed(PathBuf),
    /// Another process holds the data folder.
    #[error("another satchel is running on {0}; stop it first")]
    InUse(PathBuf),
    /// The file can't be opened.
    #[error("can't open {path}: {reason}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(
                DiskFull
                | SystemIoFailure
                | CannotOpen
                | OutOfMemory
                | DatabaseBusy
                | DatabaseLocked
                | FileLockingProtocolFailed
                | PermissionDenied
                | ReadOnly,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Sql(Arc::new(error)),
        }
    }
}

/// A job's view of the transaction it runs in. Statements go through it; what must happen only if the
/// transaction is really committed is registered with [`Tx::after_commit`].
pub struct Tx<'a> {
    connection: &'a Connection,
    after: &'a RefCell<Vec<AfterCommit>>,
}

/// Something to do once a commit is durable: wake a worker, tell a live page.
type AfterCommit = Box<dyn FnOnce() + Send>;

impl Tx<'_> {
    /// Runs `action` on the writer thread right after the commit, and not at all if the job is rolled
    /// back. It must be quick and must not call the store.
    pub fn after_commit(&self, action: impl FnOnce() + Send + 'static) {
        self.after.borrow_mut().push(Box::new(action));
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A handle on the open file. Cheap to clone; the file closes when the last one is dropped.
#[derive(Clone)]
pub struct Store {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    path: Arc<PathBuf>,
    // Held for as long as any handle lives: one process a data folder.
    _lock: Arc<File>,
}

impl Store {
    /// Opens (and creates, and migrates) the file, with the key that its secrets are sealed with.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::TooNew`], [`StoreError::OtherSeed`], [`StoreError::Open`].
    pub fn open(path: &Path, key: &DatabaseKey) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        keep_private(path).map_err(|error| open_error(path, &error))?;
        let mut connection = connect(path, key).map_err(|error| open_error(path, &error))?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;
                 PRAGMA temp_store = FILE;
                 PRAGMA cache_size = -16384;",
            )
            .map_err(|error| open_error(path, &error))?;
        // Before the migrations: one of them seals all there is, and nobody could open what a wrong key has sealed.
        if !sealed::is_key_of(&connection, key).map_err(|error| open_error(path, &error))? {
            return Err(StoreError::OtherSeed(path.to_owned()));
        }
        migrations::migrate(&mut connection, path)?;
        sealed::clean(&connection, path);
        // Only what rewrites the whole file, which may be larger than the memory, needs files.
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(|error| open_error(path, &error))?;
        let writer = Arc::new(Writer::start(connection).map_err(|error| open_error(path, &error))?);
        let readers = Arc::new(Readers::start(path, key)?);
        Ok(Self { writer, readers, path: Arc::new(path.to_owned()), _lock: Arc::new(lock) })
    }

    /// With a key for tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    #[cfg(test)]
    pub fn open_in_test(path: &Path) -> Result<Self, StoreError> {
        Self::open(path, &DatabaseKey::for_tests())
    }

    /// A store that doesn't wait for the disk: for tests that crash nothing but themselves.
    ///
    /// # Errors
    /// As [`Store::open`].
    #[cfg(test)]
    pub fn open_without_sync(path: &Path) -> Result<Self, StoreError> {
        let store = Self::open_in_test(path)?;
        store.writer.stop_syncing()?;
        Ok(store)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` in the next commit and waits until it is durable.
    ///
    /// # Errors
    /// The job's own error (then nothing of it is kept), or the store's, turned into the job's type.
    pub async fn write<T, E>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.writer.submit(job, move |result| drop(answer.send(result)))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// As [`Store::write`], for threads that may block. Never call it on an async worker.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.writer.submit(job, move |result| drop(answer.send(result)))?;
        answered.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Queues `job` and returns at once. For what recovery could find out again by itself: a crash may
    /// lose it, and everything queued after it, but never it alone.
    ///
    /// # Errors
    /// [`StoreError::Closed`] only; a failing job is logged.
    pub fn write_queued(
        &self,
        what: &'static str,
        job: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.writer.submit(job, move |result: Result<(), StoreError>| {
            if let Err(error) = result {
                tracing::warn!(%error, what, "a queued write failed");
            }
        })
    }

    /// Reads on a connection of its own; sees everything that was answered before the call.
    ///
    /// # Errors
    /// The query's error, or the store's.
    pub async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.readers.submit(move |connection| drop(answer.send(query(connection))))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// As [`Store::read`], for threads that may block. Never call it on an async worker.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.readers.submit(move |connection| drop(answer.send(query(connection))))?;
        answered.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Whether the last commit went through; `false` while the disk is full.
    pub fn is_writable(&self) -> bool {
        self.writer.is_healthy()
    }
}

/// A connection with what every connection needs.
fn connect(path: &Path, key: &DatabaseKey) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(128);
    key.register(&connection)?;
    Ok(connection)
}

fn open_error(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Open { path: path.to_owned(), reason: error.to_string() }
}

/// The database holds what opens gifts and tips: nobody but its owner may read it. SQLite gives its other files the same
/// mode.
fn keep_private(path: &Path) -> std::io::Result<()> {
    let mut open = File::options();
    open.create(true).truncate(false).write(true).mode(PRIVATE);
    let file = open.open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match std::fs::set_permissions(&name, Permissions::from_mode(PRIVATE)) {
                Err(error) if ending.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Takes the folder's lock file, which the operating system releases however the process ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = path.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(PRIVATE)
        .open(&lock_path)
        .map_err(|error| open_error(&lock_path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::InUse(path.parent().unwrap_or(Path::new(".")).to_owned()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(open_error(&lock_path, &error)),
    }
}

#[cfg(test)]
mod tests;
