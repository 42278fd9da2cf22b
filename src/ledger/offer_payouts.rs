//! Money out to BOLT12 offers: one row for each intent to pay one, and the steps it may take.
//!
//! ```text
//! queued ──take──▶ dispatching ──node took it──▶ in_flight ──event──▶ paid
//!   ▲                  │  │                         │  └─────event──▶ failed ──late event──▶ paid
//!   └──nothing sent────┘  └──can't tell / crash──▶ unknown ──event, record or by hand──▶ …
//! ```
//!
//! A payment to an offer has no payment hash until its maker has answered with an invoice, and the node makes up its
//! id: asking the node twice pays twice, and nothing makes the second call fail. So this differs from
//! [`payouts`](super::payouts):
//!
//! * **Nothing that may have been sent is ever sent again.** A row leaves `queued` once. It comes back only if the node
//!   said that it sent nothing.
//! * **At most one payment without a known id.** The id is written down as soon as the node has told it. While there
//!   is a row that may have been sent and has no id, nothing else is sent to an offer. So an event with an id that no
//!   row has is about that row.
//! * **The note.** The row's public id goes along as the payer note. The node's record has it, and by it the id is
//!   found again after a crash.
//! * Events belong to a row by the payment id alone. The hash is the recipient's choice: it may be that of another
//!   payment of ours, and must not be taken for it.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before `queued` is committed | nothing; the money is where it was | nothing |
//! | after it | `queued` | sent |
//! | after `dispatching` is committed, before the node is asked | `unknown` without an id, no record | nobody can tell this from the next: it stays, and nothing else is sent to offers, until an event comes or a person has looked (`satchel account settle`) |
//! | the node has sent it and written no record | the same; its event comes with an id that no row has | the event is about the one row without an id |
//! | the node has written its record, the id is not committed | `unknown`, and a record with the note | the id is taken from the record; then as below |
//! | after the id is committed | `unknown` with an id | the event, or a record of success, ends it as paid. A failure: see below. Neither comes if LDK's manager was not written while the payment waited for the offer's invoice: then a person settles it |
//! | before the event's transaction is committed | the event again | all from the beginning |
//! | after it, before the event is handled | the event again, and a row that has ended | nothing |
//!
//! A failure that the node tells is believed as far as [`standing`](crate::lightning::standing) proves it by the payment
//! hash. One that never had a hash is believed only of what was sent since the start: the node fails what its manager
//! remembers, and that may be older than the channel monitors, which may have an HTLC under way. Until there is proof the
//! row stays `unknown`. **No timeout releases what may have been sent.**

use std::time::Duration;

use rusqlite::Connection;

use super::books::{Account, Journal, Kind};
use super::payouts::{PayoutStatus, Reported};
use super::rows::offer_payouts as rows;
use super::rows::payouts::count_event;
use super::{End, Family, Ledger, LedgerError, Listeners};
use crate::clock::{UnixMillis, millis};
use crate::crash_point;
use crate::ids::{OfferPayoutId, PaymentHash, Preimage};
use crate::lightning::{OfferDispatch, OfferKey, OfferOrder, OfferRecord, Outbound, RecordStatus, Standing};
use crate::money::Msat;
use crate::store::Tx;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(500);

/// Payouts to offers under way at once. A recipient can hold a payment for up to two days and takes one of about fifty
/// slots of a channel with it; those must be left for others.
const MOST_UNDER_WAY: usize = 10;

/// First wait after the node could not send; doubles each time.
const RETRY: Duration = Duration::from_secs(2);

/// How often proof is looked for where a reported failure was none.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long after its end the node keeps its record.
const FORGET_AFTER: Duration = Duration::from_secs(3 * 3_600);

/// Records forgotten at once.
const FORGET_BATCH: usize = 100;

/// One intent to pay an offer.
#[derive(Clone)]
pub struct OfferPayout {
    /// Row id.
    pub id: OfferPayoutId,
    /// The id that callers see, and the payer note.
    pub public_id: String,
    /// Whose it is.
    pub family: Family,
    /// The BOLT12 text.
    pub offer: String,
    /// What the recipient gets.
    pub amount: Msat,
    /// The most that routing may cost.
    pub max_fee: Msat,
    /// How far it is.
    pub status: PayoutStatus,
    /// Times the node was asked.
    pub attempts: u32,
    /// The node's id, once known.
    pub payment_id: Option<[u8; 32]>,
    /// The payment hash of the invoice, once known.
    pub payment_hash: Option<PaymentHash>,
    /// The process stopped while it was under way: a failure proves nothing.
    pub doubtful: bool,
    /// When it was decided.
    pub created_at: UnixMillis,
    /// If nothing was sent by then, it is given up.
    pub deadline: UnixMillis,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
    /// The receipt.
    pub preimage: Option<Preimage>,
    /// What routing cost.
    pub fee: Option<Msat>,
    /// Why it failed, or is in doubt.
    pub error: Option<String>,
    /// The node said that it failed, which proved nothing: why, in its words.
    pub failure_reported: Option<String>,
    /// When it is sent, or looked at, next.
    pub next_try_at: UnixMillis,
}

impl std::fmt::Debug for OfferPayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfferPayout")
            .field("id", &self.id)
            .field("family", &self.family)
            .field("amount", &self.amount)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What to pay, for whom.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whose it is.
    pub family: Family,
    /// The BOLT12 text; its network, expiry and amount have been checked.
    pub offer: &'a str,
    /// What the recipient gets.
    pub amount: Msat,
    /// The most that routing may cost.
    pub max_fee: Msat,
    /// The payer note: never used before.
    pub public_id: &'a str,
}

/// Decides to pay: the money is taken from where it was owed, and the row is written. The caller writes its own side
/// in the same transaction.
///
/// # Errors
/// The store's; then nothing has changed.
pub fn queue(tx: &Tx<'_>, ledger: &Ledger, wanted: &Wanted<'_>) -> Result<OfferPayoutId, LedgerError> {
    let now = ledger.clock.now();
    let id = rows::insert(tx, wanted, now, now.saturating_add(millis(ledger.settings.send_window)))?;
    Journal::new(Kind::OfferPayoutQueued, id.0)
        .debit(wanted.family.account(), wanted.amount)
        .debit(Account::FeeReserve, wanted.max_fee)
        .credit(Account::InFlight, wanted.amount)
        .credit(Account::InFlight, wanted.max_fee)
        .post(tx, now)?;
    crash_point!("offer_payout.before_queue_commit");
    Ok(id)
}

/// One by its row id.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn by_id(connection: &Connection, id: OfferPayoutId) -> Result<OfferPayout, LedgerError> {
    rows::by_id(connection, id)?.ok_or_else(|| LedgerError::Broken(format!("offer payout {id} is missing")))
}

/// The one of a public id.
///
/// # Errors
/// The store's.
pub fn by_public_id(
    connection: &rusqlite::Connection,
    public_id: &str,
) -> Result<Option<OfferPayout>, LedgerError> {
    rows::by_public_id(connection, public_id)
}

/// Before anything else at a start: whatever was under way is not known any more.
///
/// # Errors
/// The store's.
pub fn mark_unknown(ledger: &Ledger) -> Result<usize, LedgerError> {
    let doubted = ledger.store.write_blocking(rows::mark_unknown)?;
    if doubted > 0 {
        tracing::warn!(doubted, "payouts to offers were under way when the process stopped");
    }
    Ok(doubted)
}

/// Sends and watches until told to stop. For a thread of its own.
pub fn run(ledger: &Ledger, stop: impl Fn() -> bool, beat: impl Fn()) {
    while !stop() {
        beat();
        if let Err(error) = step(ledger) {
            tracing::error!(%error, "payouts to offers can't go on now; trying again");
        }
        std::thread::sleep(TICK);
    }
}

/// One look at everything that has not ended. Sends at most one.
///
/// # Errors
/// The store's or a listener's; what was sent by then is sent.
pub fn step(ledger: &Ledger) -> Result<(), LedgerError> {
    let open = ledger.store.read_blocking(rows::open)?;
    if !ledger.lightning.is_running() {
        return Ok(());
    }
    let mut nameless = false;
    for payout in open.iter().filter(|payout| payout.status != PayoutStatus::Queued) {
        nameless |= !watch(ledger, payout)?;
    }
    let now = ledger.clock.now();
    for late in open.iter().filter(|payout| payout.status == PayoutStatus::Queued && payout.deadline <= now) {
        let why = match &late.error {
            Some(error) => error.clone(),
            None if nameless => "it is not known whether an earlier payment to an offer was sent".into(),
            None => "it could not be sent in time".into(),
        };
        let (id, listeners) = (late.id, ledger.listeners.clone());
        ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &why, now))?;
    }
    let under_way = open.iter().filter(|payout| payout.status != PayoutStatus::Queued).count();
    if !nameless
        && under_way < MOST_UNDER_WAY
        && let Some(next) = ledger.store.read_blocking(move |connection| rows::next(connection, now))?
    {
        dispatch(ledger, &next)?;
    }
    forget_old(ledger, now)
}

/// Looks at the node's record of one that may have been sent; whether its id is known.
fn watch(ledger: &Ledger, payout: &OfferPayout) -> Result<bool, LedgerError> {
    let key = payout.payment_id.map_or(OfferKey::Note(&payout.public_id), OfferKey::Payment);
    let Some(record) = ledger.lightning.offer_record(key) else {
        look_for_proof(ledger, payout, None)?;
        return Ok(payout.payment_id.is_some());
    };
    if payout.payment_id.is_none() {
        let (id, payment_id) = (payout.id, record.payment_id);
        ledger.store.write_blocking(move |tx| rows::note_payment_id(tx, id, payment_id))?;
        tracing::info!(payout = %payout.public_id, "a payout to an offer was found in the node's records");
    }
    if record.status == RecordStatus::Succeeded {
        arrived(ledger, Ended::of(&record))?;
        return Ok(true);
    }
    look_for_proof(ledger, payout, record.hash)?;
    Ok(true)
}

/// One whose failure was reported and proved nothing: perhaps the chain has decided since.
fn look_for_proof(
    ledger: &Ledger,
    payout: &OfferPayout,
    recorded: Option<PaymentHash>,
) -> Result<(), LedgerError> {
    let (id, now) = (payout.id, ledger.clock.now());
    let (Some(reason), Some(hash)) = (&payout.failure_reported, payout.payment_hash.or(recorded)) else {
        return Ok(());
    };
    if payout.next_try_at > now {
        return Ok(());
    }
    let next = now.saturating_add(millis(LOOK_EVERY));
    ledger.store.write_blocking(move |tx| rows::put_off_look(tx, id, next))?;
    conclude(ledger, payout, Some(hash), standing_of(ledger, payout, hash), reason)
}

fn dispatch(ledger: &Ledger, next: &OfferPayout) -> Result<(), LedgerError> {
    let (id, now) = (next.id, ledger.clock.now());
    if !ledger.store.write_blocking(move |tx| rows::start(tx, id, now))? {
        return Ok(());
    }
    crash_point!("offer_payout.before_send");
    let outcome = ledger.lightning.pay_to_offer(&OfferOrder {
        offer: next.offer.clone(),
        amount: next.amount,
        max_fee: next.max_fee,
        note: next.public_id.clone(),
    });
    crash_point!("offer_payout.after_send");
    match outcome {
        OfferDispatch::Sent(payment_id) => {
            ledger.store.write_blocking(move |tx| rows::sent(tx, id, payment_id))?;
            crash_point!("offer_payout.after_sent_commit");
            Ok(())
        }
        OfferDispatch::NotSent { why, retry } if retry && ledger.clock.now() < next.deadline => {
            let wait = RETRY.saturating_mul(1 << next.attempts.min(6));
            let at = ledger.clock.now().saturating_add(millis(wait));
            ledger.store.write_blocking(move |tx| rows::put_back(tx, id, at, &why))
        }
        OfferDispatch::NotSent { why, .. } => {
            let listeners = ledger.listeners.clone();
            ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &why, now))
        }
        OfferDispatch::Ambiguous(why) => {
            tracing::error!(payout = %next.public_id, %why, "can't tell whether a payout to an offer was sent");
            ledger.store.write_blocking(move |tx| rows::note_unknown(tx, id, &why))
        }
    }
}

fn forget_old(ledger: &Ledger, now: UnixMillis) -> Result<(), LedgerError> {
    let before = now.saturating_sub(millis(FORGET_AFTER));
    let old =
        ledger.store.read_blocking(move |connection| rows::to_forget(connection, before, FORGET_BATCH))?;
    for (id, payment_id) in old {
        // The node's records have the payment id for their key, which for other payments is the hash.
        if let Some(payment_id) = payment_id
            && let Err(error) = ledger.lightning.forget(PaymentHash(payment_id))
        {
            tracing::debug!(%error, "the node could not forget a payment to an offer");
            continue;
        }
        ledger.store.write_blocking(move |tx| rows::note_forgotten(tx, id))?;
    }
    Ok(())
}

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
    fn of(record: &OfferRecord) -> Self {
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

fn pay(
    tx: &Tx<'_>,
    listeners: &Listeners,
    payout: &OfferPayout,
    ended: &Ended,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    rows::finish_paid(tx, payout.id, ended, now)?;
    crash_point!("offer_payout.before_paid");
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

fn standing_of(ledger: &Ledger, payout: &OfferPayout, hash: PaymentHash) -> Standing {
    let asked = Outbound { hash, amount: payout.amount, reported_failed: true };
    let found = ledger.lightning.standings(std::slice::from_ref(&asked)).into_iter().next();
    found.unwrap_or(Standing::Unclear("the node did not answer"))
}

/// Ends one whose failure was reported, if what is seen of it proves how it ended.
fn conclude(
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
            let reason = reason.to_owned();
            ledger.store.write_blocking(move |tx| give_up(tx, &listeners, id, &reason, now))
        }
        Standing::Closing | Standing::UnderWay | Standing::Unclear(_) => Ok(()),
    }
}

/// What left the channels besides the amount. LDK keeps it within the limit; more than that is a misreading.
fn beyond(payout: &OfferPayout, left: Msat) -> Msat {
    let beyond = left.saturating_sub(payout.amount);
    if beyond <= payout.max_fee { beyond } else { Msat::ZERO }
}

/// Ends one of which nothing is under way, and gives the money back to where it was taken from.
fn give_up(
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

/// What a person found out about one that nobody could tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The recipient has it.
    Paid,
    /// Nobody has, nobody will.
    NotSent,
}

/// Why a person can't say that nothing of one was sent: the node's state shows that it was, or may show it. Asks the
/// node for the payment by its hash and by its id, which stands in LDK's state wherever an HTLC of it is.
pub fn may_be_under_way(ledger: &Ledger, payout: &OfferPayout) -> Option<&'static str> {
    let key = payout.payment_id.map_or(OfferKey::Note(&payout.public_id), OfferKey::Payment);
    let record = ledger.lightning.offer_record(key);
    if record.as_ref().is_some_and(|record| record.status == RecordStatus::Succeeded) {
        return Some("the node's record says that it arrived: it ends as paid by itself");
    }
    let hash = payout.payment_hash.or_else(|| record.as_ref()?.hash);
    let id = payout.payment_id.or_else(|| record.as_ref().map(|record| record.payment_id)).map(PaymentHash);
    // Whatever the node reported: open channels are looked at, too.
    let asked = |name| Outbound { hash: name, amount: payout.amount, reported_failed: false };
    let asked: Vec<_> = hash.into_iter().chain(id).map(asked).collect();
    ledger.lightning.standings(&asked).into_iter().find_map(|standing| match standing {
        Standing::Gone | Standing::NeverSent => None,
        Standing::Arrived { .. } => Some("the node has its preimage: it arrived"),
        Standing::UnderWay => Some("an HTLC of it is in an open channel"),
        Standing::Closing => {
            Some("an HTLC of it was in a channel that has closed, and the chain has not decided")
        }
        Standing::Unclear(why) => Some(why),
    })
}

/// Ends what a person has looked into; `false` for one whose outcome is not in doubt.
///
/// # Errors
/// The store's or the listener's.
pub fn settle(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: OfferPayoutId,
    found: Found,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let payout = by_id(tx, id)?;
    if payout.status != PayoutStatus::Unknown {
        return Ok(false);
    }
    match found {
        Found::Paid => {
            let ended = Ended {
                payment_id: payout.payment_id.unwrap_or([0; 32]),
                note: None,
                hash: payout.payment_hash,
                preimage: None,
                fee: Msat::ZERO,
            };
            pay(tx, listeners, &payout, &ended, now)?;
        }
        Found::NotSent => give_up(tx, listeners, id, "not sent, says the operator", now)?,
    }
    Ok(true)
}

fn tell(tx: &Tx<'_>, listeners: &Listeners, payout: &OfferPayout, end: End) -> Result<Msat, LedgerError> {
    match listeners.of(payout.family) {
        Some(listener) => listener.offer_payout_ended(tx, payout, end),
        None => Ok(payout.amount),
    }
}
