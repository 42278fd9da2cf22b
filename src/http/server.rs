//! The HTTP/1 server: takes connections, bounds what each may cost, hands requests to the router.
//!
//! `app` calls [`serve`] once. Nothing here knows a route. A request pays for its peer's address, one
//! timer and one `catch_unwind`; all else is the router's.

mod admission;
mod listen;
mod timeouts;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::header::HeaderName;
use axum::http::{Request, StatusCode, Version};
use axum::response::Response;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use self::admission::Admission;
pub use self::admission::ConnectionCaps;
pub use self::listen::Listen;
use self::timeouts::{Patience, Timed, Turn};
use super::client::Peer;
use super::{cors, respond};
use crate::telemetry::metrics::{HTTP_CONNECTIONS, HTTP_LIMITED};

/// How long to leave the listener alone when it has no file descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a head from which on it is refused. hyper may have read as much again by then, so all connections together
/// hold at most twice this times their number.
const READ_BUFFER: usize = 32 * 1024;

/// What a connection and a request may take.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Connections at once; more wait in the operating system's queue.
    pub max_connections: usize,
    /// Connections at once of one client and of its network; more are closed.
    pub caps: ConnectionCaps,
    /// Bytes of a request body, unless a route sets its own [`DefaultBodyLimit`].
    pub max_body_bytes: usize,
    /// For a request's head to arrive whole.
    pub header_timeout: Duration,
    /// How long a connection is kept open between two requests, while less than half of them are in use.
    pub idle_timeout: Duration,
    /// From the head to the start of the answer. A stream (SSE) may go on for longer.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub stall_timeout: Duration,
    /// Paths whose handlers bound their own time, since bodies of theirs may take long both ways.
    pub times_itself: fn(&str) -> bool,
    /// How long open requests may go on after the shutdown began.
    pub shutdown_wait: Duration,
    /// Words the failures that no handler answers, in the shape of the family whose path it is.
    pub failure: Failure,
}

/// Path and status (500 for a panic, 503 for a request that took too long) to an answer.
pub type Failure = fn(&str, StatusCode) -> Response;

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_connections: 2048,
            caps: ConnectionCaps::default(),
            max_body_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            times_itself: |_| false,
            shutdown_wait: Duration::from_secs(10),
            failure: plain_failure,
        }
    }
}

/// A failure in no family's words.
pub fn plain_failure(_path: &str, status: StatusCode) -> Response {
    respond::json(status, &serde_json::json!({ "error": status.canonical_reason().unwrap_or("error") }))
}

/// Serves `router` until `shutdown` ends, then lets open requests finish for a bounded time.
///
/// Streams that should not hold up the end must end by themselves: see [`super::live::Hub::close`].
pub async fn serve<L: Listen>(
    listener: L,
    router: Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let seats = Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS)));
    let router = router.layer(DefaultBodyLimit::max(settings.max_body_bytes)).with_state(());
    let door = Door {
        router,
        timeout: settings.request_timeout,
        times_itself: settings.times_itself,
        failure: settings.failure,
        patience: Patience::new(
            settings.header_timeout,
            settings.idle_timeout,
            Arc::clone(&seats),
            settings.max_connections / 2,
        ),
    };
    let admission = Admission::new(settings.caps);
    let mut http = http1::Builder::new();
    // Never `pipeline_flush`: with it hyper buffers a streamed body without any bound.
    http.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(READ_BUFFER);
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let next = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            () = &mut shutdown => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                L::set_up(&stream, settings.stall_timeout);
                let Some(admitted) = admission.admit(peer.ip()) else {
                    metrics::counter!(HTTP_LIMITED, "limit" => "connections").increment(1);
                    continue;
                };
                let connection = connect(&http, stream, peer, door.clone());
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    let open = metrics::gauge!(HTTP_CONNECTIONS);
                    open.increment(1.0);
                    if let Err(error) = connection.await {
                        tracing::trace!(%error, %peer, "connection ended");
                    }
                    open.decrement(1.0);
                    drop((seat, admitted));
                });
            }
            Err(error) => {
                // One client that left early must not slow the others down; a full table of files must.
                tracing::debug!(%error, "no connection taken");
                if !is_one_client_s_fault(&error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(settings.shutdown_wait, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and are dropped");
    }
}

fn is_one_client_s_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What every connection shares.
#[derive(Clone)]
struct Door {
    router: Router,
    timeout: Duration,
    times_itself: fn(&str) -> bool,
    failure: Failure,
    patience: Patience,
}

/// A connection, not yet driven.
fn connect<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    http: &http1::Builder,
    stream: S,
    peer: SocketAddr,
    door: Door,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + use<S> {
    let turn = Turn::default();
    let stream = Timed::new(stream, turn.clone(), door.patience.clone());
    let service = service_fn(move |request| {
        let (door, serving) = (door.clone(), turn.begin());
        async move { Ok::<_, Infallible>(serving.until_sent(door.answer(peer, request).await)) }
    });
    http.serve_connection(TokioIo::new(stream), service)
}

/// A path for the log: a UUID in it may be what opens a withdrawal. Other ids are taken out of every line.
fn without_ids(path: &str) -> String {
    let shown =
        |part: &str| if uuid::Uuid::try_parse(part).is_ok() { "[id]".into() } else { part.to_owned() };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

impl Door {
    async fn answer(self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let hint = (request.version() == Version::HTTP_11).then(|| self.patience.hint());
        let mut response = self.handle(peer, request).await;
        if let Some(hint) = hint {
            response.headers_mut().insert(HeaderName::from_static("keep-alive"), hint);
        }
        response
    }

    async fn handle(self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let uri = request.uri().clone();
        let handled = AssertUnwindSafe(self.router.oneshot(request)).catch_unwind();
        let limit = if (self.times_itself)(uri.path()) { Duration::MAX } else { self.timeout };
        let status = match tokio::time::timeout(limit, handled).await {
            Ok(Ok(Ok(response))) => return response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                tracing::error!(path = without_ids(uri.path()), "a handler panicked");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Err(_elapsed) => {
                tracing::warn!(path = without_ids(uri.path()), "a request took too long");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut response = (self.failure)(uri.path(), status);
        cors::dress(&mut response);
        response
    }
}

#[cfg(test)]
mod tests;
