//! Gifts created over HTTP: each answer has an invoice of the node and is durable before it is sent.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ldk_node::lightning_invoice::Bolt11Invoice;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::bare::BareRates;
use crate::load::Latencies;
use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, http, progress};

/// Connections, each kept open and used by one client.
const CONNECTIONS: usize = 32;
/// How much faster than the bare node it is meant to be.
const LEAST: f64 = 3.0;
/// One in so many answers is looked at down to the invoice's signature, after the measurement.
const SAMPLE: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    order_id: &'a str,
    lightning_invoice: Invoice<'a>,
}

#[derive(Deserialize)]
struct Invoice<'a> {
    payreq: &'a str,
}

/// What one client got.
#[derive(Default)]
struct Got {
    ids: Vec<String>,
    invoices: Vec<String>,
    took: Vec<Duration>,
}

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, bare: &BareRates, table: &mut Table) -> Result<()> {
    progress(&format!("creating gifts over {CONNECTIONS} connections for {} s", size.seconds));
    let mut clients = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(site.connect().await?);
    }
    let request = http::post(site.address, "/create", r#"{"amount":1000,"senderName":"Ada"}"#);
    let began = Instant::now();
    let end = began + Duration::from_secs(size.seconds);
    for connection in connections {
        clients.spawn(create_until(connection, request.clone(), end));
    }
    let mut all = Got::default();
    while let Some(got) = clients.join_next().await {
        let got = got.context("a client ended early")??;
        all.ids.extend(got.ids);
        all.invoices.extend(got.invoices);
        all.took.extend(got.took);
    }
    let seconds = began.elapsed().as_secs_f64();
    check(&all)?;
    let rate = f64::from(u32::try_from(all.ids.len()).context("too many gifts")?) / seconds;
    let what = format!("gifts created over HTTP, {CONNECTIONS} connections");
    table.add(Row::against(what, rate, bare.best_receive(), LEAST));
    table.add(Row::plain("time of one creation", Latencies::new(all.took).to_string()));
    Ok(())
}

async fn create_until(mut connection: http::Connection, request: Vec<u8>, end: Instant) -> Result<Got> {
    let mut got = Got::default();
    loop {
        let began = Instant::now();
        if began >= end {
            return Ok(got);
        }
        let answer = connection.ask(&request).await?;
        got.took.push(began.elapsed());
        if answer.status != 200 {
            bail!("/create answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        let created: Created<'_> = serde_json::from_slice(answer.body).context("/create answered no gift")?;
        ensure!(created.order_id.len() == 48, "a strange order id: {}", created.order_id);
        ensure!(created.lightning_invoice.payreq.starts_with("lnbcrt"), "a gift without an invoice");
        if got.ids.len().is_multiple_of(SAMPLE) {
            got.invoices.push(created.lightning_invoice.payreq.to_owned());
        }
        got.ids.push(created.order_id.to_owned());
    }
}

fn check(all: &Got) -> Result<()> {
    let different: HashSet<_> = all.ids.iter().collect();
    ensure!(different.len() == all.ids.len(), "an order id was given twice");
    let mut hashes = HashSet::new();
    for invoice in &all.invoices {
        let invoice = Bolt11Invoice::from_str(invoice).context("an invoice can't be read")?;
        ensure!(invoice.amount_milli_satoshis() == Some(1_000_000), "an invoice for another amount");
        ensure!(hashes.insert(*invoice.payment_hash()), "a payment hash was used twice");
    }
    Ok(())
}
