//! The README's blocks, run by a shell as they stand there: those of stores and of purses by themselves, and all of them
//! in order, twice.

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
    let [_, first, second, purse, ..] = &objects(&said)[..] else { panic!("{said}") };
    assert_eq!((&first["status"], &first["paid"]["amountSat"]), (&json!(200), &json!(1)), "{first}");
    assert_eq!((&second["paid"], &second["credentialReused"]), (&Value::Null, &json!(true)), "{second}");
    assert_eq!((&purse["name"], &purse["leftSat"]), (&json!("researcher"), &json!(4_999)), "{purse}");
    assert_eq!(wallet.paid(&scene).len(), 1);
    scene.close().await;
}

/// The sections whose blocks need a running demo and nothing else, in the README's order.
const SECTIONS: [&str; 9] = [
    "## The Gifts API",
    "## Tips",
    "## Payments",
    "## Selling requests",
    "## The merchant's account, and selling accounts",
    "### Sell a product in five minutes",
    "## Agents",
    "## Taking out what was earned",
    "## Give an agent a purse in two minutes",
];

#[test]
fn no_block_of_shell_is_left_out() {
    let readme = include_str!("../README.md");
    let all = readme.split("```sh\n").count() - 1;
    let run: usize = SECTIONS.iter().map(|title| blocks(title).len()).sum();
    // The two commands, the five steps with real sats, and the one for a Shopify shop of the reader's own.
    assert_eq!(all, run + 3);
    let places: Vec<_> = SECTIONS.iter().map(|title| readme.find(&format!("\n{title}\n")).unwrap()).collect();
    assert!(places.is_sorted(), "the sections have another order");
}

/// What the demo prints for the README's examples is what they take for granted.
#[test]
fn demo_prints_what_the_blocks_need() {
    let demo = include_str!("../scripts/demo");
    assert!(demo.contains("export S=$satchel W0=$payer W1=$taker"));
    assert!(demo.contains("export SATCHEL_DATA_DIR=$data_dir PATH=$binary:\\$PATH"));
}

#[test]
fn systemd_part_names_user_folder_and_enable_as_the_unit_does() {
    let (readme, unit) = (include_str!("../README.md"), include_str!("../scripts/satchel.service"));
    let part = readme
        .split("<summary>As a systemd unit</summary>")
        .nth(1)
        .unwrap()
        .split("</details>")
        .next()
        .unwrap();
    for line in [
        "useradd --system --home-dir /var/lib/satchel",
        "systemctl enable --now satchel",
        "-p StateDirectory=satchel",
    ] {
        assert!(part.contains(line) && unit.contains(line), "{line}");
    }
    assert!(unit.contains("User=satchel") && unit.contains("--data-dir /var/lib/satchel run"));
    // What is on top of the unit is what the README says.
    let commands = unit.lines().filter_map(|line| line.strip_prefix("#   "));
    for command in commands {
        assert!(part.contains(command), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_is_pasted_in_order_and_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!("[signup]\nenabled = true\n[l402.proxy]\nallow_hosts = [\"localhost:{free}\"]\n");
    let scene = Scene::start(&config).await;
    // Services end with the test, and are awaited for as long as it takes on a machine that does much else.
    let there = format!("until curl -s localhost:{free} >/dev/null; do sleep 0.1; done");
    let mut pasted = String::new();
    for title in SECTIONS {
        for block in blocks(title) {
            let block = block.replace("timeout 900", "timeout 200").replace("sleep 1", &there);
            pasted.push_str(&format!("echo '### {}' >&2\n{block}\n", title.replace('\'', "")));
        }
    }
    let pasted = pasted.replace("8080", &free.to_string());
    let script = format!(
        "set -euo pipefail\nset -x\n{pasted}\n{pasted}\n[ -z \"$(jobs -pr)\" ] || {{ echo 'a server is left'; exit 1; }}\n\
         satchel proxy list --json\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let satchel = Path::new(env!("CARGO_BIN_EXE_satchel")).parent().unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path());
    command.env("PATH", format!("{}:{}", satchel.display(), std::env::var("PATH").unwrap()));
    command.env("SATCHEL_DATA_DIR", scene.network.satchel.data_dir());
    command.env("S", &scene.api.url).env("W0", scene.wallet(0).url()).env("W1", scene.wallet(1).url());
    let said = run(&mut command, "the README's shell").await;
    eprintln!("{said}");
    assert!(!said.contains("example.com\"}") || !said.contains("lightningAddress\":\"me@"), "{said}");
    let objects = objects(&said);
    let count = |name: &str, value: Value| objects.iter().filter(|object| object[name] == value).count();
    for refused in [400, 401, 403, 404, 409, 500, 503] {
        assert_eq!(count("statusCode", json!(refused)) + count("status", json!(refused)), 0, "{said}");
    }
    assert_eq!(count("message", json!("pong")), 2, "the ping was sold twice: {said}");
    let of_purse =
        objects.iter().filter(|object| object["body"].as_str().is_some_and(|body| body.contains("pong")));
    assert_eq!(of_purse.count(), 4, "each time fetched twice, for one payment: {said}");
    assert_eq!(said.matches(r#"{"weather": "sunny"}"#).count(), 2, "the weather was sold twice: {said}");
    assert_eq!(
        count("status", json!("initial")) + count("status", json!("confirmed")),
        2,
        "gifts redeemed: {said}"
    );
    assert_eq!(count("status", json!("Processing")), 4, "two orders, each claimed and looked at: {said}");
    assert_eq!(count("account", json!("shop")), 2, "{said}");
    let withdrawals = objects
        .iter()
        .filter(|object| object["withdrawalId"].as_str().is_some_and(|id| id.starts_with("wd_")))
        .count();
    assert_eq!(withdrawals, 2, "{said}");
    // One proxy of each time is left, out of service: the second time found none to use again.
    let proxies = objects.last().unwrap()["items"].as_array().unwrap();
    assert!(proxies.iter().all(|proxy| proxy["isActive"] == false), "{proxies:?}");
    scene.comes_to_rest().await;
    scene.network.shutdown().await.unwrap();
}
