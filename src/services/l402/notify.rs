//! What the ledger tells the family, and what the family tells the operator's event log.

use std::sync::Arc;

use super::counters::Counters;
use super::hooks::{Asked, Sale, SaleListener};
use super::store;
use crate::core::fees::FeeRule;
use crate::core::ids::ChargeId;
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::events::EventLog;
use crate::http::live::Hub;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::books::{Journal, Kind};
use crate::ledger::service_fees;
use crate::ledger::{Account, Charge, End, Lapsed, LedgerError, Listener, Payout};
use crate::storage::{StoreError, Tx};

/// The family's ear and mouth.
#[derive(Clone)]
pub struct Notifier {
    log: EventLog,
    clock: Clock,
    counters: Arc<Counters>,
    fee: FeeRule,
    listener: Option<Arc<dyn SaleListener>>,
    hub: Option<Arc<Hub>>,
}

impl Notifier {
    /// With whom it tells.
    pub fn new(log: EventLog, clock: Clock) -> Self {
        Self { log, clock, counters: Arc::default(), fee: FeeRule::FREE, listener: None, hub: None }
    }

    /// With what the operator takes of what an account sells.
    #[must_use]
    pub fn taking(self, fee: FeeRule) -> Self {
        Self { fee, ..self }
    }

    /// With who else is told of what accounts sell.
    #[must_use]
    pub fn telling(self, listener: Arc<dyn SaleListener>) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// With the pages on which challenges are paid.
    #[must_use]
    pub fn showing(self, hub: Arc<Hub>) -> Self {
        Self { hub: Some(hub), ..self }
    }

    /// A price is asked of somebody.
    pub(super) fn asked(&self, tx: &Tx<'_>, asked: &Asked<'_>) -> Result<(), StoreError> {
        self.listener.as_ref().map_or(Ok(()), |listener| listener.asked(tx, asked))
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Listener for Notifier {
    fn charge_settled(&self, tx: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        let Some(challenge) = store::by_charge(tx, charge.id)? else {
            tracing::error!(charge = %charge.id, "a charge has no challenge");
            return Ok(());
        };
        let now = charge.settled_at.unwrap_or_else(|| self.clock.now());
        let received = charge.received.unwrap_or(Msat::ZERO);
        let fee = if challenge.account.is_some() { self.fee.taken_from(received) } else { Msat::ZERO };
        store::paid(tx, &challenge, received, fee, now)?;
        if let Some(account) = challenge.account {
            let reference = challenge.payment_hash.to_string();
            let change = Change { account, kind: LineKind::L402, reference: &reference, amount: received };
            accounts::credit(tx, &change, now)?;
            service_fees::earn(tx, charge.id, account, &reference, fee, now)?;
            if let Some(listener) = &self.listener {
                let proxy = challenge.product.as_deref();
                let (resource, payment_hash) = (challenge.resource.as_str(), challenge.payment_hash);
                listener.sold(tx, &Sale { account, proxy, resource, payment_hash, received })?;
            }
        } else {
            // Nobody is owed it: it was the operator's own resource.
            Journal::new(Kind::FeeEarned, charge.id.0)
                .debit(Account::Merchants, received)
                .credit(Account::FeesEarned, received)
                .post(tx, now)?;
        }
        let data = serde_json::json!({ "resource": challenge.resource, "amount_sat": received.sat_floor() });
        self.log.record(tx, "l402.paid", &challenge.payment_hash.to_string(), &data)?;
        let (counters, hub) = (Arc::clone(&self.counters), self.hub.clone());
        tx.after_commit(move || {
            if let Some(hub) = hub {
                hub.tell(&challenge.topic());
            }
            counters.earned(challenge.account, &challenge.resource, received.sat_floor());
        });
        Ok(())
    }

    /// The family pays nobody.
    fn payout_ended(&self, _: &Tx<'_>, payout: &Payout, _: End) -> Result<Msat, LedgerError> {
        Err(LedgerError::Broken(format!("payout {} is nobody's", payout.id)))
    }

    /// A challenge that nobody paid is worth nothing: its token never bought anything.
    fn charge_lapsed(&self, tx: &Tx<'_>, charge: ChargeId) -> Result<Lapsed, LedgerError> {
        store::forget(tx, charge)?;
        Ok(Lapsed::Forget)
    }
}
