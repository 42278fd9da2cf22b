//! A purse: what it adds to a request whose credential is kept, and to one that pays.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use regtest::InvoiceRequest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::load::Latencies;
use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, http, progress};

/// What a kept credential may add to half of the requests.
const KEPT: Duration = Duration::from_millis(1);

/// What a request that pays may add to half of the payments.
const PAID: Duration = Duration::from_millis(5);

/// What the service costs: above what is dust.
const PRICE: u64 = 1_000;

/// Requests that pay.
const PAYMENTS: usize = 200;

/// Invoices that the service asks with.
type Invoices = Arc<Mutex<VecDeque<String>>>;

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer, or the wallet can't pay.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    progress("a purse: making invoices for a service that asks for payment");
    let invoices = Invoices::default();
    for _ in 0..=PAYMENTS {
        let made = site.wallet.invoice(InvoiceRequest::sat(PRICE)).await?;
        invoices.lock().unwrap_or_else(PoisonError::into_inner).push_back(made.invoice);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let service = listener.local_addr()?;
    let routes = Router::new().route("/{thing}", get(serve)).with_state(invoices);
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let key = purse(site).await?;
    kept(site, service, &key, Duration::from_secs(size.seconds), table).await?;
    paid(site, service, &key, table).await?;
    serving.abort();
    Ok(())
}

/// Asks for payment, or answers.
async fn serve(State(invoices): State<Invoices>, headers: HeaderMap) -> Response {
    if headers.contains_key(AUTHORIZATION) {
        return "sunny".into_response();
    }
    let next = invoices.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default();
    let line = format!(r#"L402 macaroon="AgEE", invoice="{next}""#);
    (StatusCode::PAYMENT_REQUIRED, [(WWW_AUTHENTICATE, line)]).into_response()
}

/// A purse of an account that has earned something; answers its key.
async fn purse(site: &Site) -> Result<String> {
    let sats = PRICE * 2 * u64::try_from(PAYMENTS)?;
    let order = json!({ "orderId": "purse", "amount": sats, "currency": "sats" }).to_string();
    let mut connection = site.connect().await?;
    let request = http::post_as(site.address, "/api/payments", site.satchel().admin_key(), &order);
    let answer = connection.ask(&request).await?;
    let made: Value = serde_json::from_slice(answer.body).context("a payment that isn't JSON")?;
    let invoice = made.get("lightningInvoice").and_then(Value::as_str);
    site.pay(invoice.with_context(|| format!("no invoice: {made}"))?).await?;
    let wanted = json!({ "name": "bench", "budget_sat": sats, "hosts": ["127.0.0.1"] });
    let made = site.satchel().admin_post("/admin/v1/purses", wanted).await?;
    // The wallet knows that it has paid a little before the account has it.
    let has = async || -> Result<u64> {
        let shown = site.satchel().admin_get("/admin/v1/purses/bench").await?;
        shown.pointer("/purse/balanceSat").and_then(Value::as_u64).context("a purse without a balance")
    };
    while has().await? < sats {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(made.get("key").and_then(Value::as_str).context("a purse without a key")?.to_owned())
}

fn fetch(site: &Site, service: SocketAddr, key: &str, path: &str) -> Vec<u8> {
    let body = json!({ "url": format!("http://{service}{path}") }).to_string();
    http::post_as(site.address, "/v1/purse/fetch", key, &body)
}

/// The same request to the service and through the purse, in turns.
async fn kept(site: &Site, service: SocketAddr, key: &str, time: Duration, table: &mut Table) -> Result<()> {
    progress("a request with a kept credential beside the bare request");
    let bare = format!("GET /kept HTTP/1.1\r\nhost: {service}\r\nauthorization: L402 AgEE:00\r\n\r\n");
    let ways = [bare.into_bytes(), fetch(site, service, key, "/kept")];
    let mut connections = [http::Connection::open(service).await?, site.connect().await?];
    let first = connections[1].ask(&ways[1]).await?;
    ensure!(first.status == 200, "no purchase: {}", String::from_utf8_lossy(first.body));
    let mut times = [Vec::new(), Vec::new()];
    let began = Instant::now();
    while began.elapsed() < time {
        for ((request, connection), times) in ways.iter().zip(&mut connections).zip(&mut times) {
            let sent = Instant::now();
            let answer = connection.ask(request).await?;
            times.push(sent.elapsed());
            ensure!(answer.status == 200, "status {}", answer.status);
        }
    }
    let [bare, kept] = times.map(Latencies::new);
    let more = kept.percentile(50).saturating_sub(bare.percentile(50));
    table.add(Row::plain("a bare request to a service that was paid", bare.to_string()));
    let row = Row::plain("  the same by a purse, with a kept credential", kept.to_string());
    table.add(row.target("p50 + less than 1 ms", more < KEPT));
    Ok(())
}

/// Requests that pay, one by one, beside how long their payments took by satchel's books.
async fn paid(site: &Site, service: SocketAddr, key: &str, table: &mut Table) -> Result<()> {
    progress("requests that pay beside their payments");
    let mut connection = site.connect().await?;
    let mut whole = Vec::new();
    for number in 0..PAYMENTS {
        let request = fetch(site, service, key, &format!("/{number}"));
        let sent = Instant::now();
        let answer = connection.ask(&request).await?.json()?;
        whole.push(sent.elapsed());
        ensure!(answer.pointer("/paid/amountSat") == Some(&json!(PRICE)), "not paid: {answer}");
    }
    let mut alone = Vec::new();
    let mut before = String::new();
    while alone.len() < PAYMENTS {
        let page =
            site.satchel().admin_get(&format!("/admin/v1/payouts?family=purse&limit=50{before}")).await?;
        let payouts = page.get("payouts").and_then(Value::as_array).context("no payouts")?;
        ensure!(!payouts.is_empty(), "too few payouts");
        before = page
            .get("next")
            .and_then(Value::as_str)
            .map_or_else(String::new, |next| format!("&before={next}"));
        for payout in payouts {
            let at = |name: &str| payout.get(name).and_then(Value::as_u64).context("a payout without times");
            alone.push(Duration::from_millis(at("finished_at")?.saturating_sub(at("created_at")?)));
        }
    }
    let (alone, whole) = (Latencies::new(alone), Latencies::new(whole));
    let more = whole.percentile(50).saturating_sub(alone.percentile(50));
    table.add(Row::plain("a payment of 1,000 sat by a purse, by the books", alone.to_string()));
    let row = Row::plain("  a request that makes it", whole.to_string());
    table.add(row.target("p50 + less than 5 ms", more < PAID));
    Ok(())
}
