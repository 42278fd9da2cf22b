//! Paths that mean one thing here and another there: none reaches what is blocked or costs more.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::test_app::{TestApp, base};
use crate::http::server::{ServerSettings, serve};

/// Asks over a real connection, byte for byte; the status.
async fn ask(port: u16, target: &str, host: &str, shown: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: {host}\r\nauthorization: {shown}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub(super) async fn front(app: &TestApp) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = app.router.clone();
    tokio::spawn(
        async move { serve(listener, router, ServerSettings::default(), std::future::pending()).await },
    );
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_reaches_what_is_blocked_or_dearer() {
    let app = TestApp::new().await;
    // All that is allowed is free, so that whatever gets through is seen at the upstream.
    let id = app.sell(&json!({ "blockedPaths": ["/admin"], "allowedMethods": ["GET"] })).await;
    for (name, path, sats) in [("all", "/**", 0), ("gold", "/gold/**", 50)] {
        let body = json!({ "endpointId": name, "path": path, "basePriceSats": sats });
        assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    }
    let port = front(&app).await;
    let base = base(&id);
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/ADMIN",
        "/Admin/x",
        "/%61dmin",
        "/%41DMIN/",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/..%2fadmin",
        "/x%2f..%2fadmin",
        "/x/%2e%2e/admin",
        "/x/%2E%2E/admin",
        "/x/.%2e/admin",
        "/x/..;/admin",
        "/x/..;a=b/admin",
        "/admin;x=1",
        "/admin%3bx",
        "/admin.",
        "/admin%20",
        "/admin%2e",
        "/admin/.",
        "/admin/..",
        "/admin//",
        "/admin%2f",
        "/admin%00",
        "/admin%00.html",
        "/admin%09",
        "/admin%0a",
        "/\\admin",
        "/x\\..\\admin",
        "/%5cadmin",
        "/x%5c..%5cadmin",
        "/%252e%252e/admin",
        "/x/%252e%252e/admin",
        "/%25%36%31dmin",
        "/%2561dmin",
        "/x/%c0%ae%c0%ae/admin",
        "/%u0061dmin",
        "/admin?x",
        "/admin/?x=/y",
        "/gold/bar",
        "/GOLD/bar",
        "/%67old/bar",
        "/gold",
        "/gold/",
        "/x/../gold/bar",
        "//gold/bar",
        "/gold//bar",
        "/./gold/bar",
        "/gold%2fbar",
        "/gold;/bar",
    ] {
        for target in [format!("{base}{path}"), format!("http://127.0.0.1:1{base}{path}")] {
            let status = ask(port, &target, "pay.example", "x").await;
            assert!(matches!(status, 400 | 402 | 403 | 404), "{target}: {status}");
        }
    }
    assert_eq!(app.upstream.hits(), 0);
    for (path, target) in [
        ("/open", "/open"),
        ("/%6fpen/", "/open/"),
        ("/a%20b?..//x", "/a%20b?..//x"),
        ("/administrator", "/administrator"),
    ] {
        assert_eq!(ask(port, &format!("{base}{path}"), "pay.example", "x").await, 200, "{path}");
        assert_eq!(app.upstream.last().target, target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_and_the_form_of_a_request_change_nothing() {
    let app = TestApp::new().await;
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let port = front(&app).await;
    let shown = app.pay(axum::http::Method::GET, &path).await;
    for (target, host) in [
        (path.clone(), "PAY.EXAMPLE"),
        (path.clone(), "pay.example."),
        (path.clone(), "127.0.0.1:1"),
        (path.clone(), "evil.example"),
        (format!("http://evil.example{path}"), "pay.example"),
        (format!("HTTP://EVIL.EXAMPLE.:99{path}"), "pay.example"),
    ] {
        assert_eq!(ask(port, &target, host, &shown).await, 200, "{target} {host}");
        let sent = app.upstream.last();
        assert_eq!(sent.target, "/x");
        assert_eq!(sent.headers["host"], format!("127.0.0.1:{}", app.upstream.port));
    }
    assert_eq!(ask(port, &path.replace("/l402/", "/l402//"), "x", &shown).await, 404);
    assert_eq!(ask(port, &path.replace("/l402/", "/L402/"), "x", &shown).await, 404);
    assert_eq!(ask(port, &path.replace("/proxy/", "/x/../proxy/"), "x", &shown).await, 404);
}
