//! Orders and their items.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::stores::{signed, unsigned};
use crate::core::decimal::Decimal;
use crate::core::ids::{AccountId, ChargeId, FeeReserveId, PaymentHash, Secret};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::rates::Unit;
use crate::services::shop::ids::{OrderId, OrderKey, StoreId, VariantId, claim_hash};
use crate::services::shop::location::Location;
use crate::services::shop::status::OrderStatus;
use crate::storage::Tx;

/// What an order comes to, in the smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// All pieces.
    pub subtotal: u64,
    /// For bringing them.
    pub shipping: u64,
    /// For the state.
    pub tax: u64,
    /// All of it.
    pub total: u64,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub variant: VariantId,
    /// As it was called.
    pub product_title: String,
    /// Likewise.
    pub variant_title: String,
    /// The seller's own name for it.
    pub sku: String,
    /// Pieces.
    pub quantity: u32,
    /// Of one.
    pub price: u64,
}

/// Where a parcel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// The carrier's number.
    pub number: Option<String>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's page.
    pub url: Option<String>,
}

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Row id.
    pub id: OrderId,
    /// The id that callers see.
    pub key: OrderKey,
    /// Of which store.
    pub store: StoreId,
    /// Whose money it is.
    pub account: AccountId,
    /// Its charge.
    pub charge: ChargeId,
    /// Names the payment.
    pub payment_hash: PaymentHash,
    /// Of its macaroon.
    pub token: [u8; 32],
    /// BOLT11.
    pub invoice: String,
    /// Lets the buyer say where it goes.
    pub claim_token: Secret,
    /// Lets whoever ordered follow the payment.
    pub status_token: Secret,
    /// How far it is.
    pub status: OrderStatus,
    /// Of its prices.
    pub unit: Unit,
    /// What it comes to.
    pub bill: Bill,
    /// The same in dollars, as it was shown.
    pub total_usd: Option<Decimal>,
    /// The same in sats: what the invoice asks for.
    pub price: Msat,
    /// Where the buyer is.
    pub at: Location,
    /// Whether anything of it is shipped.
    pub ships: bool,
    /// In its store, once it is paid.
    pub number: Option<i64>,
    /// What Shopify calls it, once that is known.
    pub shopify_name: Option<String>,
    /// Whether pieces of it have to be made first.
    pub backordered: bool,
    /// What really came.
    pub received: Msat,
    /// What the operator has of it.
    pub fee: Msat,
    /// What is withheld while a refund is due.
    pub reserve: Option<FeeReserveId>,
    /// Where the parcel is.
    pub tracking: Tracking,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Until when its invoice can be paid.
    pub expires_at: UnixMillis,
    /// When it was paid.
    pub paid_at: Option<UnixMillis>,
    /// When it was sent.
    pub shipped_at: Option<UnixMillis>,
    /// When the buyer had the money back.
    pub refunded_at: Option<UnixMillis>,
    /// Its lines, by variant.
    pub items: Vec<Item>,
}

const ORDER: &str = "SELECT o.id, o.public_id, o.store_id, o.account_id, o.payment_hash, o.token_id,
     c.invoice, unseal(o.claim_token), unseal(o.status_token), o.status, o.currency, o.subtotal, o.shipping, o.tax, o.total,
     o.total_usd, o.total_msat, o.country, o.state, o.ships, o.number, o.backordered, o.received_msat,
     o.reserve_id, o.tracking_number, o.tracking_carrier, o.tracking_url, o.created_at, o.expires_at,
     o.paid_at, o.shipped_at, o.refunded_at, o.charge_id, o.fee_msat, r.name
     FROM shop_orders o JOIN charges c ON c.id = o.charge_id LEFT JOIN shopify_orders r ON r.order_id = o.id";

fn read(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: row.get(0)?,
        key: row.get(1)?,
        store: row.get(2)?,
        account: row.get(3)?,
        charge: row.get(32)?,
        payment_hash: row.get(4)?,
        token: row.get(5)?,
        invoice: row.get(6)?,
        claim_token: Secret::new(row.get::<_, String>(7)?),
        status_token: Secret::new(row.get::<_, String>(8)?),
        status: row.get(9)?,
        unit: row.get(10)?,
        bill: Bill {
            subtotal: unsigned(row, 11)?,
            shipping: unsigned(row, 12)?,
            tax: unsigned(row, 13)?,
            total: unsigned(row, 14)?,
        },
        total_usd: row.get(15)?,
        price: row.get(16)?,
        at: Location { country: row.get(17)?, state: row.get(18)? },
        ships: row.get(19)?,
        number: row.get(20)?,
        shopify_name: row.get(34)?,
        backordered: row.get(21)?,
        received: row.get(22)?,
        fee: row.get(33)?,
        reserve: row.get(23)?,
        tracking: Tracking { number: row.get(24)?, carrier: row.get(25)?, url: row.get(26)? },
        created_at: row.get(27)?,
        expires_at: row.get(28)?,
        paid_at: row.get(29)?,
        shipped_at: row.get(30)?,
        refunded_at: row.get(31)?,
        items: Vec::new(),
    })
}

fn items(connection: &Connection, order: OrderId) -> rusqlite::Result<Vec<Item>> {
    let mut statement = connection.prepare_cached(
        "SELECT variant_id, product_title, variant_title, sku, quantity, price FROM shop_order_items
         WHERE order_id = ?1 ORDER BY variant_id",
    )?;
    let found = statement.query_map([order], |row| {
        Ok(Item {
            variant: row.get(0)?,
            product_title: row.get(1)?,
            variant_title: row.get(2)?,
            sku: row.get(3)?,
            quantity: row.get(4)?,
            price: unsigned(row, 5)?,
        })
    })?;
    found.collect()
}

/// The one order that a condition on one column names.
fn one(
    connection: &Connection,
    with: &str,
    values: impl rusqlite::Params,
) -> Result<Option<Order>, LedgerError> {
    let found =
        connection.prepare_cached(&format!("{ORDER} WHERE {with}"))?.query_row(values, read).optional()?;
    let Some(mut order) = found else { return Ok(None) };
    order.items = items(connection, order.id)?;
    Ok(Some(order))
}

pub(in crate::services::shop) fn by_id(connection: &Connection, id: OrderId) -> Result<Order, LedgerError> {
    one(connection, "o.id = ?1", [id])?.ok_or_else(|| LedgerError::Broken(format!("order {id} is missing")))
}

pub(in crate::services::shop) fn by_key(
    connection: &Connection,
    key: OrderKey,
) -> Result<Option<Order>, LedgerError> {
    one(connection, "o.public_id = ?1", [key])
}

pub(in crate::services::shop) fn by_hash(
    connection: &Connection,
    store: StoreId,
    hash: PaymentHash,
) -> Result<Option<Order>, LedgerError> {
    one(connection, "o.payment_hash = ?1 AND o.store_id = ?2", params![hash, store])
}

pub(in crate::services::shop) fn by_charge(
    connection: &Connection,
    charge: ChargeId,
) -> Result<Option<Order>, LedgerError> {
    one(connection, "o.charge_id = ?1", [charge])
}

/// The paid order of a claim token.
pub(in crate::services::shop) fn by_claim(
    connection: &Connection,
    store: StoreId,
    token: &str,
) -> Result<Option<Order>, LedgerError> {
    let hash = claim_hash(token);
    one(
        connection,
        "o.claim_hash = seal(?1) AND o.store_id = ?2 AND o.paid_at IS NOT NULL",
        params![hash, store],
    )
}

pub(in crate::services::shop) fn by_idempotency_key(
    connection: &Connection,
    store: StoreId,
    key: &str,
) -> Result<Option<Order>, LedgerError> {
    one(connection, "o.idempotency_key = ?2 AND o.store_id = ?1", params![store, key])
}

/// Lets another order have this key.
pub(in crate::services::shop) fn release_key(
    tx: &Tx<'_>,
    store: StoreId,
    key: &str,
) -> Result<(), LedgerError> {
    tx.execute(
        "UPDATE shop_orders SET idempotency_key = NULL WHERE store_id = ?1 AND idempotency_key = ?2",
        params![store, key],
    )?;
    Ok(())
}

/// A page of a store's orders, newest first. Nobody has paid what waits for payment, so that is left out unless it is
/// asked for.
pub(in crate::services::shop) fn list(
    connection: &Connection,
    store: StoreId,
    status: Option<OrderStatus>,
    before: OrderId,
    limit: usize,
) -> Result<Vec<Order>, LedgerError> {
    let with = match status {
        Some(_) => "o.status = ?2",
        None => "?2 IS NULL AND o.paid_at IS NOT NULL",
    };
    let mut statement = connection.prepare_cached(&format!(
        "{ORDER} WHERE o.store_id = ?1 AND {with} AND o.id < ?3 ORDER BY o.id DESC LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![store, status, before, limit], read)?;
    let mut orders = found.collect::<Result<Vec<_>, _>>()?;
    for order in &mut orders {
        order.items = items(connection, order.id)?;
    }
    Ok(orders)
}

/// An order to write down.
pub(in crate::services::shop) struct Draft<'a> {
    pub(in crate::services::shop) key: OrderKey,
    pub(in crate::services::shop) store: StoreId,
    pub(in crate::services::shop) account: AccountId,
    pub(in crate::services::shop) charge: ChargeId,
    pub(in crate::services::shop) payment_hash: PaymentHash,
    pub(in crate::services::shop) token: [u8; 32],
    pub(in crate::services::shop) claim_token: &'a Secret,
    pub(in crate::services::shop) status_token: &'a Secret,
    pub(in crate::services::shop) unit: Unit,
    pub(in crate::services::shop) bill: Bill,
    pub(in crate::services::shop) total_usd: Option<Decimal>,
    pub(in crate::services::shop) price: Msat,
    pub(in crate::services::shop) rate: Option<Decimal>,
    pub(in crate::services::shop) at: &'a Location,
    pub(in crate::services::shop) ships: bool,
    pub(in crate::services::shop) idempotency_key: Option<&'a str>,
    pub(in crate::services::shop) items: &'a [Item],
    pub(in crate::services::shop) expires_at: UnixMillis,
}

pub(in crate::services::shop) fn insert(
    tx: &Tx<'_>,
    draft: &Draft<'_>,
    now: UnixMillis,
) -> Result<OrderId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO shop_orders (public_id, store_id, account_id, charge_id, payment_hash, token_id, claim_token,
             claim_hash, status_token, status, currency, subtotal, shipping, tax, total, total_usd, total_msat, rate,
             country, state, ships, idempotency_key, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, seal(?7), seal(?8), seal(?9), 'awaiting_payment', ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22, ?23)",
    )?
    .execute(params![
        draft.key,
        draft.store,
        draft.account,
        draft.charge,
        draft.payment_hash,
        draft.token,
        draft.claim_token.expose(),
        claim_hash(draft.claim_token.expose()),
        draft.status_token.expose(),
        draft.unit,
        signed(draft.bill.subtotal),
        signed(draft.bill.shipping),
        signed(draft.bill.tax),
        signed(draft.bill.total),
        draft.total_usd,
        draft.price,
        draft.rate,
        draft.at.country,
        draft.at.state,
        draft.ships,
        draft.idempotency_key,
        now,
        draft.expires_at,
    ])?;
    let id = OrderId(tx.last_insert_rowid());
    let mut statement = tx.prepare_cached(
        "INSERT INTO shop_order_items (order_id, variant_id, product_title, variant_title, sku, quantity, price)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for item in draft.items {
        statement.execute(params![
            id,
            item.variant,
            item.product_title,
            item.variant_title,
            item.sku,
            item.quantity,
            signed(item.price),
        ])?;
    }
    Ok(id)
}

/// Removes an order that nobody paid.
pub(in crate::services::shop) fn remove_unpaid(tx: &Tx<'_>, charge: ChargeId) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "DELETE FROM shop_order_items WHERE order_id IN
             (SELECT id FROM shop_orders WHERE charge_id = ?1 AND paid_at IS NULL)",
    )?
    .execute([charge])?;
    tx.prepare_cached("DELETE FROM shop_orders WHERE charge_id = ?1 AND paid_at IS NULL")?
        .execute([charge])?;
    Ok(())
}

/// What a payment made of an order.
pub(in crate::services::shop) struct Paid {
    pub(in crate::services::shop) status: OrderStatus,
    pub(in crate::services::shop) number: i64,
    pub(in crate::services::shop) backordered: bool,
    pub(in crate::services::shop) received: Msat,
    pub(in crate::services::shop) fee: Msat,
    pub(in crate::services::shop) at: UnixMillis,
}

pub(in crate::services::shop) fn paid(tx: &Tx<'_>, id: OrderId, paid: &Paid) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE shop_orders SET status = ?2, number = ?3, backordered = ?4, received_msat = ?5, fee_msat = ?6,
             paid_at = ?7 WHERE id = ?1",
    )?
    .execute(params![id, paid.status, paid.number, paid.backordered, paid.received, paid.fee, paid.at])?;
    Ok(())
}

pub(in crate::services::shop) fn claimed(
    tx: &Tx<'_>,
    id: OrderId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.execute(
        "UPDATE shop_orders SET status = 'processing', claimed_at = ?2 WHERE id = ?1",
        params![id, now],
    )?;
    Ok(())
}

pub(in crate::services::shop) fn shipped(
    tx: &Tx<'_>,
    id: OrderId,
    tracking: &Tracking,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.execute(
        "UPDATE shop_orders SET status = 'shipped', tracking_number = ?2, tracking_carrier = ?3, tracking_url = ?4,
             shipped_at = coalesce(shipped_at, ?5) WHERE id = ?1",
        params![id, tracking.number, tracking.carrier, tracking.url, now],
    )?;
    Ok(())
}

/// What the operator has of an order.
pub(in crate::services::shop) fn set_fee(tx: &Tx<'_>, id: OrderId, fee: Msat) -> Result<(), LedgerError> {
    tx.execute("UPDATE shop_orders SET fee_msat = ?2 WHERE id = ?1", params![id, fee])?;
    Ok(())
}

/// What a refund makes of an order: how far it is, what is withheld, and what is on its way or was sent.
pub(in crate::services::shop) fn set_refund(
    tx: &Tx<'_>,
    id: OrderId,
    status: OrderStatus,
    reserve: Option<FeeReserveId>,
    refunding: Msat,
    refunded_at: Option<UnixMillis>,
) -> Result<(), LedgerError> {
    tx.execute(
        "UPDATE shop_orders SET status = ?2, reserve_id = ?3, refunding_msat = ?4, refunded_at = ?5 WHERE id = ?1",
        params![id, status, reserve, refunding, refunded_at],
    )?;
    Ok(())
}
