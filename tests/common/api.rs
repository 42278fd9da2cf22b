//! The gifts' HTTP interface, as the contract has it.

use std::str::FromStr;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{SOON, until};

/// Longer than satchel lets any request take.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(40);

/// An answer: its status, and its body as JSON, or as a text if it is none.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// Status and code of an error, or the status and nothing.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["message"].as_str().unwrap_or_default())
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The id that a redemption was given.
    #[track_caller]
    pub fn withdrawal_id(self) -> String {
        self.ok()["withdrawalId"].as_str().expect("a withdrawalId").to_owned()
    }
}

/// A gift as its sender got it.
#[derive(Clone, Debug)]
pub struct Gift {
    pub order_id: String,
    pub charge_id: String,
    pub payreq: String,
    pub lnurl: String,
    pub manage_key: String,
    pub sat: u64,
}

impl Gift {
    /// Reads an answer to `/create`.
    pub fn read(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not whole: {body}")).to_owned();
        Self {
            order_id: text(&body["orderId"]),
            charge_id: text(&body["chargeId"]),
            payreq: text(&body["lightningInvoice"]["payreq"]),
            lnurl: text(&body["lnurl"]),
            manage_key: text(&body["manageKey"]),
            sat: body["amount"].as_u64().expect("an amount"),
        }
    }
}

/// The payment hash of an invoice, in hex.
pub fn payment_hash(invoice: &str) -> String {
    Bolt11Invoice::from_str(invoice).expect("an invoice").payment_hash().to_string()
}

/// A client of one satchel. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub url: String,
    client: Client,
}

impl Api {
    pub fn new(url: &str) -> Self {
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(REQUEST_LIMIT).pool_max_idle_per_host(0).build().unwrap();
        Self { url: url.to_owned(), client }
    }

    /// Sends a request that may meet a satchel that isn't there, or dies over it.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await.unwrap_or_else(|error| panic!("GET {path}: {error:?}"))
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let sent = self.send(Method::POST, path, Some(&body)).await;
        sent.unwrap_or_else(|error| panic!("POST {path}: {error:?}"))
    }

    pub async fn try_create(&self, body: &Value) -> Result<Answer, reqwest::Error> {
        self.send(Method::POST, "/create", Some(body)).await
    }

    pub async fn try_redeem(&self, order_id: &str, invoice: &str) -> Result<Answer, reqwest::Error> {
        self.send(Method::POST, &format!("/redeem/{order_id}"), Some(&json!({"invoice": invoice}))).await
    }

    pub async fn create(&self, sat: u64) -> Gift {
        self.create_with(json!({"amount": sat})).await
    }

    pub async fn create_with(&self, body: Value) -> Gift {
        Gift::read(&self.post("/create", body).await.ok())
    }

    pub async fn redeem(&self, order_id: &str, invoice: &str) -> Answer {
        self.post(&format!("/redeem/{order_id}"), json!({"invoice": invoice})).await
    }

    pub async fn gift(&self, order_id: &str) -> Value {
        self.get(&format!("/gift/{order_id}")).await.ok()
    }

    pub async fn managed(&self, gift: &Gift) -> Value {
        self.get(&format!("/gift/{}/manage?key={}", gift.order_id, gift.manage_key)).await.ok()
    }

    /// How far a redemption is.
    pub async fn withdrawal(&self, id: &str) -> Value {
        self.get(&format!("/redeemStatus/{id}")).await.ok()
    }

    /// Waits until a gift's invoice counts as paid.
    pub async fn wait_funded(&self, order_id: &str) {
        until(&format!("gift {order_id} is funded"), SOON, || async {
            (self.gift(order_id).await["chargeStatus"] == "paid").then_some(())
        })
        .await;
    }

    /// Waits until `spent` is this; gives the gift.
    pub async fn wait_spent(&self, order_id: &str, spent: Value, limit: Duration) -> Value {
        until(&format!("gift {order_id} has spent = {spent}"), limit, || async {
            Some(self.gift(order_id).await).filter(|gift| gift["spent"] == spent)
        })
        .await
    }
}

/// Satchel's HTTP interface with an API key. Cheap to clone.
#[derive(Clone)]
pub struct KeyApi {
    pub url: String,
    pub key: String,
    client: Client,
}

impl KeyApi {
    pub fn new(url: &str, key: &Value) -> Self {
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(REQUEST_LIMIT).pool_max_idle_per_host(0).build().unwrap();
        Self { url: url.to_owned(), key: key.as_str().expect("a key").to_owned(), client }
    }

    /// Asks what may meet a satchel that dies over it. `once` is an idempotency key, if it isn't empty.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: &str,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let mut request = request.header("x-api-key", &self.key);
        if !once.is_empty() {
            request = request.header("idempotency-key", once);
        }
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub async fn post(&self, path: &str, body: &Value, once: &str) -> Answer {
        self.try_ask(Method::POST, path, Some(body), once).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        self.try_ask(Method::GET, path, None, "").await.unwrap().ok()
    }
}
