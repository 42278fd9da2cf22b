//! The HTTP server (HTTP/1, and HTTP/2 with prior knowledge): takes connections, bounds what each may cost, hands
//! requests to the router.
//!
//! `app` calls [`serve`] once. Nothing here knows a route. A request pays for its peer's address, one
//! timer and one `catch_unwind`; all else is the router's.

mod admission;
mod connection;
mod listen;
mod receiving;
mod refuse;
mod sending;
mod timeouts;
mod turn;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONNECTION, HOST, HeaderName, RETRY_AFTER};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderValue, Request, StatusCode, Version};
use axum::response::Response;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tower::ServiceExt;

pub use self::admission::ConnectionCaps;
use self::admission::{Admission, Admitted, Refusal};
use self::connection::{Ends, Phase};
pub use self::listen::Listen;
use self::receiving::receive;
use self::refuse::Refuser;
use self::timeouts::{Patience, Timed};
use self::turn::{Serving, Turn};
use super::client::Peer;
use super::{cors, respond};
use crate::telemetry::metrics::{HTTP_CONNECTIONS, HTTP_LIMITED};

/// How long to leave the listener alone when it has no file descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a connection is looked at, at the least.
const LOOK_EVERY: Duration = Duration::from_millis(2_500);

/// How long idle HTTP/1 connections are kept when the server stops: a request that comes is answered, and the answer
/// says that the connection ends.
const DRAIN: Duration = Duration::from_secs(1);

/// What a connection and a request may take.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Connections at once, and requests at once over HTTP/2. When all are taken, a newcomer gets the place of whoever
    /// has most.
    pub max_connections: usize,
    /// Connections at once of one client and of its network; more are answered with 503.
    pub caps: ConnectionCaps,
    /// Bytes of a request body, unless a route sets its own [`DefaultBodyLimit`].
    pub max_body_bytes: usize,
    /// For a request's head to arrive whole.
    pub header_timeout: Duration,
    /// How long a connection is kept open between two requests, while less than half of them are in use.
    pub idle_timeout: Duration,
    /// How old a connection gets; then an answer says that it is the last.
    pub max_age: Duration,
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
            max_age: Duration::from_secs(60 * 60),
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
    let router = router.layer(DefaultBodyLimit::max(settings.max_body_bytes)).with_state(());
    let admission = Admission::new(settings.caps.clone(), settings.max_connections);
    let (phase, phases) = watch::channel(Phase::Serving);
    let patience = Patience::new(settings.header_timeout, settings.idle_timeout, Arc::clone(&admission));
    let handler = Handler {
        router,
        timeout: settings.request_timeout,
        times_itself: settings.times_itself,
        failure: settings.failure,
        patience: patience.clone(),
        requests: Admission::of_requests(settings.caps, settings.max_connections),
        max_age: settings.max_age,
        phase: phases.clone(),
    };
    let shortest = settings.header_timeout.min(settings.idle_timeout).min(settings.stall_timeout);
    let ends = Ends {
        patience,
        stall_timeout: settings.stall_timeout,
        max_age: settings.max_age,
        look_every: (shortest / 4).clamp(Duration::from_millis(10), LOOK_EVERY),
    };
    let (http, refuser) = (Arc::new(connection::builder()), Refuser::new());
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &admission, settings.stall_timeout) => accepted,
        };
        match accepted {
            Ok(Accepted { stream, peer, turn, admitted: Some(admitted) }) => {
                let (http, handler, ends, phases) =
                    (Arc::clone(&http), handler.clone(), ends.clone(), phases.clone());
                tokio::spawn(async move {
                    let open = metrics::gauge!(HTTP_CONNECTIONS);
                    open.increment(1.0);
                    let stream = TokioIo::new(Timed::new(stream, turn.clone(), ends.patience.clone()));
                    let answering = turn.clone();
                    let service = service_fn(move |request| {
                        let (handler, serving) = (handler.clone(), answering.begin());
                        let turn = answering.clone();
                        async move { Ok::<_, Infallible>(handler.answer(peer, turn, serving, request).await) }
                    });
                    let driven = connection::drive(&http, stream, service, &turn, &ends, phases);
                    if let Err(error) = driven.await {
                        tracing::trace!(%error, %peer, "connection ended");
                    }
                    open.decrement(1.0);
                    drop(admitted);
                });
            }
            Ok(Accepted { stream, .. }) => {
                metrics::counter!(HTTP_LIMITED, "limit" => "connections").increment(1);
                refuser.refuse(stream);
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
    drop((listener, handler, phases));
    phase.send_replace(Phase::Draining);
    // Each connection has a receiver, so without any the channel is closed.
    if tokio::time::timeout(DRAIN.min(settings.shutdown_wait / 2), phase.closed()).await.is_err() {
        phase.send_replace(Phase::Closing);
        if tokio::time::timeout(settings.shutdown_wait, phase.closed()).await.is_err() {
            tracing::warn!("some requests did not end in time and are dropped");
        }
    }
}

/// A new connection.
struct Accepted<S> {
    stream: S,
    peer: SocketAddr,
    turn: Turn,
    /// `None` if its peer has as many as it may.
    admitted: Option<Admitted>,
}

/// The next connection. Waits for a place if there is none to be had.
async fn accept<L: Listen>(
    listener: &L,
    admission: &Arc<Admission>,
    stall_timeout: Duration,
) -> std::io::Result<Accepted<L::Stream>> {
    let (stream, peer) = listener.accept().await?;
    L::set_up(&stream, stall_timeout);
    let turn = Turn::default();
    loop {
        let admitted = match admission.admit(peer.ip(), &turn) {
            Ok(admitted) => Some(admitted),
            Err(Refusal::Capped) => None,
            Err(Refusal::Full) => {
                admission.freed().await;
                continue;
            }
        };
        return Ok(Accepted { stream, peer, turn, admitted });
    }
}

fn is_one_client_s_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What every connection shares.
#[derive(Clone)]
struct Handler {
    router: Router,
    timeout: Duration,
    times_itself: fn(&str) -> bool,
    failure: Failure,
    patience: Patience,
    /// Requests in service over HTTP/2.
    requests: Arc<Admission>,
    max_age: Duration,
    phase: watch::Receiver<Phase>,
}

/// A path for the log: a UUID in it may be what opens a withdrawal. Other ids are taken out of every line.
fn without_ids(path: &str) -> String {
    let shown =
        |part: &str| if uuid::Uuid::try_parse(part).is_ok() { "[id]".into() } else { part.to_owned() };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

impl Handler {
    /// The answer, which keeps the request in service until it is sent.
    async fn answer(
        self,
        peer: SocketAddr,
        turn: Turn,
        serving: Serving,
        request: Request<Incoming>,
    ) -> Response {
        if request.version() == Version::HTTP_2 {
            let Ok(admitted) = self.requests.admit(peer.ip(), &turn) else {
                metrics::counter!(HTTP_LIMITED, "limit" => "streams").increment(1);
                let mut response = self.failed(request.uri(), StatusCode::SERVICE_UNAVAILABLE);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                return serving.until_sent(response, ());
            };
            let response = self.handle(peer, as_http1(request.map(Body::new))).await;
            return serving.until_sent(response, admitted);
        }
        let keeps_alive = request.version() == Version::HTTP_11;
        let (handler, (request, leftover)) = (self.clone(), receive(request));
        let mut response = handler.handle(peer, request).await;
        let goes_on = match leftover {
            Some(leftover) => leftover.drain().await,
            None => true,
        };
        let is_last = !goes_on
            || *self.phase.borrow() != Phase::Serving
            || turn.is_closing()
            || turn.age() > self.max_age;
        let headers = response.headers_mut();
        if is_last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else if keeps_alive {
            headers.insert(HeaderName::from_static("keep-alive"), self.patience.hint());
        }
        serving.until_sent(response, ())
    }

    async fn handle(self, peer: SocketAddr, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(Peer(peer));
        let uri = request.uri().clone();
        let handled = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
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
        self.failed(&uri, status)
    }

    fn failed(&self, uri: &Uri, status: StatusCode) -> Response {
        let mut response = (self.failure)(uri.path(), status);
        cors::dress(&mut response);
        response
    }
}

/// A request over HTTP/2 as routes know requests: its host in `Host`, its target without it.
fn as_http1(mut request: Request<Body>) -> Request<Body> {
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().entry(HOST).or_insert(host);
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or(PathAndQuery::from_static("/")));
    }
    request
}

#[cfg(test)]
mod tests;
