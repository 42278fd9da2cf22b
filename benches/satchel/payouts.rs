//! Payouts, forty at once over one channel, each waited for until satchel says it is done: gifts by `POST /redeem`, and
//! [withdrawals](crate::withdrawals) of an account.

use std::collections::HashMap;
use std::net::SocketAddr;
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

/// A payout to ask for, and the hash that the wallet receives it by.
pub(crate) struct Task {
    pub(crate) request: Vec<u8>,
    pub(crate) hash: String,
}

/// How one asks what became of a payout.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    /// Before the `withdrawalId`.
    pub(crate) path: &'static str,
    /// The status of one that has arrived.
    pub(crate) done: &'static str,
    /// With this API key.
    pub(crate) key: Option<String>,
}

impl Looks {
    fn at(&self, address: SocketAddr, id: &str) -> Vec<u8> {
        let path = format!("{}{id}", self.path);
        self.key.as_ref().map_or_else(|| http::get(address, &path), |key| http::get_as(address, &path, key))
    }
}

/// How one payout ended, by satchel's own word.
enum Ended {
    Confirmed(Duration),
    Failed,
    TooLate,
}

/// What a run came to.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) took: Vec<Duration>,
    pub(crate) reported_failed: usize,
    pub(crate) never_ended: usize,
}

impl Outcome {
    /// This and another run.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.seconds += other.seconds;
        self.took.extend(other.took);
        self.reported_failed += other.reported_failed;
        self.never_ended += other.never_ended;
        self
    }

    /// Payouts that arrived, in a second.
    pub(crate) fn rate(&self) -> Result<f64> {
        Ok(f64::from(u32::try_from(self.took.len()).context("too many to count")?) / self.seconds)
    }
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
    let (outcome, spent) = redeem(site, SAT, size.payouts).await?;
    let rate = outcome.rate()?;
    table.add(Row::against("payouts by POST /redeem, 40 at once, 5,000 sat", rate, bare.send, LEAST));
    report(&outcome, spent, size, table);
    Ok(rate)
}

/// Payouts so small that a channel rations them unless told otherwise.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn fifty(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let (outcome, spent) = redeem(site, DUST_SAT, size.payouts).await?;
    let all = spent == size.payouts && outcome.reported_failed == 0 && outcome.never_ended == 0;
    let measured = format!("{spent} of {} spent, {:.1}/s", size.payouts, outcome.rate()?);
    table.add(Row::plain("payouts of 50 sat, 40 at once", measured).target("all, none failed", all));
    report(&outcome, spent, size, table);
    Ok(())
}

fn report(outcome: &Outcome, spent: usize, size: Size, table: &mut Table) {
    table.add(Row::plain(
        "  time of one payout, to confirmed",
        Latencies::new(outcome.took.clone()).to_string(),
    ));
    let Outcome { reported_failed, never_ended, .. } = outcome;
    let counts =
        format!("{spent} of {} spent, {reported_failed} failed, {never_ended} never ended", size.payouts);
    table.add(Row::plain("  what became of them", counts));
}

/// Funds gifts and redeems them; answers how many satchel calls spent as well.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn redeem(site: &Site, sat: u64, payouts: usize) -> Result<(Outcome, usize)> {
    progress(&format!("funding {payouts} gifts of {sat} sat"));
    let (gifts, tasks) = prepare(site, sat, payouts).await?;
    progress(&format!("redeeming them, {AT_ONCE} at once"));
    let looks = Looks { path: "/redeemStatus/", done: "confirmed", key: None };
    let outcome = run(site, tasks, looks).await?;
    Ok((outcome, spent(site, &gifts).await?))
}

/// Asks for payouts, forty at once, and waits for their ends.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn run(site: &Site, tasks: Vec<Task>, looks: Looks) -> Result<Outcome> {
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
            looks: looks.clone(),
            tasks: Arc::clone(&tasks),
            waiting: Arc::clone(&waiting),
        };
        clients.spawn(client.ask_all(Arc::clone(&next)));
    }
    let mut outcome = Outcome::default();
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
    Ok(outcome)
}

async fn prepare(site: &Site, sat: u64, payouts: usize) -> Result<(Vec<String>, Vec<Task>)> {
    let (mut gifts, mut tasks) = (Vec::with_capacity(payouts), Vec::with_capacity(payouts));
    while gifts.len() < payouts {
        gifts.extend(site.funded_gifts(sat, BATCH.min(payouts - gifts.len())).await?);
    }
    for gift in &gifts {
        let invoice = site.wallet.invoice(InvoiceRequest::sat(sat)).await?;
        let body = json!({ "invoice": invoice.invoice }).to_string();
        let request = http::post(site.address, &format!("/redeem/{gift}"), &body);
        tasks.push(Task { request, hash: invoice.payment_hash });
    }
    // The node's event of the last payment may come a moment after the payer's.
    let mut connection = site.connect().await?;
    let end = Instant::now() + Duration::from_secs(30);
    for gift in gifts.iter().step_by(BATCH) {
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
    Ok((gifts, tasks))
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
    address: SocketAddr,
    looks: Looks,
    tasks: Arc<Vec<Task>>,
    waiting: Waiting,
}

impl Client {
    async fn ask_all(mut self, next: Arc<AtomicUsize>) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        let tasks = Arc::clone(&self.tasks);
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            ended.push(self.ask(task).await?);
        }
        Ok(ended)
    }

    /// Without asking satchel before the wallet has the money: forty clients that ask all the time would be what is
    /// measured.
    async fn ask(&mut self, task: &Task) -> Result<Ended> {
        let (sender, received) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(task.hash.clone(), sender);
        let began = Instant::now();
        let answer = self.connection.ask(&task.request).await?.json().context("asking for a payout")?;
        let id = answer.get("withdrawalId").and_then(Value::as_str).context("no withdrawalId")?;
        let status = self.looks.at(self.address, id);
        // A payout that fails is never received, so look now and then all the same.
        let arrived = tokio::time::timeout(RECEIPT_LIMIT, received).await.is_ok();
        let pause = if arrived { LOOK_EVERY } else { SLOW_LOOK_EVERY };
        while began.elapsed() < PAYOUT_LIMIT {
            let answer = self.connection.ask(&status).await?.json().context(self.looks.path)?;
            match answer.get("status").and_then(Value::as_str) {
                Some(status) if status == self.looks.done => return Ok(Ended::Confirmed(began.elapsed())),
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
