//! A connection over HTTP/1 that ends says so in the answer before.

use super::*;

/// Sends on a kept connection; the head of the answer, in lower case. The answer must have a length and fit a read.
async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 * 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase()
}

const GET: &str = "GET /json HTTP/1.1\r\nhost: x\r\n\r\n";

fn post(path: &str, sent: usize, announced: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {announced}\r\n\r\n{}", "x".repeat(sent))
}

/// Whether the server closes within a second.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 16];
    let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut rest)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_stops_a_kept_connection_s_request_is_answered_as_its_last() {
    let server = start(ServerSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    for stream in [&mut stream, &mut idle] {
        assert!(!ask(stream, GET).await.contains("connection: close"));
    }
    let began = Instant::now();
    server.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = ask(&mut stream, GET).await;
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close\r\n"), "{answer}");
    assert!(!answer.contains("keep-alive:"), "{answer}");
    assert!(is_closed(&mut stream).await);
    assert!(is_closed(&mut idle).await, "the idle one ends after the others");
    server.ended.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_s_answer_says_that_it_is_the_last() {
    let server = start(ServerSettings { max_age: Duration::from_millis(300), ..Default::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let first = ask(&mut stream, GET).await;
    assert!(first.contains("keep-alive: timeout=75\r\n") && !first.contains("connection: close"), "{first}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let last = ask(&mut stream, GET).await;
    assert!(last.starts_with("http/1.1 200") && last.contains("connection: close\r\n"), "{last}");
    assert!(is_closed(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_read_is_read_or_the_answer_says_that_the_connection_ends() {
    let server = start(ServerSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        // In two parts, so that the second is not there yet when the handler answers.
        stream.write_all(post("/json", 10_000, 20_000).as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = ask(&mut stream, &"x".repeat(10_000)).await;
        assert!(answer.starts_with("http/1.1 405") && !answer.contains("connection: close"), "{answer}");
    }
    assert!(ask(&mut stream, GET).await.starts_with("http/1.1 200"));
    for announced in [70_000, 20_000] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let answer = ask(&mut stream, &post("/json", 10_000, announced)).await;
        assert!(answer.starts_with("http/1.1 405") && answer.contains("connection: close\r\n"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_no_place_is_told_at_once_what_to_do() {
    let caps = ConnectionCaps { per_client: 1, per_network: 0, exempt: Vec::new(), per_exempt: 0 };
    let server = start(ServerSettings { caps, ..Default::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut first, GET).await.starts_with("http/1.1 200"));
    let began = Instant::now();
    for request in ["", GET, &post("/echo", 40_000, 40_000)] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: 5\r\n") && answer.contains("Close those"), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(get_path(server.address, "/json").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_of_another_network_gets_the_place_of_an_idle_connection_of_the_largest() {
    let caps = ConnectionCaps { per_client: 0, per_network: 0, exempt: Vec::new(), per_exempt: 0 };
    let server = start(ServerSettings { max_connections: 8, caps, ..Default::default() }).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        assert!(ask(&mut stream, GET).await.starts_with("http/1.1 200"));
        held.push(stream);
    }
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.9.9.9:0".parse().unwrap()).unwrap();
    let mut visitor = other.connect(server.address).await.unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(2), ask(&mut visitor, GET)).await;
    assert!(answered.is_ok_and(|answer| answer.starts_with("http/1.1 200")));
    let mut closed = 0;
    for stream in &mut held {
        let mut rest = [0; 16];
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut rest)).await;
        closed += usize::from(matches!(read, Ok(Ok(0))));
    }
    assert_eq!(closed, 1);
}
