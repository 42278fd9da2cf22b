//! Stores: a catalogue of 10,000 variants read a thousand times a second, and 200 buyers of the last 10 pieces.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use regtest::Wallet;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, http, open_loop, progress};

/// Products of the catalogue, and variants of each.
const PRODUCTS: usize = 2_500;
const VARIANTS: usize = 4;
/// Products written at once.
const CHUNK: usize = 100;
/// Requests in a second, and what 99 of 100 shall stay within.
const RATE: u32 = 1_000;
const WITHIN: Duration = Duration::from_millis(5);
/// Buyers of the last pieces, and pieces.
const BUYERS: usize = 200;
const PIECES: usize = 10;
/// Of them pay at once: a slot of the channel is free again only a moment after its payment has arrived.
const PAYING: usize = 20;

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    catalogue(site, size, table).await?;
    rush(site, table).await
}

async fn catalogue(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    progress(&format!("a catalogue of {} variants", PRODUCTS * VARIANTS));
    let free = json!({ "currency": "USD", "country": "US", "shipping": [{ "country": "US", "price": "5" }] });
    site.satchel().admin_post("/admin/v1/stores/bench", free).await?;
    for chunk in 0..PRODUCTS / CHUNK {
        let products: Vec<_> = (0..CHUNK).map(|at| product(chunk * CHUNK + at)).collect();
        let body = json!({ "products": products });
        site.satchel().admin_post("/admin/v1/stores/bench/products", body).await?;
    }
    let mut connection = site.connect().await?;
    let (mut requests, mut cursor, mut seen) = (Vec::new(), String::new(), 0);
    loop {
        let request = http::get(site.address, &format!("/api/shopify/bench/catalog?cursor={cursor}"));
        let page = connection.ask(&request).await?.json()?;
        let products = page.get("products").and_then(Value::as_array).context("no products")?;
        seen += products.len();
        requests.push(request);
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    ensure!(seen == PRODUCTS, "{seen} products in the catalogue");
    let time = Duration::from_secs(size.seconds);
    let address = site.address;
    let took = tokio::task::block_in_place(|| {
        open_loop::steady(address, &requests, RATE, time, |body| body.starts_with(b"{\"storeName\""))
    })?;
    let met = took.percentile(99) < WITHIN;
    let what = format!("catalogue of 10,000 variants in {} pages, 1,000/s", requests.len());
    table.add(Row::plain(what, took.to_string()).target("p99 < 5 ms", met));
    Ok(())
}

fn product(number: usize) -> Value {
    let variants: Vec<_> = (0..VARIANTS)
        .map(|at| json!({ "title": format!("Size {at}"), "price": "19.90", "stock": 100, "sku": format!("{number}-{at}") }))
        .collect();
    json!({
        "handle": format!("p{number}"),
        "title": format!("Product {number}"),
        "description": "A thing of some use, made with care.",
        "images": [format!("https://img.example/{number}.jpg")],
        "variants": variants,
    })
}

/// One store, as its buyers see it.
struct Store {
    client: Client,
    url: String,
    body: Value,
    wallet: Arc<Wallet>,
    turn: Semaphore,
}

/// 200 buyers at once of the last 10 pieces.
async fn rush(site: &Site, table: &mut Table) -> Result<()> {
    progress("200 buyers of the last 10 pieces");
    let free =
        json!({ "currency": "sats", "country": "US", "shipping": [{ "country": "US", "price": "0" }] });
    site.satchel().admin_post("/admin/v1/stores/rush", free).await?;
    let last =
        json!({ "handle": "last", "title": "Last", "variants": [{ "price": "1000", "stock": PIECES }] });
    site.satchel().admin_post("/admin/v1/stores/rush/products", json!({ "products": [last] })).await?;
    let listed = site.satchel().admin_get("/admin/v1/stores/rush/products").await?;
    let variant = listed.pointer("/products/0/variants/0/id").context("no variant")?;
    let store = Arc::new(Store {
        client: Client::new(),
        url: format!("{}/api/shopify/rush/checkout", site.satchel().url()),
        body: json!({ "items": [{ "variantId": variant, "quantity": 1 }] }),
        wallet: Arc::clone(&site.wallet),
        turn: Semaphore::new(PAYING),
    });
    let began = Instant::now();
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        buyers.spawn(buy(Arc::clone(&store)));
    }
    let (mut sold, mut due) = (0, 0);
    while let Some(status) = buyers.join_next().await {
        match status.context("a buyer ended early")??.as_str() {
            "AwaitingDetails" => sold += 1,
            "RefundDue" => due += 1,
            other => anyhow::bail!("an order is {other}"),
        }
    }
    let rate = f64::from(u32::try_from(BUYERS)?) / began.elapsed().as_secs_f64();
    let measured = format!("{sold} sold, {due} refunds due, {}/s", number(rate));
    let met = sold == PIECES && due == BUYERS - PIECES;
    table.add(Row::plain("200 buyers at once of the last 10 pieces", measured).target("10 sold", met));
    Ok(())
}

async fn buy(store: Arc<Store>) -> Result<String> {
    let answer = store.client.post(&store.url).json(&store.body).send().await?;
    ensure!(answer.status() == 402, "a checkout answers {}", answer.status());
    let asked: Value = answer.json().await?;
    let text = |name: &str| asked.get(name).and_then(Value::as_str).context("a 402 is not whole");
    let turn = store.turn.acquire().await?;
    let paid = store.wallet.pay(text("invoice")?).await?;
    drop(turn);
    let credential = format!("L402 {}:{}", text("macaroonBase64")?, paid.preimage);
    let request = store.client.post(&store.url).header("authorization", credential).json(&store.body);
    let bought: Value = request.send().await?.json().await?;
    Ok(bought.get("status").and_then(Value::as_str).context("no status")?.to_owned())
}
