//! Money in: one row for each invoice of ours.

use std::fmt;
use std::str::FromStr;

use lightning_invoice::Bolt11Invoice;

use super::books::{Account, Journal, Kind};
use super::rows::charges as rows;
use super::{Family, Lapsed, LedgerError, Listeners, offers, recovery};
use crate::core::ids::{ChargeId, OfferId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
pub use crate::lightning::invoice::hash_of;
use crate::storage::Tx;
use crate::telemetry::metrics as names;

/// How far [`forget_unpaid`] has come.
const UNPAID_MARK: &str = "forget_unpaid";

/// How far [`forget_unpayable`] has come.
const UNPAYABLE_MARK: &str = "forget_unpayable";

/// Whether an invoice has been paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeStatus {
    /// Not yet.
    Unpaid,
    /// Yes. Final.
    Paid,
    /// Not in its time. A payment that comes all the same is credited.
    Expired,
}

impl ChargeStatus {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for ChargeStatus {
    type Err = LedgerError;

    fn from_str(name: &str) -> Result<Self, LedgerError> {
        [Self::Unpaid, Self::Paid, Self::Expired]
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| LedgerError::Broken(format!("unknown charge status {name}")))
    }
}

/// Which way a charge was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettledBy {
    /// By the node's event.
    Lightning,
    /// By a payout of this same node, inside the ledger.
    Internal,
}

impl SettledBy {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lightning => "lightning",
            Self::Internal => "internal",
        }
    }
}

/// One invoice of ours.
#[derive(Clone)]
pub struct Charge {
    /// Row id.
    pub id: ChargeId,
    /// What names its payment.
    pub payment_hash: PaymentHash,
    /// Whose it is.
    pub family: Family,
    /// What was asked; `None` left it to the payer.
    pub amount: Option<Msat>,
    /// The BOLT11 text.
    pub invoice: String,
    /// Whether it was paid.
    pub status: ChargeStatus,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it stops being payable.
    pub expires_at: UnixMillis,
    /// What really came.
    pub received: Option<Msat>,
    /// When.
    pub settled_at: Option<UnixMillis>,
    /// When its payment came and was held, if it was one to [claim](super::held); [`Charge::is_held`] says
    /// whether it still is.
    pub held_at: Option<UnixMillis>,
}

impl Charge {
    /// Whether a payment for it is held: on its way to be claimed, not yet ours.
    pub fn is_held(&self) -> bool {
        self.held_at.is_some() && self.status != ChargeStatus::Paid
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("id", &self.id)
            .field("family", &self.family)
            .field("amount", &self.amount)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Writes a new invoice down. Must be committed before anybody sees the invoice.
///
/// # Errors
/// The store's.
pub fn open(
    tx: &Tx<'_>,
    family: Family,
    invoice: &Bolt11Invoice,
    amount: Option<Msat>,
    now: UnixMillis,
) -> Result<ChargeId, LedgerError> {
    insert(tx, family, invoice, amount, None, now)
}

/// As [`open`], for an invoice made with [`InvoiceRequest::hold`](crate::lightning::InvoiceRequest::hold): a
/// payment is [held](super::held) first and then claimed with `preimage`, which nobody else may know.
///
/// # Errors
/// As there; [`LedgerError::Broken`] if the preimage doesn't belong to the invoice.
pub fn open_held(
    tx: &Tx<'_>,
    family: Family,
    invoice: &Bolt11Invoice,
    amount: Option<Msat>,
    preimage: Preimage,
    now: UnixMillis,
) -> Result<ChargeId, LedgerError> {
    if preimage.payment_hash() != hash_of(invoice) {
        return Err(LedgerError::Broken("a preimage that doesn't belong to its invoice".into()));
    }
    insert(tx, family, invoice, amount, Some(preimage), now)
}

fn insert(
    tx: &Tx<'_>,
    family: Family,
    invoice: &Bolt11Invoice,
    amount: Option<Msat>,
    preimage: Option<Preimage>,
    now: UnixMillis,
) -> Result<ChargeId, LedgerError> {
    let expires_at = invoice
        .expires_at()
        .and_then(|at| i64::try_from(at.as_millis()).ok())
        .ok_or_else(|| LedgerError::Broken("an invoice of ours never expires".into()))?;
    tx.after_commit(move || {
        metrics::counter!(names::CHARGES_CREATED, "family" => family.name()).increment(1)
    });
    let new = rows::NewCharge {
        hash: hash_of(invoice),
        family,
        amount,
        invoice: &invoice.to_string(),
        preimage,
        expires_at,
    };
    rows::insert(tx, &new, now)
}

/// The charge with this hash, if the invoice is ours.
///
/// # Errors
/// The store's.
pub fn by_hash(connection: &rusqlite::Connection, hash: PaymentHash) -> Result<Option<Charge>, LedgerError> {
    rows::by_hash(connection, hash)
}

/// The charge of a row id.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn by_id(connection: &rusqlite::Connection, id: ChargeId) -> Result<Charge, LedgerError> {
    rows::by_id(connection, id)?.ok_or_else(|| LedgerError::Broken(format!("charge {id} is missing")))
}

/// What became of a payment that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It settled a charge.
    Settled,
    /// It came for a charge that was paid, and is credited too.
    Added,
    /// The same payment had been credited before: the node told us again.
    Repeated,
    /// Nobody is owed it; it is in suspense.
    Suspense,
}

/// Credits a payment that the node reports, for an invoice or an [offer](offers) of ours. Exactly once: a repeated
/// event changes nothing.
///
/// # Errors
/// The store's or the listener's; then nothing has changed.
pub fn receive(
    tx: &Tx<'_>,
    listeners: &Listeners,
    hash: PaymentHash,
    offer: Option<OfferId>,
    amount: Msat,
    now: UnixMillis,
) -> Result<Receipt, LedgerError> {
    let Some(charge) = rows::by_hash(tx, hash)? else {
        if let Some(charge) = offers::charge_of(tx, offer)? {
            return offers::credit(tx, listeners, by_id(tx, charge)?, hash, amount, now);
        }
        // One that was credited by its offer, told again when the node has forgotten which.
        if offers::is_booked(tx, hash)? {
            return Ok(Receipt::Repeated);
        }
        let Some(row) = rows::insert_unclaimed(tx, hash, amount, now)? else {
            return Ok(Receipt::Repeated);
        };
        Journal::new(Kind::Unclaimed, row)
            .debit(Account::Lightning, amount)
            .credit(Account::Suspense, amount)
            .post(tx, now)?;
        tracing::warn!(%hash, %amount, "money came in for an invoice that is not in the ledger; it is in suspense");
        return Ok(Receipt::Suspense);
    };
    if charge.status == ChargeStatus::Paid {
        return paid_again(tx, listeners, charge, amount, now);
    }
    if offers::has_one(tx, charge.id)? {
        return offers::credit(tx, listeners, charge, hash, amount, now);
    }
    settle(tx, listeners, charge, amount, SettledBy::Lightning, now)?;
    Ok(Receipt::Settled)
}

/// Settles a charge of ours from a payout of ours: no HTLC, no fee. The caller has written the payout's
/// side, which left `amount` in [`Account::Clearing`].
///
/// # Errors
/// The store's or the listener's; [`LedgerError::Broken`] if the charge is not unpaid.
pub fn settle_internally(
    tx: &Tx<'_>,
    listeners: &Listeners,
    charge: Charge,
    amount: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    if charge.status != ChargeStatus::Unpaid {
        return Err(LedgerError::Broken(format!("charge {} can't be settled twice", charge.id)));
    }
    settle(tx, listeners, charge, amount, SettledBy::Internal, now)
}

/// Marks a charge paid, books what came and tells the family. Less than was asked is in suspense.
///
/// # Errors
/// The store's or the listener's.
pub(super) fn settle(
    tx: &Tx<'_>,
    listeners: &Listeners,
    mut charge: Charge,
    received: Msat,
    by: SettledBy,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let from = match by {
        SettledBy::Lightning => Account::Lightning,
        SettledBy::Internal => Account::Clearing,
    };
    // LDK refuses less than was asked, except what we allowed it to; be sure all the same.
    let asked = charge.amount.unwrap_or(received);
    if received < asked {
        if !rows::paid_twice(tx, charge.id)? {
            Journal::new(Kind::ChargePaidTwice, charge.id.0)
                .debit(from, received)
                .credit(Account::Suspense, received)
                .post(tx, now)?;
            tracing::error!(charge = %charge.id, %received, %asked, "less than was asked came in; it is in suspense");
        }
        return Ok(());
    }
    let owed = if charge.family.keeps_more() { received } else { asked };
    let excess = received.saturating_sub(owed);
    rows::settle(tx, charge.id, received, by, now)?;
    charge.status = ChargeStatus::Paid;
    charge.received = Some(received);
    charge.settled_at = Some(now);
    Journal::new(Kind::ChargeSettled, charge.id.0)
        .debit(from, received)
        .credit(charge.family.account(), owed)
        .credit(Account::Suspense, excess)
        .post(tx, now)?;
    let family = charge.family.name();
    tx.after_commit(move || metrics::counter!(names::CHARGES_PAID, "family" => family).increment(1));
    if let Some(listener) = listeners.of(charge.family) {
        listener.charge_settled(tx, &charge)?;
    }
    Ok(())
}

/// A payment by the invoice of a charge that is paid: the node repeats itself, or the charge was settled by its offer,
/// or inside the ledger, and somebody paid the invoice over Lightning too.
fn paid_again(
    tx: &Tx<'_>,
    listeners: &Listeners,
    charge: Charge,
    amount: Msat,
    now: UnixMillis,
) -> Result<Receipt, LedgerError> {
    if rows::settled_by(tx, charge.id)? != Some(SettledBy::Internal) {
        return if offers::has_one(tx, charge.id)? {
            let hash = charge.payment_hash;
            offers::credit(tx, listeners, charge, hash, amount, now)
        } else {
            Ok(Receipt::Repeated)
        };
    }
    if rows::paid_twice(tx, charge.id)? {
        return Ok(Receipt::Repeated);
    }
    Journal::new(Kind::ChargePaidTwice, charge.id.0)
        .debit(Account::Lightning, amount)
        .credit(Account::Suspense, amount)
        .post(tx, now)?;
    tracing::warn!(charge = %charge.id, %amount, "an invoice settled inside was paid over Lightning too; that is in suspense");
    Ok(Receipt::Suspense)
}

/// Marks what was not paid in time, oldest first, of at most `limit` charges that are over; answers how many
/// it looked at. One whose payment is held is not over.
///
/// # Errors
/// The store's.
pub fn expire(tx: &Tx<'_>, now: UnixMillis, limit: usize) -> Result<usize, LedgerError> {
    rows::expire(tx, now, limit)
}

/// Removes what was never paid and was over by `before`, oldest first, of at most `limit` charges; answers how
/// many it looked at. Goes on from where the last look ended.
///
/// The node refuses a payment two hours after its invoice's end. Should one come all the same, it is money
/// for an unknown hash, and in suspense.
///
/// # Errors
/// The store's or a listener's.
pub fn forget_unpaid(
    tx: &Tx<'_>,
    listeners: &Listeners,
    before: UnixMillis,
    limit: usize,
) -> Result<usize, LedgerError> {
    forget(tx, listeners, UNPAID_MARK, (before, i64::MAX), limit, |_| true)
}

/// The same for families that [keep no unpaid orders](Family::keeps_unpaid): as soon as the node has forgotten the
/// invoice. That it does an hour after it takes a payment for it last, so a late payment is credited as long as one
/// can come; and its record goes first, since nothing would tell of it once the row is gone.
///
/// # Errors
/// As there.
pub fn forget_unpayable(tx: &Tx<'_>, listeners: &Listeners, limit: usize) -> Result<usize, LedgerError> {
    let forgotten = rows::mark(tx, recovery::CHARGES_MARK)?;
    forget(tx, listeners, UNPAYABLE_MARK, forgotten, limit, |family| !family.keeps_unpaid())
}

/// Of what was over by `until`, expiry and row, removes what nobody paid and is one `of` the families meant.
fn forget(
    tx: &Tx<'_>,
    listeners: &Listeners,
    name: &str,
    until: (UnixMillis, i64),
    limit: usize,
    of: impl Fn(Family) -> bool,
) -> Result<usize, LedgerError> {
    rows::take_back_mark(tx, name, until.0)?;
    let (at, id) = rows::mark(tx, name)?;
    let mut over = rows::over(tx, (at, ChargeId(id)), until.0, limit)?;
    over.retain(|charge| (charge.expires_at, charge.id.0) <= until);
    let Some(last) = over.last() else { return Ok(0) };
    rows::set_mark(tx, name, last.expires_at, last.id.0)?;
    let unpaid = |charge: &&rows::Over| charge.status == ChargeStatus::Expired && !charge.is_held;
    for charge in over.iter().filter(unpaid).filter(|charge| of(charge.family)) {
        let lapsed = match listeners.of(charge.family) {
            Some(listener) => listener.charge_lapsed(tx, charge.id)?,
            None => Lapsed::Forget,
        };
        // Where too little came in, the books tell of it.
        if lapsed == Lapsed::Forget && !rows::paid_twice(tx, charge.id)? {
            offers::forget(tx, charge.id)?;
        }
    }
    Ok(over.len())
}
