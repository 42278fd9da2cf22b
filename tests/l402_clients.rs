//! Clients that others wrote pay for requests on a real network: installed by name, each with a wallet that it calls
//! in its own way, at satchel's own routes and at such as ask in other words. And the README's lines about it are run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

#[allow(dead_code, reason = "the tests of the pages use more of it")]
#[path = "pages/browser.rs"]
mod browser;
#[path = "l402_clients/clients.rs"]
mod clients;
mod common;
#[path = "l402_clients/forms.rs"]
mod forms;
#[path = "l402_clients/wallet.rs"]
mod wallet;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use browser::Browser;
use clients::{CLIENTS, Client, Got, run};
use common::{SOON, Scene, case, until};
use forms::{Check, Form, Servers, Visit};
use serde_json::{Value, json};
use tokio::process::Command;
use wallet::Wallet;

/// What the service behind the proxy says.
const SERVICE: &str = r#"{"weather":"sunny"}"#;

/// What became of a client and a form of challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// It paid and got in, with a credential of this scheme.
    In(&'static str),
    /// It didn't pay.
    No,
    /// It paid, and what it showed then was no credential.
    Vain,
}

use Cell::{No, Vain};

const L402: Cell = Cell::In("L402");
const LSAT: Cell = Cell::In("LSAT");
const PAY: Cell = Cell::In("Payment");

/// Which client can read what, as measured, in the order of [`CLIENTS`]. What satchel itself sends, every one can.
const TABLE: [(Form, [Cell; 6]); 10] = [
    (Form::Old, [L402, L402, L402, L402, L402, L402]),
    (Form::Spec, [No, No, No, No, L402, L402]),
    (Form::SpecFirst, [No, No, L402, L402, L402, L402]),
    (Form::Own, [L402, L402, L402, L402, L402, L402]),
    (Form::Aperture, [L402, L402, L402, LSAT, LSAT, LSAT]),
    (Form::Satchel, [L402, L402, L402, L402, L402, L402]),
    (Form::Joined, [L402, L402, L402, L402, L402, L402]),
    (Form::PaymentFirst, [L402, L402, L402, Vain, L402, PAY]),
    (Form::Payment, [PAY, No, PAY, No, No, PAY]),
    (Form::LegacyPayment, [PAY, PAY, PAY, No, No, No]),
];

/// Satchel that may sell a service on this machine.
async fn scene(service: SocketAddr) -> Scene {
    Scene::start(&format!("[l402.proxy]\nallow_hosts = [\"localhost:{}\"]\n", service.port())).await
}

/// What was sold until now, in numbers of payments.
async fn sold(scene: &Scene) -> u64 {
    let request = reqwest::Client::new().get(format!("{}/api/stats/l402", scene.api.url));
    let answer = request.header("x-api-key", scene.network.satchel.admin_key()).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["payments"].as_u64().unwrap()
}

/// A service behind satchel's proxy, and the address at which it is sold.
async fn shop() -> (Scene, String) {
    let weather = || async { Json(json!({ "weather": "sunny" })) };
    let service = forms::serve(Router::new().route("/weather/{who}", get(weather))).await;
    let scene = scene(service).await;
    let target = format!("http://localhost:{}", service.port());
    let add = ["add", &target, "--price", "7", "--name", "weather"];
    let added = scene.network.satchel.command_json("proxy", &add).await.unwrap();
    let base = format!("{}/l402/proxy/{}", scene.api.url, added["proxyId"].as_str().unwrap());
    (scene, base)
}

#[tokio::test(flavor = "multi_thread")]
async fn public_clients_pay_and_get_in() {
    let (scene, base) = shop().await;
    let wallet = Wallet::open(&scene).await;
    for client in CLIENTS {
        let name = format!("{} {}", client.name, client.version);
        case(&name, buys_twice(&scene, &wallet, client, &base)).await;
    }
    scene.close().await;
}

/// Twice from satchel's own route, twice from the service, and once from a path beside that, where some show what they
/// paid for before.
async fn buys_twice(scene: &Scene, wallet: &Wallet, client: Client, base: &str) {
    let before = sold(scene).await;
    let ping = format!("{}/l402/test/ping", scene.api.url);
    let weather = format!("{base}/weather/{}", client.name);
    let urls = [ping.clone(), ping, weather.clone(), weather.clone(), format!("{weather}-s")];
    let got = client.asks(&wallet.url, &urls).await;
    for (number, got) in got.iter().enumerate() {
        let Got::Answer { status: 200, body } = got else {
            panic!("{} at {}: {got:?}", client.name, urls[number])
        };
        let right = if number < 2 { body.contains("pong") } else { body == SERVICE };
        assert!(right, "{} at {}: {body}", client.name, urls[number]);
    }
    let expected = if client.keeps { 3 } else { 5 };
    assert_eq!(wallet.paid(scene).len(), expected, "payments of {}", client.name);
    assert_eq!(sold(scene).await - before, u64::try_from(expected).unwrap(), "payments of {}", client.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_client_can_read() {
    let service = forms::service().await;
    let scene = scene(service).await;
    let servers = Servers::open(&scene, service).await;
    let wallet = Wallet::open(&scene).await;
    for check in Check::BOTH {
        let mut measured = TABLE.map(|(form, _)| (form, [No; 6]));
        for (column, client) in CLIENTS.into_iter().enumerate() {
            let name = format!("{door:?}: {}", client.name);
            let cells = case(&name, reads(&scene, &servers, &wallet, check, client)).await;
            for ((_, row), cell) in measured.iter_mut().zip(cells) {
                row[column] = cell;
            }
        }
        let show = |table: &[(Form, [Cell; 6])]| {
            table.iter().map(|(form, cells)| format!("{form:?} {cells:?}\n")).collect::<String>()
        };
        // A preimage alone is refused at priced routes, since nodes on the payment's way see it. Satchel never asks in
        // the form that has clients answer so.
        let mut expected = TABLE;
        if check == Check::Proxy {
            for (_, cells) in expected.iter_mut().filter(|(form, _)| *form == Form::LegacyPayment) {
                for cell in cells.iter_mut().filter(|cell| **cell == PAY) {
                    *cell = Vain;
                }
            }
        }
        assert_eq!(show(&measured), show(&expected), "{door:?}");
    }
    scene.close().await;
}

/// What becomes of a client at each of the servers.
async fn reads(scene: &Scene, servers: &Servers, wallet: &Wallet, check: Check, client: Client) -> Vec<Cell> {
    let resources = TABLE.map(|(form, _)| forms::resource(check, client.name, form));
    let urls = resources.clone().map(|resource| format!("{}{resource}", servers.url));
    let got = client.asks(&wallet.url, &urls).await;
    let paid = wallet.paid(scene);
    let cell = |(resource, got): (&String, &Got)| {
        let Visit { invoices, shown, refused } = servers.visit(resource);
        let payments = paid.iter().filter(|invoice| invoices.contains(invoice)).count();
        eprintln!("   {resource}: {payments} paid, let in with {shown:?}, not with {refused:?}; {got:?}");
        let scheme = ["L402", "LSAT", "Payment"]
            .into_iter()
            .find(|scheme| shown.as_deref() == Some(scheme))
            .map(Cell::In);
        match (got, payments) {
            (Got::Answer { status: 200, body }, 1) if *body == forms::sold(resource) => scheme.unwrap(),
            (_, 0) => No,
            (_, 1) => Vain,
            (_, more) => panic!("{more} payments for {resource}"),
        }
    };
    resources.iter().zip(&got).map(cell).collect()
}

/// A browser lets a page send a credential and read a challenge only where satchel's headers say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_buys() {
    let (scene, base) = shop().await;
    let package = Client::named("fetch402").installed().await.join("node_modules/@getalby/lightning-tools");
    let library = std::fs::read_to_string(package.join("dist/esm/402.js")).unwrap();
    let script = || async move { ([(CONTENT_TYPE, "text/javascript")], library) };
    let page = || async { Html(include_str!("l402_clients/page.html")) };
    let site = Router::new().route("/page", get(page)).route("/402.js", get(script));
    let wallet = Wallet::beside(&scene, site).await;
    let satchel = &scene.api.url;
    let (ping, content) = (format!("{satchel}/l402/test/ping"), format!("{satchel}/api/l402/content"));
    let (weather, document) = (format!("{base}/weather/page"), format!("{content}/halvings"));
    let browser = Browser::start().await;
    browser
        .goto(&format!(
            "{}/page?buy={ping}&buy={weather}&buy={document}&buy={content}/bundle&status={satchel}/api/l402/status",
            wallet.url
        ))
        .await;
    let said = until("the page has bought", SOON, || async {
        serde_json::from_str::<Vec<Value>>(&browser.text("said").await).ok()
    })
    .await;
    browser.stop().await;
    let [ping, weather, document, bundle, status] = &said[..] else { panic!("{said:?}") };
    for bought in [ping, weather, document, bundle] {
        assert_eq!(bought["statuses"], json!([200, 200]), "{bought}");
    }
    assert_eq!((&ping["paid"], &weather["paid"]), (&json!(1), &json!(7)));
    assert_eq!(weather["body"], SERVICE);
    assert_eq!(status["authenticated"], true, "{status}");
    assert_eq!((wallet.paid(&scene).len(), sold(&scene).await), (4, 4));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_sells_a_service() {
    let (javascript, python) = (Client::named("fetch402"), Client::named("l402-requests"));
    let readme = include_str!("../README.md");
    for line in [format!("npm install {}", javascript.exactly()), format!("pip install {}", python.exactly())]
    {
        assert!(readme.contains(&line), "the README doesn't say: {line}");
    }
    let section = readme.split("\n## Selling requests\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks: Vec<_> =
        section.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap()).collect();
    let [("sh", ping), ("sh", proxy), ("js", buy_mjs), ("python", buy_py), ("sh", end)] = blocks[..] else {
        panic!("the README's section has changed: {blocks:?}");
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = scene(free).await;
    let wallet = Wallet::open(&scene).await;
    let ((node_folder, node), (python_folder, python)) =
        (javascript.workshop().await, python.workshop().await);
    let node_program = node_folder.path().join("buy.mjs");
    std::fs::write(&node_program, buy_mjs).unwrap();
    let python_program = python_folder.path().join("buy.py");
    std::fs::write(&python_program, buy_py).unwrap();
    // The service ends with the test, and is awaited for as long as it takes on a machine that does much else.
    let port = free.port().to_string();
    let there = "until curl -s localhost:8080 >/dev/null; do sleep 0.1; done";
    let proxy = proxy.replace("timeout 900", "timeout 280").replace("sleep 1", there);
    let proxy = proxy.replace("8080", &port);
    let run_all = format!(
        "set -euo pipefail\n{ping}\n{proxy}\n{} {}\n{} {}\n{end}\n[ -z \"$(jobs -pr)\" ]\n",
        node.display(),
        node_program.display(),
        python.display(),
        python_program.display()
    );
    let said = run(&mut shell(&scene, &wallet, &run_all, python_folder.path()), "the README's shell").await;
    eprintln!("{said}");
    let lines: Vec<_> = said.lines().collect();
    let has = |wanted: &str| lines.iter().filter(|line| line.contains(wanted)).count();
    assert_eq!(has("pong"), 1, "{said}");
    assert_eq!(has(r#"{"weather": "sunny"}"#), 1, "{said}");
    assert!(said.contains("{ weather: 'sunny' } for 5 sat\n{ weather: 'sunny' } for 0 sat\n{'weather': 'sunny'}\n{'weather': 'sunny'}\n"), "{said}");
    assert_eq!((wallet.paid(&scene).len(), sold(&scene).await), (4, 4), "the ping, and one for each way");
    scene.close().await;
}

/// A shell with what the README takes for granted.
fn shell(scene: &Scene, wallet: &Wallet, script: &str, folder: &Path) -> Command {
    let satchel = Path::new(env!("CARGO_BIN_EXE_satchel")).parent().unwrap();
    let path = format!("{}:{}", satchel.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(folder).env("PATH", path);
    command.env("SATCHEL_DATA_DIR", scene.network.satchel.data_dir());
    command.env("S", &scene.api.url).env("W0", &wallet.url);
    command
}
