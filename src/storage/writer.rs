//! The writing thread: group commit, retries for LDK's rows, checkpoints.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::kv::{KvChange, KvKey, apply};
use super::{AfterCommit, StoreError, Tx};
use crate::crash_point;

/// Jobs in one commit. More would only make the first of them wait longer.
const BATCH: usize = 512;

/// Pages in the log at which a commit also checkpoints, however busy we are (40 MB).
const CHECKPOINT_PAGES: u32 = 10_000;

/// How long the queue must be empty before the log is checkpointed in passing.
const IDLE: Duration = Duration::from_millis(250);

/// How long to wait before LDK's rows are tried again on a disk that takes no more.
const RETRY: Duration = Duration::from_millis(500);

/// A job of ours: runs inside a savepoint, is answered after the commit.
trait Work: Send {
    /// Runs the statements; `false` means: roll this job back.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Answers, with the job's own result or, if the commit failed, with the store's error.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<F, T, E, A> {
    statements: Option<F>,
    result: Option<Result<T, E>>,
    answer: A,
}

impl<F, T, E, A> Work for Job<F, T, E, A>
where
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
    A: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let Some(statements) = self.statements.take() else {
            return false;
        };
        let result = statements(tx);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Closed.into()),
            (Err(error), _) => Err(error.into()),
        };
        (self.answer)(result);
    }
}

/// A row of LDK's. Can be run any number of times, so it survives a failed commit.
struct KvJob {
    at: KvKey,
    change: KvChange,
    done: Option<AfterCommit>,
}

enum Queued {
    Work(Box<dyn Work>),
    Kv(KvJob),
    #[cfg(test)]
    StopSyncing,
}

pub(super) struct Writer {
    queue: Mutex<Option<Sender<Queued>>>,
    healthy: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        checkpoint(&connection, "TRUNCATE");
        let (queue, jobs) = channel();
        let healthy = Arc::new(AtomicBool::new(true));
        let thread_healthy = Arc::clone(&healthy);
        let thread = thread::Builder::new()
            .name("store-write".into())
            .spawn(move || serve(&connection, &jobs, &thread_healthy))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { queue: Mutex::new(Some(queue)), healthy, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn submit<T, E>(
        &self,
        statements: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        answer: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Result<(), StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.send(Queued::Work(Box::new(Job { statements: Some(statements), result: None, answer })))
    }

    pub(super) fn submit_kv(
        &self,
        at: KvKey,
        change: KvChange,
        done: Option<AfterCommit>,
    ) -> Result<(), StoreError> {
        self.send(Queued::Kv(KvJob { at, change, done }))
    }

    #[cfg(test)]
    pub(super) fn stop_syncing(&self) -> Result<(), StoreError> {
        self.send(Queued::StopSyncing)
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    fn send(&self, job: Queued) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().ok_or(StoreError::Closed)?.send(job).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Closing the queue ends the thread once it has committed what is in it.
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The last handle may be dropped by an after-commit action, on the thread itself.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

fn serve(connection: &Connection, jobs: &Receiver<Queued>, healthy: &AtomicBool) {
    let mut dirty = false;
    loop {
        let first = match jobs.recv_timeout(IDLE) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                if dirty {
                    checkpoint(connection, "PASSIVE");
                    dirty = false;
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let mut batch = vec![first];
        while batch.len() < BATCH {
            match jobs.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        dirty = true;
        commit_batch(connection, batch, jobs, healthy);
    }
    checkpoint(connection, "TRUNCATE");
}

/// Commits a batch and answers it. If that fails, our jobs are answered with the error and LDK's rows
/// are retried until they are in the file, with new requests turned away meanwhile.
fn commit_batch(
    connection: &Connection,
    mut batch: Vec<Queued>,
    jobs: &Receiver<Queued>,
    healthy: &AtomicBool,
) {
    let mut failures = 0_u32;
    loop {
        let after = RefCell::new(Vec::new());
        let committed = run_batch(connection, &mut batch, &after);
        crash_point!("store.after_commit");
        let error = match committed {
            Ok(()) => {
                if failures > 0 {
                    tracing::warn!(failures, "the database takes writes again");
                }
                healthy.store(true, Ordering::Relaxed);
                for job in batch {
                    match job {
                        Queued::Work(work) => work.answer(Ok(())),
                        Queued::Kv(KvJob { done: Some(done), .. }) => done(),
                        Queued::Kv(_) => {}
                        #[cfg(test)]
                        Queued::StopSyncing => drop(connection.pragma_update(None, "synchronous", "OFF")),
                    }
                }
                for action in after.into_inner() {
                    action();
                }
                return;
            }
            Err(error) => error,
        };
        healthy.store(false, Ordering::Relaxed);
        if failures == 0 {
            tracing::error!(%error, "the database takes no writes; free some disk space. The node waits and goes on by itself");
        }
        failures = failures.saturating_add(1);
        batch = turn_work_away(batch, &error);
        if batch.is_empty() {
            return;
        }
        thread::sleep(RETRY);
        let mut waiting = Vec::new();
        while let Ok(job) = jobs.try_recv() {
            waiting.push(job);
        }
        batch.extend(turn_work_away(waiting, &error));
    }
}

/// Answers our jobs with the error, keeps LDK's rows in their order.
fn turn_work_away(batch: Vec<Queued>, error: &StoreError) -> Vec<Queued> {
    let mut kept = Vec::new();
    for job in batch {
        match job {
            Queued::Work(work) => work.answer(Err(error.clone())),
            row => kept.push(row),
        }
    }
    kept
}

/// One transaction. On an error nothing of it is in the file.
fn run_batch(
    connection: &Connection,
    batch: &mut [Queued],
    after: &RefCell<Vec<AfterCommit>>,
) -> Result<(), StoreError> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let outcome = run_jobs(connection, batch, after).and_then(|()| {
        crash_point!("store.before_commit");
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    });
    if outcome.is_err()
        && !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "rolling back failed");
    }
    outcome
}

fn run_jobs(
    connection: &Connection,
    batch: &mut [Queued],
    after: &RefCell<Vec<AfterCommit>>,
) -> Result<(), StoreError> {
    for job in batch {
        match job {
            Queued::Kv(row) => apply(connection, &row.at, &row.change)?,
            #[cfg(test)]
            Queued::StopSyncing => {}
            Queued::Work(work) => {
                let mark = after.borrow().len();
                connection.prepare_cached("SAVEPOINT job")?.execute([])?;
                let keep = work.run(&Tx { connection, after });
                // Some errors, a full disk among them, end the whole transaction by themselves.
                if connection.is_autocommit() {
                    return Err(StoreError::Unavailable("the transaction was rolled back".into()));
                }
                if !keep {
                    after.borrow_mut().truncate(mark);
                    connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
                }
                connection.prepare_cached("RELEASE job")?.execute([])?;
            }
        }
    }
    Ok(())
}

fn checkpoint(connection: &Connection, mode: &str) {
    // A checkpoint that can't finish now (a reader holds an old page) is simply done next time.
    if let Err(error) = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())) {
        tracing::debug!(%error, mode, "checkpoint put off");
    }
}
