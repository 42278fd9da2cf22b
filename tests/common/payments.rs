//! The payments' HTTP interface as a shop's back end sees it, and the shop's receiver of webhooks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::api::Answer;
use super::{SOON, Scene, until};

/// Longer than satchel lets any request take.
const REQUEST_LIMIT: Duration = Duration::from_secs(40);

/// A webhook as it came.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    /// The family's own header.
    pub signature: String,
    pub body: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

type Heard = Arc<Mutex<Vec<Told>>>;

/// A shop with an API key, a secret, and a receiver that runs as long as the test.
pub struct Shop {
    pub url: String,
    pub key: String,
    pub secret: String,
    client: Client,
    heard: Heard,
}

async fn hear(State(heard): State<Heard>, headers: HeaderMap, body: String) {
    let text = |name: &str| headers[name].to_str().expect("text").to_owned();
    let told = Told { id: text("webhook-id"), signature: text("x-lightningenable-signature"), body };
    heard.lock().expect("the receiver").push(told);
}

impl Shop {
    /// Opens one, with a key made on the command line.
    pub async fn open(scene: &Scene) -> Self {
        let arguments = ["create", "shop", "--scope", "payments"];
        let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
        let heard = Heard::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(hear)).with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, router).await });
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(REQUEST_LIMIT).pool_max_idle_per_host(0).build().unwrap();
        let key = made["key"].as_str().expect("a key").to_owned();
        let mut shop = Self { url: scene.api.url.clone(), key, secret: String::new(), client, heard };
        let wanted = json!({ "webhookUrl": hook });
        let settings = shop.ask(Method::PUT, "/api/merchant/webhook-url", Some(&wanted)).await.ok();
        shop.secret = settings["webhookSecret"].as_str().expect("a secret").to_owned();
        shop
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).header("x-api-key", &self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.ok()
    }

    /// An order of so many sat.
    pub async fn order(&self, name: &str, sat: u64) -> Value {
        let body = json!({"orderId": name, "amount": sat, "currency": "sats"});
        let made = self.ask(Method::POST, "/api/payments", Some(&body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body
    }

    pub async fn payment(&self, id: &str) -> Value {
        self.get(&format!("/api/payments/{id}")).await
    }

    /// Waits until a payment stands so.
    pub async fn wait(&self, id: &str, status: &str, limit: Duration) -> Value {
        until(&format!("payment {id} is {status}"), limit, || async {
            Some(self.payment(id).await).filter(|payment| payment["status"] == status)
        })
        .await
    }

    /// All that was told of a payment so far.
    pub fn told(&self, id: &str) -> Vec<Told> {
        let heard = self.heard.lock().expect("the receiver");
        heard.iter().filter(|told| told.json()["data"]["invoiceId"] == id).cloned().collect()
    }

    /// Waits until so much was told of a payment.
    pub async fn wait_told(&self, id: &str, count: usize) -> Vec<Told> {
        until(&format!("{count} webhooks of {id}"), SOON, || async {
            Some(self.told(id)).filter(|told| told.len() >= count)
        })
        .await
    }
}
