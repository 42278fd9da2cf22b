//! The operator's own payouts and invoices. They go through the ledger like everybody's, so that the
//! books stay right; how is [`Money`]'s matter.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use lightning_invoice::Bolt11Invoice;
use serde::{Deserialize, Serialize};

use super::extract::{Body, By};
use super::{AdminError, AdminState};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::http::audit_log::{Act, ActKind};
use crate::ledger::charges;
use crate::lightning::{InvoiceDescription, InvoiceRequest, invoice as invoices};

/// Longest text a BOLT11 description can hold.
const MAX_DESCRIPTION_BYTES: usize = 639;

/// How long an invoice can be paid unless the operator says otherwise.
const DEFAULT_EXPIRY_SECS: u64 = 3_600;

/// A year: longer ones are a mistake, and can never be pruned.
const MAX_EXPIRY_SECS: u64 = 366 * 86_400;

/// The operator's access to the ledger.
pub trait Money: Send + Sync {
    /// Notes the intent to pay durably, with this act, and answers; the outcome is asked with [`Money::payout`]. The same
    /// invoice or address again gives the same payout; an offer or a name is paid again. What is owed to others is left
    /// untouched unless the order says otherwise.
    ///
    /// Crash behaviour: as every payout. Once answered it is carried out, or seen to have failed.
    ///
    /// # Errors
    /// [`AdminError::Refused`] when the books or the invoice forbid it, [`AdminError::Unavailable`].
    fn pay(&self, order: PayOrder, act: Act) -> BoxFuture<'_, Result<PayoutView, AdminError>>;

    /// A payout of anybody's, by its public id.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn payout(&self, public_id: String) -> BoxFuture<'_, Result<Option<PayoutView>, AdminError>>;

    /// A new invoice whose payment is the operator's.
    ///
    /// # Errors
    /// [`AdminError::Refused`], [`AdminError::Unavailable`].
    fn invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Issued, AdminError>>;
}

/// Whom to pay.
#[derive(Clone, Debug)]
pub enum PayTo {
    /// Whoever made this invoice.
    Invoice(Box<Bolt11Invoice>),
    /// What this text stands for: an offer, a lightning address, a BIP353 name, an address, a `bitcoin:` URI.
    Target(String),
}

/// What to pay.
#[derive(Clone, Debug)]
pub struct PayOrder {
    /// Whom.
    pub to: PayTo,
    /// How much, if they leave that open.
    pub amount: Option<Msat>,
    /// The most that it may cost: in routing fees, by default what `[payouts]` says; for an address what the miners may
    /// get.
    pub max_fee: Option<Msat>,
    /// Even if what is owed to others could then not be paid out.
    pub force: bool,
}

/// A payout as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PayoutView {
    /// Its public id.
    pub id: String,
    /// `queued`, `dispatching`, `in_flight`, `unknown`, `paid` or `failed`; the last two are final.
    pub status: String,
    /// What it pays; of an offer known only late, of an address never.
    pub payment_hash: Option<PaymentHash>,
    /// How much, in msat.
    pub amount_msat: u64,
    /// The most it may cost in routing fees, in msat.
    pub max_fee_msat: u64,
    /// What it did cost, once paid: routing fees, and what the recipient was paid more than asked.
    pub fee_msat: Option<u64>,
    /// What left the channels for it, once paid, where that could be told.
    pub left_msat: Option<u64>,
    /// The receipt, once paid.
    pub preimage: Option<Preimage>,
    /// Why it failed.
    pub error: Option<String>,
}

/// An invoice of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issued {
    /// BOLT11.
    pub invoice: String,
    /// Its hash.
    pub payment_hash: PaymentHash,
    /// How much, in msat; `None` leaves it to the payer.
    pub amount_msat: Option<u64>,
    /// Until when it can be paid, unix seconds.
    pub expires_at: u64,
}

/// An invoice to pay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayRequest {
    invoice: Option<String>,
    target: Option<String>,
    amount_sat: Option<u64>,
    max_fee_sat: Option<u64>,
    #[serde(default)]
    force: bool,
}

/// An invoice to make.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct MakeRequest {
    amount_sat: Option<u64>,
    description: Option<String>,
    expiry_secs: Option<u64>,
}

/// `POST /admin/v1/pay`
pub async fn pay(
    State(state): State<AdminState>,
    By(key): By,
    Body(request): Body<PayRequest>,
) -> Result<Json<PayoutView>, AdminError> {
    let max_fee = request.max_fee_sat.map(|sat| sat_amount("max_fee_sat", sat)).transpose()?;
    let amount = request.amount_sat.map(|sat| sat_amount("amount_sat", sat)).transpose()?;
    if amount == Some(Msat::ZERO) {
        return Err(AdminError::BadRequest("amount_sat must be at least 1".into()));
    }
    let act = Act::new(key, ActKind::Pay)
        .with("amount_msat", amount)
        .with("max_fee_msat", max_fee)
        .with("force", request.force);
    let (to, act) = match (request.invoice, request.target) {
        (Some(text), None) => {
            let invoice = match amount {
                None => parse_invoice(&text, state.config.network)?,
                Some(amount) => parse_invoice_for(&text, state.config.network, amount)?,
            };
            let act = act
                .with("payment_hash", charges::hash_of(&invoice))
                .with("amount_msat", invoice.amount_milli_satoshis().or(amount.map(Msat::get)));
            (PayTo::Invoice(Box::new(invoice)), act)
        }
        (None, Some(text)) => {
            let act = act.with("target", text.trim());
            (PayTo::Target(text), act)
        }
        _ => return Err(AdminError::BadRequest("give either invoice or target".into())),
    };
    let order = PayOrder { to, amount, max_fee, force: request.force };
    state.acts.recorded(act.clone(), state.money.pay(order, act)).await.map(Json)
}

/// `GET /admin/v1/payouts/{public_id}`
pub async fn payout(
    State(state): State<AdminState>,
    Path(public_id): Path<String>,
) -> Result<Json<PayoutView>, AdminError> {
    let found = state.money.payout(public_id).await?;
    found.map(Json).ok_or_else(|| AdminError::NotFound("there is no payout with this id".into()))
}

/// `POST /admin/v1/invoice`
pub async fn invoice(
    State(state): State<AdminState>,
    By(key): By,
    Body(request): Body<MakeRequest>,
) -> Result<Json<Issued>, AdminError> {
    let act = Act::new(key, ActKind::InvoiceCreate).with("amount_sat", request.amount_sat);
    let made = async { state.money.invoice(invoice_request(request)?).await };
    state.acts.around(act, made, |made| Some(made.payment_hash.to_string())).await.map(Json)
}

fn invoice_request(request: MakeRequest) -> Result<InvoiceRequest, AdminError> {
    let amount = request.amount_sat.map(|sat| sat_amount("amount_sat", sat)).transpose()?;
    if amount == Some(Msat::ZERO) {
        return Err(AdminError::BadRequest(
            "amount_sat must be at least 1; leave it out to let the payer decide".into(),
        ));
    }
    let description = request.description.unwrap_or_default();
    if description.len() > MAX_DESCRIPTION_BYTES {
        let text = format!("description has more than {MAX_DESCRIPTION_BYTES} bytes; shorten it");
        return Err(AdminError::BadRequest(text));
    }
    let expiry = request.expiry_secs.unwrap_or(DEFAULT_EXPIRY_SECS);
    if !(1..=MAX_EXPIRY_SECS).contains(&expiry) {
        return Err(AdminError::BadRequest(format!("expiry_secs must be from 1 to {MAX_EXPIRY_SECS}")));
    }
    Ok(InvoiceRequest {
        amount,
        description: InvoiceDescription::Text(description),
        expiry: Duration::from_secs(expiry),
        hold: None,
    })
}

/// Refuses what can never be paid, before the ledger hears of it.
pub(super) fn parse_invoice(text: &str, network: bitcoin::Network) -> Result<Bolt11Invoice, AdminError> {
    let invoice = read_invoice(text, network)?;
    if invoice.amount_milli_satoshis().is_none_or(|msat| msat == 0) {
        let text = "the invoice has no amount; ask for one with an amount, or say how much";
        return Err(AdminError::BadRequest(text.into()));
    }
    Ok(invoice)
}

/// The same for one that is paid with this amount.
fn parse_invoice_for(
    text: &str,
    network: bitcoin::Network,
    amount: Msat,
) -> Result<Bolt11Invoice, AdminError> {
    let invoice = read_invoice(text, network)?;
    match invoice.amount_milli_satoshis() {
        Some(asked) if asked != amount.get() => Err(AdminError::BadRequest(format!(
            "the invoice asks for exactly {asked} msat; leave amount_sat out"
        ))),
        _ => Ok(invoice),
    }
}

fn read_invoice(text: &str, network: bitcoin::Network) -> Result<Bolt11Invoice, AdminError> {
    let bad = |text: &str| AdminError::BadRequest(text.into());
    let invoice = invoices::read(text).map_err(|_| bad("this is not a BOLT11 invoice"))?;
    if invoice.network() != network {
        return Err(bad(&format!("the invoice is for {}, this node is on {network}", invoice.network())));
    }
    if invoice.is_expired() {
        return Err(bad("the invoice has expired; ask for a new one"));
    }
    Ok(invoice)
}

pub(super) fn sat_amount(name: &str, sat: u64) -> Result<Msat, AdminError> {
    Msat::from_sat(sat).ok_or_else(|| AdminError::BadRequest(format!("{name} is more than there is bitcoin")))
}
