//! Where things are paid out to: invoices, and for withdrawals also lightning addresses and BOLT12 offers; and what
//! the recipients' own records say came there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use regtest::wallet::PaymentStatus;
use regtest::{InvoiceRequest, Wallet, WalletError};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Where something was asked to be paid out to.
#[derive(Clone, Debug)]
pub struct Asked {
    pub wallet: usize,
    /// The invoice, offer or lightning address.
    pub text: String,
    pub to: To,
    /// How often the wallet's channel had been closed then.
    pub closes: u64,
    /// What makes a withdrawal one, however often it is asked for.
    pub once: String,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// An invoice, with its payment hash.
    Invoice(String),
    /// An offer of one item alone.
    Offer,
    /// A lightning address of one item alone, by its name.
    Address(String),
}

/// The host of lightning addresses: `w0x17` is the seventeenth address of the first wallet.
pub struct Host {
    wallets: Vec<Arc<Wallet>>,
    port: u16,
    /// Hashes of the invoices that were given out, by name.
    given: Mutex<HashMap<String, Vec<String>>>,
}

impl Host {
    pub async fn start(wallets: &[Arc<Wallet>]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Arc::new(Self { wallets: wallets.to_vec(), port, given: Mutex::default() });
        let router = Router::new()
            .route("/.well-known/lnurlp/{name}", get(offered))
            .route("/callback/{name}", get(invoice))
            .with_state(Arc::clone(&host));
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// The address of a name.
    pub fn address(&self, name: &str) -> String {
        format!("{name}@127.0.0.1:{}", self.port)
    }

    fn wallet(&self, name: &str) -> &Wallet {
        let number = name.trim_start_matches('w').split('x').next().unwrap();
        &self.wallets[number.parse::<usize>().unwrap()]
    }

    /// What came to a target by its wallet's own record, each payment in msat.
    pub async fn received(&self, asked: &Asked) -> Vec<u64> {
        let wallet = &self.wallets[asked.wallet];
        let hashes = match &asked.to {
            To::Invoice(hash) => vec![hash.clone()],
            To::Address(name) => self.given.lock().unwrap().get(name).cloned().unwrap_or_default(),
            To::Offer => {
                let came = wallet.received_by(&asked.text).await.unwrap();
                return came.into_iter().map(|(_, msat)| msat).collect();
            }
        };
        let mut received = Vec::new();
        for hash in hashes {
            match wallet.payment(&hash).await {
                Ok(payment) if payment.status == PaymentStatus::Succeeded => {
                    received.push(payment.amount_msat.unwrap_or(0));
                }
                Ok(_) | Err(WalletError::NotFound(_)) => {}
                Err(error) => panic!("wallet {}: {error}", asked.wallet),
            }
        }
        received
    }
}

async fn offered(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Json<Value> {
    let callback = format!("http://127.0.0.1:{}/callback/{name}", host.port);
    Json(
        json!({ "tag": "payRequest", "callback": callback, "minSendable": 1_000, "maxSendable": 1_000_000_000,
        "metadata": "[[\"text/plain\",\"soak\"]]" }),
    )
}

async fn invoice(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(query): Query<Value>,
) -> Json<Value> {
    let msat: u64 = query["amount"].as_str().unwrap().parse().unwrap();
    let made = host.wallet(&name).invoice(InvoiceRequest::msat(msat)).await.unwrap();
    host.given.lock().unwrap().entry(name).or_default().push(made.payment_hash);
    Json(json!({ "pr": made.invoice, "routes": [] }))
}
