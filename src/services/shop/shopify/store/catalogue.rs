//! Which products and variants of ours are Shopify's, and writing over them what is different there.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::time::UnixMillis;
use crate::services::shop::ids::{ProductId, StoreId, VariantId};
use crate::services::shop::store::catalogue::{LOCAL_IDS, Product, Variant};
use crate::services::shop::store::stores::signed;
use crate::storage::{StoreError, Tx};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The largest id that every program reads exactly; Shopify's are far below it.
const LARGEST_ID: i64 = 9_007_199_254_740_991;

/// A variant of a product of ours.
#[derive(Clone, Debug)]
pub(in crate::services::shop::shopify) struct Row {
    pub(in crate::services::shop::shopify) id: VariantId,
    pub(in crate::services::shop::shopify) title: String,
    pub(in crate::services::shop::shopify) remote: Option<i64>,
    pub(in crate::services::shop::shopify) active: bool,
}

/// Ours of one of Shopify's.
pub(in crate::services::shop::shopify) fn product_of(
    connection: &Connection,
    store: StoreId,
    remote: i64,
) -> Result<Option<ProductId>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT product_id FROM shopify_products WHERE store_id = ?1 AND remote_id = ?2")?
        .query_row(params![store, remote], |row| row.get(0))
        .optional()?)
}

/// The product of a handle, and which of Shopify's it is.
pub(in crate::services::shop::shopify) fn by_handle(
    connection: &Connection,
    store: StoreId,
    handle: &str,
) -> Result<Option<(ProductId, Option<i64>)>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT p.id, s.remote_id FROM shop_products p LEFT JOIN shopify_products s ON s.product_id = p.id
             WHERE p.store_id = ?1 AND p.handle = ?2",
        )?
        .query_row(params![store, handle], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Shopify's id as ours, where it can be: it is free, and none of those that we give ourselves.
fn own_id(tx: &Tx<'_>, table: &str, remote: i64) -> Result<i64, StoreError> {
    let taken: bool = tx
        .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE id = ?1)"))?
        .query_row([remote], |row| row.get(0))?;
    if !taken && (LOCAL_IDS..=LARGEST_ID).contains(&remote) {
        return Ok(remote);
    }
    let next = format!("SELECT coalesce(max(id), 0) + 1 FROM {table} WHERE id < {LOCAL_IDS}");
    Ok(tx.prepare_cached(&next)?.query_row([], |row| row.get(0))?)
}

pub(in crate::services::shop::shopify) fn insert_product(
    tx: &Tx<'_>,
    store: StoreId,
    remote: i64,
    handle: &str,
    now: UnixMillis,
) -> Result<ProductId, StoreError> {
    let id = ProductId(own_id(tx, "shop_products", remote)?);
    tx.execute(
        "INSERT INTO shop_products (id, store_id, handle, title, active, updated_at) VALUES (?1, ?2, ?3, '', 0, ?4)",
        params![id, store, handle, now],
    )?;
    Ok(id)
}

/// A product of ours is this one of Shopify's from now on.
pub(in crate::services::shop::shopify) fn link_product(
    tx: &Tx<'_>,
    store: StoreId,
    id: ProductId,
    remote: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO shopify_products (product_id, store_id, remote_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (product_id) DO UPDATE SET remote_id = excluded.remote_id",
        params![id, store, remote],
    )?;
    Ok(())
}

/// Writes what is different; whether anything was.
pub(in crate::services::shop::shopify) fn update_product(
    tx: &Tx<'_>,
    id: ProductId,
    product: &Product,
    handle: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let images = serde_json::to_string(&product.images).unwrap_or_else(|_| "[]".into());
    let changed = tx
        .prepare_cached(
            "UPDATE shop_products SET handle = ?2, title = ?3, description = ?4, images = ?5, active = ?6,
                 updated_at = ?7
             WHERE id = ?1 AND (handle, title, description, images, active) IS NOT (?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, handle, product.title, product.description, images, product.active, now])?;
    Ok(changed > 0)
}

pub(in crate::services::shop::shopify) fn variants(
    connection: &Connection,
    product: ProductId,
) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT v.id, v.title, s.remote_id, v.active FROM shop_variants v
         LEFT JOIN shopify_variants s ON s.variant_id = v.id WHERE v.product_id = ?1 ORDER BY v.id",
    )?;
    let found = statement.query_map([product], |row| {
        Ok(Row { id: row.get(0)?, title: row.get(1)?, remote: row.get(2)?, active: row.get(3)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(in crate::services::shop::shopify) fn insert_variant(
    tx: &Tx<'_>,
    store: StoreId,
    product: ProductId,
    remote: i64,
    title: &str,
) -> Result<VariantId, StoreError> {
    let id = VariantId(own_id(tx, "shop_variants", remote)?);
    tx.execute(
        "INSERT INTO shop_variants (id, product_id, store_id, title, price, active) VALUES (?1, ?2, ?3, ?4, 0, 0)",
        params![id, product, store, title],
    )?;
    Ok(id)
}

/// A variant of ours is this one of Shopify's from now on, and no other is.
pub(in crate::services::shop::shopify) fn link_variant(
    tx: &Tx<'_>,
    store: StoreId,
    id: VariantId,
    remote: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM shopify_variants WHERE store_id = ?1 AND remote_id = ?2 AND variant_id <> ?3",
        params![store, remote, id],
    )?;
    tx.execute(
        "INSERT INTO shopify_variants (variant_id, store_id, remote_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (variant_id) DO UPDATE SET remote_id = excluded.remote_id",
        params![id, store, remote],
    )?;
    Ok(())
}

pub(in crate::services::shop::shopify) fn rename_variant(
    tx: &Tx<'_>,
    id: VariantId,
    title: &str,
) -> Result<(), StoreError> {
    tx.execute("UPDATE shop_variants SET title = ?2 WHERE id = ?1", params![id, title])?;
    Ok(())
}

/// Writes what is different; whether anything was.
pub(in crate::services::shop::shopify) fn update_variant(
    tx: &Tx<'_>,
    id: VariantId,
    variant: &Variant,
    stock: Option<i64>,
) -> Result<bool, StoreError> {
    let changed = tx
        .prepare_cached(
            "UPDATE shop_variants SET title = ?2, sku = ?3, price = ?4, stock = ?5, oversell = ?6, ships = ?7,
                 taxable = ?8, active = 1
             WHERE id = ?1 AND (title, sku, price, stock, oversell, ships, taxable, active)
                 IS NOT (?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)",
        )?
        .execute(params![
            id,
            variant.title,
            variant.sku,
            signed(variant.price),
            stock,
            variant.oversell,
            variant.ships,
            variant.taxable,
        ])?;
    Ok(changed > 0)
}

pub(in crate::services::shop::shopify) fn retire_variant(
    tx: &Tx<'_>,
    id: VariantId,
) -> Result<(), StoreError> {
    tx.execute("UPDATE shop_variants SET active = 0 WHERE id = ?1", [id])?;
    Ok(())
}

/// Products of ours that are Shopify's and are sold: ours, Shopify's.
pub(in crate::services::shop::shopify) fn linked(
    connection: &Connection,
    store: StoreId,
) -> Result<Vec<(ProductId, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT s.product_id, s.remote_id FROM shopify_products s JOIN shop_products p ON p.id = s.product_id
         WHERE s.store_id = ?1 AND p.active = 1",
    )?;
    let found = statement.query_map([store], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(in crate::services::shop::shopify) fn retire_product(
    tx: &Tx<'_>,
    id: ProductId,
) -> Result<(), StoreError> {
    tx.execute("UPDATE shop_products SET active = 0 WHERE id = ?1", [id])?;
    tx.execute("UPDATE shop_variants SET active = 0 WHERE product_id = ?1", [id])?;
    Ok(())
}

/// Pieces of paid orders that a reading may not know of: of those that wait to be claimed, of those that were not known
/// to be at Shopify when it began, and of those that were claimed before the shop was connected, until they are sent.
/// An order that was sent as plain lines takes no stock there, ever. A time of writing that lies a day ahead is of a clock
/// that was wrong, and says nothing.
pub(in crate::services::shop::shopify) fn unknown_pieces(
    connection: &Connection,
    store: StoreId,
    (began, now): (UnixMillis, UnixMillis),
) -> Result<HashMap<VariantId, i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT i.variant_id, sum(i.quantity) FROM (
             SELECT id FROM shop_orders WHERE store_id = ?1 AND status = 'awaiting_details'
             UNION ALL
             SELECT o.id FROM shopify_orders r JOIN shop_orders o ON o.id = r.order_id
             WHERE r.store_id = ?1 AND (r.plain = 1 OR r.written_at IS NULL OR r.written_at BETWEEN ?2 AND ?3)
                 AND o.status IN ('processing', 'shipped')
             UNION ALL
             SELECT o.id FROM shop_orders o WHERE o.store_id = ?1 AND o.status = 'processing'
                 AND NOT EXISTS (SELECT 1 FROM shopify_orders r WHERE r.order_id = o.id)
         ) o JOIN shop_order_items i ON i.order_id = o.id GROUP BY i.variant_id",
    )?;
    let found = statement
        .query_map(params![store, began, now.saturating_add(DAY_MS)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Which of Shopify's variants one of ours is, if that is sold.
pub(in crate::services::shop::shopify) fn remote_variant(
    connection: &Connection,
    id: VariantId,
) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT s.remote_id FROM shopify_variants s JOIN shop_variants v ON v.id = s.variant_id
             WHERE s.variant_id = ?1 AND v.active = 1",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// Orders from before the shop was connected that readings subtract from its stock, and their pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::services::shop::shopify) struct Before {
    /// Orders that were claimed and are not sent: nothing writes them to Shopify.
    pub(in crate::services::shop::shopify) orders: i64,
    pub(in crate::services::shop::shopify) pieces: i64,
    /// Paid orders that wait to be claimed, of any age: they are written once they are.
    pub(in crate::services::shop::shopify) unclaimed_orders: i64,
    pub(in crate::services::shop::shopify) unclaimed_pieces: i64,
}

pub(in crate::services::shop::shopify) fn before(
    connection: &Connection,
    store: StoreId,
) -> Result<Before, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(DISTINCT o.id), coalesce(sum(i.quantity), 0) FROM shop_orders o
         JOIN shop_order_items i ON i.order_id = o.id
         WHERE o.store_id = ?1 AND o.status = ?2
             AND (?2 = 'awaiting_details' OR NOT EXISTS (SELECT 1 FROM shopify_orders r WHERE r.order_id = o.id))",
    )?;
    let mut of = |status: &str| -> rusqlite::Result<(i64, i64)> {
        statement.query_row(params![store, status], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    let ((orders, pieces), (unclaimed_orders, unclaimed_pieces)) =
        (of("processing")?, of("awaiting_details")?);
    Ok(Before { orders, pieces, unclaimed_orders, unclaimed_pieces })
}
