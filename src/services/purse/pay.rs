//! Paying: the limits, the account's balance, the payment and its payout in one transaction; then waiting for its end.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use lightning_invoice::Bolt11Invoice;
use rusqlite::Connection;

use super::credential::Proof;
use super::limits::{self, Left, Wanted};
use super::request::PayRequest;
use super::store::payments::{self, Payment, PaymentStatus};
use super::store::{self, Day, Purse};
use super::view::{PaidView, PayView, PursePage, PurseView};
use super::{PurseError, Purses};
use crate::core::ids::{PaymentHash, Preimage, PursePaymentId, random_hex};
use crate::core::money::Msat;
use crate::crash_point;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::http::keys::KeyId;
use crate::http::respond;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::payouts::{self, Order, Queued};
use crate::ledger::{Family, charges};
use crate::lightning::{Model, Shortfall, invoice};
use crate::storage::Tx;

/// How often a payment is looked at, should a notification be missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is to be paid, for whom, and what for.
#[derive(Clone)]
pub(super) struct Order402 {
    pub(super) invoice: Bolt11Invoice,
    pub(super) amount: Msat,
    pub(super) max: Option<Msat>,
    /// Origin and path; `None` for an invoice that the caller gave.
    pub(super) resource: Option<(String, String)>,
    pub(super) proof: Option<Proof>,
}

/// What became of an order.
#[derive(Debug)]
pub(super) enum Begun {
    /// This request pays, or has paid before.
    Own(Payment),
    /// Another request of the same purse pays this very invoice.
    Shared(Payment),
}

/// What is known of an invoice, and of the way to its recipient, before the transaction.
#[derive(Clone)]
struct Known {
    /// It is an invoice of this node.
    ours: bool,
    preimage: Option<Preimage>,
    /// Why our channels can't carry it, if they can't.
    shortfall: Option<Shortfall>,
    today: Day,
}

impl Purses {
    /// The purse of a key, if it may spend.
    pub(super) async fn purse_of(&self, key: KeyId) -> Result<Purse, PurseError> {
        self.store().read(move |connection| live(connection, key)).await
    }

    /// Pays an invoice within the limits. The same invoice again, unless its payment failed, is the same payment.
    ///
    /// # Errors
    /// [`PurseError::OverLimit`] for a limit, [`PurseError::NotAllowed`] for a purse that pays no invoices,
    /// [`PurseError::Invalid`] for what can't be paid, [`PurseError::NoCapacity`], [`PurseError::Pending`] for a payment that has not ended yet,
    /// [`PurseError::PaymentFailed`], the store's.
    pub async fn pay(
        &self,
        key: KeyId,
        new: PayRequest,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, PurseError> {
        let purse = self.purse_of(key).await?;
        if let Some(recorded) = self.seen(ask.clone()).await? {
            return Ok(Reply::Replayed(recorded));
        }
        if !purse.invoices {
            return Err(PurseError::NotAllowed {
                code: "INVOICES_NOT_ALLOWED",
                message: "The purse may not pay invoices, only services that it asks".into(),
            });
        }
        let asked = amount_of(&new.invoice);
        let amount = match (new.amount, asked) {
            (Some(wanted), Some(asked)) if wanted != asked => {
                let message = format!("The invoice asks for exactly {asked}; leave amountSat out");
                return Err(PurseError::invalid("AMOUNT_MISMATCH", message));
            }
            (wanted, asked) => wanted.or(asked).ok_or_else(|| {
                PurseError::invalid("INVALID_AMOUNT", "the invoice has no amount: give amountSat")
            })?,
        };
        let order = Order402 { invoice: new.invoice, amount, max: None, resource: None, proof: None };
        let (Begun::Own(payment) | Begun::Shared(payment)) = self.begin(key, order, ask.clone()).await?;
        let paid = self.wait(payment).await?;
        let body = respond::to_json(&PayView { paid: PaidView::from(&paid) })?;
        self.answered(ask, body).await
    }

    /// What a purse has, may and did.
    pub(super) async fn page_json(
        &self,
        key: KeyId,
        before: Option<PursePaymentId>,
        limit: usize,
    ) -> Result<Vec<u8>, PurseError> {
        let today = self.today();
        let read = move |connection: &Connection| -> Result<_, PurseError> {
            let purse = live(connection, key)?;
            let left = Left::read(connection, &purse, today)?;
            let receipts = payments::list(connection, purse.id, before, limit.saturating_add(1))?;
            Ok((PurseView::new(&purse, &left), receipts))
        };
        let (purse, mut receipts) = self.store().read(read).await?;
        let more = receipts.len() > limit;
        receipts.truncate(limit);
        let next_cursor = receipts.last().filter(|_| more).map(|last| last.id.to_string());
        let receipts = receipts.iter().map(PaidView::from).collect();
        Ok(respond::to_json(&PursePage { purse, receipts, next_cursor })?)
    }

    /// One of a purse's payments, as JSON.
    pub(super) async fn payment_json(&self, key: KeyId, id: String) -> Result<Vec<u8>, PurseError> {
        let read = move |connection: &Connection| -> Result<_, PurseError> {
            let purse = live(connection, key)?;
            payments::by_public_id(connection, purse.id, &id)?.ok_or(PurseError::PaymentNotFound)
        };
        Ok(respond::to_json(&PaidView::from(&self.store().read(read).await?))?)
    }

    /// What a request with this key was answered before.
    pub(super) async fn seen(
        &self,
        ask: Option<IdempotencyKey>,
    ) -> Result<Option<crate::http::idempotency::Recorded>, PurseError> {
        if ask.is_none() {
            return Ok(None);
        }
        self.store().read(move |connection| Ok(lookup(connection, ask.as_ref())?)).await
    }

    /// Keeps an answer under its key; the first one counts.
    pub(super) async fn answered(
        &self,
        ask: Option<IdempotencyKey>,
        body: Vec<u8>,
    ) -> Result<Reply, PurseError> {
        if ask.is_none() {
            return Ok(Reply::New(StatusCode::OK, body));
        }
        let now = self.now();
        self.store()
            .write(move |tx| -> Result<Reply, PurseError> {
                if let Some(recorded) = lookup(tx, ask.as_ref())? {
                    return Ok(Reply::Replayed(recorded));
                }
                save(tx, ask.as_ref(), StatusCode::OK, &body, now)?;
                Ok(Reply::New(StatusCode::OK, body))
            })
            .await
    }

    /// Decides to pay, if every limit allows it: one transaction.
    pub(super) async fn begin(
        &self,
        key: KeyId,
        order: Order402,
        ask: Option<IdempotencyKey>,
    ) -> Result<Begun, PurseError> {
        if !self.rules().enabled {
            return Err(PurseError::Disabled);
        }
        let sealed = order.proof.as_ref().map(|proof| proof.seal(self.sealer())).transpose()?;
        let known = self.known(charges::hash_of(&order.invoice), order.amount).await?;
        crash_point!("purse.before_payment");
        let this = self.clone();
        let begun = self
            .store()
            .write(move |tx| this.begin_in(tx, key, &order, (ask.as_ref(), sealed.as_deref()), known))
            .await?;
        crash_point!("purse.after_payment_queued");
        Ok(begun)
    }

    fn begin_in(
        &self,
        tx: &Tx<'_>,
        key: KeyId,
        order: &Order402,
        (ask, sealed): (Option<&IdempotencyKey>, Option<&[u8]>),
        known: Known,
    ) -> Result<Begun, PurseError> {
        let (purse, now) = (live(tx, key)?, self.now());
        if let Some(begun) = begun_by(tx, &purse, ask)? {
            return Ok(Begun::Own(begun));
        }
        if let Some(payout) = payouts::by_hash(tx, charges::hash_of(&order.invoice))? {
            let shared = payments::by_payout(tx, payout.id)?
                .filter(|payment| payment.purse == purse.id && payment.status != PaymentStatus::Failed)
                .filter(|payment| {
                    payment.amount == order.amount && payout.invoice == order.invoice.to_string()
                })
                // The preimage is proof of a purchase: nobody but the service that was paid gets it.
                .filter(|payment| origin(payment.resource.as_ref()) == origin(order.resource.as_ref()));
            return shared.map(Begun::Shared).ok_or_else(|| {
                PurseError::conflict(
                    "INVOICE_USED",
                    "This invoice was paid or tried before; ask for a fresh one",
                )
            });
        }
        // After the look at what is under way: a payment does not end because its invoice has little time left.
        let rules = self.rules();
        if invoice::check_sendable(&order.invoice, rules.network, now, rules.min_invoice_expiry).is_err() {
            return Err(PurseError::bad_answer(
                "INVOICE_UNUSABLE",
                "the invoice must be of this network, with time left, and not ask to be held for days",
            ));
        }
        let reserve = if known.ours { Msat::ZERO } else { rules.max_fee(order.amount) };
        let wanted = Wanted { amount: order.amount, reserve, max: order.max };
        limits::check(tx, &purse, &wanted, known.today)?;
        let day = known.today;
        // However long one waits: it would only keep its amount from the others.
        if let Some(shortfall) = known.shortfall {
            return Err(PurseError::NoCapacity(shortfall));
        }
        let public_id = format!("pay_{}", random_hex::<12>()?);
        let whole = order.amount.checked_add(reserve).unwrap_or(Msat::MAX);
        let (account, amount) = (purse.account, order.amount);
        let change = Change { account, kind: LineKind::Purse, reference: &public_id, amount };
        // The limits were checked above, in this transaction.
        if !accounts::debit(tx, &change, now)? {
            return Err(PurseError::Internal);
        }
        let fee_reserve = match reserve {
            Msat::ZERO => None,
            reserve => {
                let withheld = accounts::withhold(tx, account, reserve, &public_id, now)?;
                Some(withheld.ok_or(PurseError::Internal)?)
            }
        };
        accounts::add_pending(tx, account, whole)?;
        store::add_spent(tx, purse.id, day, whole.signed())?;
        let draft = payments::Draft {
            public_id: &public_id,
            purse: purse.id,
            account,
            request: ask.map(|ask| (ask.key(), ask.body_hash())),
            resource: order.resource.as_ref().map(|(origin, path)| (origin.as_str(), path.as_str())),
            proof: sealed,
            amount,
            reserve,
            fee_reserve,
            day,
        };
        let wanted = Order { family: Family::Purse, invoice: &order.invoice, amount, max_fee: reserve };
        let queued = payouts::queue_knowing(tx, self.ledger(), &wanted, known.preimage, |payout| {
            payments::insert(tx, &draft, payout, now)
        })?;
        match queued {
            Queued::New(payout) => {
                payouts::note_source(tx, payout.id, Some(&format!("account {}", account.0)))?;
                let payment = payments::by_payout(tx, payout.id)?.ok_or(PurseError::Internal)?;
                self.0.parts.listener.record(tx, "purse.payment_created", &payment)?;
                Ok(Begun::Own(payment))
            }
            Queued::Existing(_) | Queued::Unpayable => Err(PurseError::bad_answer(
                "INVOICE_UNUSABLE",
                "it is an invoice of this server that is paid, over, or not as it was made",
            )),
        }
    }

    /// Whether an invoice is of this node, and its preimage, for which the node is asked before the transaction: its
    /// own writes must not wait for ours.
    async fn known(&self, hash: PaymentHash, amount: Msat) -> Result<Known, PurseError> {
        let today = self.today();
        let ours = self
            .store()
            .read(move |connection| -> Result<_, PurseError> {
                Ok(charges::by_hash(connection, hash)?.is_some())
            })
            .await?;
        if !ours {
            let rooms = self.0.parts.node.ask(|node| node.channel_rooms()).await;
            let rooms = rooms.map_err(|_| PurseError::Unavailable)?;
            return Ok(Known {
                ours,
                preimage: None,
                shortfall: Model::of(&rooms).no_way_out(amount),
                today,
            });
        }
        let record = self.0.parts.node.ask(move |node| node.record(hash)).await;
        let record = record.map_err(|_| PurseError::Unavailable)?;
        Ok(Known { ours, preimage: record.and_then(|record| record.preimage), shortfall: None, today })
    }

    /// Waits until a payment has arrived.
    pub(super) async fn wait(&self, payment: Payment) -> Result<Payment, PurseError> {
        let (id, deadline) = (payment.id, Instant::now() + self.rules().payment_wait);
        let mut payment = payment;
        loop {
            let ended = self.0.parts.listener.ended().notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let read = self.store().read(move |connection| payments::by_id(connection, id)).await?;
            payment = read.unwrap_or(payment);
            match payment.status {
                PaymentStatus::Paid => return Ok(payment),
                PaymentStatus::Failed => {
                    let why = payment.error.unwrap_or_else(|| "the payment did not arrive".into());
                    return Err(PurseError::PaymentFailed(why));
                }
                PaymentStatus::Pending => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PurseError::Pending(Box::new(PaidView::from(&payment))));
            }
            // An elapsed time is a reason to look as well.
            let _ = tokio::time::timeout(left.min(LOOK_EVERY), ended).await;
        }
    }
}

/// The service of a purchase.
fn origin(resource: Option<&(String, String)>) -> Option<&str> {
    resource.map(|(origin, _)| origin.as_str())
}

/// What an invoice asks for, if it says so.
pub(super) fn amount_of(invoice: &Bolt11Invoice) -> Option<Msat> {
    invoice.amount_milli_satoshis().and_then(Msat::new).filter(|amount| *amount > Msat::ZERO)
}

/// The purse of a key, if it may spend.
pub(super) fn live(connection: &Connection, key: KeyId) -> Result<Purse, PurseError> {
    let found = store::of_key(connection, key)?;
    found.filter(|purse| purse.revoked_at.is_none()).ok_or(PurseError::NoPurse)
}

/// What this very request has paid before.
pub(super) fn begun_by(
    connection: &Connection,
    purse: &Purse,
    ask: Option<&IdempotencyKey>,
) -> Result<Option<Payment>, PurseError> {
    let Some(ask) = ask else { return Ok(None) };
    match payments::by_request(connection, purse.id, ask.key())? {
        Some(payment) if !payment.request_hash.is_some_and(|hash| ask.is_body(&hash)) => {
            Err(PurseError::IdempotencyKeyReuse)
        }
        found => Ok(found),
    }
}
