//! Two time limits of a connection: for a request's head to arrive, and for the connection to idle between requests.
//!
//! hyper has one timeout for both, so that an idle connection would end as soon as a slow head must. [`Timed`] wraps
//! the socket: a head that takes too long is an error, and an idle connection that takes too long reads as closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::response::Response;
use futures_util::task::AtomicWaker;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::Sleep;

/// The limits, and whether there is room to be patient.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    head_timeout: Duration,
    idle: Idle,
    idle_if_scarce: Idle,
    /// Connections that may still be opened.
    free: Arc<Semaphore>,
    /// With fewer than so many an idle connection is kept no longer than a head may take.
    enough: usize,
}

/// How long an idle connection is kept, and how the `Keep-Alive` header says it.
#[derive(Clone, Debug)]
struct Idle {
    timeout: Duration,
    hint: HeaderValue,
}

impl Idle {
    fn of(timeout: Duration) -> Self {
        let hint = HeaderValue::from_str(&format!("timeout={}", timeout.as_secs()));
        Self { timeout, hint: hint.unwrap_or(HeaderValue::from_static("timeout=1")) }
    }
}

impl Patience {
    pub(super) fn new(
        head_timeout: Duration,
        idle_timeout: Duration,
        free: Arc<Semaphore>,
        enough: usize,
    ) -> Self {
        let (idle, idle_if_scarce) = (Idle::of(idle_timeout), Idle::of(idle_timeout.min(head_timeout)));
        Self { head_timeout, idle, idle_if_scarce, free, enough }
    }

    /// What a client is told about it.
    pub(super) fn hint(&self) -> HeaderValue {
        self.idle().hint.clone()
    }

    fn idle(&self) -> &Idle {
        if self.free.available_permits() >= self.enough { &self.idle } else { &self.idle_if_scarce }
    }
}

/// What the socket and the requests on it share.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Odd while a request is served.
    count: AtomicU64,
    /// Who reads the socket. hyper doesn't try to read again once a read had to wait, so it is woken when the request
    /// has been served, and the timer starts.
    reader: AtomicWaker,
}

/// Marks a request as served until it is dropped, which its answer does with its last byte.
pub(super) struct Serving(Turn);

impl Turn {
    /// A request's head has arrived.
    pub(super) fn begin(&self) -> Serving {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Serving(self.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.count.fetch_add(1, Ordering::Relaxed);
        self.0.0.reader.wake();
    }
}

impl Serving {
    /// The answer; the request is served once this is sent or given up.
    pub(super) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(ServedBody { body, _serving: self }))
    }
}

struct ServedBody {
    body: Body,
    _serving: Serving,
}

impl HttpBody for ServedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket with the time limits.
pub(super) struct Timed<S> {
    socket: S,
    turn: Turn,
    seen: u64,
    patience: Patience,
    /// Whether a head is awaited or has begun: from the start, and from the first byte after an answer.
    in_head: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(socket: S, turn: Turn, patience: Patience) -> Self {
        Self { socket, turn, seen: 0, patience, in_head: true, timer: None }
    }

    /// Whether nothing was read in time.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (in_head, patience) = (self.in_head, &self.patience);
        let limit = || if in_head { patience.head_timeout } else { patience.idle().timeout };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit())));
        timer.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = self.turn.0.count.load(Ordering::Relaxed);
        if turn != self.seen {
            (self.seen, self.in_head, self.timer) = (turn, false, None);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if !turn.is_multiple_of(2) {
            if read.is_pending() {
                self.turn.0.reader.register(cx.waker());
            }
            return read;
        }
        if read.is_ready() {
            if !self.in_head && buffer.filled().len() > before {
                (self.in_head, self.timer) = (true, None);
            }
            return read;
        }
        ready!(self.poll_timer(cx));
        Poll::Ready(if self.in_head { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
