//! Payments: orders beside gifts, from a customer's success to the shop's webhook, a long list page by page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use regtest::Wallet;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::load::Latencies;
use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, http, progress};

/// Connections, each kept open and used by one client.
const CONNECTIONS: usize = 32;
/// How much of the gifts' rate the payments' must reach.
const LEAST: f64 = 0.9;
/// Gifts and payments take turns, so that what the machine does meanwhile meets both.
const TURNS: u32 = 5;
/// Payments of customers at once.
const AT_ONCE: usize = 20;
/// What half of the webhooks shall stay within, and 99 of 100.
const TOLD_WITHIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// How long one webhook is waited for.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(30);
/// Payments of one page.
const PAGE: usize = 100;
/// The last pages may take so much longer than the first.
const STILL_CONSTANT: f64 = 1.5;

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    tell(site, size, table).await?;
    let made = create(site, size, table).await?;
    list(site, size, made, table).await
}

type Heard = Arc<Mutex<HashMap<String, Instant>>>;

#[derive(Deserialize)]
struct News {
    data: NewsOf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewsOf {
    invoice_id: String,
}

/// The shop's receiver: when it was told of which payment, if it is signed.
async fn hear(State(heard): State<Heard>, headers: HeaderMap, body: String) {
    let now = Instant::now();
    let signed = headers.contains_key("x-lightningenable-signature");
    if let Some(news) = serde_json::from_str::<News>(&body).ok().filter(|_| signed) {
        heard.lock().unwrap_or_else(PoisonError::into_inner).entry(news.data.invoice_id).or_insert(now);
    }
}

/// From the payers' success to the signed webhook.
async fn tell(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let count = size.payouts / 4;
    progress(&format!("{count} customers pay, {AT_ONCE} at once"));
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let hook = format!("http://{}/hook", listener.local_addr()?);
    let router = Router::new().route("/hook", post(hear)).with_state(Arc::clone(&heard));
    let receiver = tokio::spawn(async move { axum::serve(listener, router).await });
    let shop =
        Shop { client: Client::new(), url: site.satchel().url(), key: site.satchel().admin_key().into() };
    shop.ask(Method::PUT, "/api/merchant/webhook-url", &json!({ "webhookUrl": hook })).await?;
    let mut took = Vec::with_capacity(count);
    for round in 0..count.div_ceil(AT_ONCE) {
        let mut customers = JoinSet::new();
        for customer in 0..AT_ONCE {
            let order =
                json!({ "orderId": format!("t{round}-{customer}"), "amount": 500, "currency": "sats" });
            let made = shop.ask(Method::POST, "/api/payments", &order).await?;
            customers.spawn(pay(Arc::clone(&site.wallet), made, Arc::clone(&heard)));
        }
        while let Some(customer) = customers.join_next().await {
            took.push(customer.context("a customer ended early")??);
        }
    }
    shop.ask(Method::PUT, "/api/merchant/webhook-url", &json!({ "webhookUrl": null })).await?;
    receiver.abort();
    let took = Latencies::new(took);
    let within = took.percentile(50) < TOLD_WITHIN.0 && took.percentile(99) < TOLD_WITHIN.1;
    let what = format!("payer's success to signed webhook, {AT_ONCE} at once");
    table.add(Row::plain(what, took.to_string()).target("p50 < 50 ms, p99 < 250 ms", within));
    Ok(())
}

async fn pay(wallet: Arc<Wallet>, made: Value, heard: Heard) -> Result<Duration> {
    let text = |name: &str| made.get(name).and_then(Value::as_str).context("an order is not whole");
    let (id, invoice) = (text("invoiceId")?, text("lightningInvoice")?);
    wallet.pay(invoice).await.context("the wallet can't pay")?;
    let paid = Instant::now();
    loop {
        let told = heard.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied();
        if let Some(told) = told {
            // Before the payer knew it: at once.
            return Ok(told.saturating_duration_since(paid));
        }
        ensure!(paid.elapsed() < WEBHOOK_LIMIT, "no webhook for a paid order");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Shop {
    client: Client,
    url: String,
    key: String,
}

impl Shop {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let request =
            self.client.request(method, format!("{}{path}", self.url)).header("x-api-key", &self.key);
        let answer = request.json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// Orders in dollars, and gifts in turn with them; answers how many payments there are.
async fn create(site: &Site, size: Size, table: &mut Table) -> Result<usize> {
    let seconds = Duration::from_secs(size.seconds * 2) / TURNS;
    let (mut gifts, mut payments) = (Made::default(), Made::default());
    for turn in 0..TURNS {
        progress(&format!("creating gifts over {CONNECTIONS} connections for {} s", seconds.as_secs()));
        gifts.add(flat_out(site, What::Gifts, turn, Bound::Time(seconds)).await?);
        progress(&format!("creating payments over {CONNECTIONS} connections for {} s", seconds.as_secs()));
        payments.add(flat_out(site, What::Payments, turn, Bound::Time(seconds)).await?);
    }
    let what = format!("payments in USD created over HTTP, {CONNECTIONS} connections, beside gifts");
    table.add(Row::against(what, payments.rate()?, Some(gifts.rate()?), LEAST));
    table.add(Row::plain("  time of one creation", Latencies::new(payments.took.clone()).to_string()));
    let mut made = payments.took.len();
    if made < size.gifts {
        progress(&format!("creating payments until there are {}", size.gifts));
        let rest = (size.gifts - made).div_ceil(CONNECTIONS);
        made += flat_out(site, What::Payments, TURNS, Bound::Count(rest)).await?.took.len();
    }
    Ok(made)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Gifts,
    Payments,
}

/// When a client has done enough.
#[derive(Clone, Copy)]
enum Bound {
    Time(Duration),
    Count(usize),
}

#[derive(Default)]
struct Made {
    took: Vec<Duration>,
    seconds: f64,
}

impl Made {
    fn add(&mut self, more: Self) {
        self.took.extend(more.took);
        self.seconds += more.seconds;
    }

    fn rate(&self) -> Result<f64> {
        Ok(f64::from(u32::try_from(self.took.len()).context("too many to count")?) / self.seconds)
    }
}

async fn flat_out(site: &Site, what: What, turn: u32, bound: Bound) -> Result<Made> {
    let mut clients = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(site.connect().await?);
    }
    let (address, key) = (site.address, site.satchel().admin_key().to_owned());
    let began = Instant::now();
    for (client, mut connection) in connections.into_iter().enumerate() {
        let key = key.clone();
        clients.spawn(async move {
            let mut took = Vec::new();
            for number in 0_u64.. {
                let sent = Instant::now();
                let enough = match bound {
                    Bound::Time(span) => began.elapsed() >= span,
                    Bound::Count(count) => took.len() >= count,
                };
                if enough {
                    break;
                }
                let (path, body, expected) = match what {
                    What::Gifts => ("/create", r#"{"amount":1000,"senderName":"Ada"}"#.to_owned(), 200),
                    What::Payments => {
                        let order = format!("o{turn}-{client}-{number}");
                        let body = format!(r#"{{"orderId":"{order}","amount":0.65,"currency":"USD"}}"#);
                        ("/api/payments", body, 201)
                    }
                };
                let request = http::post_as(address, path, &key, &body);
                let answer = connection.ask(&request).await?;
                took.push(sent.elapsed());
                if answer.status != expected {
                    bail!("{path} answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
                }
                ensure!(answer.body.windows(6).any(|six| six == b"lnbcrt"), "{path} gave no invoice");
            }
            Ok(took)
        });
    }
    let mut made = Made::default();
    while let Some(took) = clients.join_next().await {
        made.took.extend(took.context("a client ended early")??);
    }
    made.seconds = began.elapsed().as_secs_f64();
    Ok(made)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    payments: Vec<serde::de::IgnoredAny>,
    next_cursor: Option<&'a str>,
}

/// All payments, from the newest to the oldest.
async fn list(site: &Site, size: Size, made: usize, table: &mut Table) -> Result<()> {
    progress(&format!("listing {made} payments"));
    let mut connection = site.connect().await?;
    let (mut times, mut seen, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let path = format!("/api/payments?limit={PAGE}{cursor}");
        let request = http::get_as(site.address, &path, site.satchel().admin_key());
        let sent = Instant::now();
        let answer = connection.ask(&request).await?;
        times.push(sent.elapsed());
        ensure!(answer.status == 200, "{path} answered {}", answer.status);
        let page: Page<'_> = serde_json::from_slice(answer.body).context("not a page")?;
        seen += page.payments.len();
        let Some(next) = page.next_cursor else { break };
        cursor = format!("&cursor={next}");
    }
    ensure!(seen >= made.max(size.gifts), "only {seen} of {made} were listed");
    let tenth = times.len() / 10;
    let last = times.split_off(times.len() - tenth);
    times.truncate(tenth);
    let (first, last) = (Latencies::new(times), Latencies::new(last));
    let ratio = last.percentile(50).as_secs_f64() / first.percentile(50).as_secs_f64();
    let count = number(f64::from(u32::try_from(seen).context("too many to count")?));
    let what = format!("GET /api/payments, pages of {PAGE} of {count}: the newest tenth");
    table.add(Row::plain(what, first.to_string()));
    let row = Row { ratio: format!("{ratio:.2}"), ..Row::plain("  the oldest tenth", last.to_string()) };
    table.add(row.target("p50 ≤ 1.5 × the newest's", ratio <= STILL_CONSTANT));
    Ok(())
}
