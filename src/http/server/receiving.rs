//! The body of an HTTP/1 request: what a handler leaves of it is read, or the answer says that the connection ends.
//!
//! A connection can't go on before a body is read to its end. hyper closes it then, without a word in the answer, and a
//! client that has sent its next request already would lose it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::http::header::EXPECT;
use hyper::body::{Frame, Incoming, SizeHint};

/// What is read of a body that nobody wanted.
const MOST_DRAINED: u64 = 64 * 1024;

/// And for how long.
const DRAIN_FOR: Duration = Duration::from_secs(1);

/// A body that is given back when its reader drops it before its end.
struct Received {
    body: Option<Incoming>,
    left: Arc<Mutex<Option<Incoming>>>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

/// What may be left of a request's body.
pub(super) struct Leftover {
    left: Arc<Mutex<Option<Incoming>>>,
    /// The client waits until it is asked for the body.
    asks: bool,
}

/// A request for the router, and what its handler will leave. `None` if it has no body.
pub(super) fn receive(request: Request<Incoming>) -> (Request<Body>, Option<Leftover>) {
    if request.body().is_end_stream() {
        return (request.map(Body::new), None);
    }
    let left = Arc::default();
    let leftover = Leftover { left: Arc::clone(&left), asks: request.headers().contains_key(EXPECT) };
    (request.map(|body| Body::new(Received { body: Some(body), left })), Some(leftover))
}

impl Leftover {
    /// Reads the rest, if it is short and comes soon. `false` if the connection can't go on.
    pub(super) async fn drain(self) -> bool {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left else { return true };
        if self.asks || body.size_hint().lower() > MOST_DRAINED {
            return false;
        }
        let read = async {
            let mut length = 0_u64;
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let Ok(frame) = frame else { return false };
                let data = frame.data_ref().map_or(0, Bytes::len);
                length = length.saturating_add(u64::try_from(data).unwrap_or(u64::MAX));
                if length > MOST_DRAINED {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(DRAIN_FOR, read).await.unwrap_or(false)
    }
}
