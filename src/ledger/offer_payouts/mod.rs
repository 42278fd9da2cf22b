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
//! | after `dispatching` is committed, before the node is asked | `unknown` without an id, no record, no trace of the note in the node's state | `failed`: it was never sent, see below. Until that is proved, nothing else is sent to offers |
//! | the node has sent it and written no record | `unknown` without an id, no record; its event comes with an id that no row has | the event is about the one row without an id. If LDK's manager was not written meanwhile there is no trace of it: as above |
//! | the node has written its record, the id is not committed | `unknown`, and a record with the note | the id is taken from the record; then as below |
//! | after the id is committed | `unknown` with an id | the event, or a record of success, ends it as paid. A failure: see below. Neither comes if LDK's manager was not written while the payment waited for the offer's invoice: then there is no trace of the id, and it ends as `failed` |
//! | the answer of the node could not be written down (the disk is full), and no crash | the same row, and the answer in memory | the answer is written later, before anything else is sent |
//! | before the event's transaction is committed | the event again | all from the beginning |
//! | after it, before the event is handled | the event again, and a row that has ended | nothing |
//!
//! # Proof that nothing was sent
//!
//! What was under way before the last start is in the node's stored state, or it is gone: LDK's manager has the payment
//! id of every payment that has not ended, and the payer note while it waits for the invoice; a channel's monitor has
//! both in every HTLC that the peer may have. So if neither the manager nor any monitor, archived ones included, has the
//! id, or the note where no id is known, nothing of the payment is under way, and nothing ever will be
//! ([`Lightning::has_trace_of`]). That is asked only about what was sent before the last start, and only when no event
//! has been waiting for a while: an event, or the node's record, may say that it arrived.
//!
//! A trace alone proves nothing: monitors keep what is over for some time. A row with a trace, and without an event, a
//! record of success or a payment hash by which the chain decides, stays for a person (`satchel payout settle`,
//! `satchel account settle`).
//!
//! # Shares
//!
//! A recipient can hold a payment for up to two days, nobody can take it back, and each takes one of about fifty slots
//! of a channel. So ten are under way at once. One account or client has at most three of them while others wait, and at most
//! seven if nobody does: who comes later must not have to wait two days for the first place. The operator's own are not
//! limited so. Gifts and tips, which anybody can make and redeem, have ten places of their own: nobody who holds all of
//! those delays a withdrawal.
//!
//! # Failures
//!
//! A failure that the node tells is believed as far as [`standing`](crate::lightning::standing) proves it by the payment
//! hash. One that never had a hash is believed only of what was sent since the start: the node fails what its manager
//! remembers, and that may be older than the channel monitors, which may have an HTLC under way. Until there is proof (the
//! chain decides, or there is no trace of it) the row stays `unknown`. **No timeout releases what may have been sent.**

mod outcome;
mod send;
mod settle;

use rusqlite::Connection;

use super::books::{Account, Journal, Kind};
use super::payouts::PayoutStatus;
use super::rows::offer_payouts as rows;
use super::{Family, Ledger, LedgerError};
use crate::core::ids::{AccountId, OfferPayoutId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
#[cfg(doc)]
use crate::lightning::Lightning;
use crate::storage::Tx;

pub use outcome::{Ended, arrived, failure_reported};
pub use send::{Worker, run};
pub use settle::{Found, may_be_under_way, settle};

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
    /// The most that it might when the node was asked.
    pub granted: Option<Msat>,
    /// For whom it is made, so that one can't take all places; `None`: the operator.
    pub source: Option<String>,
    /// The account whose routing the operator bears with it.
    pub routing_account: Option<AccountId>,
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
    /// For whom; `None`: the operator's own.
    pub source: Option<&'a str>,
    /// The account whose routing the operator bears with it.
    pub routing_account: Option<AccountId>,
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
