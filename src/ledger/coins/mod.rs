//! Money out by the wallet's coins: one row for each intent to pay an address, and the steps it may take.
//!
//! ```text
//! queued ──take──▶ sending ──signed and given away──▶ sent ──six blocks──▶ paid
//!   ▲  │             │  └──seen by the wallet──────────┘
//!   │  └─window─▶ failed ◀──by hand──┐
//!   └──nothing sent──┘   └───────────┴── paid, by hand
//! ```
//!
//! The books know no coins: those are the operator's. Coins that arrive are bought from them with the sats in the
//! channels that were owed. The miners' fee is limited, and who bears it is said beforehand ([`coin_fees`]).
//!
//! The address is the idempotency key. It is paid once, for ever, unless nothing was sent; so a transaction that
//! pays it is the proof that this was done. One is sent at a time, after the wallet has seen the last: before that
//! it would spend the same coins again, and of two such transactions only one arrives.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before `sending` is committed | `queued` | sent |
//! | after it, whether or not the wallet signed | `sending` | the wallet is asked whether it has seen the payment: if so, `sent` |
//! | after `sent` is committed | `sent` | watched until it is final |
//! | the wallet's answer could not be written down (the disk is full), and no crash | `sending`, and the answer in memory | the answer is written later, before anything else is sent |
//!
//! **No timeout releases what may have been sent.** A transaction that the wallet doesn't see was perhaps never
//! broadcast, or was rejected, or forgotten by every mempool; which, nobody can tell from here. It stays as it is,
//! the audit warns of it, nothing else is sent, and a person decides with `satchel coins`.
//!
//! What a person may say, by what the wallet knows of the transaction ([`CoinFate`](crate::lightning::CoinFate)):
//!
//! | the wallet knows | not sent | paid by a transaction |
//! |---|---|---|
//! | none that pays it | accepted | accepted |
//! | one that can still confirm, or has | refused: it ends by itself | refused |
//! | one whose coins another transaction has spent, six blocks deep | accepted: it can't confirm any more | accepted |
//! | the same, less deep | refused, until it is | refused |
//! | one that it can't read | accepted with proof of the person's own | refused |

mod by_hand;
mod send;

use std::fmt;
use std::time::Duration;

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;

use super::books::{Account, Journal, Kind};
#[cfg(doc)]
use super::coin_fees;
use super::coin_fees::Quote;
use super::rows::coins as rows;
use super::{End, Family, Ledger, LedgerError, Listeners};
use crate::core::ids::{AccountId, CoinSendId, FeeReserveId};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
use crate::lightning::{CoinOrder, target};
use crate::storage::Tx;

pub use by_hand::{Found, NotSettled, may_settle, settle};
pub use send::{Worker, run};

/// How long nobody may know whether coins were sent before the audit says so.
pub const UNSEEN_AFTER: Duration = Duration::from_secs(3_600);

/// How long a transaction may wait for its six blocks before the audit says so.
pub const UNBURIED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How far coins are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CoinStatus {
    /// Decided, nothing sent.
    Queued,
    /// The wallet is being asked, or was when we crashed.
    Sending,
    /// The wallet gave a transaction to the chain source, or has seen it.
    Sent,
    /// Six blocks deep. Final.
    Paid,
    /// Nothing was sent. Final.
    Failed,
}

impl CoinStatus {
    const ALL: [Self; 5] = [Self::Queued, Self::Sending, Self::Sent, Self::Paid, Self::Failed];

    /// Its name in the database and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CoinStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ToSql for CoinStatus {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for CoinStatus {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(FromSqlError::InvalidType)
    }
}

/// One intent to pay an address.
#[derive(Clone, Debug, Serialize)]
pub struct OnchainPayout {
    /// Row id.
    pub id: CoinSendId,
    /// Whose it is.
    #[serde(serialize_with = "by_name")]
    pub family: Family,
    /// Where to.
    pub address: String,
    /// What the recipient gets: whole sats, in msat.
    #[serde(rename = "amount_msat")]
    pub amount: Msat,
    /// How far it is.
    pub status: CoinStatus,
    /// The transaction, once known.
    pub txid: Option<String>,
    /// When it was decided.
    pub created_at: UnixMillis,
    /// If nothing was sent by then, it is given up.
    pub deadline: UnixMillis,
    /// When the wallet was asked last.
    pub sent_at: Option<UnixMillis>,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
    /// What the wallet said last, if it sent nothing.
    pub error: Option<String>,
    /// The most that the miners may get.
    #[serde(rename = "max_fee_msat")]
    pub max_fee: Msat,
    /// What was withheld for them from the account that bears it; `None`: the operator does.
    #[serde(skip)]
    pub fee_reserve: Option<FeeReserveId>,
    /// At what rate, in sat for 1,000 weight units; `None`: as the node estimates.
    #[serde(skip)]
    pub fee_rate: Option<u64>,
    /// What the miners got, once known.
    #[serde(rename = "fee_msat")]
    pub fee: Option<Msat>,
    /// All above the reserve: until its transaction is seen, the amount is an estimate.
    pub everything: bool,
    /// Whether the amount is what the recipient gets.
    #[serde(skip)]
    pub amount_known: bool,
}

fn by_name<S: serde::Serializer>(family: &Family, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(family.name())
}

/// An address to pay, and for whom.
#[derive(Debug)]
pub struct CoinsWanted<'a> {
    /// Whose it is.
    pub family: Family,
    /// Where to, on this network, and not too little for it.
    pub address: &'a Address,
    /// Whole sats.
    pub amount: Msat,
    /// What the miners may get: checked by [`coin_fees`]. `None`: the operator sends their own coins.
    pub fee: Option<CoinFee>,
}

/// What the miners may get, and who bears it.
#[derive(Clone, Copy, Debug)]
pub struct CoinFee {
    /// For which account it is.
    pub account: AccountId,
    /// At what rate, and how much at most.
    pub quote: Quote,
    /// What was withheld for it from that account; `None`: the operator bears it.
    pub reserve: Option<FeeReserveId>,
}

/// Reads an address of this network, with whatever people leave around one.
///
/// # Errors
/// A text for the caller.
pub fn read_address(text: &str, network: Network) -> Result<Address, String> {
    let read: Address<NetworkUnchecked> =
        target::onchain(text).parse().map_err(|_| "not a bitcoin address".to_owned())?;
    read.require_network(network).map_err(|_| format!("not an address of {network}"))
}

/// The least that may go to an address, in sat: less is dust that no node relays.
pub fn least(address: &Address) -> u64 {
    address.script_pubkey().minimal_non_dust().to_sat()
}

/// Decides to pay: the money is taken from where it was owed, and the row is written. The caller has made sure that
/// the address was not paid before ([`by_address`]) and writes its own side in the same transaction.
///
/// # Errors
/// The store's, also for an address that was; then nothing has changed.
pub fn queue(tx: &Tx<'_>, ledger: &Ledger, wanted: &CoinsWanted<'_>) -> Result<CoinSendId, LedgerError> {
    let now = ledger.clock.now();
    if wanted.amount.sat_floor() == 0 || Msat::from_sat(wanted.amount.sat_floor()) != Some(wanted.amount) {
        return Err(LedgerError::Broken("coins come in whole sats".into()));
    }
    let id = rows::insert(tx, wanted, now, now.saturating_add(millis(ledger.settings.send_window)))?;
    Journal::new(Kind::CoinsQueued, id.0)
        .debit(wanted.family.account(), wanted.amount)
        .credit(Account::InFlight, wanted.amount)
        .post(tx, now)?;
    Ok(id)
}

/// One by its row id.
///
/// # Errors
/// The store's; [`LedgerError::Broken`] if there is none.
pub fn by_id(connection: &rusqlite::Connection, id: CoinSendId) -> Result<OnchainPayout, LedgerError> {
    rows::by_id(connection, id)?.ok_or_else(|| LedgerError::Broken(format!("coins {id} are missing")))
}

/// One by its row id, if there is one.
///
/// # Errors
/// The store's.
pub fn find(connection: &rusqlite::Connection, id: CoinSendId) -> Result<Option<OnchainPayout>, LedgerError> {
    rows::by_id(connection, id)
}

/// What went to an address, or is to go; what failed doesn't count.
///
/// # Errors
/// The store's.
pub fn by_address(
    connection: &rusqlite::Connection,
    address: &Address,
) -> Result<Option<OnchainPayout>, LedgerError> {
    rows::by_address(connection, &address.to_string())
}

/// What is decided and not sent yet.
///
/// # Errors
/// The store's.
pub fn promised(connection: &rusqlite::Connection) -> Result<Msat, LedgerError> {
    rows::promised(connection)
}

/// What has not ended, oldest first.
///
/// # Errors
/// The store's.
pub fn open(connection: &rusqlite::Connection) -> Result<Vec<OnchainPayout>, LedgerError> {
    rows::open(connection)
}

/// Some of it, by id, those after this one.
///
/// # Errors
/// The query's.
pub fn open_after(
    connection: &rusqlite::Connection,
    after: CoinSendId,
    limit: u32,
) -> Result<Vec<OnchainPayout>, LedgerError> {
    rows::open_after(connection, after, limit)
}

fn order(ledger: &Ledger, send: &OnchainPayout) -> Option<CoinOrder> {
    let address = read_address(&send.address, ledger.lightning.network());
    match address {
        Ok(address) => Some(CoinOrder {
            address,
            amount_sat: send.amount.sat_floor(),
            fee_rate: send.fee_rate,
            everything: send.everything,
        }),
        Err(error) => {
            tracing::error!(coins = %send.id, %error, "the address of coins to send can't be read");
            None
        }
    }
}

fn pay(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: CoinSendId,
    txid: Option<&str>,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    if !rows::advance(tx, id, CoinStatus::Sent, CoinStatus::Paid, txid, None, now)? {
        return Ok(false);
    }
    crash_point!("coins.before_paid");
    let paid = by_id(tx, id)?;
    Journal::new(Kind::CoinsPaid, id.0)
        .debit(Account::InFlight, paid.amount)
        .credit(Account::Operator, paid.amount)
        .post(tx, now)?;
    tell(tx, listeners, &paid, End::Paid)
}

fn fail(
    tx: &Tx<'_>,
    listeners: &Listeners,
    id: CoinSendId,
    from: CoinStatus,
    why: &str,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    if !rows::advance(tx, id, from, CoinStatus::Failed, None, Some(why), now)? {
        return Ok(false);
    }
    let failed = by_id(tx, id)?;
    Journal::new(Kind::CoinsFailed, id.0)
        .debit(Account::InFlight, failed.amount)
        .credit(failed.family.account(), failed.amount)
        .post(tx, now)?;
    tell(tx, listeners, &failed, End::Failed)
}

fn tell(tx: &Tx<'_>, listeners: &Listeners, send: &OnchainPayout, end: End) -> Result<bool, LedgerError> {
    if let Some(listener) = listeners.of(send.family) {
        listener.coins_ended(tx, send, end)?;
    }
    Ok(true)
}
