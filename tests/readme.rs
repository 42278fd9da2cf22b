//! The README's blocks of stores and of purses, run by a shell as they stand there.

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

use std::path::Path;
use std::time::{Duration, Instant};

use clients::run;
use common::Scene;
use serde_json::{Value, json};
use tokio::process::Command;
use wallet::Wallet;

/// What the titles promise.
const FIVE_MINUTES: Duration = Duration::from_secs(300);
const TWO_MINUTES: Duration = Duration::from_secs(120);

/// The blocks of shell in a section.
fn blocks(title: &str) -> Vec<&'static str> {
    let readme = include_str!("../README.md");
    let rest = readme.split(&format!("\n{title}\n")).nth(1).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let section = if title.starts_with("###") { section.split("\n### ").next().unwrap() } else { section };
    let blocks = section.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap());
    blocks.filter(|(language, _)| *language == "sh").map(|(_, block)| block).collect()
}

/// Runs a script with what the README takes for granted; what it says, and how long that took.
async fn shell(scene: &Scene, wallet: &Wallet, script: &str) -> (String, Duration) {
    let satchel = Path::new(env!("CARGO_BIN_EXE_satchel")).parent().unwrap();
    let path = format!("{}:{}", satchel.display(), std::env::var("PATH").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("set -euo pipefail\n{script}")])
        .current_dir(folder.path())
        .env("PATH", path);
    command.env("SATCHEL_DATA_DIR", scene.network.satchel.data_dir());
    command.env("S", &scene.api.url).env("W0", &wallet.url);
    let began = Instant::now();
    let said = run(&mut command, "the README's shell").await;
    eprintln!("{said}");
    (said, began.elapsed())
}

/// JSON objects that stand in a text, each on one line or after another.
fn objects(said: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = said;
    while let Some(at) = rest.find('{') {
        let mut stream = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                found.push(value);
                rest = &rest[at + stream.byte_offset()..];
            }
            _ => rest = &rest[at + 1..],
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn product_is_sold_as_the_readme_says() {
    let scripts = blocks("### Sell a product in five minutes");
    assert_eq!(scripts.len(), 3, "the README's section has changed");
    let scene = Scene::start("").await;
    let wallet = Wallet::open(&scene).await;
    let (said, took) = shell(&scene, &wallet, &scripts.join("\n")).await;
    assert!(took < FIVE_MINUTES, "{took:?}");
    let [claimed, order] = &objects(&said)[..] else { panic!("{said}") };
    assert_eq!((&claimed["status"], &order["status"]), (&json!("Processing"), &json!("Processing")));
    assert_eq!((&order["totalUsd"], &order["shopifyOrderNumber"]), (&json!(5.29), &json!("#1001")));
    assert!(said.contains("Lovelace"), "the seller sees where it goes: {said}");
    let id = order["orderId"].as_str().unwrap();
    let shown = scene.network.satchel.command_json("store", &["order", id]).await.unwrap();
    assert!(!shown.to_string().contains("Lovelace"), "{shown}");
    assert_eq!(shown["status"], "Shipped", "{shown}");
    assert_eq!(wallet.paid(&scene).len(), 1);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_gets_a_purse_as_the_readme_says() {
    let scripts = blocks("## Give an agent a purse in two minutes");
    assert_eq!(scripts.len(), 1, "the README's section has changed");
    let scene = Scene::start("").await;
    let wallet = Wallet::open(&scene).await;
    let (said, took) = shell(&scene, &wallet, scripts[0]).await;
    assert!(took < TWO_MINUTES, "{took:?}");
    let [_, first, second, purse] = &objects(&said)[..] else { panic!("{said}") };
    assert_eq!((&first["status"], &first["paid"]["amountSat"]), (&json!(200), &json!(1)), "{first}");
    assert_eq!((&second["paid"], &second["credentialReused"]), (&Value::Null, &json!(true)), "{second}");
    assert_eq!((&purse["name"], &purse["leftSat"]), (&json!("researcher"), &json!(4_999)), "{purse}");
    assert_eq!(wallet.paid(&scene).len(), 1);
    scene.close().await;
}
