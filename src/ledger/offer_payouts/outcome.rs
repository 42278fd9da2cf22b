//! How a payout to an offer ends, by what the node tells of it.

use super::super::books::{Account, Journal, Kind};
use super::super::payouts::{PayoutStatus, Reported, count_ended};
use super::super::routing::Bearer;
use super::super::rows::offer_payouts as rows;
use super::super::rows::payouts::count_event;
use super::super::rows::under_way::add_routing;
use super::super::{End, Ledger, LedgerError, Listeners};
use super::send::LOOK_EVERY;
use super::{OfferPayout, by_id};
use crate::core::ids::{OfferPayoutId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
use crate::lightning::{OfferKey, OfferRecord, Outbound, Standing};
use crate::storage::Tx;

/// What the node tells of the end of a payment to an offer.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The node's id.
    pub payment_id: [u8; 32],
    /// The note it was sent with, if the node has a record of it.
    pub note: Option<String>,
    /// The payment hash, if it ever had one.
    pub hash: Option<PaymentHash>,
    /// The receipt, of one that arrived.
    pub preimage: Option<Preimage>,
    /// What routing cost, of one that arrived.
    pub fee: Msat,
}

impl Ended {
    pub(super) fn of(record: &OfferRecord) -> Self {
        Self {
            payment_id: record.payment_id,
            note: record.note.clone(),
            hash: record.hash,
            preimage: record.preimage,
            fee: record.fee.unwrap_or(Msat::ZERO),
        }
    }
}

/// The row that an event is about.
fn meant(tx: &Tx<'_>, ended: &Ended) -> Result<Option<OfferPayout>, LedgerError> {
    if let Some(found) = rows::by_payment_id(tx, ended.payment_id)? {
        return Ok(Some(found));
    }
    let found = match &ended.note {
        Some(note) => rows::by_public_id(tx, note)?,
        // There is at most one, see above.
        None => rows::nameless(tx)?,
    };
    // One that has another id is another payment.
    let Some(found) = found.filter(|payout| payout.payment_id.is_none()) else { return Ok(None) };
    rows::note_payment_id(tx, found.id, ended.payment_id)?;
    Ok(Some(found))
}

/// The node reports that a payment arrived. Final, whatever was thought before.
///
/// # Errors
/// The store's or the listener's; then nothing has changed and the event comes again.
pub fn arrived(ledger: &Ledger, mut ended: Ended) -> Result<Reported, LedgerError> {
    let (listeners, now) = (ledger.listeners.clone(), ledger.clock.now());
    let asked = ended.clone();
    let found = ledger.store.write_blocking(move |tx| meant(tx, &asked))?;
    let Some(payout) = found else { return Ok(Reported::NotOurs) };
    if payout.status == PayoutStatus::Paid {
        return Ok(Reported::Repeated);
    }
    // What the recipient was paid more than asked is no fee to LDK.
    if let Some(hash) = ended.hash
        && let Some(at_least) = payout.amount.checked_add(ended.fee)
        && let Some(left) = ledger.lightning.left(hash, at_least)
    {
        ended.fee = beyond(&payout, left).max(ended.fee);
    }
    ledger.store.write_blocking(move |tx| {
        let payout = by_id(tx, payout.id)?;
        if payout.status == PayoutStatus::Paid {
            return Ok(Reported::Repeated);
        }
        pay(tx, &listeners, &payout, &ended, now)?;
        Ok(Reported::Ended)
    })
}

pub(super) fn pay(
    tx: &Tx<'_>,
    listeners: &Listeners,
    payout: &OfferPayout,
    ended: &Ended,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    rows::finish_paid(tx, payout.id, ended, now)?;
    crash_point!("offer_payout.before_paid");
    if ended.fee > Msat::ZERO && Bearer::of_offer(payout).is_operator() {
        add_routing(tx, ended.fee, now)?;
    }
    let paid = by_id(tx, payout.id)?;
    let spent = paid
        .amount
        .checked_add(ended.fee)
        .ok_or_else(|| LedgerError::Broken("a payout larger than the supply".into()))?;
    if payout.status == PayoutStatus::Failed {
        let covered = tell(tx, listeners, &paid, End::PaidAfterFailure)?.min(paid.amount);
        let loss = paid.amount.saturating_sub(covered);
        tracing::error!(payout = %paid.public_id, amount = %paid.amount, %loss, "a payout arrived after it had been given up");
        count_event(tx, "payouts_late")?;
        return Journal::new(Kind::OfferPayoutLate, paid.id.0)
            .debit(paid.family.account(), covered)
            .debit(Account::Loss, loss)
            .debit(Account::RoutingPaid, ended.fee)
            .credit(Account::Lightning, spent)
            .post(tx, now);
    }
    Journal::new(Kind::OfferPayoutPaid, paid.id.0)
        .debit(Account::InFlight, paid.amount)
        .debit(Account::InFlight, paid.max_fee)
        .credit(Account::FeeReserve, paid.max_fee)
        .debit(Account::RoutingPaid, ended.fee)
        .credit(Account::Lightning, spent)
        .post(tx, now)?;
    tell(tx, listeners, &paid, End::Paid).map(drop)
}

/// The node reports that a payment is over without having arrived. Believed where it is proof: of one that never had an
/// invoice if it was sent since the start, of the others as [`standing`](crate::lightning::standing) says.
///
/// # Errors
/// As [`arrived`].
pub fn failure_reported(ledger: &Ledger, ended: Ended, reason: &str) -> Result<Reported, LedgerError> {
    let now = ledger.clock.now();
    let asked = ended.clone();
    let found = ledger.store.write_blocking(move |tx| meant(tx, &asked))?;
    let Some(payout) = found else { return Ok(Reported::NotOurs) };
    if payout.status.is_final() {
        return Ok(Reported::Repeated);
    }
    let record = || ledger.lightning.offer_record(OfferKey::Payment(ended.payment_id));
    let hash = ended.hash.or_else(|| record()?.hash);
    let standing = match hash {
        Some(hash) => standing_of(ledger, &payout, hash),
        None if payout.doubtful => Standing::Unclear("the process stopped while it was under way"),
        None => Standing::NeverSent,
    };
    let (id, reason) = (payout.id, reason.to_owned());
    if let (Standing::Closing | Standing::UnderWay | Standing::Unclear(_), hash) = (&standing, hash) {
        tracing::warn!(payout = %payout.public_id, %reason, ?standing, "the failure of a payout to an offer proves nothing yet");
        let next = now.saturating_add(millis(LOOK_EVERY));
        ledger.store.write_blocking(move |tx| rows::note_failure_reported(tx, id, hash, &reason, next))?;
        return Ok(Reported::Unproved);
    }
    conclude(ledger, &payout, hash, standing, &reason)?;
    Ok(Reported::Ended)
}

pub(super) fn standing_of(ledger: &Ledger, payout: &OfferPayout, hash: PaymentHash) -> Standing {
    let asked = Outbound { hash, is_id: false, amount: payout.amount, reported_failed: true };
    let found = ledger.lightning.standings(std::slice::from_ref(&asked)).into_iter().next();
    found.unwrap_or(Standing::Unclear("the node did not answer"))
}

/// Ends one whose failure was reported, if what is seen of it proves how it ended.
pub(super) fn conclude(
    ledger: &Ledger,
    payout: &OfferPayout,
    hash: Option<PaymentHash>,
    standing: Standing,
    reason: &str,
) -> Result<(), LedgerError> {
    let (listeners, id, now) = (ledger.listeners.clone(), payout.id, ledger.clock.now());
    match standing {
        Standing::Arrived { preimage, left } => {
            let ended = Ended {
                payment_id: payout.payment_id.unwrap_or_default(),
                note: Some(payout.public_id.clone()),
                hash,
                preimage: Some(preimage),
                fee: left.map_or(Msat::ZERO, |left| beyond(payout, left)),
            };
            ledger.store.write_blocking(move |tx| pay(tx, &listeners, &by_id(tx, id)?, &ended, now))
        }
        Standing::Gone | Standing::NeverSent => {
            let reason = explained(payout, reason);
            ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &reason, now))
        }
        Standing::Closing | Standing::UnderWay | Standing::Unclear(_) => Ok(()),
    }
}

/// What left the channels besides the amount. LDK keeps it within the limit; more than that is a misreading.
fn beyond(payout: &OfferPayout, left: Msat) -> Msat {
    let beyond = left.saturating_sub(payout.amount);
    if beyond <= payout.granted.unwrap_or(payout.max_fee) { beyond } else { Msat::ZERO }
}

/// Ends one of which nothing is under way, and gives the money back to where it was taken from.
pub(super) fn give_up(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: OfferPayoutId,
    reason: &str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    rows::finish_failed(tx, id, reason, now)?;
    let failed = by_id(tx, id)?;
    Journal::new(Kind::OfferPayoutFailed, id.0)
        .debit(Account::InFlight, failed.amount)
        .debit(Account::InFlight, failed.max_fee)
        .credit(Account::FeeReserve, failed.max_fee)
        .credit(failed.family.account(), failed.amount)
        .post(tx, now)?;
    tell(tx, listeners, &failed, End::Failed).map(drop)
}

/// Why one failed. That routing might not cost what it was meant to may be the reason.
fn explained(payout: &OfferPayout, reason: &str) -> String {
    match payout.granted.filter(|granted| *granted < payout.max_fee) {
        Some(granted) => format!(
            "{reason}; routing could cost at most {granted}, which is what the hourly limits of routing fees had left of {}",
            payout.max_fee
        ),
        None => reason.to_owned(),
    }
}

fn tell(tx: &Tx<'_>, listeners: &Listeners, payout: &OfferPayout, end: End) -> Result<Msat, LedgerError> {
    let took = payout.finished_at.map_or(0, |at| at.saturating_sub(payout.created_at));
    count_ended(tx, payout.family, payout.status, took, end);
    match listeners.of(payout.family) {
        Some(listener) => listener.offer_payout_ended(tx, payout, end),
        None => Ok(payout.amount),
    }
}
