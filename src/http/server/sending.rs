//! The body of an answer on its way: it keeps its request in service until it is sent.
//!
//! Over HTTP/2 the client says how much it takes, and may say nothing. hyper asks for more of a body only once there is
//! room, but passes on whatever it is given; so a body is given out in small pieces. What the client doesn't take stays
//! here, counted as a request in service, and [`Turn`] knows since when.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::turn::Turn;

/// Bytes that are given out at once.
const PIECE: usize = 16 * 1024;

/// Bytes of the last piece. hyper takes the end of a body with its last piece, whether there is room for all of it or
/// not, so no more than this is ever left of an answer that counts as sent.
const LAST_PIECE: usize = 1024;

/// Tells answers apart.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

/// A body that keeps `kept` until it is sent or given up.
pub(super) struct SentBody<K> {
    body: Body,
    pieces: Option<Pieces>,
    _kept: K,
}

/// Of an answer over HTTP/2.
struct Pieces {
    turn: Turn,
    answer: u64,
    rest: Bytes,
}

impl<K> SentBody<K> {
    /// `turn` of an answer over HTTP/2.
    pub(super) fn new(body: Body, turn: Option<Turn>, kept: K) -> Self {
        let pieces = turn.filter(|_| !body.is_end_stream()).map(|turn| {
            let answer = ANSWERS.fetch_add(1, Ordering::Relaxed);
            turn.waits(answer);
            Pieces { turn, answer, rest: Bytes::new() }
        });
        Self { body, pieces, _kept: kept }
    }
}

impl Pieces {
    fn poll(
        &mut self,
        body: &mut Body,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.turn.goes_on(self.answer);
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let length = match self.rest.len() {
            length if body.is_end_stream() && length > LAST_PIECE => length.saturating_sub(LAST_PIECE),
            length => length,
        };
        let piece = self.rest.split_to(length.min(PIECE));
        self.turn.waits(self.answer);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.turn.goes_on(self.answer);
    }
}

impl<K: Unpin> HttpBody for SentBody<K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        match &mut this.pieces {
            Some(pieces) => pieces.poll(&mut this.body, cx),
            None => Pin::new(&mut this.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.as_ref().is_none_or(|pieces| pieces.rest.is_empty()) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.pieces.as_ref().map_or(0, |pieces| pieces.rest.len());
        let rest = u64::try_from(rest).unwrap_or(u64::MAX);
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
