//! Services to put a price in front of: an honest one that tells what it was asked, and a liar.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What the upstream was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: u64,
}

/// An honest service.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Bytes that were made of `/large`.
    pub(super) made: Arc<AtomicU64>,
    /// Those of `/hold` that may be answered.
    held: Arc<Semaphore>,
}

/// Bytes of `/large`.
pub(super) const LARGE: u64 = 100 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream =
            Self { port, asked: Arc::default(), made: Arc::default(), held: Arc::new(Semaphore::new(0)) };
        let router = Router::new().fallback(answer).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        upstream
    }

    pub(super) fn hits(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Waits until it has been asked so often.
    pub(super) async fn hears_of(&self, hits: usize) {
        while self.hits() < hits {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Answers so many that wait.
    pub(super) fn release(&self, number: usize) {
        self.held.add_permits(number);
    }

    pub(super) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let path = parts.uri.path().to_owned();
    let slow_reader = path == "/slow-reader";
    let mut stream = body.into_data_stream();
    let mut length = 0;
    while let Some(piece) = stream.next().await {
        let Ok(piece) = piece else { break };
        length += piece.len() as u64;
        if slow_reader && length == piece.len() as u64 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let asked = Asked { method: parts.method.to_string(), target, headers: parts.headers, body: length };
    upstream.asked.lock().unwrap().push(asked.clone());
    match path.as_str() {
        "/large" => {
            let made = Arc::clone(&upstream.made);
            let pieces = futures_util::stream::unfold(0_u64, move |sent| {
                let made = Arc::clone(&made);
                async move {
                    if sent >= LARGE {
                        return None;
                    }
                    made.fetch_add(PIECE as u64, Ordering::SeqCst);
                    let piece = Bytes::from(vec![b'x'; PIECE]);
                    Some((Ok::<_, std::io::Error>(piece), sent + PIECE as u64))
                }
            });
            Response::builder().header("content-length", LARGE).body(Body::from_stream(pieces)).unwrap()
        }
        "/hold" => {
            upstream.held.acquire().await.unwrap().forget();
            "at last".into_response()
        }
        "/no-options" => (StatusCode::METHOD_NOT_ALLOWED, "not with this one").into_response(),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            "late".into_response()
        }
        "/moved" => {
            let location = format!("http://127.0.0.1:{}/secret", upstream.port);
            (StatusCode::TEMPORARY_REDIRECT, [("location", location)]).into_response()
        }
        "/broken" => (StatusCode::INTERNAL_SERVER_ERROR, "it failed").into_response(),
        "/none" => StatusCode::NO_CONTENT.into_response(),
        "/toll" => (StatusCode::PAYMENT_REQUIRED, [("www-authenticate", "Other")], "pay me").into_response(),
        "/gone" => (StatusCode::GONE, "gone").into_response(),
        "/greedy" => {
            let headers = [
                ("set-cookie", "session=1"),
                ("www-authenticate", "Basic realm=\"upstream\""),
                ("access-control-allow-origin", "https://evil.example"),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "x-kept"),
                ("strict-transport-security", "max-age=1"),
                ("connection", "x-hop"),
                ("x-hop", "1"),
                ("cache-control", "public, max-age=3600"),
                ("x-kept", "yes"),
            ];
            (StatusCode::UNAUTHORIZED, headers, "no").into_response()
        }
        _ => format!("{} {}", asked.method, asked.target).into_response(),
    }
}

/// A service that does not keep to HTTP, each path in a way of its own.
#[derive(Clone)]
pub(super) struct Liar {
    pub(super) port: u16,
}

impl Liar {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(lie(stream));
            }
        });
        Self { port }
    }
}

async fn lie(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let many: String = (0..150).map(|number| format!("x-{number}: y\r\n")).collect();
    let hang = path.starts_with("/hang");
    let lie = match path.as_str() {
        "/reset" | "/hang" => String::new(),
        "/garbage" => "this is no HTTP\r\n\r\n".into(),
        "/short" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".into(),
        "/long" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more".into(),
        "/hang-early" => {
            format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{}", "x".repeat(300_000))
        }
        "/short-large" => {
            format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{}", "x".repeat(300_000))
        }
        "/cut-chunks" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".into(),
        "/bad-chunks" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n".into(),
        "/hang-in-body" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello".into(),
        "/hang-in-head" => "HTTP/1.1 200 OK\r\ncontent-".into(),
        "/both-framings" => {
            let second = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n\
                 5\r\nhello\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
                second.len()
            )
        }
        "/two-lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".into(),
        "/switch" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".into(),
        "/many-headers" => format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"),
        "/huge" => "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".into(),
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into(),
    };
    let _ = stream.write_all(lie.as_bytes()).await;
    let _ = stream.flush().await;
    if hang {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    if path == "/reset" {
        #[expect(deprecated, reason = "it is what makes the reset")]
        let _ = stream.set_linger(Some(Duration::ZERO));
    }
}
