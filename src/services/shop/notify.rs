//! What the ledger tells this service, and what this service tells the world: sellers' webhooks, and the operator's
//! event log. All of it is written in the transaction that makes it true.

use std::sync::Arc;

use super::catalogue::Pages;
use super::ids::StoreId;
use super::ports::Webhooks;
use super::status::OrderStatus;
use super::store::orders::{self, Order};
use super::store::stores::{self, WhenSoldOut};
use super::store::{catalogue, refunds};
use super::view;
use crate::core::fees::FeeRule;
use crate::core::ids::ChargeId;
use crate::core::money::Msat;
use crate::core::time::{Clock, UnixMillis};
use crate::http::events::EventLog;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::{Charge, End, Lapsed, LedgerError, Listener, Payout, service_fees};
use crate::storage::Tx;

/// Listens to the ledger, and tells sellers.
#[derive(Clone)]
pub struct Notifier {
    log: EventLog,
    clock: Clock,
    webhooks: Arc<dyn Webhooks>,
    fee: FeeRule,
    pages: Arc<Pages>,
}

impl Notifier {
    /// With whom it tells, and what the operator takes of an order.
    pub fn new(log: EventLog, clock: Clock, webhooks: Arc<dyn Webhooks>, fee: FeeRule) -> Self {
        Self { log, clock, webhooks, fee, pages: Arc::default() }
    }

    pub(super) fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// Once a change is durable, the store's catalogue is written anew.
    pub(super) fn catalogue_changed(&self, tx: &Tx<'_>, store: StoreId) {
        let pages = Arc::clone(&self.pages);
        tx.after_commit(move || pages.changed(store));
    }

    /// Tells of an order; `order` is read after the change.
    pub(super) fn tell(
        &self,
        tx: &Tx<'_>,
        order: &Order,
        event: &'static str,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        let data = serde_json::json!({ "amount_sat": order.price.sat_floor() });
        self.log.record(tx, event, &order.key.to_string(), &data)?;
        let store = stores::by_id(tx, order.store)?;
        match view::news(order, &store) {
            Some(news) => self.webhooks.tell(tx, order.account, event, &news, now),
            None => Ok(()),
        }
    }
}

/// Withholds what a buyer is owed back; the order must not have anything withheld yet. `false`, and nothing is
/// changed, if the account has less.
pub(super) fn owe_refund(tx: &Tx<'_>, order: &Order, now: UnixMillis) -> Result<bool, LedgerError> {
    let reference = order.key.to_string();
    let reserve = accounts::withhold_refund(tx, order.account, order.refundable(), &reference, now)?;
    let Some(reserve) = reserve else { return Ok(false) };
    orders::set_refund(tx, order.id, OrderStatus::RefundDue, Some(reserve), Msat::ZERO, None)?;
    Ok(true)
}

/// Takes out of the account what goes back to a buyer; what was withheld for it is the account's again first.
pub(super) fn take_refund(
    tx: &Tx<'_>,
    order: &Order,
    kind: LineKind,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let reference = order.key.to_string();
    if let Some(reserve) = order.reserve {
        accounts::release(tx, reserve, &reference, now)?;
    }
    let change = Change { account: order.account, kind, reference: &reference, amount: order.refundable() };
    if accounts::debit(tx, &change, now)? {
        Ok(())
    } else {
        Err(LedgerError::Broken(format!("order {}: its refund is not in the account", order.key)))
    }
}

impl Order {
    /// What goes back, if it does: whole sats of what came.
    pub(super) fn refundable(&self) -> Msat {
        Msat::from_sat(self.received.sat_floor()).unwrap_or(Msat::ZERO)
    }
}

impl Listener for Notifier {
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        let Some(order) = orders::by_charge(tx, charge.id)? else {
            tracing::error!(charge = %charge.id, "a charge has no order");
            return Ok(());
        };
        let store = stores::by_id(tx, order.store)?;
        let now = charge.settled_at.unwrap_or_else(|| self.clock.now());
        let received = charge.received.unwrap_or(order.price);
        let waits = store.when_sold_out == WhenSoldOut::Backorder;
        let (there, gone) = catalogue::take(tx, order.id, waits)?;
        let sold = there || waits;
        let fee = if sold { self.fee.taken_from(received) } else { Msat::ZERO };
        let paid = orders::Paid {
            status: OrderStatus::AwaitingDetails,
            number: stores::next_number(tx, store.id)?,
            backordered: waits && !there,
            received,
            fee,
            at: now,
        };
        orders::paid(tx, order.id, &paid)?;
        let (account, reference) = (order.account, order.key.to_string());
        let change = Change { account, kind: LineKind::Shop, reference: &reference, amount: received };
        accounts::credit(tx, &change, now)?;
        if sold {
            service_fees::earn(tx, charge.id, account, &reference, fee, now)?;
        } else {
            // It was credited just now.
            owe_refund(tx, &orders::by_id(tx, order.id)?, now)?;
        }
        if gone {
            self.catalogue_changed(tx, store.id);
        }
        self.tell(tx, &orders::by_id(tx, order.id)?, "order.paid", now)
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        let found = refunds::by_payout(tx, payout.id)?;
        let refund =
            found.ok_or_else(|| LedgerError::Broken(format!("payout {} is no refund", payout.id)))?;
        let order = orders::by_id(tx, refund.order)?;
        let now = payout.finished_at.unwrap_or(payout.created_at);
        let refunded = |covered: Msat| -> Result<Msat, LedgerError> {
            refunds::completed(tx, refund.id, refund.amount.saturating_sub(covered), now)?;
            Ok(covered)
        };
        match end {
            End::Paid => {
                let status = OrderStatus::Refunded;
                orders::set_refund(tx, order.id, status, None, refund.amount, Some(now))?;
                refunded(refund.amount)?;
                self.tell(tx, &orders::by_id(tx, order.id)?, "order.refunded", now)?;
                Ok(refund.amount)
            }
            End::Failed => {
                refunds::failed(tx, refund.id, payout.error.as_deref(), now)?;
                let (account, reference) = (order.account, order.key.to_string());
                let (kind, amount) = (LineKind::RefundFailed, refund.amount);
                accounts::credit(tx, &Change { account, kind, reference: &reference, amount }, now)?;
                if refunds::is_completed(tx, order.id)? {
                    // An earlier one has arrived after it had been given up, at the operator's loss.
                    orders::set_refund(tx, order.id, OrderStatus::Refunded, None, Msat::ZERO, Some(now))?;
                } else if !owe_refund(tx, &order, now)? {
                    return Err(LedgerError::Broken(format!("order {reference}: its refund is lost")));
                }
                Ok(refund.amount)
            }
            // It had been given up, and what it was taken from is withheld for another try.
            End::PaidAfterFailure if order.status == OrderStatus::RefundDue => {
                take_refund(tx, &order, LineKind::RefundLate, now)?;
                let status = OrderStatus::Refunded;
                orders::set_refund(tx, order.id, status, None, refund.amount, Some(now))?;
                let covered = refunded(refund.amount)?;
                self.tell(tx, &orders::by_id(tx, order.id)?, "order.refunded", now)?;
                Ok(covered)
            }
            // Another refund took it.
            End::PaidAfterFailure => refunded(Msat::ZERO),
        }
    }

    /// An order that nobody paid is worth nothing.
    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError> {
        orders::remove_unpaid(tx, charge)?;
        Ok(Lapsed::Forget)
    }
}
