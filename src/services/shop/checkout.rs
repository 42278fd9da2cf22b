//! Making an order: what it comes to, an invoice for that, then charge and order in one transaction.

use rusqlite::Connection;

use super::amounts;
use super::cart::Cart;
use super::ids::{OrderKey, claim_token};
use super::location::Location;
use super::place::{self, Goods, Unnamed};
use super::store::catalogue::{self, Variant};
use super::store::orders::{self, Bill, Draft, Item, Order};
use super::store::stores::ShopStore;
use super::{Shop, ShopError};
use crate::core::ids::{Preimage, Secret, random_bytes, random_hex};
use crate::core::money::Msat;
use crate::core::text::beginning;
use crate::core::time::{UnixMillis, millis};
use crate::crash_point;
use crate::ledger::solvency::Sale;
use crate::ledger::{Family, charges};
use crate::lightning::{InvoiceDescription, InvoiceRequest};

/// Bytes of an invoice's description.
const DESCRIPTION_BYTES: usize = 200;

/// How a checkout names a state.
const NAME_A_STATE: &str = "send X-Buyer-Location: {country}-STATE-ZIP with";

/// Something to order.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// What.
    pub cart: Cart,
    /// Where the buyer is, if they say so.
    pub at: Option<Location>,
    /// The same key in the same store is the same order.
    pub idempotency_key: Option<String>,
}

/// What an order comes to, and what it is made of.
struct Priced {
    items: Vec<Item>,
    bill: Bill,
    ships: bool,
    at: Location,
}

impl Shop {
    /// Makes an order with its invoice.
    ///
    /// # Errors
    /// [`ShopError::Disabled`]; [`ShopError::Invalid`] for what isn't sold or sent there; [`ShopError::Conflict`] for
    /// what is sold out; [`ShopError::IdempotencyKeyReuse`]; [`ShopError::RateUnavailable`];
    /// [`ShopError::TooMany`]; the node's, the store's. Nothing is left behind by any.
    pub(super) async fn order(&self, store: &ShopStore, new: NewOrder) -> Result<Order, ShopError> {
        let (asked, of, now) = (new.clone(), store.clone(), self.now());
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            if let Some(same) = made_before(connection, &of, &asked, now)? {
                return Ok((Some(same), None));
            }
            Ok((None, Some(price(connection, &of, &asked)?)))
        });
        let priced = match read.await? {
            (Some(same), _) => return Ok(same),
            (None, Some(priced)) => priced,
            (None, None) => return Err(ShopError::Internal),
        };
        if !self.rules().enabled {
            return Err(ShopError::Disabled);
        }
        let quote = store.unit.currency().map(|currency| self.rates().quote(currency)).transpose()?;
        let sats = amounts::sats(priced.bill.total, store.unit, quote.as_ref())?;
        if sats == Msat::ZERO {
            return Err(ShopError::invalid("AMOUNT_TOO_SMALL", "The order comes to less than one sat"));
        }
        let most = self.rules().max_amount;
        if sats > most {
            let message = format!(
                "The order comes to {} sat; at most {} are taken",
                sats.sat_floor(),
                most.sat_floor()
            );
            return Err(ShopError::invalid("AMOUNT_TOO_LARGE", message));
        }
        self.0.gate.check(Sale::Merchant { comes: sats }).await?;
        let budget = self.0.parts.budget.take();
        budget.map_err(|retry_after| ShopError::TooMany { quota: None, retry_after })?;
        let preimage = Preimage(random_bytes()?);
        let request = InvoiceRequest {
            amount: Some(sats),
            description: InvoiceDescription::Text(description(&store.name, &priced.items)),
            expiry: self.rules().expiry,
            hold: Some(preimage.payment_hash()),
        };
        let invoice = self.0.parts.node.draft_invoice(request).await?;
        let (key, token, claim) = (OrderKey::random()?, random_bytes()?, claim_token()?);
        let status_token = Secret::new(random_hex::<16>()?);
        let total_usd = amounts::dollars(priced.bill.total, store.unit, self.rates());
        let (now, of) = (self.now(), store.clone());
        let written = self.store().write(move |tx| -> Result<Order, ShopError> {
            if let Some(same) = made_before(tx, &of, &new, now)? {
                // Our fresh invoice is nobody's, and forgotten.
                return Ok(same);
            }
            if let Some(key) = new.idempotency_key.as_deref() {
                orders::release_key(tx, of.id, key)?;
            }
            let charge = charges::open_held(tx, Family::Shop, &invoice, Some(sats), preimage, now)?;
            let draft = Draft {
                key,
                store: of.id,
                account: of.account,
                charge,
                payment_hash: preimage.payment_hash(),
                token,
                claim_token: &claim,
                status_token: &status_token,
                unit: of.unit,
                bill: priced.bill,
                total_usd,
                price: sats,
                rate: quote.as_ref().map(|quote| quote.rate),
                at: &priced.at,
                ships: priced.ships,
                idempotency_key: new.idempotency_key.as_deref(),
                items: &priced.items,
                expires_at: invoice.expires_at().map_or(now, millis),
            };
            let id = orders::insert(tx, &draft, now)?;
            let order = orders::by_id(tx, id)?;
            invoice.keep();
            Ok(order)
        });
        let order = written.await?;
        crash_point!("shop.after_checkout");
        Ok(order)
    }
}

/// The order that was made with the same key, unless nobody paid it in time.
fn made_before(
    connection: &Connection,
    store: &ShopStore,
    new: &NewOrder,
    now: UnixMillis,
) -> Result<Option<Order>, ShopError> {
    let Some(key) = new.idempotency_key.as_deref() else { return Ok(None) };
    let found = orders::by_idempotency_key(connection, store.id, key)?;
    match found.filter(|order| order.paid_at.is_some() || order.expires_at > now) {
        Some(same) if new.is_of(&same, store) => Ok(Some(same)),
        Some(_) => Err(ShopError::IdempotencyKeyReuse),
        None => Ok(None),
    }
}

impl NewOrder {
    /// Whether an order is for just this.
    pub(super) fn is_of(&self, order: &Order, store: &ShopStore) -> bool {
        self.cart.is_of(&order.items) && *self.at.as_ref().unwrap_or(&store.home) == order.at
    }
}

/// What an order comes to now.
fn price(connection: &Connection, store: &ShopStore, new: &NewOrder) -> Result<Priced, ShopError> {
    let mut lines: Vec<(Variant, u32)> = Vec::new();
    let mut items = Vec::new();
    for (id, quantity) in new.cart.lines() {
        let found = catalogue::of_store(connection, store.id, id)?;
        let Some((variant, product_title)) = found.filter(|(variant, _)| variant.active) else {
            let message = format!("This store does not sell the variant {id}");
            return Err(ShopError::invalid("UNKNOWN_VARIANT", message));
        };
        if !variant.has(quantity) {
            let left = variant.stock.unwrap_or(0).max(0);
            let message = format!("Of the variant {id} ({product_title}) there are {left} left");
            return Err(ShopError::conflict("OUT_OF_STOCK", message));
        }
        items.push(Item {
            variant: id,
            product_title,
            variant_title: variant.title.clone(),
            sku: variant.sku.clone(),
            quantity,
            price: variant.price,
        });
        lines.push((variant, quantity));
    }
    let at = new.at.as_ref().unwrap_or(&store.home);
    let ships = lines.iter().any(|(variant, _)| variant.ships);
    let taxed = lines.iter().any(|(variant, _)| variant.taxable) || (ships && store.tax_shipping);
    // Clients that say nothing are where the store is.
    let unnamed = if new.at.is_some() { Unnamed::Refused(NAME_A_STATE) } else { Unnamed::Highest };
    let costs = place::costs(connection, store, at, Goods { ships, taxed }, unnamed)?;
    let shipping = costs.shipping.ok_or_else(|| {
        let message = format!("This store does not ship to {}", at.country);
        ShopError::invalid("SHIPPING_UNAVAILABLE", message)
    })?;
    let bill = bill(store, at, &lines, shipping, u32::try_from(costs.tax_ppm).unwrap_or(u32::MAX));
    let too_large =
        || ShopError::invalid("AMOUNT_TOO_LARGE", "The order comes to more than can be paid at once");
    Ok(Priced { items, bill: bill.ok_or_else(too_large)?, ships, at: at.clone() })
}

/// Sums it up; `None` if that is more than any order comes to.
fn bill(
    store: &ShopStore,
    at: &Location,
    lines: &[(Variant, u32)],
    shipping: u64,
    tax_ppm: u32,
) -> Option<Bill> {
    let sum = |of: &dyn Fn(&Variant) -> bool| {
        lines.iter().filter(|(variant, _)| of(variant)).try_fold(0_u64, |sum, (variant, quantity)| {
            sum.checked_add(variant.price.checked_mul(u64::from(*quantity))?)
        })
    };
    let subtotal = sum(&|_| true)?;
    let free = at.country == store.home.country && store.free_from.is_some_and(|from| subtotal >= from);
    let shipping = if free { 0 } else { shipping };
    let taxable = sum(&|variant| variant.taxable)?;
    let taxable = if store.tax_shipping { taxable.checked_add(shipping)? } else { taxable };
    let tax = amounts::share(taxable, tax_ppm);
    let total = subtotal.checked_add(shipping)?.checked_add(tax)?;
    Some(Bill { subtotal, shipping, tax, total })
}

/// What the payer reads.
fn description(store: &str, items: &[Item]) -> String {
    let lines: Vec<_> = items.iter().map(|item| format!("{} × {}", item.quantity, item.title())).collect();
    beginning(&format!("{store}: {}", lines.join(", ")), DESCRIPTION_BYTES).to_owned()
}
