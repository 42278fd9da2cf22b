//! LDK's rows: opaque values under a namespace pair and a key, in the same file and the same commits
//! as the ledger. `lightning::ldk` turns LDK's traits into these calls.

use std::sync::mpsc::sync_channel;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::{Store, StoreError};

/// A change of one row.
#[derive(Clone, Debug)]
pub enum KvChange {
    /// Insert or replace.
    Put(Vec<u8>),
    /// Delete; a missing row is fine.
    Remove,
}

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvKey {
    /// First namespace, possibly empty.
    pub primary: String,
    /// Second namespace, possibly empty.
    pub secondary: String,
    /// The key within both.
    pub key: String,
}

/// A row.
#[derive(Clone, Debug)]
pub struct KvRow {
    /// Where it is.
    pub at: KvKey,
    /// Its value.
    pub value: Vec<u8>,
}

const PUT: &str = "INSERT INTO ldk_kv (primary_ns, secondary_ns, key, value) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (primary_ns, secondary_ns, key) DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM ldk_kv WHERE primary_ns = ?1 AND secondary_ns = ?2 AND key = ?3";
const READ: &str = "SELECT value FROM ldk_kv WHERE primary_ns = ?1 AND secondary_ns = ?2 AND key = ?3";
const LIST: &str = "SELECT key FROM ldk_kv WHERE primary_ns = ?1 AND secondary_ns = ?2";
const LIST_WITH_VALUES: &str = "SELECT key, value FROM ldk_kv WHERE primary_ns = ?1 AND secondary_ns = ?2";

const CONTAINING: &str = "SELECT primary_ns, secondary_ns, key, value FROM ldk_kv
     WHERE primary_ns = ?1 AND instr(value, ?2) > 0";
const CONTAINS: &str =
    "SELECT instr(value, ?4) > 0 FROM ldk_kv WHERE primary_ns = ?1 AND secondary_ns = ?2 AND key = ?3";

/// Applies a change inside the writer's transaction.
pub(super) fn apply(connection: &Connection, at: &KvKey, change: &KvChange) -> rusqlite::Result<()> {
    match change {
        KvChange::Put(value) => {
            connection.prepare_cached(PUT)?.execute(params![at.primary, at.secondary, at.key, value])?
        }
        KvChange::Remove => {
            connection.prepare_cached(REMOVE)?.execute(params![at.primary, at.secondary, at.key])?
        }
    };
    Ok(())
}

impl Store {
    /// Queues a change and returns a future that ends once it is durable. The place in the order is taken
    /// before the function returns, not when the future is first polled.
    pub fn kv_change(
        &self,
        at: KvKey,
        change: KvChange,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        let queued = self.writer.submit_kv(
            at,
            change,
            Some(Box::new(move || {
                let _ = answer.send(());
            })),
        );
        async move {
            queued?;
            answered.await.map_err(|_| StoreError::Closed)
        }
    }

    /// Changes a row and blocks until it is durable.
    ///
    /// # Errors
    /// [`StoreError::Closed`] only: a full disk is waited out.
    pub fn kv_change_blocking(&self, at: KvKey, change: KvChange) -> Result<(), StoreError> {
        let (answer, answered) = sync_channel(1);
        self.writer.submit_kv(
            at,
            change,
            Some(Box::new(move || {
                let _ = answer.send(());
            })),
        )?;
        answered.recv().map_err(|_| StoreError::Closed)
    }

    /// Changes a row some time soon, in order with all other writes. A crash may lose it.
    ///
    /// # Errors
    /// [`StoreError::Closed`] only.
    pub fn kv_change_queued(&self, at: KvKey, change: KvChange) -> Result<(), StoreError> {
        self.writer.submit_kv(at, change, None)
    }

    /// Reads a row. Blocks: for LDK's own threads.
    ///
    /// # Errors
    /// The query's.
    pub fn kv_read(&self, at: KvKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_blocking(move |connection| {
            connection
                .prepare_cached(READ)?
                .query_row(params![at.primary, at.secondary, at.key], |row| row.get(0))
                .optional()
                .map_err(StoreError::from)
        })
    }

    /// The keys of a namespace pair. Blocks: for LDK's own threads.
    ///
    /// # Errors
    /// The query's.
    pub fn kv_list(&self, primary: String, secondary: String) -> Result<Vec<String>, StoreError> {
        self.read_blocking(move |connection| {
            let mut statement = connection.prepare_cached(LIST)?;
            let keys = statement.query_map(params![primary, secondary], |row| row.get(0))?;
            keys.collect::<Result<_, _>>().map_err(StoreError::from)
        })
    }

    /// Keys and values of a namespace pair in one scan, for a caller that would read them all.
    ///
    /// # Errors
    /// The query's.
    pub fn kv_scan(&self, primary: String, secondary: String) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read_blocking(move |connection| {
            let mut statement = connection.prepare_cached(LIST_WITH_VALUES)?;
            let rows =
                statement.query_map(params![primary, secondary], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>().map_err(StoreError::from)
        })
    }

    /// The rows of these first namespaces whose values contain these bytes. Reads them all.
    ///
    /// # Errors
    /// The query's.
    pub fn kv_containing(&self, primaries: Vec<String>, bytes: Vec<u8>) -> Result<Vec<KvRow>, StoreError> {
        self.read_blocking(move |connection| {
            let mut found = Vec::new();
            for primary in primaries {
                let mut statement = connection.prepare_cached(CONTAINING)?;
                let rows = statement.query_map(params![primary, bytes], |row| {
                    let at = KvKey { primary: row.get(0)?, secondary: row.get(1)?, key: row.get(2)? };
                    Ok(KvRow { at, value: row.get(3)? })
                })?;
                for row in rows {
                    found.push(row?);
                }
            }
            Ok(found)
        })
    }

    /// Whether a row is there and its value contains these bytes.
    ///
    /// # Errors
    /// The query's.
    pub fn kv_contains(&self, at: KvKey, bytes: Vec<u8>) -> Result<bool, StoreError> {
        self.read_blocking(move |connection| {
            let mut statement = connection.prepare_cached(CONTAINS)?;
            let found =
                statement.query_row(params![at.primary, at.secondary, at.key, bytes], |row| row.get(0));
            Ok(found.optional()?.unwrap_or(false))
        })
    }
}
