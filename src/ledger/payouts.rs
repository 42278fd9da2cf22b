//! Money out: one row for each intent to pay an invoice, and the steps it may take.
//!
//! ```text
//! queued ──take──▶ dispatching ──node took it──▶ in_flight ──preimage──▶ paid
//!   ▲  ▲               │  │                         │  └──proved failure──▶ failed ──preimage──▶ paid
//!   │  └─nothing sent──┘  └──can't tell / crash / failure without proof──▶ unknown ──proof──▶ …
//!   └──────────────────────────proved that nothing was sent───────────────────┘
//! ```
//!
//! The payment hash is the idempotency key: one payout a hash, for ever, also after a failure. A second
//! attempt at the same invoice could not be told apart from a repeated report about the first one.
//!
//! **The rule everything rests on**: a payout that may have been sent ends only by proof of how it ended
//! ([`standing`](crate::lightning::standing)). No height, no clock and no mere report releases it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;

use super::books::{Account, Journal, Kind};
use super::charges::{self, Charge, ChargeStatus};
use super::routing::Bearer;
use super::rows::{held, payouts as rows, under_way};
use super::{End, Family, Ledger, LedgerError, Listeners};
use crate::core::ids::{AccountId, PaymentHash, PayoutId, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::storage::Tx;
use crate::telemetry::metrics as names;

/// How far a payout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutStatus {
    /// Decided, nothing sent.
    Queued,
    /// The node is being asked, or was when we crashed.
    Dispatching,
    /// The node has it.
    InFlight,
    /// It may have been sent; only the node's report will tell.
    Unknown,
    /// Arrived. Final.
    Paid,
    /// Given up, nothing is under way. Final, unless the node reports a success after all.
    Failed,
}

impl PayoutStatus {
    const ALL: [Self; 6] =
        [Self::Queued, Self::Dispatching, Self::InFlight, Self::Unknown, Self::Paid, Self::Failed];

    /// Its name in the database and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dispatching => "dispatching",
            Self::InFlight => "in_flight",
            Self::Unknown => "unknown",
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more is expected to happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Failed)
    }
}

impl FromStr for PayoutStatus {
    type Err = LedgerError;

    fn from_str(name: &str) -> Result<Self, LedgerError> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| LedgerError::Broken(format!("unknown payout status {name}")))
    }
}

/// One intent to pay.
#[derive(Clone)]
pub struct Payout {
    /// Row id.
    pub id: PayoutId,
    /// The id that callers see (a UUID).
    pub public_id: String,
    /// Whose it is.
    pub family: Family,
    /// Names the payment.
    pub payment_hash: PaymentHash,
    /// The BOLT11 text being paid.
    pub invoice: String,
    /// What the recipient gets.
    pub amount: Msat,
    /// The most that routing may cost.
    pub max_fee: Msat,
    /// The most that it might cost when the node was last asked; less than `max_fee` while routing is dear or many
    /// are under way.
    pub granted: Option<Msat>,
    /// For whom it is made: a client or an account, so that one of them can't take what is everybody's.
    pub source: Option<String>,
    /// The account whose routing the operator bears with it: it counts for what that one may cost in an hour.
    pub routing_account: Option<AccountId>,
    /// How far it is.
    pub status: PayoutStatus,
    /// Times the node was asked.
    pub attempts: u32,
    /// Times there was no route although nothing of ours was in the way.
    pub routeless: u32,
    /// The node reported that it failed, which is not proved yet: why.
    pub failure_reported: Option<String>,
    /// When it was decided.
    pub created_at: UnixMillis,
    /// If nothing was sent by then, it is given up.
    pub deadline: UnixMillis,
    /// When the node was first asked.
    pub dispatched_at: Option<UnixMillis>,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
    /// The receipt.
    pub preimage: Option<Preimage>,
    /// What it cost besides its amount: routing fees, and what the recipient was paid more than asked.
    pub fee: Option<Msat>,
    /// What left the channels for it, if it arrived and that could be told.
    pub left: Option<Msat>,
    /// Why it failed.
    pub error: Option<String>,
}

impl fmt::Debug for Payout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payout")
            .field("id", &self.id)
            .field("family", &self.family)
            .field("amount", &self.amount)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What to pay, for whom.
#[derive(Debug)]
pub struct Order<'a> {
    /// Whose it is.
    pub family: Family,
    /// The invoice; its network, expiry and amount have been checked.
    pub invoice: &'a Bolt11Invoice,
    /// What the recipient gets.
    pub amount: Msat,
    /// The most that routing may cost.
    pub max_fee: Msat,
}

/// What became of an order.
#[derive(Debug)]
pub enum Queued {
    /// A new payout; it is on its way, or, for an invoice of this node, already there.
    New(Payout),
    /// This invoice has a payout already.
    Existing(Payout),
    /// It asks for a payment hash of ours, but is paid, being paid, over, or not the invoice that we made.
    Unpayable,
}

/// Decides to pay: the money is taken from where it was owed, the row is written, the dispatcher rings.
/// An invoice of this same node is settled here and now, inside the ledger.
///
/// Does not tell the family's listener about the start; the caller is the family. It does tell it of the
/// end of an internal settlement, in this same transaction, so the caller must have written its own side
/// (voucher claiming) with [`Order`]'s payout id afterwards only if the status is not final.
///
/// # Errors
/// The store's or a listener's; then nothing has changed.
pub fn queue(
    tx: &Tx<'_>,
    ledger: &Ledger,
    order: &Order<'_>,
    before_settling: impl FnOnce(PayoutId) -> Result<(), LedgerError>,
) -> Result<Queued, LedgerError> {
    queue_knowing(tx, ledger, order, None, before_settling)
}

/// As [`queue`]. `receipt` is the preimage of an invoice of this same node, if the node was asked for it before the
/// transaction: a payout that is settled inside the ledger then has it.
///
/// # Errors
/// As [`queue`].
pub fn queue_knowing(
    tx: &Tx<'_>,
    ledger: &Ledger,
    order: &Order<'_>,
    receipt: Option<Preimage>,
    before_settling: impl FnOnce(PayoutId) -> Result<(), LedgerError>,
) -> Result<Queued, LedgerError> {
    let now = ledger.clock.now();
    let hash = charges::hash_of(order.invoice);
    if let Some(existing) = rows::by_hash(tx, hash)? {
        return Ok(Queued::Existing(existing));
    }
    let own = charges::by_hash(tx, hash)?;
    let text = order.invoice.to_string();
    let closed = |own: &Charge| {
        own.status != ChargeStatus::Unpaid || own.is_held() || own.expires_at <= now || own.invoice != text
    };
    if own.as_ref().is_some_and(closed) {
        return Ok(Queued::Unpayable);
    }
    let window = crate::core::time::millis(ledger.settings.send_window);
    let public_id = uuid::Uuid::new_v4().to_string();
    let id = rows::insert(tx, order, hash, &public_id, now, now.saturating_add(window))?;
    let whole = order
        .amount
        .checked_add(order.max_fee)
        .ok_or_else(|| LedgerError::Broken("a payout larger than the supply".into()))?;
    Journal::new(Kind::PayoutQueued, id.0)
        .debit(order.family.account(), order.amount)
        .debit(Account::FeeReserve, order.max_fee)
        .credit(Account::InFlight, whole)
        .post(tx, now)?;
    before_settling(id)?;
    crash_point!("payout.before_queue_commit");
    if let Some(charge) = own {
        settle_internally(tx, &ledger.listeners, (id, receipt), charge, now)?;
    } else {
        let wake = std::sync::Arc::clone(&ledger.wake);
        tx.after_commit(move || wake.notify());
    }
    Ok(Queued::New(by_id(tx, id)?))
}

/// Both sides of a payment from this node to itself.
fn settle_internally(
    tx: &Tx<'_>,
    listeners: &Listeners,
    (id, receipt): (PayoutId, Option<Preimage>),
    charge: Charge,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let payout = by_id(tx, id)?;
    // We know the receipt of what we claim ourselves; of all else the node has been asked, or it stays unknown.
    let fits = |receipt: &Preimage| receipt.payment_hash() == payout.payment_hash;
    let receipt = held::preimage(tx, charge.id)?.or(receipt.filter(fits));
    rows::finish_paid(tx, id, receipt, Msat::ZERO, None, now)?;
    Journal::new(Kind::PayoutPaid, id.0)
        .debit(Account::InFlight, payout.amount)
        .debit(Account::InFlight, payout.max_fee)
        .credit(Account::FeeReserve, payout.max_fee)
        .credit(Account::Clearing, payout.amount)
        .post(tx, now)?;
    let paid = by_id(tx, id)?;
    charges::settle_internally(tx, listeners, charge, paid.amount, now)?;
    tell(tx, listeners, &paid, End::Paid)?;
    Ok(())
}

/// Notes for whom a payout is made, in the transaction that queues it: [`crate::http::client::source`].
///
/// # Errors
/// The store's.
pub fn note_source(tx: &Tx<'_>, id: PayoutId, source: Option<&str>) -> Result<(), LedgerError> {
    source.map_or(Ok(()), |source| rows::note_source(tx, id, source))
}

/// The payout of a row id.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn by_id(connection: &rusqlite::Connection, id: PayoutId) -> Result<Payout, LedgerError> {
    rows::by_id(connection, id)?.ok_or_else(|| LedgerError::Broken(format!("payout {id} is missing")))
}

/// The payout of a public id.
///
/// # Errors
/// The store's.
pub fn by_public_id(
    connection: &rusqlite::Connection,
    public_id: &str,
) -> Result<Option<Payout>, LedgerError> {
    rows::by_public_id(connection, public_id)
}

/// The payout of a payment hash.
///
/// # Errors
/// The store's.
pub fn by_hash(connection: &rusqlite::Connection, hash: PaymentHash) -> Result<Option<Payout>, LedgerError> {
    rows::by_hash(connection, hash)
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The payout has ended by it.
    Ended,
    /// It had ended that way before.
    Repeated,
    /// It is written down, and proves nothing yet.
    Unproved,
    /// No payout has this hash.
    NotOurs,
}

/// A payment that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Which.
    pub hash: PaymentHash,
    /// The receipt.
    pub preimage: Option<Preimage>,
    /// Routing fee that the node tells of, in msat; zero where it tells nothing.
    pub fee: Msat,
    /// What left the channels, in msat, if that is known.
    pub left: Option<Msat>,
}

impl Arrival {
    /// What a payout cost besides its amount: what left the channels, if that is known, and never less than the
    /// routing fee. LDK keeps all of it within what it was granted; more than that is a misreading.
    fn cost(&self, payout: &Payout) -> Msat {
        let limit = payout.granted.unwrap_or(payout.max_fee);
        let beyond = self.left.map(|left| left.saturating_sub(payout.amount));
        beyond.filter(|beyond| *beyond <= limit).unwrap_or(self.fee).max(self.fee)
    }
}

/// A payment arrived: there is proof of it. Final, whatever was thought before.
///
/// # Errors
/// The store's or the listener's; then nothing has changed and the event comes again.
pub fn mark_paid(
    tx: &Tx<'_>,
    listeners: &Listeners,
    arrival: &Arrival,
    now: UnixMillis,
) -> Result<Reported, LedgerError> {
    let Some(payout) = rows::by_hash(tx, arrival.hash)? else {
        return Ok(Reported::NotOurs);
    };
    let was = payout.status;
    if was == PayoutStatus::Paid {
        return Ok(Reported::Repeated);
    }
    let fee = arrival.cost(&payout);
    rows::finish_paid(tx, payout.id, arrival.preimage, fee, arrival.left, now)?;
    if fee > Msat::ZERO && Bearer::of(&payout).is_operator() {
        under_way::add_routing(tx, fee, now)?;
    }
    let paid = by_id(tx, payout.id)?;
    let spent = paid
        .amount
        .checked_add(fee)
        .ok_or_else(|| LedgerError::Broken("a payout larger than the supply".into()))?;
    if was == PayoutStatus::Failed {
        let covered = tell(tx, listeners, &paid, End::PaidAfterFailure)?.min(paid.amount);
        let loss = paid.amount.saturating_sub(covered);
        tracing::error!(payout = %paid.public_id, amount = %paid.amount, %loss, "a payout arrived after it had been given up");
        rows::count_event(tx, "payouts_late")?;
        return Journal::new(Kind::PayoutLate, paid.id.0)
            .debit(paid.family.account(), covered)
            .debit(Account::Loss, loss)
            .debit(Account::RoutingPaid, fee)
            .credit(Account::Lightning, spent)
            .post(tx, now)
            .map(|()| Reported::Ended);
    }
    Journal::new(Kind::PayoutPaid, paid.id.0)
        .debit(Account::InFlight, paid.amount)
        .debit(Account::InFlight, paid.max_fee)
        .credit(Account::FeeReserve, paid.max_fee)
        .debit(Account::RoutingPaid, fee)
        .credit(Account::Lightning, spent)
        .post(tx, now)?;
    tell(tx, listeners, &paid, End::Paid)?;
    Ok(Reported::Ended)
}

/// A payment failed: there is proof that nothing of it is under way and that nobody has its preimage.
///
/// # Errors
/// As [`mark_paid`].
pub fn mark_failed(
    tx: &Tx<'_>,
    listeners: &Listeners,
    hash: PaymentHash,
    reason: &str,
    now: UnixMillis,
) -> Result<Reported, LedgerError> {
    let Some(payout) = rows::by_hash(tx, hash)? else {
        return Ok(Reported::NotOurs);
    };
    if payout.status.is_final() {
        return Ok(Reported::Repeated);
    }
    give_up(tx, listeners, payout.id, reason, now)?;
    Ok(Reported::Ended)
}

/// The node reports a failure that is not proved: written down, so that the payment is never sent again, and what it
/// was taken from stays taken until there is proof.
///
/// # Errors
/// The store's.
pub fn note_failure_reported(tx: &Tx<'_>, hash: PaymentHash, reason: &str) -> Result<Reported, LedgerError> {
    let Some(payout) = rows::by_hash(tx, hash)? else {
        return Ok(Reported::NotOurs);
    };
    if payout.status.is_final() {
        return Ok(Reported::Repeated);
    }
    rows::note_failure_reported(tx, payout.id, reason)?;
    Ok(Reported::Unproved)
}

/// Ends a payout of which nothing is under way, and gives the money back to where it was taken from.
/// Callers have proof: of a failure, or that nothing was sent.
pub(super) fn give_up(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: PayoutId,
    reason: &str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    rows::finish_failed(tx, id, reason, now)?;
    let failed = by_id(tx, id)?;
    Journal::new(Kind::PayoutFailed, id.0)
        .debit(Account::InFlight, failed.amount)
        .debit(Account::InFlight, failed.max_fee)
        .credit(Account::FeeReserve, failed.max_fee)
        .credit(failed.family.account(), failed.amount)
        .post(tx, now)?;
    tell(tx, listeners, &failed, End::Failed)?;
    Ok(())
}

/// One row that the books refuse must not hold up all others: it is said loudly, and left as it is.
pub(super) fn set_aside<T>(outcome: Result<T, LedgerError>) -> Result<(), LedgerError> {
    match outcome {
        Err(error) if error.is_refusal() => {
            tracing::error!(%error, "a payout is left as it is; see `satchel audit`");
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Counts a payout that ended, to an invoice or an offer, once that is committed. `took`: milliseconds since it was
/// decided.
pub(super) fn count_ended(tx: &Tx<'_>, family: Family, status: PayoutStatus, took: i64, end: End) {
    let (family, outcome) = (family.name(), status.name());
    tx.after_commit(move || {
        metrics::counter!(names::PAYOUTS_ENDED, "family" => family, "outcome" => outcome).increment(1);
        if end == End::Paid {
            let seconds = Duration::from_millis(u64::try_from(took).unwrap_or(0)).as_secs_f64();
            metrics::histogram!(names::PAYOUT_SECONDS).record(seconds);
        }
    });
}

/// Answers how much of a late payout was still there to be taken.
fn tell(tx: &Tx<'_>, listeners: &Listeners, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
    let took = payout.finished_at.map_or(0, |at| at.saturating_sub(payout.created_at));
    count_ended(tx, payout.family, payout.status, took, end);
    match listeners.of(payout.family) {
        Some(listener) => listener.payout_ended(tx, payout, end),
        None => Ok(payout.amount),
    }
}
