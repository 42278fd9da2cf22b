//! What the operator's commands need of the ledger and the keys.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};

use super::build::App;
use crate::admin::{AdminError, Issued, KeyAdmin, Money, NewKey, PayOrder, PayTo, PayoutView, SendOrder};
#[cfg(feature = "failpoints")]
use crate::core::ids::random_bytes;
use crate::core::ids::{CoinSendId, Preimage, Secret};
use crate::core::money::Msat;
use crate::http::audit_log::Act;
use crate::http::keys::{KeyBounds, KeyError, KeyId, KeyInfo, Scope};
use crate::ledger::coins::{self, CoinStatus, OnchainPayout};
use crate::ledger::offer_payouts::{self, OfferPayout};
use crate::ledger::payouts::{self, Order, Payout, PayoutStatus, Queued};
use crate::ledger::solvency::{NotFree, Standing};
use crate::ledger::{Family, LedgerError, charges};
use crate::lightning::{InvoiceError, InvoiceRequest};
use crate::services::accounts::{self, Payable};
use crate::storage::Tx;

/// What the ids of coins begin with among those of payouts.
pub(super) const COINS: &str = "coins-";

/// The operator's side of the app.
#[derive(Clone)]
pub(crate) struct AdminService(pub(crate) Arc<App>);

impl Money for AdminService {
    fn pay(&self, order: PayOrder, act: Act) -> BoxFuture<'_, Result<PayoutView, AdminError>> {
        Box::pin(async move {
            let payable = match order.to {
                PayTo::Invoice(invoice) => {
                    let asked = invoice.amount_milli_satoshis().and_then(Msat::new).or(order.amount);
                    let amount =
                        asked.ok_or_else(|| AdminError::BadRequest("the invoice has no amount".into()))?;
                    Payable::Invoice(invoice, amount)
                }
                PayTo::Target(text) => {
                    self.0.accounts.payable(&text, order.amount).await.map_err(accounts::admin_error)?
                }
            };
            match payable {
                Payable::Invoice(invoice, amount) => {
                    self.pay_invoice(*invoice, amount, order.max_fee, order.force, act).await
                }
                Payable::Offer(offer, amount) => {
                    self.pay_offer(offer.to_string(), amount, order.max_fee, order.force, act).await
                }
                // The wallet's coins are nobody else's, so nothing that is owed is touched.
                Payable::Address(address, amount) => {
                    let send =
                        SendOrder { address, amount: Some(amount), sat_per_vb: None, max_fee: order.max_fee };
                    let coins = self.send_coins(send, act).await?;
                    Ok(view_of_coins(&coins))
                }
            }
        })
    }

    fn payout(&self, public_id: String) -> BoxFuture<'_, Result<Option<PayoutView>, AdminError>> {
        Box::pin(async move {
            let read = self.0.store.read(move |connection| -> Result<_, LedgerError> {
                if let Some(payout) = payouts::by_public_id(connection, &public_id)? {
                    return Ok(Some(view(&payout)));
                }
                if let Some(payout) = offer_payouts::by_public_id(connection, &public_id)? {
                    return Ok(Some(view_of_offer(&payout)));
                }
                let Some(id) = public_id.strip_prefix(COINS).and_then(|id| id.parse().ok()) else {
                    return Ok(None);
                };
                Ok(coins::find(connection, CoinSendId(id))?.as_ref().map(view_of_coins))
            });
            read.await.map_err(unavailable)
        })
    }

    fn invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Issued, AdminError>> {
        Box::pin(async move {
            let amount = request.amount;
            let preimage = held_for_a_test();
            let request =
                InvoiceRequest { hold: preimage.map(|preimage| preimage.payment_hash()), ..request };
            let invoice = self.0.asked.create_invoice(request).await.map_err(|error| match error {
                InvoiceError::NotRunning => AdminError::Unavailable("the node is not running yet".into()),
                InvoiceError::Refused(why) => AdminError::Refused(why),
            })?;
            let (ours, now) = (invoice.clone(), self.0.ledger.clock.now());
            let written = self.0.store.write(move |tx| match preimage {
                Some(preimage) => charges::open_held(tx, Family::Operator, &ours, amount, preimage, now),
                None => charges::open(tx, Family::Operator, &ours, amount, now),
            });
            written.await.map_err(unavailable)?;
            Ok(Issued {
                payment_hash: charges::hash_of(&invoice),
                amount_msat: amount.map(Msat::get),
                expires_at: invoice.expires_at().map_or(0, |at| at.as_secs()),
                invoice: invoice.to_string(),
            })
        })
    }
}

impl AdminService {
    async fn pay_invoice(
        &self,
        invoice: Bolt11Invoice,
        amount: Msat,
        max_fee: Option<Msat>,
        force: bool,
        act: Act,
    ) -> Result<PayoutView, AdminError> {
        let max_fee = max_fee.unwrap_or_else(|| self.0.gifts.rules().max_fee(amount));
        let ledger = self.0.ledger.clone();
        let standing = if force { None } else { Some(self.standing().await?) };
        let queued = self.0.store.write(move |tx| -> Result<Result<Payout, AdminError>, LedgerError> {
            let order = Order { family: Family::Operator, invoice: &invoice, amount, max_fee };
            let known = payouts::by_hash(tx, charges::hash_of(&invoice))?.is_some()
                || charges::by_hash(tx, charges::hash_of(&invoice))?.is_some();
            // What exists is only looked up, and an invoice of our own leaves no channel.
            if let Some(standing) = standing.filter(|_| !known) {
                let whole = amount.checked_add(max_fee).unwrap_or(Msat::MAX);
                if let Err(not_free) = standing.covers(tx, whole)? {
                    return Ok(Err(not_enough(&not_free, amount, max_fee)));
                }
            }
            Ok(match payouts::queue(tx, &ledger, &order, |_| Ok(()))? {
                Queued::New(payout) => {
                    act.to(&payout.public_id).done(tx, ledger.clock.now())?;
                    Ok(payout)
                }
                Queued::Existing(payout) if payout.family == Family::Operator => Ok(payout),
                Queued::Unpayable => {
                    Err(AdminError::Refused("this invoice of ours is paid or over already".into()))
                }
                Queued::Existing(_) => {
                    Err(AdminError::Refused("this invoice is being paid for somebody else".into()))
                }
            })
        });
        queued.await.map_err(unavailable)?.map(|payout| view(&payout))
    }

    /// An offer has no payment hash before it is paid, so each order is another payment.
    async fn pay_offer(
        &self,
        offer: String,
        amount: Msat,
        max_fee: Option<Msat>,
        force: bool,
        act: Act,
    ) -> Result<PayoutView, AdminError> {
        let max_fee = max_fee.unwrap_or_else(|| self.0.gifts.rules().max_fee(amount));
        let ledger = self.0.ledger.clone();
        let standing = if force { None } else { Some(self.standing().await?) };
        let queued = self.0.store.write(move |tx| -> Result<Result<_, AdminError>, LedgerError> {
            if let Some(standing) = standing {
                let whole = amount.checked_add(max_fee).unwrap_or(Msat::MAX);
                if let Err(not_free) = standing.covers(tx, whole)? {
                    return Ok(Err(not_enough(&not_free, amount, max_fee)));
                }
            }
            let public_id = uuid::Uuid::new_v4().to_string();
            let wanted = offer_payouts::Wanted {
                family: Family::Operator,
                offer: &offer,
                amount,
                max_fee,
                public_id: &public_id,
                source: None,
                routing_account: None,
            };
            let id = offer_payouts::queue(tx, &ledger, &wanted)?;
            act.to(&public_id).done(tx, ledger.clock.now())?;
            Ok(Ok(offer_payouts::by_id(tx, id)?))
        });
        queued.await.map_err(unavailable)?.map(|payout| view_of_offer(&payout))
    }

    /// What the operator's payment is judged by.
    pub(super) async fn standing(&self) -> Result<Standing, AdminError> {
        let ledger = self.0.ledger.clone();
        let taken = tokio::task::spawn_blocking(move || Standing::take(&ledger)).await;
        taken.map_err(AdminError::internal)?.map_err(unavailable)
    }
}

/// Why the operator can't spend so much.
fn not_enough(not_free: &NotFree, amount: Msat, max_fee: Msat) -> AdminError {
    AdminError::Refused(format!(
        "{not_free}. This needs {amount} and up to {max_fee} for routing; `--force` pays it all the same, and what is owed may then not be redeemable"
    ))
}

/// With the failpoint `operator.hold` the operator's invoices are held ones, for tests of what a crash leaves of those.
#[cfg(feature = "failpoints")]
fn held_for_a_test() -> Option<Preimage> {
    fail::eval("operator.hold", |_| random_bytes().ok()).flatten().map(Preimage)
}

#[cfg(not(feature = "failpoints"))]
const fn held_for_a_test() -> Option<Preimage> {
    None
}

impl KeyAdmin for AdminService {
    fn create(&self, key: NewKey, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let scopes: Vec<Scope> =
                key.scopes.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(
                    |error: crate::http::keys::BadScope| AdminError::BadRequest(error.to_string()),
                )?;
            let bounds = bounds(&key)?;
            let now = self.0.ledger.clock.now();
            let note = move |tx: &Tx<'_>, made: &KeyInfo| act.to(made.id.0.to_string()).done(tx, now);
            let made = self.0.keys.create_noting(&key.name, &scopes, key.account.as_deref(), &bounds, note);
            let (info, text) = made.await.map_err(key_error)?;
            Ok(with_text(key_view(&info), &text))
        })
    }

    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let keys = self.0.keys.page(KeyId(after), limit).await.map_err(key_error)?;
            Ok(keys.iter().map(key_view).collect())
        })
    }

    fn rotate(
        &self,
        id: String,
        overlap_secs: u64,
        act: Act,
    ) -> BoxFuture<'_, Result<Option<Value>, AdminError>> {
        Box::pin(async move {
            let Ok(id) = id.parse() else { return Ok(None) };
            let (until, now) = (in_secs(overlap_secs), self.0.ledger.clock.now());
            match self.0.keys.rotate_noting(KeyId(id), until, move |tx| act.done(tx, now)).await {
                Ok((info, text)) => Ok(Some(with_text(key_view(&info), &text))),
                Err(KeyError::NoSuchKey) => Ok(None),
                Err(error) => Err(key_error(error)),
            }
        })
    }

    fn revoke(&self, id: String, act: Act) -> BoxFuture<'_, Result<bool, AdminError>> {
        Box::pin(async move {
            let Ok(id) = id.parse() else { return Ok(false) };
            let now = self.0.ledger.clock.now();
            match self.0.keys.revoke_noting(KeyId(id), move |tx| act.done(tx, now)).await {
                Ok(_) => Ok(true),
                Err(KeyError::NoSuchKey) => Ok(false),
                Err(error) => Err(key_error(error)),
            }
        })
    }
}

/// So many seconds from now, in unix milliseconds.
fn in_secs(secs: u64) -> i64 {
    let millis = i64::try_from(secs.saturating_mul(1_000)).unwrap_or(i64::MAX);
    crate::http::now_ms().saturating_add(millis)
}

fn bounds(key: &NewKey) -> Result<KeyBounds, AdminError> {
    if key.expires_in_secs == Some(0) {
        return Err(AdminError::BadRequest("expires_in_secs must be at least 1".into()));
    }
    let network = |text: &String| {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(address).ok_or_else(|| {
            let example = "give networks like 203.0.113.0/24 or addresses like 203.0.113.7";
            AdminError::BadRequest(format!("{text:?} is no network; {example}"))
        })
    };
    let networks = key.networks.iter().map(network).collect::<Result<_, _>>()?;
    Ok(KeyBounds { expires_at: key.expires_in_secs.map(in_secs), networks })
}

/// A key without its text. Times are in unix seconds.
fn key_view(info: &KeyInfo) -> Value {
    let secs = |at: Option<i64>| at.map(|at| at / 1_000);
    json!({
        "id": info.id.0.to_string(),
        "name": info.name,
        "prefix": info.prefix,
        "scopes": info.scopes,
        "account": info.account,
        "networks": info.networks,
        "created_at": info.created_at / 1_000,
        "expires_at": secs(info.expires_at),
        "old_text_until": secs(info.old_expires_at),
        "revoked_at": secs(info.revoked_at),
        "last_used_at": secs(info.last_used_at),
    })
}

fn with_text(mut view: Value, text: &Secret) -> Value {
    if let Some(fields) = view.as_object_mut() {
        fields.insert("key".into(), json!(text.expose()));
    }
    view
}

fn view(payout: &Payout) -> PayoutView {
    PayoutView {
        id: payout.public_id.clone(),
        status: payout.status.name().into(),
        payment_hash: Some(payout.payment_hash),
        amount_msat: payout.amount.get(),
        max_fee_msat: payout.max_fee.get(),
        fee_msat: payout.fee.map(Msat::get),
        left_msat: payout.left.map(Msat::get),
        preimage: payout.preimage,
        error: payout.error.clone(),
    }
}

fn view_of_offer(payout: &OfferPayout) -> PayoutView {
    PayoutView {
        id: payout.public_id.clone(),
        status: payout.status.name().into(),
        payment_hash: payout.payment_hash,
        amount_msat: payout.amount.get(),
        max_fee_msat: payout.max_fee.get(),
        fee_msat: payout.fee.map(Msat::get),
        preimage: payout.preimage,
        left_msat: None,
        error: payout.error.clone(),
    }
}

/// Coins in the words of payouts: they are under way until their transaction is six blocks deep.
fn view_of_coins(coins: &OnchainPayout) -> PayoutView {
    let status = match coins.status {
        CoinStatus::Queued => PayoutStatus::Queued,
        CoinStatus::Sending => PayoutStatus::Dispatching,
        CoinStatus::Sent => PayoutStatus::InFlight,
        CoinStatus::Paid => PayoutStatus::Paid,
        CoinStatus::Failed => PayoutStatus::Failed,
    };
    PayoutView {
        id: format!("{COINS}{}", coins.id),
        status: status.name().into(),
        payment_hash: None,
        amount_msat: coins.amount.get(),
        max_fee_msat: coins.max_fee.get(),
        fee_msat: coins.fee.map(Msat::get),
        preimage: None,
        left_msat: None,
        error: coins.error.clone(),
    }
}

pub(super) fn unavailable(error: LedgerError) -> AdminError {
    tracing::error!(%error, "an operator's request failed");
    AdminError::Unavailable("the database does not answer now; see the log".into())
}

fn key_error(error: KeyError) -> AdminError {
    AdminError::Refused(error.to_string())
}
