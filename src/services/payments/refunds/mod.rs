//! What goes back to customers.
//!
//! A refund is asked for in the payment's own unit and converted at the payment's own rate, whatever a bitcoin costs
//! by now. Never more goes out than came in: what is under way is counted in the payment's `refunding`, in the
//! transaction that queues the payout, and what failed is taken out of it again.
//!
//! ```text
//! pending ──arrives──▶ completed
//!    └──fails──▶ failed ──arrives all the same──▶ completed
//! ```
//!
//! The invoice, or the address, is the idempotency key: the same one for the same refund is the same refund. A refund
//! to an invoice that arrives after it had failed takes what has not been refunded otherwise meanwhile; what is
//! missing then is the operator's loss, until a later refund of the payment fails. One to an address is paid with the
//! operator's coins, and has arrived when its transaction is six blocks deep ([`coins`]).

mod ended;
mod onchain;
pub mod request;
mod share;
mod store;
pub mod view;

use axum::http::StatusCode;
use lightning_invoice::Bolt11Invoice;
use rusqlite::Connection;

use self::request::{NewRefund, Target};
use self::store::{Carrier, Draft};
use self::view::{RefundView, RefundsView};
use super::ids::{InvoiceId, RefundId};
use super::store as payments;
use super::store::Payment;
use super::{PaymentError, Payments, json, lookup, save};
use crate::core::ids::{AccountId, PaymentId};
use crate::core::money::Msat;
use crate::crash_point;
use crate::http::idempotency::{IdempotencyKey, Reply};
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::coin_fees::Prices;
use crate::ledger::payouts::{self, Order, Queued};
use crate::ledger::{Family, LedgerError, PayoutStatus, charges, coin_fees, coins, routing, service_fees};
use crate::lightning::invoice;
use crate::storage::Tx;

pub(super) use ended::{coins_ended, ended};
pub(super) use store::Refund;
pub(super) use view::RefundNews;

/// What part of a list of refunds.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Only those of this payment.
    pub payment: Option<InvoiceId>,
    /// The last of the page before.
    pub cursor: Option<RefundId>,
    /// At most so many.
    pub limit: usize,
}

impl Payments {
    /// Sends back what a customer has paid, or a part of it. The same invoice or address again, while what carries
    /// it has not failed, is the same refund.
    ///
    /// # Errors
    /// [`PaymentError::PaymentNotFound`]; [`PaymentError::Invalid`] for the first rule that is broken, also for more
    /// than is left; [`PaymentError::Conflict`] for what has not been paid and for an invoice or address that was
    /// used before; [`PaymentError::NodeUnavailable`] and [`PaymentError::NoCoins`]; of the idempotency key; the
    /// store's. Nothing is left behind by any.
    pub async fn refund(
        &self,
        account: AccountId,
        new: NewRefund,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, PaymentError> {
        let wallet = self.wallet(&new.target).await;
        let (payments, now) = (self.clone(), self.now());
        let written = self.store().write(move |tx| -> Result<Reply, PaymentError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            let payment = payment_of(tx, account, new.payment)?;
            let (status, refund) = match &new.target {
                Target::Lightning(invoice) => payments.to_invoice(tx, &payment, &new, invoice, &wallet)?,
                Target::Onchain(text) => payments.to_address(tx, &payment, &new, text, &wallet)?,
            };
            let body = json(&RefundView::new(&refund))?;
            save(tx, ask.as_ref(), status, &body, now)?;
            Ok(Reply::New(status, body))
        });
        let done = written.await?;
        crash_point!("payment.after_refund");
        Ok(done)
    }

    /// What has to be asked of the node before the transaction that decides.
    async fn wallet(&self, target: &Target) -> Wallet {
        let address = match target {
            Target::Onchain(text) => coins::read_address(text, self.rules().network).ok(),
            Target::Lightning(_) => None,
        };
        let rules = self.rules().onchain_fees;
        let asked = self.0.parts.node.ask(move |node| {
            let onchain = address.is_some() && node.is_running();
            let prices = |node| {
                let asked = coin_fees::prices(node, &rules);
                asked.map_err(|error| tracing::warn!(%error, "no refund to an address")).ok()
            };
            Wallet {
                running: node.is_running(),
                spendable: onchain.then(|| node.balances().onchain_spendable_sat),
                prices: if onchain { prices(node) } else { None },
            }
        });
        asked.await.unwrap_or_default()
    }

    fn to_invoice(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        new: &NewRefund,
        invoice: &Bolt11Invoice,
        wallet: &Wallet,
    ) -> Result<(StatusCode, Refund), PaymentError> {
        if let Some(same) = same(tx, payment, new, invoice)? {
            return Ok((StatusCode::OK, same));
        }
        let (rules, sats) = (self.rules(), owed(tx, payment, new, self.rules().return_fee)?);
        let payable = invoice::check_payable(invoice, rules.network, self.now(), rules.min_invoice_expiry);
        if payable.is_err() || invoice.amount_milli_satoshis() != Some(sats.get()) {
            let amount = format!("lightningInvoice must be for exactly {} sat", sats.sat_floor());
            let message =
                if payable.is_ok() { amount } else { format!("{amount}, of this network, with time left") };
            return Err(PaymentError::invalid("INVALID_INVOICE", message));
        }
        if !wallet.running {
            return Err(PaymentError::NodeUnavailable);
        }
        let order = Order { family: Family::Payments, invoice, amount: sats, max_fee: rules.max_fee(sats) };
        let public_id = RefundId::random()?;
        let queued = payouts::queue(tx, self.ledger(), &order, |payout| {
            let carrier = Carrier::Payout(payout);
            let draft = Draft { public_id, payment, carrier, amount: new.amount, sats, reason: &new.reason };
            self.begun(tx, &draft).map(drop)
        })?;
        match queued {
            Queued::New(payout) => {
                payouts::note_source(tx, payout.id, Some(&format!("account {}", payment.account.0)))?;
                routing::note_account(tx, payout.id, payment.account)?;
                let refund = store::by_payout(tx, payout.id)?.ok_or(PaymentError::Internal)?;
                Ok((StatusCode::CREATED, refund))
            }
            Queued::Existing(_) => Err(used()),
            Queued::Unpayable => Err(invoice::BadInvoice::Used.into()),
        }
    }

    /// Writes a refund down and takes it out of what can be refunded.
    fn begun(&self, tx: &Tx<'_>, draft: &Draft<'_>) -> Result<Refund, LedgerError> {
        let now = self.now();
        let reference = draft.public_id.to_string();
        let (account, amount) = (draft.payment.account, draft.sats);
        let id = store::insert(tx, draft, now)?;
        let fee = fee_back(self.rules().return_fee, draft.payment, draft.sats);
        if fee > Msat::ZERO {
            service_fees::give_back(tx, id, account, &reference, fee, now)?;
            store::set_fee_back(tx, id, fee)?;
            payments::set_fee(tx, draft.payment.id, Msat::ZERO)?;
        }
        let change = Change { account, kind: LineKind::Refund, reference: &reference, amount };
        // Asked for before; the same transaction has taken nothing since.
        if !accounts::debit(tx, &change, now)? {
            return Err(LedgerError::Broken(format!("a refund of more than account {account} has")));
        }
        payments::add_refunding(tx, draft.payment.id, draft.sats)?;
        let refund = store::by_id(tx, id)?;
        self.notifier().refund_changed(tx, &refund, "refund.created", now)?;
        Ok(refund)
    }

    /// One of an account's refunds, as JSON.
    ///
    /// # Errors
    /// [`PaymentError::RefundNotFound`], also for another account's; the store's.
    pub async fn refund_json(&self, account: AccountId, id: RefundId) -> Result<Vec<u8>, PaymentError> {
        let read = move |connection: &Connection| refund_of(connection, account, id);
        json(&RefundView::new(&self.store().read(read).await?))
    }

    /// A page of an account's refunds, or of those of one payment, newest first.
    ///
    /// # Errors
    /// [`PaymentError::PaymentNotFound`]; [`PaymentError::Invalid`] for a cursor that names none of its refunds; the
    /// store's.
    pub async fn refunds_json(&self, account: AccountId, wanted: Wanted) -> Result<Vec<u8>, PaymentError> {
        let limit = wanted.limit;
        let read = move |connection: &Connection| -> Result<Vec<Refund>, PaymentError> {
            let payment: Option<PaymentId> = match wanted.payment {
                None => None,
                Some(id) => Some(payment_of(connection, account, id)?.id),
            };
            let before = match wanted.cursor {
                None => None,
                Some(id) => match refund_of(connection, account, id) {
                    Ok(refund) => Some(refund.id),
                    Err(PaymentError::RefundNotFound) => return Err(PaymentError::bad_cursor()),
                    Err(error) => return Err(error),
                },
            };
            Ok(store::list(connection, account, payment, before, limit.saturating_add(1))?)
        };
        let mut found = self.store().read(read).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|last| last.public_id);
        json(&RefundsView { refunds: found.iter().map(RefundView::new).collect(), next_cursor })
    }
}

/// What the node said before the transaction.
#[derive(Clone, Debug, Default)]
struct Wallet {
    running: bool,
    /// Coins that may be sent, in sat; `None` if they were not asked for.
    spendable: Option<u64>,
    /// What the miners would get.
    prices: Option<Prices>,
}

/// What the customer of a refund gets, if the payment allows it.
fn owed(
    connection: &Connection,
    payment: &Payment,
    new: &NewRefund,
    return_fee: bool,
) -> Result<Msat, PaymentError> {
    if new.unit != payment.unit {
        let message = format!("Currency must be that of the payment: {}", payment.unit);
        return Err(PaymentError::invalid("INVALID_CURRENCY", message));
    }
    if payment.paid_at.is_none() {
        return Err(PaymentError::Conflict { code: "PAYMENT_NOT_PAID", message: "Payment is not paid" });
    }
    let sats = share::share(payment, &store::live_amounts(connection, payment.id)?, new.amount)?;
    // What came in may have been withdrawn.
    let available = accounts::balance(connection, payment.account)?.available;
    let available = available.checked_add(fee_back(return_fee, payment, sats)).unwrap_or(available);
    if available < sats {
        return Err(no_balance());
    }
    Ok(sats)
}

/// The operator's fee that is returned with a refund of `sats`: the whole fee once everything received is refunded,
/// else nothing.
fn fee_back(return_fee: bool, payment: &Payment, sats: Msat) -> Msat {
    let whole =
        payment.refunded.checked_add(sats).unwrap_or(Msat::MAX).sat_floor() >= payment.received.sat_floor();
    if return_fee && whole { payment.fee } else { Msat::ZERO }
}

/// The account has less than it takes.
const fn no_balance() -> PaymentError {
    PaymentError::Conflict {
        code: "INSUFFICIENT_BALANCE",
        message: "The account's balance does not cover it: what came in was withdrawn or refunded",
    }
}

fn payment_of(connection: &Connection, account: AccountId, id: InvoiceId) -> Result<Payment, PaymentError> {
    let found = payments::by_public_id(connection, id)?;
    found.filter(|payment| payment.account == account).ok_or(PaymentError::PaymentNotFound)
}

fn refund_of(connection: &Connection, account: AccountId, id: RefundId) -> Result<Refund, PaymentError> {
    let found = store::by_public_id(connection, id)?;
    found.filter(|refund| refund.account == account).ok_or(PaymentError::RefundNotFound)
}

/// The refund that this very invoice was given for.
fn same(
    tx: &Tx<'_>,
    payment: &Payment,
    new: &NewRefund,
    invoice: &Bolt11Invoice,
) -> Result<Option<Refund>, PaymentError> {
    let Some(payout) = payouts::by_hash(tx, charges::hash_of(invoice))? else { return Ok(None) };
    let live = payout.status != PayoutStatus::Failed && payout.invoice == invoice.to_string();
    let known = if live { store::by_payout(tx, payout.id)? } else { None };
    let same = known.filter(|refund| {
        refund.payment == payment.id && refund.amount == new.amount && refund.unit == new.unit
    });
    same.map(Some).ok_or_else(used)
}

/// One payout a payment hash, for ever: a second could not be told apart from it.
const fn used() -> PaymentError {
    PaymentError::Conflict {
        code: "INVOICE_USED",
        message: "This invoice was paid or tried before; ask for a fresh one",
    }
}

/// What came in for a payment and is not refunded, or on its way back.
fn room(payment: &Payment) -> Msat {
    payment.received.saturating_sub(payment.refunding)
}
