//! Payouts by `POST /redeem`, forty at once over one channel, each waited for until satchel says it is confirmed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use regtest::InvoiceRequest;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinSet;

use crate::bare::BareRates;
use crate::http::{self, Connection};
use crate::load::Latencies;
use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, progress};

/// Payouts under way at once.
pub(crate) const AT_ONCE: usize = 40;
/// Gifts of one order, the most there may be.
pub(crate) const BATCH: usize = 500;
/// What a payout of the main measurement is worth.
pub(crate) const SAT: u64 = 5_000;
/// What a payout is worth that LDK counts as dust.
const DUST_SAT: u64 = 50;
/// How much faster than the bare node it is meant to be.
const LEAST: f64 = 1.3;
/// Between two looks at a payout that the wallet has already: satchel hears of it a moment later.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the wallet is waited for before satchel is asked all the same.
const RECEIPT_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks at a payout that the wallet hasn't got.
const SLOW_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one payout may take.
const PAYOUT_LIMIT: Duration = Duration::from_secs(120);

/// A gift and the invoice that it is to be paid to.
struct Task {
    gift: String,
    invoice: String,
    hash: String,
}

/// How one payout ended, by satchel's own word.
enum Ended {
    Confirmed(Duration),
    Failed,
    TooLate,
}

/// What a run came to.
struct Outcome {
    seconds: f64,
    took: Vec<Duration>,
    reported_failed: usize,
    never_ended: usize,
    spent: usize,
}

/// Who waits for the wallet to receive which hash.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

/// The main measurement; answers the rate.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn five_thousand(
    site: &Site,
    size: Size,
    bare: &BareRates,
    table: &mut Table,
) -> Result<f64> {
    let outcome = run(site, SAT, size.payouts).await?;
    let rate = count(outcome.took.len())? / outcome.seconds;
    table.add(Row::against("payouts by POST /redeem, 40 at once, 5,000 sat", rate, bare.send, LEAST));
    report(&outcome, size, table);
    Ok(rate)
}

/// Payouts so small that a channel rations them unless told otherwise.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn fifty(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let outcome = run(site, DUST_SAT, size.payouts).await?;
    let rate = count(outcome.took.len())? / outcome.seconds;
    let all = outcome.spent == size.payouts && outcome.reported_failed == 0 && outcome.never_ended == 0;
    let measured = format!("{} of {} spent, {:.1}/s", outcome.spent, size.payouts, rate);
    table.add(Row::plain("payouts of 50 sat, 40 at once", measured).target("all, none failed", all));
    report(&outcome, size, table);
    Ok(())
}

fn report(outcome: &Outcome, size: Size, table: &mut Table) {
    table.add(Row::plain(
        "  time of one payout, to confirmed",
        Latencies::new(outcome.took.clone()).to_string(),
    ));
    let Outcome { spent, reported_failed, never_ended, .. } = outcome;
    let counts =
        format!("{spent} of {} spent, {reported_failed} failed, {never_ended} never ended", size.payouts);
    table.add(Row::plain("  what became of them", counts));
}

fn count(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number).context("too many to count")?))
}

async fn run(site: &Site, sat: u64, payouts: usize) -> Result<Outcome> {
    progress(&format!("funding {payouts} gifts of {sat} sat"));
    let tasks = prepare(site, sat, payouts).await?;
    let gifts: Vec<_> = tasks.iter().map(|task| task.gift.clone()).collect();
    progress(&format!("redeeming them, {AT_ONCE} at once"));
    let waiting = Waiting::default();
    let listener = tokio::spawn(tell_receipts(site.wallet.received(), Arc::clone(&waiting)));
    let (tasks, next) = (Arc::new(tasks), Arc::new(AtomicUsize::new(0)));
    let mut connections = Vec::new();
    for _ in 0..AT_ONCE {
        connections.push(site.connect().await?);
    }
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for connection in connections {
        let client = Client {
            connection,
            address: site.address,
            tasks: Arc::clone(&tasks),
            waiting: Arc::clone(&waiting),
        };
        clients.spawn(client.redeem_all(Arc::clone(&next)));
    }
    let mut outcome =
        Outcome { seconds: 0.0, took: Vec::new(), reported_failed: 0, never_ended: 0, spent: 0 };
    while let Some(ended) = clients.join_next().await {
        for ended in ended.context("a client ended early")?? {
            match ended {
                Ended::Confirmed(took) => outcome.took.push(took),
                Ended::Failed => outcome.reported_failed += 1,
                Ended::TooLate => outcome.never_ended += 1,
            }
        }
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    listener.abort();
    outcome.spent = spent(site, &gifts).await?;
    Ok(outcome)
}

async fn prepare(site: &Site, sat: u64, payouts: usize) -> Result<Vec<Task>> {
    let mut tasks = Vec::with_capacity(payouts);
    while tasks.len() < payouts {
        let gifts = site.funded_gifts(sat, BATCH.min(payouts - tasks.len())).await?;
        for gift in gifts {
            let invoice = site.wallet.invoice(InvoiceRequest::sat(sat)).await?;
            tasks.push(Task { gift, invoice: invoice.invoice, hash: invoice.payment_hash });
        }
    }
    // The node's event of the last payment may come a moment after the payer's.
    let mut connection = site.connect().await?;
    let end = Instant::now() + Duration::from_secs(30);
    for gift in tasks.iter().step_by(BATCH).map(|task| &task.gift) {
        loop {
            let request = http::get(site.address, &format!("/gift/{gift}"));
            let answer = connection.ask(&request).await?.json()?;
            if answer.get("chargeStatus").and_then(Value::as_str) == Some("paid") {
                break;
            }
            ensure!(Instant::now() < end, "a paid invoice was not credited: {answer}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(tasks)
}

/// Wakes who waits for a hash that the wallet has received.
async fn tell_receipts(mut receipts: broadcast::Receiver<String>, waiting: Waiting) {
    loop {
        match receipts.recv().await {
            Ok(hash) => {
                // A payout may be there before its client has read the answer to its request: it looks by itself then.
                if let Some(waiter) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash) {
                    let _ = waiter.send(());
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

struct Client {
    connection: Connection,
    address: std::net::SocketAddr,
    tasks: Arc<Vec<Task>>,
    waiting: Waiting,
}

impl Client {
    async fn redeem_all(mut self, next: Arc<AtomicUsize>) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        let tasks = Arc::clone(&self.tasks);
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            ended.push(self.redeem(task).await?);
        }
        Ok(ended)
    }

    /// Without asking satchel before the wallet has the money: forty clients that ask all the time would be what is
    /// measured.
    async fn redeem(&mut self, task: &Task) -> Result<Ended> {
        let (sender, received) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(task.hash.clone(), sender);
        let began = Instant::now();
        let body = json!({ "invoice": task.invoice }).to_string();
        let request = http::post(self.address, &format!("/redeem/{}", task.gift), &body);
        let answer = self.connection.ask(&request).await?.json().context("/redeem")?;
        let withdrawal =
            answer.get("withdrawalId").and_then(Value::as_str).context("/redeem gave no withdrawalId")?;
        let status = http::get(self.address, &format!("/redeemStatus/{withdrawal}"));
        // A payout that fails is never received, so look now and then all the same.
        let arrived = tokio::time::timeout(RECEIPT_LIMIT, received).await.is_ok();
        let pause = if arrived { LOOK_EVERY } else { SLOW_LOOK_EVERY };
        while began.elapsed() < PAYOUT_LIMIT {
            let answer = self.connection.ask(&status).await?.json().context("/redeemStatus")?;
            match answer.get("status").and_then(Value::as_str) {
                Some("confirmed") => return Ok(Ended::Confirmed(began.elapsed())),
                Some("failed") => return Ok(Ended::Failed),
                _ => tokio::time::sleep(pause).await,
            }
        }
        Ok(Ended::TooLate)
    }
}

/// How many gifts satchel calls spent.
async fn spent(site: &Site, gifts: &[String]) -> Result<usize> {
    let mut connection = site.connect().await?;
    let mut spent = 0;
    for gift in gifts {
        let answer = connection.ask(&http::get(site.address, &format!("/gift/{gift}"))).await?.json()?;
        if answer.get("spent") == Some(&Value::Bool(true)) {
            spent += 1;
        }
    }
    Ok(spent)
}
