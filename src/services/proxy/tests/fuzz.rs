//! Chance, over a real connection: paths made of tricks, and heads and bodies that two programs could read in two
//! ways. More of it with `PROPTEST_CASES`.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestRunner};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::recorder::{Heard, Recorder};
use super::test_app::{TestApp, base};
use super::tricks::front;
use crate::testing::cases;

/// What must reach nobody.
const SECRET: &str = "do-not-tell";

/// Requests that run at the same time, of one case.
const AT_ONCE: usize = 16;

struct Scene {
    runtime: Runtime,
    app: Arc<TestApp>,
    recorder: Recorder,
    port: u16,
    base: String,
}

impl Scene {
    /// Nothing below `/admin` is sold, all below `/gold` is dear, all below `/silver` less so, and the rest is free: so
    /// whatever gets through is heard.
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (app, recorder, port, base) = runtime.block_on(async {
            let recorder = Recorder::start().await;
            let app = TestApp::new().await;
            let target = format!("http://127.0.0.1:{}", recorder.port);
            let id = app.sell(&json!({ "targetBaseUrl": target, "blockedPaths": ["/admin"] })).await;
            for (name, path, sats) in
                [("all", "/**", 0), ("gold", "/gold/**", 50), ("silver", "/silver/**", 10)]
            {
                let body =
                    json!({ "endpointId": name, "path": path, "httpMethod": "*", "basePriceSats": sats });
                let made = app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await;
                assert_eq!(made.status, 201, "{}", made.text);
            }
            let port = front(&app).await;
            (Arc::new(app), recorder, port, base(&id))
        });
        Self { runtime, app, recorder, port, base }
    }
}

/// Sends bytes; what comes back within a moment.
async fn raw(port: u16, bytes: Vec<u8>) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    // Some wait for a body that never comes.
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_millis(250), stream.read(&mut piece)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Bytes without their escapes; what is none stays.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        let escape = behind.get(..2).filter(|_| *first == b'%');
        match escape.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = &behind[2..];
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

fn unescaped(text: &str) -> Vec<u8> {
    without_escapes(text.as_bytes())
}

/// A path read as carelessly as any server was ever seen to: escapes twice, backslashes, parameters, dots.
fn careless(path: &str) -> String {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..2 {
        path = without_escapes(&path);
    }
    let text = String::from_utf8_lossy(&path).replace('\\', "/").to_lowercase();
    let text = text.split('\0').next().unwrap_or_default();
    let mut kept = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            ".." => drop(kept.pop()),
            segment => kept.extend(Some(segment.trim_end_matches('.')).filter(|kept| !kept.is_empty())),
        }
    }
    format!("/{}", kept.join("/"))
}

/// What the reading of a path costs here; `None` is blocked.
fn price(path: &str) -> Option<u64> {
    match path.split('/').nth(1).unwrap_or_default() {
        "admin" => None,
        "gold" => Some(50),
        "silver" => Some(10),
        _ => Some(0),
    }
}

/// A way to somewhere else, written so that somebody may overlook it.
fn detour() -> impl Strategy<Value = String> {
    let start = select(vec!["", "a/", "open/a/", "gold/", "silver/one/"]);
    let trick = select(vec![
        "",
        "../",
        "..;/",
        "..;a=b/",
        "..%3b/",
        "..%2f",
        "%2e%2e/",
        "%2E%2E%2F",
        ".%2e/",
        "..\\",
        "..%5c",
        "./",
        ".;/",
        "/",
        ";/",
        "%252e%252e/",
        "..%252f",
        "%00/",
        "..%00/",
        "..%20/",
        "..%09/",
        ".../",
        "%c0%ae%c0%ae/",
        "?/../",
        "#/../",
    ]);
    let goal = select(vec![
        "admin",
        "ADMIN",
        "%61dmin",
        "%2561dmin",
        "admin/x",
        "gold",
        "gold/bar",
        "Gold/bar",
        "%47old/bar",
        "silver/one",
        "silver/ONE",
        "silver/two",
        "open",
        "open/x",
    ]);
    let end = select(vec![
        "", "", "", "/", "//", ".", "%20", ";x", "%3bx", "%2e", "%2f", "/.", "/..", "%00", "?x", "?", "#x",
    ]);
    (start, trick, goal, end).prop_map(|(start, trick, goal, end)| format!("{start}{trick}{goal}{end}"))
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![3 => detour(), 1 => chaos()]
}

fn chaos() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "/",
        "/",
        "/",
        "//",
        "admin",
        "ADMIN",
        "%61dmin",
        "%41dmin",
        "adm%69n",
        "gold",
        "Gold",
        "%67old",
        "silver",
        "silver/one",
        "one",
        "open",
        "a",
        ".",
        "..",
        "...",
        "/./",
        "/../",
        "%2e",
        "%2E%2e",
        ".%2e",
        "..;",
        "%2F",
        "%2f",
        "%5c",
        "%5C",
        "\\",
        ";",
        ";x=1",
        "%3b",
        "%3B",
        "%00",
        "%25",
        "%252e",
        "%252F",
        "%25%32%65",
        "%0d%0a",
        "%09",
        "%20",
        "%7f",
        "%7e",
        "%7E",
        "%c0%ae",
        "%C0%AF",
        "%c3%a9",
        "\u{e9}",
        "\u{ff0f}",
        "\u{2025}",
        "%ef%bc%8f",
        "%u002e",
        "%",
        "%z",
        "?",
        "?q=/../admin",
        "#",
        "%3f",
        "%23",
        "*",
        "@",
        ":",
        "+",
        "&",
        "=",
        "'",
        "{x}",
        "|",
        "^",
        "\"",
        "http://evil.example",
        "~",
    ]);
    prop::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat())
}

fn host() -> impl Strategy<Value = &'static str> {
    select(vec![
        "pay.example",
        "PAY.EXAMPLE.",
        "pay.example:443",
        "evil.example",
        "127.0.0.1:1",
        "localhost",
        "[::1]",
        "",
        "pay.example/admin",
        "a@b",
        "x:y:z",
    ])
}

/// How the target is written before the path below the proxy.
fn form() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "",
        "",
        "http://pay.example",
        "HTTP://evil.example:9",
        "https://127.0.0.1",
        "http://user:pass@pay.example",
        "/x/..",
        "/.",
        "/",
        "//evil.example",
    ])
}

#[test]
fn the_model_overlooks_no_detour() {
    for path in [
        "/a/..%3B/admin",
        "/a/..;x/ADMIN",
        "/%2561dmin",
        "/a\\..\\admin",
        "//admin.",
        "/a/%2e%2e%2fadmin%20",
        "/admin%00.x",
    ] {
        assert_eq!(price(&careless(path)), None, "{path}");
    }
    assert_eq!(price(&careless("/a/../gold%2fbar")), Some(50));
    assert_eq!(price(&careless("/administrator/gold")), Some(0));
}

#[test]
fn what_gets_through_is_what_was_priced_and_allowed() {
    let scene = Scene::new();
    let silver = format!("{}/silver/one", scene.base);
    let shown = scene.runtime.block_on(scene.app.pay(axum::http::Method::GET, &silver));
    let one = (form(), host(), select(vec!["", "/"]), path());
    let strategy = prop::collection::vec(one, AT_ONCE);
    TestRunner::new(cases(48))
        .run(&strategy, |tries| {
            let asked = tries.iter().map(|(form, host, slash, path)| {
                let target = format!("{form}{}{slash}{path}", scene.base);
                let head = format!(
                    "GET {target} HTTP/1.1\r\nhost: {host}\r\nauthorization: {shown}\r\nconnection: close\r\n\r\n"
                );
                let port = scene.port;
                async move { (target, raw(port, head.into_bytes()).await) }
            });
            let answers = scene.runtime.block_on(futures_util::future::join_all(asked));
            let heard = scene.recorder.take();
            let let_in = answers.iter().filter(|(_, answer)| answer.contains("x-recorded: yes")).count();
            prop_assert_eq!(let_in, heard.len(), "{:?} {:?}", answers, heard);
            for one in &heard {
                is_paid_for(one, &answers)?;
            }
            for (target, answer) in &answers {
                asks_the_right_price(target, answer)?;
            }
            Ok(())
        })
        .unwrap();
}

/// What the upstream was asked is free however it is read, or is the very thing that was bought; and somebody asked
/// for it, query and all.
fn is_paid_for(heard: &Heard, answers: &[(String, String)]) -> Result<(), TestCaseError> {
    let (path, query) = match heard.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (heard.target.as_str(), None),
    };
    prop_assert!(path.starts_with('/') && !path.starts_with("//"), "{}", heard.target);
    prop_assert!(path.is_ascii() && !path.contains(['#', '\\', ';']), "{}", heard.target);
    if price(&careless(path)) != Some(0) {
        prop_assert_eq!(path, "/silver/one");
    }
    // What no URL may hold is escaped on the way.
    let query = query.map(unescaped);
    let told = |target: &String| target.split('#').next()?.split_once('?').map(|(_, query)| unescaped(query));
    let asked = answers.iter().any(|(target, _)| told(target) == query);
    prop_assert!(asked, "nobody asked {}", heard.target);
    Ok(())
}

/// A 402 asks what the resource that it names costs, and it names what may be sold.
fn asks_the_right_price(target: &str, answer: &str) -> Result<(), TestCaseError> {
    if !answer.starts_with("HTTP/1.1 402") {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let resource = body["l402"]["resource"].as_str().unwrap();
    let below: String = resource.splitn(5, '/').skip(4).collect();
    let sold = price(&careless(&format!("/{below}")));
    prop_assert_eq!(sold, body["l402"]["amount_sats"].as_u64(), "{} {}", target, resource);
    Ok(())
}

/// Lines of a head, right and wrong.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let line = select(vec![
        "content-length: 5",
        "content-length: 5",
        "Content-Length: 0",
        "content-length: 60",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length:  5 ",
        "content-length: 0x5",
        "content-length: -1",
        "content-length:",
        "content-length: 18446744073709551616",
        "content-length : 5",
        " content-length: 5",
        "content_length: 5",
        "transfer-encoding: chunked",
        "transfer-encoding: chunked",
        "Transfer-Encoding: Chunked",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding : chunked",
        "transfer-encoding:\u{b}chunked",
        "\ttransfer-encoding: chunked",
        "transfer-encoding: chunked\nx-lenient: 1",
        "transfer-encoding:\r\n chunked",
        "te: trailers, do-not-tell",
        "trailer: x-smuggled",
        "expect: 100-continue",
        "connection: close",
        "connection: keep-alive, X-Hop",
        "Connection: x-hop, x-other,, close",
        "connection: transfer-encoding",
        "connection: content-length",
        "x-hop: do-not-tell\r\nconnection: x-hop",
        "upgrade: do-not-tell",
        "keep-alive: do-not-tell",
        "proxy-connection: do-not-tell",
        "authorization: Bearer do-not-tell",
        "Authorization: Payment do-not-tell",
        "authorization: L402 do-not-tell",
        "AUTHORIZATION:do-not-tell",
        "proxy-authorization: do-not-tell",
        "x-api-key: do-not-tell",
        "X_Api_Key: do-not-tell",
        "cookie: session=do-not-tell",
        "Cookie: a=b; c=do-not-tell",
        "forwarded: for=do-not-tell",
        "x-forwarded-for: do-not-tell",
        "x-forwarded-host: do-not-tell",
        "x-real-ip: do-not-tell",
        "x-http-method-override: do-not-tell",
        "x-original-url: /do-not-tell",
        "macaroon: do-not-tell",
        "host: do-not-tell",
        "x-a: b\nx-lenient: 1",
        "x-a: b\rx-smuggled: 1",
        "x-a: b\r\n x-smuggled: 1",
        "x-a: b\u{0}x-smuggled: 1",
        "x-a\u{0}: b",
        ": empty",
        "no colon",
        "x-kept: yes",
        "content-type: text/plain",
    ]);
    prop::collection::vec(line.prop_map(str::to_owned), 0..6)
}

fn body() -> impl Strategy<Value = String> {
    let hidden = "GET /admin HTTP/1.1\r\nhost: x\r\nx-smuggled: 1\r\n\r\n";
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    select(vec![
        String::new(),
        "hello".into(),
        format!("hello{hidden}"),
        hidden.into(),
        chunks.into(),
        format!("{chunks}{hidden}"),
        format!("0\r\n\r\n{hidden}"),
        format!("0\r\nauthorization: {SECRET}\r\nx-smuggled: 1\r\n\r\n"),
        format!("5;x=\"\r\nhello\r\n0\r\n\r\n{hidden}"),
        format!("5\nhello\n0\n\n{hidden}"),
        format!("+5\r\nhello\r\n0\r\n\r\n{hidden}"),
        format!("fffffffffffffffff\r\n{hidden}"),
        format!("5\r\nhello{hidden}"),
        "5\r\nhel".into(),
    ])
}

#[test]
fn no_request_is_smuggled_and_nothing_that_is_ours_leaves() {
    let scene = Scene::new();
    let method = select(vec!["GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]);
    let version = select(vec!["1.1", "1.1", "1.1", "1.0"]);
    let strategy = prop::collection::vec((method, version, lines(), body()), AT_ONCE);
    let mut number = 0_u64;
    let number = std::cell::RefCell::new(&mut number);
    TestRunner::new(cases(48))
        .run(&strategy, |tries| {
            let asked = tries.iter().map(|(method, version, lines, body)| {
                let mut number = number.borrow_mut();
                **number += 1;
                let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
                let target = format!("{}/open/{}", scene.base, **number);
                raw(
                    scene.port,
                    format!("{method} {target} HTTP/{version}\r\nhost: pay.example\r\n{lines}\r\n{body}")
                        .into_bytes(),
                )
            });
            let asked: Vec<_> = asked.collect();
            let answers = scene.runtime.block_on(futures_util::future::join_all(asked));
            let mut heard = scene.recorder.take();
            for one in &heard {
                let told = one.head.to_lowercase();
                prop_assert!(!told.contains(SECRET) && !told.contains("x-smuggled"), "{}", one.head);
                for name in [
                    "authorization",
                    "x-api-key",
                    "cookie",
                    "connection",
                    "te",
                    "trailer",
                    "upgrade",
                    "expect",
                    "x-hop",
                ] {
                    prop_assert!(!told.contains(&format!("\r\n{name}:")), "{}", one.head);
                }
                let framed = ["content-length:", "transfer-encoding:"]
                    .map(|name| told.matches(&format!("\r\n{name}")).count());
                prop_assert!(framed.iter().sum::<usize>() <= 1, "{}", one.head);
                let mark = one.target.strip_prefix("/open/").and_then(|mark| mark.parse::<u64>().ok());
                prop_assert!(mark.is_some(), "{} was heard, and {:?} answered", one.head, answers);
            }
            heard.sort_by(|a, b| a.target.cmp(&b.target));
            prop_assert!(heard.windows(2).all(|two| two[0].target != two[1].target), "{:?}", heard);
            Ok(())
        })
        .unwrap();
    assert!(scene.recorder.total() > 0, "some got through");
}
