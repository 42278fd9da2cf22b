//! Withdrawals of an account's earnings to invoices, beside redemptions of gifts at the same amount.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regtest::InvoiceRequest;
use serde_json::{Value, json};

use crate::load::Latencies;
use crate::payouts::{self, AT_ONCE, Looks, Outcome, SAT, Task};
use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, http, progress};

/// Gifts and withdrawals take turns, so that what the machine does meanwhile meets both.
const TURNS: usize = 4;
/// How much slower a withdrawal may be measured than a redemption: two runs of the same differ by so much.
const NOISE: f64 = 0.05;
/// What the reserves for routing of those under way may need, in sat.
const RESERVES_SAT: u64 = 100_000;
/// How long a paid order may take to be in the balance.
const EARNED_WITHIN: Duration = Duration::from_secs(30);

const WITHDRAWALS: &str = "/v1/account/withdrawals";

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let scopes = ["create", "bench", "--scope", "payments,withdraw", "--account", "bench"];
    let made = site.satchel().command_json("key", &scopes).await.context("no key for withdrawals")?;
    let key = made.get("key").and_then(Value::as_str).context("a key without its text")?.to_owned();
    let count = size.payouts / TURNS;
    earn(site, &key, "reserves", RESERVES_SAT).await?;
    let (mut gifts, mut withdrawals) = (Outcome::default(), Outcome::default());
    for turn in 0..TURNS {
        gifts = gifts.and(payouts::redeem(site, SAT, count).await?.0);
        let whole = SAT * u64::try_from(count).context("too many to count")?;
        earn(site, &key, &format!("turn {turn}"), whole).await?;
        withdrawals = withdrawals.and(withdraw(site, &key, count).await?);
    }
    let (rate, baseline) = (withdrawals.rate()?, gifts.rate()?);
    let what = "withdrawals of an account's earnings to BOLT11, 40 at once";
    let row = Row::against(what, rate, Some(baseline), 1.0);
    table.add(row.target("≥ 1.0 × baseline, less 0.05 of noise", rate >= baseline * (1.0 - NOISE)));
    let Outcome { took, reported_failed, never_ended, .. } = withdrawals;
    let counts = format!(
        "{} of {} completed, {reported_failed} failed, {never_ended} never ended",
        took.len(),
        count * TURNS
    );
    table.add(Row::plain("  time of one withdrawal, to completed", Latencies::new(took).to_string()));
    table.add(Row::plain("  what became of them", counts));
    Ok(())
}

/// A paid order of the account's.
async fn earn(site: &Site, key: &str, order: &str, sat: u64) -> Result<()> {
    let mut connection = site.connect().await?;
    let before = balance_msat(site, key).await?;
    let body = json!({ "orderId": order, "amount": sat, "currency": "sats" }).to_string();
    let request = http::post_as(site.address, "/api/payments", key, &body);
    let made: Value = serde_json::from_slice(connection.ask(&request).await?.body).context("an order")?;
    let invoice = made.get("lightningInvoice").and_then(Value::as_str);
    site.pay(invoice.with_context(|| format!("an order without an invoice: {made}"))?).await?;
    let earned = async {
        while balance_msat(site, key).await? < before + sat * 1_000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(EARNED_WITHIN, earned).await.context("a paid order was not credited")?
}

async fn balance_msat(site: &Site, key: &str) -> Result<u64> {
    let mut connection = site.connect().await?;
    let shown = connection.ask(&http::get_as(site.address, "/v1/account", key)).await?.json()?;
    shown.get("balanceMsat").and_then(Value::as_u64).context("an account without a balance")
}

async fn withdraw(site: &Site, key: &str, count: usize) -> Result<Outcome> {
    progress(&format!("{count} withdrawals of {SAT} sat, {AT_ONCE} at once"));
    let mut tasks = Vec::with_capacity(count);
    for _ in 0..count {
        let invoice = site.wallet.invoice(InvoiceRequest::sat(SAT)).await?;
        let body = json!({ "target": invoice.invoice }).to_string();
        let request = http::post_as(site.address, WITHDRAWALS, key, &body);
        tasks.push(Task { request, hash: invoice.payment_hash });
    }
    let looks = Looks { path: "/v1/account/withdrawals/", done: "completed", key: Some(key.to_owned()) };
    let outcome = payouts::run(site, tasks, looks).await?;
    ensure!(!outcome.took.is_empty(), "no withdrawal was completed");
    Ok(outcome)
}
