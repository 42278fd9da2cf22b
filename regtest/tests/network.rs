//! A whole network, with a stand-in where satchel goes: bringing it up, the controls, the program.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's helpers fail it")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use regtest::{ChannelOpener, InvoiceRequest, Network, NetworkBuilder};
use serde_json::{Value, json};

/// Examples lie beside the folder of the test programs.
fn stand_in() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    here.parent().unwrap().parent().unwrap().join("examples").join("stand_in")
}

fn builder() -> NetworkBuilder {
    Network::builder().satchel_bin(stand_in())
}

async fn post(url: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(format!("{url}{path}")).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn runs(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn comes_up_with_usable_channels_and_obeys_the_controls() {
    let network = builder().start().await.unwrap();
    let control = network.control.url();
    for wallet in &network.wallets {
        let channels = wallet.info().await.unwrap().channels;
        assert_eq!(channels.len(), 1);
        assert_eq!((channels[0].usable, channels[0].capacity_sat), (true, 16_000_000));
        assert_eq!(channels[0].node_id, network.satchel.node_id().await.unwrap());
        let balance = wallet.balance().await.unwrap();
        assert!(balance.outbound_msat > 7_000_000_000 && balance.inbound_msat > 7_000_000_000);
    }

    let height = network.bitcoind.height().await.unwrap();
    assert_eq!(post(&control, "/v1/mine", json!({"blocks": 3})).await, (200, json!({"height": height + 3})));
    assert_eq!(post(&control, "/v1/mine", json!({})).await.0, 400);

    let old = network.satchel.pid().unwrap();
    assert_eq!(post(&control, "/v1/satchel/kill", json!({})).await.0, 200);
    assert!(!runs(old.into()) && !network.satchel.is_running());
    assert_eq!(post(&control, "/v1/satchel/kill", json!({})).await.0, 409);
    let (status, started) = post(&control, "/v1/satchel/start", json!({})).await;
    assert_eq!((status, started["pid"].as_u64()), (200, network.satchel.pid().map(u64::from)));
    assert_eq!(post(&control, "/v1/satchel/start", json!({})).await.0, 409);
    network.wait_usable().await.unwrap();

    assert_eq!(post(&control, "/v1/wallets/1/stop", json!({})).await.0, 200);
    assert!(!network.wallets[1].is_running());
    assert_eq!(post(&control, "/v1/wallets/1/stop", json!({})).await.0, 409);
    assert_eq!(post(&control, "/v1/wallets/1/start", json!({})).await.0, 200);
    assert_eq!(post(&control, "/v1/wallets/2/start", json!({})).await.0, 404);
    assert_eq!(post(&control, "/v1/bitcoind/stop", json!({})).await.0, 200);
    assert!(!network.bitcoind.is_running());
    assert_eq!(post(&control, "/v1/bitcoind/start", json!({})).await.0, 200);
    network.wait_usable().await.unwrap();
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn wallets_may_open_the_channels_and_restarts_keep_the_config() {
    let extra = "[node]\nalias = \"other\"".parse().unwrap();
    let builder =
        builder().wallets(1).channel_sat(1_000_000).opened_by(ChannelOpener::Wallet).extra_config(extra);
    let network = builder.start().await.unwrap();
    assert_eq!(network.wallets[0].info().await.unwrap().channels[0].capacity_sat, 1_000_000);
    let config = std::fs::read_to_string(network.satchel.data_dir().join("config.toml")).unwrap();
    assert!(config.contains("alias = \"other\"") && config.contains("rate_limits = false"));
    let mode =
        std::fs::metadata(network.satchel.data_dir().join("config.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a password is in it");
    let url = network.satchel.url();
    network.satchel.restart().await.unwrap();
    assert_eq!(network.satchel.url(), url);
    network.wait_usable().await.unwrap();
    network.mine(1).await.unwrap();
    network.wallets[0].invoice(InvoiceRequest::sat(1)).await.unwrap();

    let pid = u64::from(network.satchel.pid().unwrap());
    drop(network);
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_satchel_that_ends_is_told_with_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let failed = builder()
        .wallets(0)
        .dir(dir.path())
        .satchel_env("STAND_IN_FAILS", "on purpose")
        .satchel_env("RUST_BACKTRACE", "0")
        .start()
        .await;
    let text = format!("{:#}", failed.unwrap_err());
    assert!(text.contains("told to fail: on purpose"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(30));

    let missing = Network::builder().satchel_bin("/no/such/satchel").start().await.unwrap_err();
    assert!(format!("{missing:#}").contains("/no/such/satchel"));
}

#[test]
fn the_program_prints_one_line_and_stops_all_on_a_signal() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_regtest"))
        .args(["up", "--json", "--wallets", "1", "--satchel"])
        .arg(stand_in())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(program.stdout.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&line), ["bitcoind", "control", "satchel", "wallets"]);
    assert_eq!(
        keys(&line["satchel"]),
        ["admin_key", "admin_url", "data_dir", "node_id", "p2p", "pid", "url"]
    );
    assert_eq!(keys(&line["wallets"][0]), ["node_id", "url"]);
    assert_eq!(keys(&line["bitcoind"]), ["password", "rpc", "user"]);
    let pid = line["satchel"]["pid"].as_u64().unwrap();
    assert!(runs(pid));
    let terminated = Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(terminated.success() && program.wait().unwrap().success());
    assert!(output.next().is_none());
    assert!(!runs(pid));
    assert!(!Path::new(line["satchel"]["data_dir"].as_str().unwrap()).exists());
}

#[test]
fn children_die_with_a_program_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_regtest"))
        .args(["up", "--json", "--wallets", "1", "--satchel"])
        .arg(stand_in())
        .arg("--dir")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(program.stdout.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    let pid = line["satchel"]["pid"].as_u64().unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while runs(pid)
        && !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ")
    {
        assert!(Instant::now() < end, "process {pid} outlived the program");
        std::thread::sleep(Duration::from_millis(20));
    }
}
