//! One connection: which protocol it speaks, what HTTP/2 may cost, and when it ends.
//!
//! HTTP/1 or HTTP/2 with prior knowledge (h2c) is told apart by its first bytes. `Upgrade: h2c` is ignored, as RFC 9113
//! says. Over HTTP/2 a client may have many requests at once, so what one may hold is bounded here:
//!
//! | what | bound |
//! |---|---|
//! | requests at once | [`STREAMS`] of a connection; of a client, a network and all together as many as they may have connections |
//! | a request's headers | [`HEADERS`] bytes |
//! | bodies received and not yet read | [`WINDOW`] bytes of a connection |
//! | answers made and not yet taken | [`SEND_BUFFER`] bytes of each; one that gets on for no longer than `stall_timeout` ends the connection |
//! | requests taken back (rapid reset) | [`MOST_CANCELLED`] more than were answered, and [`RESETS`] that were not even begun |
//! | pings, settings and the like without a request | 128 KiB |
//! | silence | a ping each [`PING_EVERY`], answered within [`PING_TIMEOUT`] |

use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::timeouts::Patience;
use super::turn::Turn;

/// Bytes of an HTTP/1 head from which on it is refused. hyper may have read as much again by then, so all connections
/// together hold at most twice this times their number.
const READ_BUFFER: usize = 32 * 1024;

/// Bytes of the headers of a request over HTTP/2.
const HEADERS: u32 = 32 * 1024;

/// Requests at once on one connection. RFC 9113 recommends no fewer.
const STREAMS: u32 = 100;

/// Bytes of bodies that a client may send before they are read: of one request, and of a connection.
const WINDOW: u32 = 64 * 1024;

/// Bytes of an answer that are kept for a client that takes none.
const SEND_BUFFER: usize = 32 * 1024;

/// Requests that a client took back before they were begun, and errors of its streams that are remembered.
const RESETS: usize = 32;

/// Streams that we reset for their client's mistakes, in the whole life of a connection. A proxy brings those of many.
const REFUSED_STREAMS: usize = 1_024;

/// Requests that a client took back before they were answered, beyond those that were answered.
const MOST_CANCELLED: u32 = 256;

const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// For how long a connection is kept that was told to end and has nothing in service.
const FAREWELL: Duration = Duration::from_secs(2);

/// Speaks both protocols.
pub(super) type Builder = auto::Builder<TokioExecutor>;

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new(TokioExecutor::new());
    // Never `pipeline_flush`: with it hyper buffers a streamed body without any bound.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(READ_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(REFUSED_STREAMS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Each answer over HTTP/1 is its connection's last, and says so. HTTP/2 takes no more requests.
    Draining,
    /// Connections end as soon as nothing is in service on them.
    Closing,
}

/// When connections end.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) patience: Patience,
    pub(super) stall_timeout: Duration,
    pub(super) max_age: Duration,
    /// How often a connection is looked at.
    pub(super) look_every: Duration,
}

/// What an HTTP/2 connection is to do.
enum Look {
    Keep,
    Finish,
    Drop(&'static str),
}

impl Ends {
    fn look(&self, turn: &Turn) -> Look {
        if turn.is_broken() {
            return Look::Drop("its place went to somebody else");
        }
        if !turn.is_http2() {
            return Look::Keep;
        }
        // A client may go on with requests for as long as it doesn't answer the goodbye; nobody counts it any more.
        if turn.evicted_for().is_some_and(|time| time > FAREWELL) {
            return Look::Drop("its place went to somebody else");
        }
        if turn.longest_wait() > self.stall_timeout {
            return Look::Drop("its client takes nothing of an answer");
        }
        if turn.cancelled() > MOST_CANCELLED {
            return Look::Drop("its client takes its requests back");
        }
        let idle = !turn.is_serving() && turn.lasts() > self.patience.http2_idle_timeout(turn.is_new());
        if idle || turn.is_closing() || turn.age() > self.max_age { Look::Finish } else { Look::Keep }
    }
}

/// Serves a connection until it ends.
pub(super) async fn drive<I, S>(
    http: &Builder,
    stream: I,
    service: S,
    turn: &Turn,
    ends: &Ends,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    I: Read + Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Send,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = std::pin::pin!(http.serve_connection(stream, service));
    let mut looks = tokio::time::interval(ends.look_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut finishing = Finishing::default();
    loop {
        tokio::select! {
            biased;
            done = connection.as_mut() => return done,
            () = turn.ended() => {}
            changed = phase.changed(), if !finishing.begun => changed?,
            _ = looks.tick() => {}
        }
        match *phase.borrow() {
            Phase::Draining if turn.is_http2() => finishing.begin(connection.as_mut()),
            Phase::Closing if !turn.is_closing() => turn.close(),
            Phase::Closing if turn.is_http2() => finishing.begin(connection.as_mut()),
            Phase::Closing => {}
            Phase::Serving | Phase::Draining => {}
        }
        match ends.look(turn) {
            Look::Keep => {}
            Look::Finish => finishing.begin(connection.as_mut()),
            Look::Drop(why) => return Err(why.into()),
        }
        if finishing.is_over(turn) {
            return Ok(());
        }
    }
}

/// Whether an HTTP/2 client was told that there will be no more.
#[derive(Default)]
struct Finishing {
    begun: bool,
    /// Since when there has been nothing in service since.
    idle_since: Option<Instant>,
}

impl Finishing {
    fn begin<I, S, B>(&mut self, connection: Pin<&mut auto::Connection<'_, I, S, TokioExecutor>>)
    where
        I: Read + Write + Unpin + 'static,
        S: Service<Request<Incoming>, Response = Response<B>>,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !self.begun {
            self.begun = true;
            connection.graceful_shutdown();
        }
    }

    fn is_over(&mut self, turn: &Turn) -> bool {
        if !self.begun || turn.is_serving() {
            self.idle_since = None;
            return false;
        }
        self.idle_since.get_or_insert_with(Instant::now).elapsed() > FAREWELL
    }
}
