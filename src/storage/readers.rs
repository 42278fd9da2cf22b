//! Reading connections, each in a thread of its own, taking queries from one queue.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;

use super::{DatabaseKey, StoreError, connect, open_error};

/// Enough that one slow listing doesn't hold up the quick look-ups.
const READERS: usize = 3;

type Query = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    queue: Mutex<Sender<Query>>,
}

impl Readers {
    pub(super) fn start(path: &Path, key: &DatabaseKey) -> Result<Self, StoreError> {
        let (queue, queries) = channel::<Query>();
        let queries = Arc::new(Mutex::new(queries));
        for number in 0..READERS {
            let connection = connect(path, key).map_err(|error| open_error(path, &error))?;
            connection
                .execute_batch(
                    "PRAGMA query_only = ON;
                     PRAGMA wal_autocheckpoint = 0;
                     PRAGMA cache_size = -2048;",
                )
                .map_err(|error| open_error(path, &error))?;
            let queries = Arc::clone(&queries);
            thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&connection, &queries))
                .map_err(|error| open_error(path, &error))?;
        }
        Ok(Self { queue: Mutex::new(queue) })
    }

    pub(super) fn submit(&self, query: impl FnOnce(&Connection) + Send + 'static) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.send(Box::new(query)).map_err(|_| StoreError::Closed)
    }
}

fn serve(connection: &Connection, queries: &Mutex<Receiver<Query>>) {
    loop {
        let next = queries.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(query) => query(connection),
            Err(_) => return,
        }
    }
}
