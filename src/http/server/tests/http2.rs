//! HTTP/2 with prior knowledge, by hyper's client and by frames written by hand.

use axum::body::Bytes;
use futures_util::future::join_all;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioExecutor;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(
    client: &SendRequest<Body>,
    method: &str,
    path: &str,
    body: &[u8],
) -> hyper::Result<(axum::http::response::Parts, Bytes)> {
    let mut client = client.clone();
    let uri = format!("http://shop.example{path}");
    let body = Body::from(Bytes::copy_from_slice(body));
    let request = Request::builder().method(method).uri(uri).body(body).unwrap();
    client.ready().await?;
    let (parts, body) = client.send_request(request).await?.into_parts();
    Ok((parts, axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap()))
}

/// A frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The headers of a `GET`, which end it.
fn get_frame(stream: u32, path: &str) -> Vec<u8> {
    let name =
        |index: u8, value: &str| [&[index, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let block = [vec![0x82, 0x86], name(4, path), name(1, "shop.example")].concat();
    frame(1, 0x5, stream, &block)
}

/// Begins, with room for so much of each answer.
fn hello(window: u32) -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat())].concat()
}

/// Reads until the server closes; within how long it did.
async fn closes(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    drop(tokio::time::timeout(Duration::from_secs(20), read).await);
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests_at_once() {
    let server = start(ServerSettings { max_body_bytes: 1 << 20, ..Default::default() }).await;
    let client = connect(server.address).await;
    let began = Instant::now();
    let answers = join_all((0..50).map(|_| ask(&client, "GET", "/slow", b""))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().1 == "done"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let (parts, body) = ask(&client, "GET", "/host", b"").await.unwrap();
    assert_eq!((parts.version, body), (Version::HTTP_2, "shop.example /host".into()));
    assert!(!parts.headers.contains_key("keep-alive") && !parts.headers.contains_key("connection"));
    let long = vec![b'x'; 1 << 20];
    let (_, echoed) = ask(&client, "POST", "/echo", &long).await.unwrap();
    assert_eq!(echoed.len(), long.len());
    let (parts, _) = ask(&client, "POST", "/echo", &vec![b'x'; (1 << 20) + 1]).await.unwrap();
    assert_eq!(parts.status, StatusCode::PAYLOAD_TOO_LARGE);
    let (parts, body) = ask(&client, "GET", "/json", b"").await.unwrap();
    assert_eq!((parts.headers["content-length"].to_str().unwrap(), body), ("7", "{\"a\":1}".into()));
    let (_, large) = ask(&client, "GET", "/large", b"").await.unwrap();
    assert_eq!(large.len(), 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_requests_at_once_than_connections() {
    let caps = ConnectionCaps { per_client: 20, per_network: 0, exempt: Vec::new(), per_exempt: 0 };
    let server = start(ServerSettings { caps, ..Default::default() }).await;
    let client = connect(server.address).await;
    let answers = join_all((0..50).map(|_| ask(&client, "GET", "/slow", b""))).await;
    let statuses: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().0.status).collect();
    let of = |status| statuses.iter().filter(|each| **each == status).count();
    assert_eq!((of(StatusCode::OK), of(StatusCode::SERVICE_UNAVAILABLE)), (20, 30));
    assert_eq!(ask(&client, "GET", "/json", b"").await.unwrap().0.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends_and_one_that_never_asks_sooner() {
    let settings = ServerSettings {
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_secs(1),
        ..Default::default()
    };
    let server = start(settings).await;
    let limits = Duration::from_millis(200)..Duration::from_millis(4_000);
    for begun in [PREFACE.to_vec(), PREFACE[..10].to_vec(), hello(65_535)] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&begun).await.unwrap();
        let lasted = closes(&mut stream).await;
        assert!(limits.contains(&lasted), "{lasted:?}");
    }
    let client = connect(server.address).await;
    ask(&client, "GET", "/json", b"").await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    ask(&client, "GET", "/json", b"").await.unwrap();
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    assert!(client.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_s_time_limit_holds_for_its_stream_alone() {
    let settings = ServerSettings { request_timeout: Duration::from_millis(500), ..Default::default() };
    let server = start(settings).await;
    let client = connect(server.address).await;
    let (hung, slow) = tokio::join!(ask(&client, "GET", "/never", b""), ask(&client, "GET", "/slow", b""));
    assert_eq!(hung.unwrap().0.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(slow.unwrap().1, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_an_answer_is_broken_off() {
    let settings = ServerSettings { stall_timeout: Duration::from_millis(400), ..Default::default() };
    let server = start(settings).await;
    for (window, path) in [(0, "/json"), (100, "/large")] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&hello(window)).await.unwrap();
        stream.write_all(&get_frame(1, path)).await.unwrap();
        let lasted = closes(&mut stream).await;
        assert!((300..5_000).contains(&lasted.as_millis()), "{path}: {lasted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let server = start(ServerSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&hello(65_535)).await.unwrap();
    let resets: Vec<u8> = (0..20_000_u32)
        .flat_map(|number| {
            let stream = number * 2 + 1;
            [get_frame(stream, "/never"), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
        })
        .collect();
    let began = Instant::now();
    // Fails once the server has closed.
    drop(stream.write_all(&resets).await);
    closes(&mut stream).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(get_path(server.address, "/json").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_without_end_and_headers_without_end_end_the_connection() {
    let server = start(ServerSettings::default()).await;
    let pings = frame(6, 0, 0, &[0; 8]).repeat(20_000);
    // A head that goes on and on: never its end.
    let head = frame(1, 0, 1, &[0x82, 0x86]);
    let more = [0x00, 1, b'a', 0x7f, 0x00].repeat(1_000);
    let endless = [head, frame(9, 0, 1, &more).repeat(500)].concat();
    for flood in [pings, endless] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&hello(65_535)).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let mut answer = Vec::new();
        let both = async {
            tokio::join!(reading.read_to_end(&mut answer), async {
                drop(writing.write_all(&flood).await);
            })
        };
        let ended = tokio::time::timeout(Duration::from_secs(8), both).await;
        assert!(ended.is_ok(), "the connection is still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_longer_than_may_be_are_refused() {
    let server = start(ServerSettings::default()).await;
    let mut client = connect(server.address).await;
    let request = Request::get("http://shop.example/json").header("x-filler", "x".repeat(40_000));
    let answer = client.send_request(request.body(Body::empty()).unwrap()).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 431));
    let client = connect(server.address).await;
    assert_eq!(ask(&client, "GET", "/json", b"").await.unwrap().0.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_what_runs_and_begins_no_more() {
    let server = start(ServerSettings::default()).await;
    let (client, idle) = (connect(server.address).await, connect(server.address).await);
    ask(&idle, "GET", "/json", b"").await.unwrap();
    let running = {
        let client = client.clone();
        tokio::spawn(async move { ask(&client, "GET", "/slow", b"").await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    assert_eq!(running.await.unwrap().unwrap().1, "done");
    server.ended.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(ask(&idle, "GET", "/json", b"").await.is_err());
}
