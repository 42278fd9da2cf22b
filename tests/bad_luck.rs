//! What happens when the world around satchel is broken: clear words, nothing lost, and it goes on by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Api, RECOVERY, SOON, Scene, case, until};
use regtest::{Bitcoind, ChainSource, Satchel, SatchelOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn options() -> SatchelOptions {
    SatchelOptions { binary: Some(env!("CARGO_BIN_EXE_satchel").into()), ..SatchelOptions::default() }
}

/// A chain source that nobody serves.
fn nowhere() -> ChainSource {
    ChainSource { port: free_port(), user: "u".into(), password: "p".into() }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_is_away_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let bitcoind = Bitcoind::start_in(&folder.path().join("bitcoind")).await.unwrap();
    let chain = ChainSource::from(&bitcoind);
    bitcoind.stop().await.unwrap();
    let satchel = Satchel::init(&folder.path().join("satchel"), &chain, options()).await.unwrap();
    satchel.spawn_with(&[]).await.unwrap();
    let api = Api::new(&satchel.url());
    until("the front door opens", SOON, || async {
        let answer = api.send(reqwest::Method::GET, "/health/live", None).await;
        answer.ok().filter(|answer| answer.status == 200)
    })
    .await;
    let ready = api.get("/health/ready").await;
    assert_eq!((ready.status, &ready.body["status"]), (503, &json!("starting")));
    for _ in 0..20 {
        let asked = Instant::now();
        let refused = api.post("/create", json!({"amount": 1_000})).await;
        assert_eq!(refused.refusal(), (503, "NODE_UNAVAILABLE"));
        assert!(asked.elapsed() < Duration::from_millis(250), "after {:?}", asked.elapsed());
    }
    let lnurl = api.get("/lnurl?amount=1000000").await.ok();
    assert_eq!(lnurl, json!({"status": "ERROR", "reason": "NODE_UNAVAILABLE"}));
    assert_eq!(api.get(&format!("/gift/{}", "0".repeat(48))).await.refusal(), (404, "GIFT_NOT_FOUND"));
    assert_eq!(api.get("/").await.status, 200);

    assert!(satchel.stop().await.unwrap().success(), "a start that waits can be stopped in order");
    satchel.spawn_with(&[]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    bitcoind.start().await.unwrap();
    satchel.wait_ready(SOON).await.unwrap();
    assert_eq!(api.get("/health/ready").await.ok(), json!({"status": "ready"}));
    let refused = api.post("/create", json!({"amount": 1_000})).await;
    assert_eq!(refused.refusal(), (503, "NO_INBOUND_CAPACITY"));

    // Away while it runs: it goes on, and so does the chain when it is back.
    bitcoind.stop().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(satchel.is_running());
    bitcoind.start().await.unwrap();
    let height = bitcoind.mine(3).await.unwrap();
    until("satchel sees the new blocks", SOON, || async {
        let node = satchel.admin_get("/admin/v1/node").await.unwrap();
        (node["block_height"].as_u64() == Some(height.into())).then_some(())
    })
    .await;
    assert!(satchel.stop().await.unwrap().success());
}

/// Runs satchel in the foreground, which must give up by itself; gives what it said.
fn refused_start(data_dir: &Path, config: &Path) -> String {
    let started = Instant::now();
    let output = Command::new("timeout")
        .args(["--signal=KILL", "30"])
        .arg(env!("CARGO_BIN_EXE_satchel"))
        .args(["run", "--data-dir"])
        .arg(data_dir)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(started.elapsed() < Duration::from_secs(25), "it went on for {:?}: {said}", started.elapsed());
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// The folder's configuration with other addresses for HTTP, for the operator and for peers.
fn moved_config(satchel: &Satchel, http: Option<u16>, p2p: Option<u16>) -> PathBuf {
    let mut config: toml::Table =
        fs::read_to_string(satchel.data_dir().join("config.toml")).unwrap().parse().unwrap();
    config["admin"]["listen"] = format!("127.0.0.1:{}", free_port()).into();
    if let Some(port) = http {
        config["http"]["listen"] = format!("127.0.0.1:{port}").into();
        config["http"]["public_url"] = format!("http://127.0.0.1:{port}").into();
    }
    if let Some(port) = p2p {
        config["node"]["listen"] = toml::Value::Array(vec![format!("127.0.0.1:{port}").into()]);
    }
    let path = satchel.data_dir().join("moved.toml");
    fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    path
}

/// The same, but for the operator's.
fn same_operators_address(satchel: &Satchel) -> PathBuf {
    let path = moved_config(satchel, Some(free_port()), Some(free_port()));
    let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    config["admin"]["listen"] = satchel.admin_url().trim_start_matches("http://").into();
    fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_started_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("satchel");
    let satchel = Satchel::init(&dir, &nowhere(), options()).await.unwrap();
    let config = dir.join("config.toml");
    satchel.spawn_with(&[]).await.unwrap();
    let api = Api::new(&satchel.url());
    until("the front door opens", SOON, || async {
        api.send(reqwest::Method::GET, "/health/live", None).await.ok()
    })
    .await;

    let said = refused_start(&dir, &moved_config(&satchel, Some(free_port()), Some(free_port())));
    assert!(said.contains("another satchel is running on"), "{said}");
    let said = refused_start(&dir, &config);
    assert!(said.contains("can't listen on") && said.contains("[http] listen"), "{said}");
    let said = refused_start(&dir, &same_operators_address(&satchel));
    assert!(said.contains("can't listen on") && said.contains("[admin] listen"), "{said}");
    assert!(satchel.is_running());
    assert_eq!(api.get("/health/live").await.status, 200);
    assert!(satchel.stop().await.unwrap().success());

    // A newer file.
    let file = dir.join("satchel.db");
    let open = || rusqlite::Connection::open(&file).unwrap();
    let version: i64 = open().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    open().pragma_update(None, "user_version", version + 1).unwrap();
    let said = refused_start(&dir, &config);
    assert!(said.contains("newer version of satchel"), "{said}");
    open().pragma_update(None, "user_version", version).unwrap();

    // A file that is none.
    let kept = fs::read(&file).unwrap();
    fs::write(&file, vec![7; 100_000]).unwrap();
    let said = refused_start(&dir, &config);
    assert!(said.contains("satchel.db"), "{said}");
    fs::write(&file, kept).unwrap();

    // Seeds.
    let seed = dir.join("seed");
    let words = fs::read_to_string(&seed).unwrap();
    fs::remove_file(&seed).unwrap();
    let said = refused_start(&dir, &config);
    assert!(said.contains("seed") && said.contains("satchel init"), "{said}");
    for wrong in ["", "not a seed", "abandon abandon abandon abandon abandon abandon"] {
        write_private(&seed, wrong);
        let said = refused_start(&dir, &config);
        assert!(said.contains("seed"), "{said}");
        assert!(wrong.is_empty() || !said.contains(wrong), "it tells the words: {said}");
    }
    let others = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    write_private(&seed, others);
    let said = refused_start(&dir, &config);
    assert!(said.contains("seed") && !said.contains("sausage"), "{said}");
    write_private(&seed, &words);

    // Everything is as it was.
    satchel.spawn_with(&[]).await.unwrap();
    until("the front door opens", SOON, || async {
        api.send(reqwest::Method::GET, "/health/live", None).await.ok()
    })
    .await;
    let stopped = satchel.stop().await.unwrap();
    assert!(stopped.success(), "{stopped}: {}", satchel.log_tail());
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_for_peers_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let bitcoind = Bitcoind::start_in(&folder.path().join("bitcoind")).await.unwrap();
    let dir = folder.path().join("satchel");
    let satchel = Satchel::init(&dir, &ChainSource::from(&bitcoind), options()).await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = refused_start(&dir, &moved_config(&satchel, None, Some(port)));
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    satchel.start().await.unwrap();
    assert!(satchel.stop().await.unwrap().success());
    bitcoind.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_send_nonsense_and_the_operator_stops_it_meanwhile() {
    let scene = Scene::start("[http]\nheader_timeout_secs = 3").await;
    let gift = scene.funded_gift(2_000, 0).await;
    case("nonsense in whole requests", nonsense(&scene, &gift.order_id)).await;
    case("half requests", half_requests(&scene)).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
    scene.api.wait_spent(&gift.order_id, json!(true), SOON).await;
    scene.received_once(&gift.order_id).await;
    case("stopped while payouts are under way", stopped_meanwhile(&scene)).await;
    scene.close().await;
}

async fn nonsense(scene: &Scene, order_id: &str) {
    let client = reqwest::Client::new();
    let redeem = format!("/redeem/{order_id}");
    let texts = [
        "",
        "{",
        "null",
        "[]",
        "5",
        "\"x\"",
        "{\"amount\":}",
        "{\"amount\":1000",
        "\u{0}\u{1}",
        "[[[[[[[[",
        "{\"amount\":1e999}",
        "{\"amount\":-5}",
        "{\"amount\":1.5}",
        "{\"amount\":\"1000\"}",
        "{\"amount\":99999999999999999999999999}",
        "{\"amount\":1000,\"senderName\":5}",
        "{\"amount\":1000,\"quantity\":\"x\"}",
        "{\"amount\":1000,\"expiresAt\":\"tomorrow\"}",
        "{\"amount\":1000,\"notify\":\"file:///etc/passwd\"}",
        "{\"amount\":1000,\"notify\":\"http://169.254.169.254/\"}",
        "{\"invoice\":5}",
        "{\"invoice\":\"lnbcrt1\"}",
        "{\"invoice\":null}",
        "{\"invoice\":{}}",
    ];
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for path in ["/create", redeem.as_str()] {
        for text in texts.iter().copied().chain([deep.as_str()]) {
            let request = client.post(format!("{}{path}", scene.api.url)).body(text.to_owned());
            let answer = request.header("content-type", "application/json").send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            assert_eq!(status, 400, "{path} {text}: {body}");
            assert!(body["statusCode"] == 400 && body["message"].is_string(), "{path} {text}: {body}");
        }
        let huge = "x".repeat(3_000_000);
        let sent = client.post(format!("{}{path}", scene.api.url)).body(huge).send().await;
        // Satchel may close the connection before all of it was sent.
        if let Ok(answer) = sent {
            assert_eq!(answer.status().as_u16(), 413);
        }
    }
    for path in ["/gift/x", "/gift/%00", "/gift/..%2f..", "/status/1", "/redeemStatus/x", "/lnurl/zz"] {
        let status = scene.api.get(path).await.status;
        assert!(status == 404 || path.starts_with("/lnurl"), "{path}: {status}");
    }
    assert_eq!(scene.api.gift(order_id).await["spent"], false);
}

async fn half_requests(scene: &Scene) {
    let address = scene.api.url.trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    for index in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let part: &[u8] = match index % 4 {
            0 => b"",
            1 => b"POST /create HT",
            2 => b"POST /create HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n",
            _ => b"POST /create HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"am",
        };
        stream.write_all(part).await.unwrap();
        open.push(stream);
    }
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n\xff\xff\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "nonsense keeps a connection open");
    }
    let asked = Instant::now();
    scene.api.create(1_000).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "others wait {:?}", asked.elapsed());
    // Whoever sends no whole head is sent away.
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, open[1].read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "a half request keeps its connection open");
}

async fn stopped_meanwhile(scene: &Scene) {
    let (api, satchel, wallet) = (&scene.api, &scene.network.satchel, scene.wallet(1));
    let (held, plain) = (scene.funded_gift(3_000, 0).await, scene.funded_gift(3_100, 0).await);
    let hold = scene.hold_for(&held, 1).await;
    let first = api.redeem(&held.order_id, &hold.invoice).await.withdrawal_id();
    wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
    let invoice = scene.invoice_for(&plain, 1).await;
    let second = api.redeem(&plain.order_id, &invoice.invoice).await.withdrawal_id();
    let asked = Instant::now();
    assert!(satchel.stop().await.unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?}", asked.elapsed());
    satchel.start().await.unwrap();
    assert_eq!(api.gift(&held.order_id).await["spent"], "pending");
    api.wait_spent(&plain.order_id, json!(true), RECOVERY).await;
    scene.received_once(&plain.order_id).await;
    assert_eq!(api.withdrawal(&second).await["status"], "confirmed");
    scene.network.wait_usable().await.unwrap();
    wallet.claim(&hold.payment_hash).await.unwrap();
    api.wait_spent(&held.order_id, json!(true), RECOVERY).await;
    scene.received_once(&held.order_id).await;
    assert_eq!(api.withdrawal(&first).await["status"], "confirmed");
}
