//! A buyer who speaks HTTP/2 to us: the service sees an ordinary request over HTTP/1.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Version};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use super::test_app::{TestApp, base};
use super::tricks::front;

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_over_http2_pays_and_is_served() {
    let app = TestApp::new().await;
    let path = format!("{}/x?a=1", base(&app.sell(&json!({})).await));
    let port = front(&app).await;
    let stream = TokioIo::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    let (mut client, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = |method: &Method, shown: Option<&str>, body: Vec<u8>| {
        let builder = Request::builder().method(method).uri(format!("http://pay.example{path}"));
        let builder = builder.header("cookie", "a=1").header("cookie", "b=2").header("te", "trailers");
        shown
            .into_iter()
            .fold(builder, |builder, shown| builder.header("authorization", shown))
            .body(Body::from(body))
    };
    let unpaid = client.send_request(request(&Method::GET, None, vec![]).unwrap()).await.unwrap();
    assert_eq!((unpaid.status().as_u16(), unpaid.version()), (402, Version::HTTP_2));
    assert!(unpaid.headers().contains_key("www-authenticate"));
    for (method, body) in [(Method::GET, vec![]), (Method::POST, vec![b'x'; 300_000])] {
        let shown = app.pay(method.clone(), &path).await;
        let answer = client.send_request(request(&method, Some(&shown), body).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200, "{method}");
        let text = to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
        assert!(!text.is_empty());
        let sent = app.upstream.last();
        assert_eq!(sent.target, "/x?a=1");
        assert_eq!(sent.headers["host"], format!("127.0.0.1:{}", app.upstream.port));
        assert!(!sent.headers.contains_key("te") && !sent.headers.contains_key("cookie"));
    }
}
