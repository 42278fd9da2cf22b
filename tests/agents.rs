//! Agents on a real network, with a real relay: clients that others wrote publish, find, ask, pay and rate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

#[allow(dead_code, reason = "the tests of these clients use more of it")]
#[path = "l402_clients/clients.rs"]
mod clients;
mod common;
#[allow(dead_code, reason = "the tests of these clients use more of it")]
#[path = "l402_clients/forms.rs"]
mod forms;
#[allow(dead_code, reason = "the tests of these clients use more of it")]
#[path = "l402_clients/wallet.rs"]
mod wallet;

use std::net::TcpListener;
use std::path::Path;

use axum::Router;
use axum::routing::get;
use clients::{Client, run};
use common::Scene;
use nostr_relay_builder::LocalRelay;
use nostr_relay_builder::builder::RelayBuilder;
use serde_json::{Value, json};
use tokio::process::Command;
use wallet::Wallet;

/// What the service behind the proxies says.
const SERVICE: &str = "done";

struct Market {
    scene: Scene,
    wallet: Wallet,
    relay: String,
    target: String,
    keys: Vec<String>,
    _relay: LocalRelay,
}

/// Satchel with a relay and a service that it may sell, and keys of two accounts.
async fn market() -> Market {
    let relay = LocalRelay::new(RelayBuilder::default());
    relay.run().await.unwrap();
    let url = relay.url().await.to_string();
    let service = forms::serve(Router::new().fallback(get(|| async { SERVICE }))).await;
    let host = format!("localhost:{}", service.port());
    let config = format!("[nostr]\nrelays = [\"{url}\"]\n[l402.proxy]\nallow_hosts = [\"{host}\"]\n");
    let scene = Scene::start(&config).await;
    let mut keys = Vec::new();
    for account in ["seller", "buyer"] {
        let arguments = ["create", account, "--scope", "l402", "--account", account];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        keys.push(made["key"].as_str().unwrap().to_owned());
    }
    let wallet = Wallet::open(&scene).await;
    Market { scene, wallet, relay: url, target: format!("http://{host}"), keys, _relay: relay }
}

impl Market {
    /// Runs a program with what it needs of this market; what it printed last.
    async fn run(&self, client: Client, program: &str) -> Value {
        let (folder, python) = client.workshop().await;
        for (name, text) in [("wallet.py", include_str!("l402_clients/wallet.py")), ("program.py", program)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut command = Command::new(python);
        command.arg("program.py").current_dir(folder.path());
        command.env("S", &self.scene.api.url).env("RELAY", &self.relay).env("TARGET", &self.target);
        command.env("W0", &self.wallet.url).env("SELLER_KEY", &self.keys[0]).env("BUYER_KEY", &self.keys[1]);
        let said = run(&mut command, client.name).await;
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_publishes_and_is_found_asked_paid_and_rated_by_another() {
    let market = market().await;
    let said = market.run(Client::named("le-agent-sdk"), include_str!("agents/sdk.py")).await;
    assert_eq!(said["body"], SERVICE);
    assert_eq!(said["status"], "completed");
    assert_eq!((&said["ratings"], &said["score"]), (&json!([4, 5]), &json!(4.5)));
    assert_eq!(said["verified"], json!([true]), "the other was said on the relay alone");
    assert_eq!(said["left"], 0);
    let stats = &said["stats"];
    assert_eq!((&stats["totalRequests"], &stats["totalRevenueSats"]), (&json!(2), &json!(12)));
    assert_eq!((&stats["averageRevenuePerRequest"], &stats["activeAgreements"]), (&json!(6.0), &json!(0)));
    assert_eq!(market.wallet.paid(&market.scene).len(), 2);
    market.scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_an_mcp_server_publish_find_ask_and_rate() {
    let market = market().await;
    let said = market.run(Client::named("lightning-enable-mcp"), include_str!("agents/mcp.py")).await;
    for step in ["published", "found", "asked", "rated", "ratings", "unpublished", "again", "left"] {
        assert_eq!(said[step]["success"], true, "{step}: {}", said[step]);
    }
    let found = &said["found"]["capabilities"][0];
    assert_eq!((&found["eventId"], &found["priceSats"]), (&said["published"]["eventId"], &json!(7)));
    assert_eq!((&found["serviceId"], &found["hashtags"]), (&json!("weather"), &json!(["forecast"])));
    assert_eq!(said["asked"]["l402Endpoint"], said["published"]["l402Endpoint"]);
    assert_eq!(said["ratings"]["attestations"][0]["rating"], 5);
    assert_eq!(
        (&said["unpublished"]["retired"], &said["unpublished"]["alreadyRetired"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(said["again"]["alreadyRetired"], true);
    assert_eq!(said["left"]["total"], 0);
    market.scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_lists_and_finds_a_capability() {
    let readme = include_str!("../README.md");
    let section = readme.split("\n## Agents\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks: Vec<_> =
        section.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap()).collect();
    let [("sh", script)] = blocks[..] else { panic!("the README's section has changed: {blocks:?}") };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!("[l402.proxy]\nallow_hosts = [\"localhost:{free}\"]\n");
    let scene = Scene::start(&config).await;
    let there = "until curl -s localhost:8080 >/dev/null; do sleep 0.1; done";
    let script = script.replace("timeout 900", "timeout 280").replace("sleep 1", there);
    let script =
        format!("set -euo pipefail\n{}\n[ -z \"$(jobs -pr)\" ]", script.replace("8080", &free.to_string()));
    let folder = tempfile::tempdir().unwrap();
    let satchel = Path::new(env!("CARGO_BIN_EXE_satchel")).parent().unwrap();
    let path = format!("{}:{}", satchel.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path()).env("PATH", path);
    command.env("SATCHEL_DATA_DIR", scene.network.satchel.data_dir()).env("S", &scene.api.url);
    let said = run(&mut command, "the README's shell").await;
    let (listed, found) = said.split_once("}{").unwrap_or_else(|| panic!("{said}"));
    // The service says where it listens, before or after.
    let listed = &listed[listed.find('{').unwrap()..];
    let found = &found[..=found.rfind('}').unwrap()];
    let listed: Value = serde_json::from_str(&format!("{listed}}}")).unwrap();
    let found: Value = serde_json::from_str(&format!("{{{found}")).unwrap();
    assert_eq!(found["eventId"], listed["eventId"], "{said}");
    assert_eq!((&found["serviceId"], &found["priceSats"]), (&json!("weather"), &json!(5)));
    scene.close().await;
}
