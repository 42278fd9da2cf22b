//! Bodies on their way: passed on piece by piece, bounded in size, and in the time between two pieces.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::bought::Bought;
use super::concurrency::ConcurrencyPermit;

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// It is larger than allowed.
    #[error("the body is too large")]
    TooLarge,
    /// Nothing came for too long.
    #[error("the body took too long")]
    Stalled,
    /// Whoever sent it broke off.
    #[error("the body ended too soon")]
    Cut,
}

/// How a body upstream fares, for whoever waits for the answer to it.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    last_ms: AtomicU64,
    broken: AtomicU8,
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), last_ms: AtomicU64::new(0), broken: AtomicU8::new(0) })
    }

    /// When a piece went upstream last, or when it all began.
    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last_ms.load(Ordering::Acquire))
    }

    /// Why the body ended too soon, if it did.
    pub(super) fn broken(&self) -> Option<Broken> {
        match self.broken.load(Ordering::Acquire) {
            1 => Some(Broken::TooLarge),
            2 => Some(Broken::Stalled),
            3 => Some(Broken::Cut),
            _ => None,
        }
    }

    fn touch(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Release);
    }

    fn fail(&self, why: Broken) -> Broken {
        let code = match why {
            Broken::TooLarge => 1,
            Broken::Stalled => 2,
            Broken::Cut => 3,
        };
        self.broken.store(code, Ordering::Release);
        why
    }
}

/// The time for the next piece.
struct Idle {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    fn moved(&mut self) {
        self.timer = None;
    }

    /// To be asked while there is nothing.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.timer.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context)
    }
}

/// A request's body on its way upstream. Trailers stay here.
pub(super) struct Upload {
    /// Only to be shared, as the client asks: nobody else ever locks it.
    body: Mutex<Body>,
    left: u64,
    idle: Idle,
    progress: Arc<Progress>,
}

impl Upload {
    /// At most so many bytes, and no longer than `idle` between two pieces.
    pub(super) fn new(body: Body, most: u64, idle: Duration) -> (Self, Arc<Progress>) {
        let progress = Progress::new();
        let upload = Self {
            body: Mutex::new(body),
            left: most,
            idle: Idle::new(idle),
            progress: Arc::clone(&progress),
        };
        (upload, progress)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let failed = match Pin::new(body).poll_frame(context) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                this.idle.moved();
                this.progress.touch();
                let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
                match this.left.checked_sub(length(&data)) {
                    Some(left) => {
                        this.left = left;
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    None => Broken::TooLarge,
                }
            }
            Poll::Ready(Some(Err(_))) => Broken::Cut,
            Poll::Pending => match this.idle.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => Broken::Stalled,
            },
        };
        Poll::Ready(Some(Err(this.progress.fail(failed))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// An answer's body, of which the beginning may have been read.
pub(super) struct Download {
    first: VecDeque<Bytes>,
    body: reqwest::Body,
    ended: bool,
    left: u64,
    idle: Idle,
    bought: Option<Bought>,
    permit: Option<ConcurrencyPermit>,
}

impl Download {
    /// At most so many bytes, and no longer than `idle` between two pieces.
    pub(super) fn new(body: reqwest::Body, most: u64, idle: Duration) -> Self {
        Self {
            first: VecDeque::new(),
            body,
            ended: false,
            left: most,
            idle: Idle::new(idle),
            bought: None,
            permit: None,
        }
    }

    /// It counts as on its way until its end.
    pub(super) fn hold(&mut self, permit: ConcurrencyPermit) {
        self.permit = Some(permit);
    }

    /// Reads the beginning, so that an upstream which breaks off early is found out before the answer has begun: up
    /// to `bytes`, the end, or the end of `patience`, if there is any.
    pub(super) async fn begin(&mut self, bytes: usize, patience: Option<Duration>) -> Result<(), Broken> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut read = 0_usize;
        while !self.ended && read < bytes {
            let piece = std::future::poll_fn(|context| self.poll_piece(context));
            let piece = match until {
                None => piece.await,
                Some(until) => match tokio::time::timeout_at(until, piece).await {
                    Ok(piece) => piece,
                    Err(_elapsed) => return Ok(()),
                },
            };
            match piece {
                None => self.ended = true,
                Some(piece) => {
                    let piece = piece?;
                    read = read.saturating_add(piece.len());
                    self.first.push_back(piece);
                }
            }
        }
        Ok(())
    }

    /// What was paid for it.
    pub(super) fn was_bought(&mut self, bought: Bought) {
        self.bought = Some(bought);
    }

    /// The body of an answer that has none.
    pub(super) fn without_any(mut self) -> Body {
        self.bought.take().into_iter().for_each(Bought::done);
        Body::empty()
    }

    /// The body of the answer.
    pub(super) fn into_body(mut self) -> Body {
        if !self.ended {
            return Body::new(self);
        }
        self.bought.take().into_iter().for_each(Bought::done);
        match self.first.len() {
            0 => Body::empty(),
            1 => self.first.pop_front().map_or_else(Body::empty, Body::from),
            _ => Body::from(self.first.iter().flatten().copied().collect::<Vec<u8>>()),
        }
    }

    /// The next piece from upstream.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let failed = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle.moved();
                    // Trailers stay here.
                    let Ok(data) = frame.into_data() else { continue };
                    match self.left.checked_sub(length(&data)) {
                        Some(left) => {
                            self.left = left;
                            return Poll::Ready(Some(Ok(data)));
                        }
                        None => Broken::TooLarge,
                    }
                }
                Poll::Ready(Some(Err(_))) => Broken::Cut,
                Poll::Pending => match self.idle.poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => Broken::Stalled,
                },
            };
            return Poll::Ready(Some(Err(failed)));
        }
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if let Some(bought) = &mut this.bought {
            bought.wanted();
        }
        let polled = match this.first.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if this.ended => Poll::Ready(None),
            None => this.poll_piece(context),
        };
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => {
                if let Some(bought) = &mut this.bought {
                    bought.handed();
                }
            }
            Poll::Ready(over) => {
                this.ended = true;
                this.permit = None;
                let bought = this.bought.take();
                match over {
                    Some(Err(error)) => {
                        tracing::debug!(%error, "an upstream's answer broke off");
                        bought.into_iter().for_each(|bought| bought.broke(*error));
                    }
                    _ => bought.into_iter().for_each(Bought::done),
                }
            }
        }
        polled.map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.first.is_empty()
    }
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}
