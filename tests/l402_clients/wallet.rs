//! The wallet that all clients pay from, over HTTP, as it pays every invoice and keeps a list.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use reqwest::Client;
use serde_json::{Value, json};

use crate::common::{SOON, Scene};
use crate::forms::serve;

/// A payer on the network, seen from outside.
pub struct Wallet {
    pub url: String,
    paid: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Parts {
    client: Client,
    pay: String,
    paid: Arc<Mutex<Vec<String>>>,
}

impl Wallet {
    /// Puts one before the scene's first wallet.
    pub async fn open(scene: &Scene) -> Self {
        Self::beside(scene, Router::new()).await
    }

    /// The same, with other things at its address.
    pub async fn beside(scene: &Scene, others: Router) -> Self {
        let client = Client::builder().timeout(SOON).build().unwrap();
        let paid = Arc::default();
        let parts =
            Parts { client, pay: format!("{}/v1/pay", scene.wallet(0).url()), paid: Arc::clone(&paid) };
        let router = Router::new().route("/v1/pay", post(pay)).with_state(parts).merge(others);
        let url = format!("http://{}", serve(router).await);
        Self { url, paid }
    }

    /// The invoices that were paid since this was last asked. The scene notes them.
    pub fn paid(&self, scene: &Scene) -> Vec<String> {
        let paid = std::mem::take(&mut *self.paid.lock().unwrap());
        for invoice in &paid {
            scene.note_funding(0, invoice);
        }
        paid
    }
}

async fn pay(State(parts): State<Parts>, Json(asked): Json<Value>) -> Response {
    let invoice = asked["invoice"].as_str().unwrap_or_default();
    let answer = match parts.client.post(&parts.pay).json(&json!({ "invoice": invoice })).send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    if !answer.status().is_success() {
        let said = answer.text().await.unwrap_or_default();
        return (StatusCode::BAD_GATEWAY, said).into_response();
    }
    parts.paid.lock().unwrap().push(invoice.to_owned());
    Json(answer.json::<Value>().await.unwrap_or_default()).into_response()
}
