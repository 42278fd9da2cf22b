//! The audit log of operator acts: who did what by hand, to what, and how it ended.
//!
//! | the act | its row is written | found after a crash |
//! |---|---|---|
//! | is one transaction of ours (payments, settlements, keys, tips taken back) | in that transaction, as `done` | the act and its row, or neither |
//! | is the node's, or takes several steps (channels, peers, invoices, addresses, proxies) | before it as `begun`, changed after it to how it ended | `begun`: it may have happened; the next start makes it `unknown` |
//! | was refused or failed | after that, as `refused` or `failed` | perhaps no row: nothing happened either |
//!
//! Rows hold no secret: no key, no preimage, no invoice, no seed. The database refuses to remove a row, and to change
//! one that has ended.

mod store;

use serde::Serialize;
use serde_json::{Value, json};

use crate::core::time::UnixMillis;
use crate::http::keys::KeyId;
use crate::storage::{Store, StoreError, Tx};

pub use store::{Recorded, Wanted, list, of_subject};

/// What can be done by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// A payment from the operator's own money.
    Pay,
    /// Coins of the wallet sent to an address.
    Send,
    /// A payout ended by hand.
    PayoutSettle,
    /// Money in suspense given to somebody.
    SuspenseSettle,
    /// Coins on their way ended by hand.
    CoinsSettle,
    /// An invoice made whose payment is the operator's.
    InvoiceCreate,
    /// An address of the wallet's made.
    AddressCreate,
    /// A channel opened.
    ChannelOpen,
    /// A channel closed.
    ChannelClose,
    /// A peer connected.
    PeerConnect,
    /// An API key made.
    KeyCreate,
    /// An API key revoked.
    KeyRevoke,
    /// An API key given another text.
    KeyRotate,
    /// Tips made for an account.
    TipCreate,
    /// A tip taken back.
    TipReclaim,
    /// A proxy made.
    ProxyCreate,
    /// The price of a proxy changed.
    ProxyPrice,
    /// A proxy taken out of service.
    ProxyRetire,
    /// A webhook sent again.
    WebhookReplay,
    /// An account's earnings withdrawn.
    AccountWithdraw,
    /// Where an account's earnings go by themselves set.
    AccountSweep,
    /// A withdrawal in doubt ended by hand.
    WithdrawalSettle,
    /// What a key may withdraw in a day set.
    KeyLimit,
    /// The e-mail address of whoever bought an account removed.
    EmailForget,
    /// A purse made.
    PurseCreate,
    /// A purse given more to spend.
    PurseTopUp,
    /// A purse revoked.
    PurseRevoke,
    /// A store made.
    StoreCreate,
    /// A store's settings changed.
    StoreChange,
    /// Products of a store written, or one of them changed.
    StoreProducts,
    /// The catalogue of a Shopify shop read.
    StoreSync,
    /// An order sent.
    OrderShip,
    /// An order given up.
    OrderCancel,
    /// Who bought an order removed.
    OrderForget,
}

impl ActKind {
    const ALL: [Self; 34] = [
        Self::Pay,
        Self::Send,
        Self::PayoutSettle,
        Self::SuspenseSettle,
        Self::CoinsSettle,
        Self::InvoiceCreate,
        Self::AddressCreate,
        Self::ChannelOpen,
        Self::ChannelClose,
        Self::PeerConnect,
        Self::KeyCreate,
        Self::KeyRevoke,
        Self::KeyRotate,
        Self::TipCreate,
        Self::TipReclaim,
        Self::ProxyCreate,
        Self::ProxyPrice,
        Self::ProxyRetire,
        Self::WebhookReplay,
        Self::AccountWithdraw,
        Self::AccountSweep,
        Self::WithdrawalSettle,
        Self::KeyLimit,
        Self::EmailForget,
        Self::PurseCreate,
        Self::PurseTopUp,
        Self::PurseRevoke,
        Self::StoreCreate,
        Self::StoreChange,
        Self::StoreProducts,
        Self::StoreSync,
        Self::OrderShip,
        Self::OrderCancel,
        Self::OrderForget,
    ];

    /// Its name in the database and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Send => "send",
            Self::PayoutSettle => "payout.settle",
            Self::SuspenseSettle => "suspense.settle",
            Self::CoinsSettle => "coins.settle",
            Self::InvoiceCreate => "invoice.create",
            Self::AddressCreate => "address.create",
            Self::ChannelOpen => "channel.open",
            Self::ChannelClose => "channel.close",
            Self::PeerConnect => "peer.connect",
            Self::KeyCreate => "key.create",
            Self::KeyRevoke => "key.revoke",
            Self::KeyRotate => "key.rotate",
            Self::TipCreate => "tip.create",
            Self::TipReclaim => "tip.reclaim",
            Self::ProxyCreate => "proxy.create",
            Self::ProxyPrice => "proxy.price",
            Self::ProxyRetire => "proxy.retire",
            Self::WebhookReplay => "webhook.replay",
            Self::AccountWithdraw => "account.withdraw",
            Self::AccountSweep => "account.sweep",
            Self::WithdrawalSettle => "withdrawal.settle",
            Self::KeyLimit => "key.withdraw_limit",
            Self::EmailForget => "account.forget-email",
            Self::PurseCreate => "purse.create",
            Self::PurseTopUp => "purse.top_up",
            Self::PurseRevoke => "purse.revoke",
            Self::StoreCreate => "store.create",
            Self::StoreChange => "store.change",
            Self::StoreProducts => "store.products",
            Self::StoreSync => "store.sync",
            Self::OrderShip => "order.ship",
            Self::OrderCancel => "order.cancel",
            Self::OrderForget => "order.forget",
        }
    }

    /// The kind of a name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// All names, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// How an act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is being done.
    Begun,
    /// It was done.
    Done,
    /// It was not done, and the answer said why.
    Refused,
    /// Something was in the way that was not the request's fault. Of an act that is no single transaction it may
    /// have been done in part.
    Failed,
    /// The process stopped while it was being done.
    Unknown,
}

impl Outcome {
    /// Its name in the database and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that somebody does by hand.
#[derive(Clone, Debug)]
#[must_use = "an act is recorded where it is done"]
pub struct Act {
    by: KeyId,
    kind: ActKind,
    subject: String,
    details: Value,
}

impl Act {
    /// With this key.
    pub fn new(by: KeyId, kind: ActKind) -> Self {
        Self { by, kind, subject: String::new(), details: json!({}) }
    }

    /// To this.
    pub fn to(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// With a detail. Never a secret.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let (Some(details), Ok(value)) = (self.details.as_object_mut(), serde_json::to_value(value)) {
            details.insert(name.to_owned(), value);
        }
        self
    }

    /// Records that it is done, in the transaction that does it.
    ///
    /// # Errors
    /// The store's; then neither is in the file.
    pub fn done(&self, tx: &Tx<'_>, now: UnixMillis) -> Result<(), StoreError> {
        store::insert(tx, self, Outcome::Done, None, now).map(drop)
    }
}

/// Records that an act is begun, before it is.
///
/// # Errors
/// The store's; then it must not be done.
pub async fn begin(store: &Store, act: Act, now: UnixMillis) -> Result<i64, StoreError> {
    store.write(move |tx| store::insert(tx, &act, Outcome::Begun, None, now)).await
}

/// Records how an act ended that was [begun](begin), and to what it was done if that is known only now.
///
/// # Errors
/// The store's; the next start finds it begun.
pub async fn end(
    store: &Store,
    id: i64,
    subject: Option<String>,
    outcome: Outcome,
    message: Option<String>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    store.write(move |tx| store::end(tx, id, subject.as_deref(), outcome, message.as_deref(), now)).await
}

/// Records an act that was not done.
///
/// # Errors
/// The store's.
pub async fn not_done(
    store: &Store,
    act: Act,
    outcome: Outcome,
    message: String,
    now: UnixMillis,
) -> Result<(), StoreError> {
    store.write(move |tx| store::insert(tx, &act, outcome, Some(&message), now).map(drop)).await
}

/// At start: what was being done when the process stopped may have been done or not. Answers how many.
///
/// # Errors
/// The store's.
pub fn doubt(store: &Store, now: UnixMillis) -> Result<usize, StoreError> {
    store.write_blocking(move |tx| store::doubt(tx, now))
}

#[cfg(test)]
mod tests;
