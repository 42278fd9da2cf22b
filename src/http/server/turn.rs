//! What a connection is doing: which requests are in service on it, since when, and whether its client keeps up.
//!
//! The socket ([`Timed`](super::timeouts::Timed)), the requests on it and the task that drives the connection share one
//! [`Turn`] each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::sending::SentBody;

/// What times are counted from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now_ms() -> u64 {
    u64::try_from(EPOCH.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The state of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    opened_ms: u64,
    /// Requests in service: at most one over HTTP/1, one a stream over HTTP/2.
    open: AtomicUsize,
    /// Requests begun and ended.
    changes: AtomicU64,
    /// Since when there is something in service, or nothing.
    since_ms: AtomicU64,
    http2: AtomicBool,
    /// To be closed as soon as nothing is in service.
    closing: AtomicBool,
    /// Since when its place has been somebody else's; 0 while it has one.
    evicted_ms: AtomicU64,
    /// To be closed at once, whatever is in service.
    broken: AtomicBool,
    ended: Notify,
    /// Who reads the socket.
    reader: AtomicWaker,
    /// HTTP/2: requests that their client took back before the answer, less those that were answered.
    cancelled: AtomicU32,
    /// HTTP/2: answers whose client has given no room for more, and since when.
    stalled: Mutex<HashMap<u64, u64>>,
}

impl Default for Shared {
    fn default() -> Self {
        let now = now_ms();
        Self {
            opened_ms: now,
            open: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            since_ms: AtomicU64::new(now),
            http2: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            evicted_ms: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            ended: Notify::new(),
            reader: AtomicWaker::new(),
            cancelled: AtomicU32::new(0),
            stalled: Mutex::default(),
        }
    }
}

/// What could be lost if a connection were closed now, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// Nothing is in service.
    Idle,
    /// A request in service for longer than [`LONG_SERVICE_MS`].
    Long,
    /// A request that has just begun.
    Busy,
}

/// A request that takes longer may be broken off if there is no other place for a newcomer.
const LONG_SERVICE_MS: u64 = 5_000;

/// A request in service until it is dropped, which its answer does with its last byte.
#[derive(Debug)]
pub(super) struct Serving {
    turn: Turn,
    answered: bool,
}

impl Turn {
    /// A request's head has arrived.
    pub(super) fn begin(&self) -> Serving {
        if self.0.open.fetch_add(1, Ordering::AcqRel) == 0 {
            self.0.since_ms.store(now_ms(), Ordering::Relaxed);
        }
        self.0.changes.fetch_add(1, Ordering::Release);
        Serving { turn: self.clone(), answered: false }
    }

    /// Changes whenever a request begins or ends.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Whether a request is in service.
    pub(super) fn is_serving(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Whether no request has come yet.
    pub(super) fn is_new(&self) -> bool {
        self.changes() == 0
    }

    /// The client speaks HTTP/2.
    pub(super) fn set_http2(&self) {
        self.0.http2.store(true, Ordering::Release);
    }

    pub(super) fn is_http2(&self) -> bool {
        self.0.http2.load(Ordering::Acquire)
    }

    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(now_ms().saturating_sub(self.0.opened_ms))
    }

    /// For how long there has been something in service, or nothing.
    pub(super) fn lasts(&self) -> Duration {
        Duration::from_millis(now_ms().saturating_sub(self.0.since_ms.load(Ordering::Relaxed)))
    }

    pub(super) fn worth(&self) -> Worth {
        match (self.is_serving(), self.lasts()) {
            (false, _) => Worth::Idle,
            (true, lasts) if ms(lasts) > LONG_SERVICE_MS => Worth::Long,
            (true, _) => Worth::Busy,
        }
    }

    /// Closes the connection as soon as nothing is in service.
    pub(super) fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.ended.notify_one();
        self.0.reader.wake();
    }

    /// Its place is given to somebody else: closes it, and soon whatever is begun on it meanwhile.
    pub(super) fn evict(&self) {
        self.0.evicted_ms.store(now_ms().max(1), Ordering::Release);
        self.close();
    }

    /// For how long its place has been somebody else's.
    pub(super) fn evicted_for(&self) -> Option<Duration> {
        let since = Some(self.0.evicted_ms.load(Ordering::Acquire)).filter(|since| *since > 0)?;
        Some(Duration::from_millis(now_ms().saturating_sub(since)))
    }

    /// Closes it whatever is in service.
    pub(super) fn break_off(&self) {
        self.0.broken.store(true, Ordering::Release);
        self.close();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Acquire)
    }

    /// Waits until it is to be closed.
    pub(super) async fn ended(&self) {
        self.0.ended.notified().await;
    }

    /// Who is to be woken when a request has been served or the connection is to be closed. hyper doesn't try to read
    /// again once a read had to wait.
    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.0.reader.register(waker);
    }

    /// An answer's client has to make room before it goes on.
    pub(super) fn waits(&self, answer: u64) {
        self.stalled().insert(answer, now_ms());
    }

    /// It did, or the answer is over.
    pub(super) fn goes_on(&self, answer: u64) {
        self.stalled().remove(&answer);
    }

    /// For how long the answer has waited for its client that has waited longest.
    pub(super) fn longest_wait(&self) -> Duration {
        let longest = self.stalled().values().copied().min();
        longest.map_or(Duration::ZERO, |since| Duration::from_millis(now_ms().saturating_sub(since)))
    }

    /// Requests that were taken back, beyond those that were answered.
    pub(super) fn cancelled(&self) -> u32 {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    fn stalled(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.0.stalled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let shared = &self.turn.0;
        if !self.answered {
            shared.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        if shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            shared.since_ms.store(now_ms(), Ordering::Relaxed);
        }
        shared.changes.fetch_add(1, Ordering::Release);
        shared.reader.wake();
    }
}

impl Serving {
    /// The answer; the request is in service until this is sent or given up. `kept` is dropped with it.
    pub(super) fn until_sent(mut self, response: Response, kept: impl Send + Unpin + 'static) -> Response {
        self.answered = true;
        let cancelled = &self.turn.0.cancelled;
        let fewer = |count: u32| count.checked_sub(1);
        // An error means that there was none to take off.
        let _ = cancelled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        let turn = self.turn.is_http2().then(|| self.turn.clone());
        response.map(|body| Body::new(SentBody::new(body, turn, (self, kept))))
    }
}
