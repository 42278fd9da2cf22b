//! The one owner of [`Lightning::send_coins`](crate::lightning::Lightning::send_coins): sends what is queued, one at a
//! time, and watches what was sent.

use std::collections::VecDeque;
use std::time::Duration;

use bitcoin::Txid;

use super::super::payouts::set_aside;
use super::super::rows::coins as rows;
use super::super::{Ledger, LedgerError, operator_sends};
use super::{CoinStatus, OnchainPayout, fail, order, pay};
use crate::crash_point;
use crate::lightning::{CoinDispatch, CoinRecord};

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_secs(2);

/// Sends and watches until told to stop.
pub fn run(ledger: &Ledger, stop: impl Fn() -> bool, beat: impl Fn()) {
    let mut worker = Worker::default();
    while !stop() {
        beat();
        if let Err(error) = worker.step(ledger) {
            tracing::error!(%error, "coins can't be sent now; trying again");
        }
        std::thread::sleep(TICK);
    }
}

/// The memory between steps.
#[derive(Debug, Default)]
pub struct Worker {
    /// The wallet answered, but the answer is not written down: the store took no writes.
    unnoted: VecDeque<(OnchainPayout, CoinDispatch)>,
}

impl Worker {
    /// One look at everything that has not ended. Sends at most one. A row that the books refuse is left as it is, and
    /// holds up no other.
    ///
    /// # Errors
    /// The store's; what was sent by then is sent, and the next step goes on where this one stopped.
    pub fn step(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        self.write_answers(ledger)?;
        let open = ledger.store.read_blocking(rows::open)?;
        if open.is_empty() || !ledger.lightning.is_running() {
            return Ok(());
        }
        let mut all_seen = true;
        for send in open.iter().filter(|send| send.status != CoinStatus::Queued) {
            all_seen &= watch(ledger, send)?;
        }
        for next in open.iter().filter(|send| send.status == CoinStatus::Queued) {
            if !all_seen {
                // Also what can't have its turn in time is given up: nothing of it was sent.
                set_aside(give_up_late(ledger, next, "the coins sent before have not been seen yet"))?;
                continue;
            }
            match self.send(ledger, next) {
                Ok(()) => break,
                Err(error) => set_aside::<()>(Err(error))?,
            }
        }
        Ok(())
    }

    /// What a store without room left undone.
    fn write_answers(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        while let Some((send, answer)) = self.unnoted.pop_front() {
            if let Err(error) = set_aside(note(ledger, &send, &answer)) {
                self.unnoted.push_front((send, answer));
                return Err(error);
            }
        }
        Ok(())
    }

    fn send(&mut self, ledger: &Ledger, next: &OnchainPayout) -> Result<(), LedgerError> {
        let Some(order) = order(ledger, next) else { return Ok(()) };
        // Somebody has paid this very sum there before: no transaction could be told for ours.
        match ledger.lightning.coin_record(&order, None) {
            Ok(None) => {}
            Ok(Some(_)) => return give_up(ledger, next, "this wallet has paid the address already"),
            Err(error) => {
                tracing::warn!(coins = %next.id, %error, "the wallet can't be read; trying again");
                return Ok(());
            }
        }
        let (id, now) = (next.id, ledger.clock.now());
        let taken = ledger.store.write_blocking(move |tx| {
            rows::advance(tx, id, CoinStatus::Queued, CoinStatus::Sending, None, None, now)
        })?;
        if !taken {
            return Ok(());
        }
        crash_point!("coins.before_send");
        let answer = ledger.lightning.send_coins(&order);
        crash_point!("coins.after_send");
        self.unnoted.push_back((next.clone(), answer));
        self.write_answers(ledger)?;
        crash_point!("coins.after_sent_commit");
        Ok(())
    }
}

/// Writes down what may be concluded from the wallet's answer.
fn note(ledger: &Ledger, send: &OnchainPayout, answer: &CoinDispatch) -> Result<(), LedgerError> {
    let (id, now) = (send.id, ledger.clock.now());
    match answer {
        CoinDispatch::Sent(txid) => {
            let text = txid.to_string();
            ledger.store.write_blocking(move |tx| {
                rows::advance(tx, id, CoinStatus::Sending, CoinStatus::Sent, Some(&text), None, now)
            })?;
            tracing::info!(coins = %id, %txid, "coins are sent");
            Ok(())
        }
        CoinDispatch::NotSent(why) => {
            tracing::warn!(coins = %id, %why, "coins could not be sent; trying again");
            let said = why.clone();
            ledger.store.write_blocking(move |tx| {
                rows::advance(tx, id, CoinStatus::Sending, CoinStatus::Queued, None, Some(&said), now)
            })?;
            give_up_late(ledger, send, why)
        }
    }
}

/// Whether the wallet has seen it. What is then to be written, and the books refuse, is set aside.
fn watch(ledger: &Ledger, send: &OnchainPayout) -> Result<bool, LedgerError> {
    let Some(order) = order(ledger, send) else { return Ok(false) };
    let known = send.txid.as_deref().and_then(|txid| txid.parse::<Txid>().ok());
    let record = match ledger.lightning.coin_record(&order, known) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(false),
        Err(error) => {
            tracing::warn!(coins = %send.id, %error, "the wallet can't be read; trying again");
            return Ok(false);
        }
    };
    set_aside(learn(ledger, send, &record))?;
    Ok(true)
}

/// Writes down what the wallet knows of it.
fn learn(ledger: &Ledger, send: &OnchainPayout, record: &CoinRecord) -> Result<(), LedgerError> {
    let txid = record.txid.map(|txid| txid.to_string());
    if let Some(sat) = record.amount_sat.filter(|_| !send.amount_known) {
        let (id, now) = (send.id, ledger.clock.now());
        ledger.store.write_blocking(move |tx| operator_sends::learn_amount(tx, id, sat, now))?;
    }
    if send.fee.is_none()
        && let Some(fee) = record.fee
    {
        let id = send.id;
        ledger.store.write_blocking(move |tx| rows::note_fee(tx, id, fee))?;
    }
    if send.status == CoinStatus::Sending {
        let (id, now, found) = (send.id, ledger.clock.now(), txid.clone());
        let sent = ledger.store.write_blocking(move |tx| {
            rows::advance(tx, id, CoinStatus::Sending, CoinStatus::Sent, found.as_deref(), None, now)
        })?;
        tracing::info!(coins = %send.id, sent, "coins had been sent before the last stop");
        return Ok(());
    }
    if record.is_final {
        let (listeners, id, now) = (ledger.listeners.clone(), send.id, ledger.clock.now());
        ledger.store.write_blocking(move |tx| pay(tx, &listeners, id, txid.as_deref(), now))?;
    }
    Ok(())
}

fn give_up_late(ledger: &Ledger, send: &OnchainPayout, why: &str) -> Result<(), LedgerError> {
    if ledger.clock.now() < send.deadline { Ok(()) } else { give_up(ledger, send, why) }
}

/// Of what is queued nothing was sent.
fn give_up(ledger: &Ledger, send: &OnchainPayout, why: &str) -> Result<(), LedgerError> {
    let (listeners, id, now, why) = (ledger.listeners.clone(), send.id, ledger.clock.now(), why.to_owned());
    ledger.store.write_blocking(move |tx| fail(tx, &listeners, id, CoinStatus::Queued, &why, now).map(drop))
}
