//! Two time limits of a connection: for a request's head to arrive, and for the connection to idle between requests.
//!
//! hyper has one timeout for both, so that an idle connection would end as soon as a slow head must. [`Timed`] wraps
//! the socket: a head that takes too long is an error, and an idle connection that takes too long reads as closed. It
//! also sees who begins with the preface of HTTP/2; such a connection's limits are kept by
//! [`drive`](super::connection::drive), since what is read of it may be no request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::admission::Admission;
use super::turn::Turn;

/// What an HTTP/2 client begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of an HTTP/2 connection that may arrive while no request is in service: pings and settings of a client that
/// means well are far fewer.
const MOST_UNASKED: usize = 128 * 1024;

/// The limits, and whether there is room to be patient.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    head_timeout: Duration,
    idle: Idle,
    idle_if_scarce: Idle,
    /// While it is half full an idle connection is kept no longer than a head may take.
    admission: Arc<Admission>,
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
        // A request that is sent within the time that was told still finds the connection open.
        let timeout = timeout.saturating_add(Duration::from_secs(2).min(timeout / 10));
        Self { timeout, hint: hint.unwrap_or(HeaderValue::from_static("timeout=1")) }
    }
}

impl Patience {
    pub(super) fn new(head_timeout: Duration, idle_timeout: Duration, admission: Arc<Admission>) -> Self {
        let (idle, idle_if_scarce) = (Idle::of(idle_timeout), Idle::of(idle_timeout.min(head_timeout)));
        Self { head_timeout, idle, idle_if_scarce, admission }
    }

    /// What a client is told about it.
    pub(super) fn hint(&self) -> HeaderValue {
        self.idle().hint.clone()
    }

    /// How long an HTTP/2 connection without a request in service is kept.
    pub(super) fn http2_idle_timeout(&self, is_new: bool) -> Duration {
        if is_new { self.head_timeout } else { self.idle().timeout }
    }

    fn idle(&self) -> &Idle {
        if self.admission.is_half_full() { &self.idle_if_scarce } else { &self.idle }
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
    protocol: Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// So many bytes of the preface of HTTP/2 have come.
    Unknown(usize),
    Http1,
    /// So many bytes have come since a request last began or ended.
    Http2(usize),
}

impl<S> Timed<S> {
    pub(super) fn new(socket: S, turn: Turn, patience: Patience) -> Self {
        let protocol = Protocol::Unknown(0);
        Self { socket, turn, seen: 0, patience, in_head: true, timer: None, protocol }
    }

    /// Whether nothing was read in time.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (in_head, patience) = (self.in_head, &self.patience);
        let limit = || if in_head { patience.head_timeout } else { patience.idle().timeout };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit())));
        timer.as_mut().poll(cx)
    }

    /// Takes note of what was read.
    fn note(&mut self, read: &[u8]) -> io::Result<()> {
        match self.protocol {
            Protocol::Unknown(matched) => {
                let expected = PREFACE.get(matched..).unwrap_or_default();
                let length = read.len().min(expected.len());
                self.protocol = match (read.get(..length) == expected.get(..length), length) {
                    (true, length) if length == expected.len() => {
                        self.turn.set_http2();
                        Protocol::Http2(0)
                    }
                    (true, length) => Protocol::Unknown(matched.saturating_add(length)),
                    (false, _) => Protocol::Http1,
                };
            }
            Protocol::Http1 => {}
            Protocol::Http2(bytes) => {
                let bytes = bytes.saturating_add(read.len());
                if bytes > MOST_UNASKED && !self.turn.is_serving() {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                self.protocol = Protocol::Http2(bytes);
            }
        }
        if !self.in_head && !read.is_empty() {
            (self.in_head, self.timer) = (true, None);
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if read.is_pending() {
            self.turn.register(cx.waker());
        }
        let changes = self.turn.changes();
        if changes != self.seen {
            (self.seen, self.in_head, self.timer) = (changes, false, None);
            if let Protocol::Http2(_) = self.protocol {
                self.protocol = Protocol::Http2(0);
            }
        }
        if read.is_ready() {
            if !self.turn.is_serving() || matches!(self.protocol, Protocol::Http2(_)) {
                self.note(buffer.filled().get(before..).unwrap_or_default())?;
            }
            return read;
        }
        if self.turn.is_serving() || matches!(self.protocol, Protocol::Http2(_)) {
            return read;
        }
        if self.turn.is_closing() {
            return Poll::Ready(Ok(()));
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
