//! Requests that are paid for, on a real network: strangers ask, pay and get in, a producer verifies, and what was
//! bought is good after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::scene::account;
use common::{RECOVERY, SOON, Scene, case, until};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;

const PING: &str = "/l402/test/ping";
const DEMO: &str = "/api/l402/demo";

/// What another implementation makes of a token: it reads it and adds a caveat.
const ATTENUATE: &str = r"
import sys
from pymacaroons import Macaroon
token = Macaroon.deserialize(sys.argv[1])
token.add_first_party_caveat(sys.argv[2])
print(token.serialize())";

/// Somebody with a wallet.
struct Payer<'a> {
    scene: &'a Scene,
    wallet: usize,
    client: Client,
}

/// What they have once they have paid.
#[derive(Clone)]
struct Bought {
    macaroon: String,
    preimage: String,
    /// The parameters of the `Payment` challenge.
    challenge: Value,
}

struct Shown {
    status: u16,
    receipt: Option<String>,
    body: Value,
    challenges: Vec<String>,
}

impl Bought {
    fn token(&self) -> String {
        format!("L402 {}:{}", self.macaroon, self.preimage)
    }

    fn payment(&self) -> String {
        let credential = json!({ "challenge": self.challenge, "payload": { "preimage": self.preimage } });
        format!("Payment {}", URL_SAFE_NO_PAD.encode(credential.to_string()))
    }
}

impl<'a> Payer<'a> {
    fn new(scene: &'a Scene, wallet: usize) -> Self {
        // A kept connection would be a dead one after a restart of satchel.
        let client = Client::builder().timeout(SOON).pool_max_idle_per_host(0).build().unwrap();
        Self { scene, wallet, client }
    }

    async fn ask(&self, path: &str, credential: Option<&str>) -> Shown {
        let mut request = self.client.get(format!("{}{path}", self.scene.api.url));
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let answer = request.send().await.unwrap();
        let headers = answer.headers().clone();
        let lines = headers.get_all("www-authenticate").iter();
        Shown {
            status: answer.status().as_u16(),
            receipt: headers.get("payment-receipt").map(|value| value.to_str().unwrap().to_owned()),
            challenges: lines.map(|line| line.to_str().unwrap().to_owned()).collect(),
            body: answer.json().await.unwrap(),
        }
    }

    async fn pay(&self, invoice: &str) -> String {
        self.scene.note_funding(self.wallet, invoice);
        self.scene.wallet(self.wallet).pay(invoice).await.unwrap().preimage
    }

    async fn buy(&self, path: &str) -> Bought {
        let asked = self.ask(path, None).await;
        assert_eq!((asked.status, asked.challenges.len()), (402, 2), "{}", asked.body);
        let offer = &asked.body["l402"];
        let preimage = self.pay(offer["invoice"].as_str().unwrap()).await;
        Bought {
            macaroon: offer["macaroon"].as_str().unwrap().to_owned(),
            preimage,
            challenge: parameters(&asked.challenges[1]),
        }
    }
}

/// The parameters of a challenge, none of whose values holds a quote or a comma.
fn parameters(line: &str) -> Value {
    let params = line.strip_prefix("Payment ").unwrap().split(", ").map(|param| {
        let (name, value) = param.split_once('=').unwrap();
        (name.to_owned(), Value::from(value.trim_matches('"')))
    });
    Value::Object(params.collect())
}

/// A producer with an API key.
struct Producer {
    url: String,
    key: String,
    client: Client,
}

impl Producer {
    async fn open(scene: &Scene) -> Self {
        let arguments = ["create", "producer", "--scope", "l402"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        let key = made["key"].as_str().expect("a key").to_owned();
        let client = Client::builder().timeout(SOON).pool_max_idle_per_host(0).build().unwrap();
        Self { url: scene.api.url.clone(), key, client }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).header("x-api-key", &self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json().await.unwrap());
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn challenge(&self, resource: &str, sats: u64) -> Value {
        let body = json!({ "resource": resource, "priceSats": sats });
        self.ask(Method::POST, "/api/l402/challenges", Some(&body)).await
    }

    async fn verify(&self, body: &Value) -> Value {
        self.ask(Method::POST, "/api/l402/challenges/verify", Some(body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_pays_gets_in() {
    let scene = Scene::start("").await;
    let producer = Producer::open(&scene).await;
    let payer = Payer::new(&scene, 0);
    case("a token, again and again", tokens(&payer)).await;
    case("a payment, once", payments(&payer)).await;
    case("narrowed by another implementation", narrowed(&payer)).await;
    case("a producer's clients", produced(&payer, &producer)).await;
    case("after a restart", restarted(&payer)).await;
    let audit = scene.books_agree().await;
    assert_eq!(account(&audit, "suspense"), 0);
    assert_eq!(account(&audit, "merchants"), -200_000, "20 of 10 sat each");
    let earned = account(&audit, "fees_earned");
    assert!(earned < 0 && earned % 1_000 == 0, "{earned}");
    let sold = producer.ask(Method::GET, "/api/stats/l402", None).await;
    assert_eq!((&sold["payments"], &sold["revenueSats"]), (&json!(20), &json!(200)));
    scene.close().await;
}

/// Shown the moment the wallet has the preimage, which may be before satchel has written that it was paid.
async fn tokens(payer: &Payer<'_>) {
    for round in 0..5 {
        let bought = payer.buy(PING).await;
        for _ in 0..3 {
            let shown = payer.ask(PING, Some(&bought.token())).await;
            assert_eq!((shown.status, &shown.body["message"]), (200, &json!("pong")), "round {round}");
        }
        assert_eq!(payer.ask(DEMO, Some(&bought.token())).await.status, 402);
    }
}

async fn payments(payer: &Payer<'_>) {
    for round in 0..5 {
        let bought = payer.buy(DEMO).await;
        let shown = payer.ask(DEMO, Some(&bought.payment())).await;
        assert_eq!(shown.status, 200, "round {round}: {}", shown.body);
        let receipt = URL_SAFE_NO_PAD.decode(shown.receipt.unwrap()).unwrap();
        let receipt: Value = serde_json::from_slice(&receipt).unwrap();
        assert_eq!(receipt["challengeId"], bought.challenge["id"]);
        assert_eq!(payer.ask(DEMO, Some(&bought.payment())).await.status, 402);
    }
}

async fn narrowed(payer: &Payer<'_>) {
    let bought = payer.buy(PING).await;
    for (caveat, status) in [("amount_sats=1", 200), ("valid_until=1", 402), ("color=red", 402)] {
        let ran =
            Command::new(common::python()).args(["-c", ATTENUATE, &bought.macaroon, caveat]).output().await;
        let ran = ran.expect("this needs Python: install the packages python3 and python3-pymacaroons");
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "install the package python3-pymacaroons: {complaints}");
        let macaroon = String::from_utf8(ran.stdout).unwrap().trim().to_owned();
        let token = Bought { macaroon, ..bought.clone() }.token();
        assert_eq!(payer.ask(PING, Some(&token)).await.status, status, "{caveat}");
    }
}

/// Twenty clients of a producer pay at once; each is verified as soon as it has paid.
async fn produced(payer: &Payer<'_>, producer: &Producer) {
    let one = async |number: usize| {
        let made = producer.challenge(&format!("/premium/{number}"), 10).await;
        let preimage = payer.pay(made["invoice"].as_str().unwrap()).await;
        let ask = if number.is_multiple_of(2) {
            json!({ "macaroon": made["macaroon"], "preimage": preimage, "resource": made["resource"] })
        } else {
            json!({ "preimage": preimage, "amountSats": 10 })
        };
        let first = producer.verify(&ask).await;
        assert_eq!(first["valid"], true, "{number}: {first}");
        assert_eq!(first["paymentHash"], made["paymentHash"]);
        let again = producer.verify(&ask).await;
        assert_eq!(again["valid"], number.is_multiple_of(2), "{number}: {again}");
    };
    futures_util::future::join_all((0..20).map(one)).await;
    let list = producer.ask(Method::GET, "/api/l402/challenges?status=paid", None).await;
    assert_eq!(list["total"], 20);
}

async fn restarted(payer: &Payer<'_>) {
    let (token, once) = (payer.buy(PING).await, payer.buy(DEMO).await);
    assert_eq!(payer.ask(DEMO, Some(&once.payment())).await.status, 200);
    payer.scene.network.satchel.restart().await.unwrap();
    let back = until("satchel answers", RECOVERY, || async {
        let shown = payer.ask(PING, Some(&token.token())).await;
        (shown.status == 200).then_some(shown)
    });
    assert_eq!(back.await.body["message"], "pong");
    let shown = until("satchel sells", RECOVERY, || async {
        let shown = payer.ask(DEMO, Some(&once.payment())).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        (shown.status != 503).then_some(shown)
    });
    assert_eq!(shown.await.status, 402, "it was used before");
}
