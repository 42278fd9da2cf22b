use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::extract::Extension;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;

mod closing;
mod http2;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

async fn start(settings: ServerSettings) -> Running {
    async fn slow() -> &'static str {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "done"
    }
    async fn panics() {
        panic!("on purpose");
    }
    async fn never() {
        std::future::pending::<()>().await;
    }
    let router = Router::new()
        .route("/peer", get(|Extension(peer): Extension<Peer>| async move { peer.0.ip().to_string() }))
        .route(
            "/host",
            get(|uri: axum::http::Uri, headers: axum::http::HeaderMap| async move {
                format!("{} {uri}", headers["host"].to_str().unwrap())
            }),
        )
        .route("/json", get(|| async { respond::json(StatusCode::OK, &serde_json::json!({"a": 1})) }))
        .route("/echo", post(|body: axum::body::Bytes| async move { body }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/slow", get(slow))
        .route("/panics", get(panics))
        .route("/never", get(never));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, router, settings, async move { drop(stopped.await) }));
    Running { address, stop, ended }
}

/// Sends bytes, reads until the other side closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get_path(address: SocketAddr, path: &str) -> String {
    raw(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_sees_the_peer_and_json_has_a_length() {
    let server = start(ServerSettings::default()).await;
    assert!(get_path(server.address, "/peer").await.ends_with("127.0.0.1"));
    let answer = get_path(server.address, "/json").await.to_ascii_lowercase();
    assert!(answer.contains("content-length: 7\r\n"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    assert!(answer.ends_with("{\"a\":1}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_500_and_a_hung_handler_a_503() {
    let server =
        start(ServerSettings { request_timeout: Duration::from_millis(100), ..Default::default() }).await;
    let panicked = get_path(server.address, "/panics").await;
    assert!(panicked.starts_with("HTTP/1.1 500"), "{panicked}");
    assert!(panicked.contains("access-control-allow-origin: *"));
    assert!(!panicked.contains("on purpose"));
    assert!(get_path(server.address, "/never").await.starts_with("HTTP/1.1 503"));
    assert!(get_path(server.address, "/json").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_cut_off_long_before_an_idle_connection_is() {
    let settings = ServerSettings {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_secs(2),
        ..Default::default()
    };
    let server = start(settings).await;
    for head in ["", "GET /json HTTP/1.1\r\nhost:"] {
        let began = Instant::now();
        raw(server.address, head).await;
        assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    }
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /json HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
        assert!(answer.contains("keep-alive: timeout=2\r\n"), "{answer}");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // A head that begins on a kept connection has as long as any.
    stream.write_all(b"GET /json HTTP/1.1\r\n").await.unwrap();
    let began = Instant::now();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest).await);
    assert!(rest.is_empty() && began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    let began = Instant::now();
    let kept_alive = raw(server.address, "GET /json HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(kept_alive.starts_with("HTTP/1.1 200"));
    assert!((1_900..5_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_heads_of_one_client_leave_places_for_others() {
    let caps = ConnectionCaps { per_client: 20, per_network: 0, exempt: Vec::new(), per_exempt: 0 };
    let server = start(ServerSettings { max_connections: 30, caps, ..Default::default() }).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        drop(stream.write_all(b"GET /json HTTP/1.1\r\nx-filler: ").await);
        held.push(stream);
    }
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut visitor = other.connect(server.address).await.unwrap();
    visitor.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(5), visitor.read_to_string(&mut answer)).await;
    assert!(read.is_ok_and(|read| read.is_ok()) && answer.ends_with("127.0.0.2"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_longer_than_the_buffer_is_refused() {
    let server = start(ServerSettings::default()).await;
    let long = format!("GET /json HTTP/1.1\r\nhost: x\r\nx-filler: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    drop(stream.write_all(long.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_a_413() {
    let server = start(ServerSettings { max_body_bytes: 10, ..Default::default() }).await;
    let post = |body: &str| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(raw(server.address, &post("0123456789")).await.starts_with("HTTP/1.1 200"));
    assert!(raw(server.address, &post("0123456789a")).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_is_not_buffered_without_bound() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let endless = move || {
        let counted = Arc::clone(&counted);
        let chunks = futures_util::stream::repeat_with(move || {
            assert!(counted.fetch_add(1, Ordering::Relaxed) < 10_000, "far more than a socket holds");
            Ok::<_, Infallible>("x".repeat(10_000))
        });
        std::future::ready(Body::from_stream(chunks))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(endless));
    let server = tokio::spawn(serve(listener, router, ServerSettings::default(), std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let first = made.load(Ordering::Relaxed);
    assert!((1..5_000).contains(&first), "{first}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(made.load(Ordering::Relaxed), first);
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_their_turn() {
    let server = start(ServerSettings { max_connections: 1, ..Default::default() }).await;
    let address = server.address;
    let first = tokio::spawn(async move { get_path(address, "/slow").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    assert!(get_path(address, "/json").await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() > Duration::from_millis(150));
    assert!(first.await.unwrap().ends_with("done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_what_runs_and_waits_no_longer_than_told() {
    let server =
        start(ServerSettings { shutdown_wait: Duration::from_millis(800), ..Default::default() }).await;
    let address = server.address;
    let running = tokio::spawn(async move { get_path(address, "/slow").await });
    let hung = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    assert!(running.await.unwrap().ends_with("done"));
    server.ended.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(address).await.is_err());
    hung.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_nothing_of_an_answer_loses_their_seat() {
    let settings = ServerSettings {
        max_connections: 1,
        stall_timeout: Duration::from_secs(1),
        ..ServerSettings::default()
    };
    let server = start(settings).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let began = Instant::now();
    assert!(get_path(server.address, "/peer").await.ends_with("127.0.0.1"), "the one seat is free again");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(idle);
}
