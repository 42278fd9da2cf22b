//! Products, variants and stock.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::stores::{signed, unsigned};
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::services::shop::ids::{OrderId, ProductId, StoreId, VariantId};
use crate::storage::{StoreError, Tx};

/// Ids that we give ourselves are below; from here on they are Shopify's, which we keep where we can.
pub(in crate::services::shop) const LOCAL_IDS: i64 = 100_000_000;

/// A product.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Names it in imports.
    pub handle: String,
    /// For people.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// Addresses of pictures.
    pub images: Vec<String>,
    /// Whether it is sold.
    pub active: bool,
    /// What of it can be bought.
    pub variants: Vec<Variant>,
}

/// What can be bought: a product in one size and colour.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its id.
    pub id: VariantId,
    /// Of what.
    pub product: ProductId,
    /// Its options.
    pub title: String,
    /// The seller's own name for it.
    pub sku: String,
    /// In the smallest unit.
    pub price: u64,
    /// Pieces; `None` where nobody counts.
    pub stock: Option<i64>,
    /// Whether it is sold also when there is none.
    pub oversell: bool,
    /// Whether it is shipped.
    pub ships: bool,
    /// Whether it is taxed.
    pub taxable: bool,
    /// Whether it is sold, as its product is.
    pub active: bool,
}

impl Variant {
    /// Whether so many of it can be bought now.
    pub fn has(&self, quantity: u32) -> bool {
        self.active && (self.oversell || self.stock.is_none_or(|stock| stock >= i64::from(quantity)))
    }
}

const VARIANT: &str =
    "SELECT v.id, v.product_id, v.title, v.sku, v.price, v.stock, v.oversell, v.ships, v.taxable,
     v.active AND p.active, p.title FROM shop_variants v JOIN shop_products p ON p.id = v.product_id";

fn variant(row: &Row<'_>) -> rusqlite::Result<Variant> {
    Ok(Variant {
        id: row.get(0)?,
        product: row.get(1)?,
        title: row.get(2)?,
        sku: row.get(3)?,
        price: unsigned(row, 4)?,
        stock: row.get(5)?,
        oversell: row.get(6)?,
        ships: row.get(7)?,
        taxable: row.get(8)?,
        active: row.get(9)?,
    })
}

fn product(row: &Row<'_>) -> rusqlite::Result<Product> {
    let images: String = row.get(4)?;
    Ok(Product {
        id: row.get(0)?,
        handle: row.get(1)?,
        title: row.get(2)?,
        description: row.get(3)?,
        images: serde_json::from_str(&images).unwrap_or_default(),
        active: row.get(5)?,
        variants: Vec::new(),
    })
}

/// A variant of a store, and its product's title.
pub(in crate::services::shop) fn of_store(
    connection: &Connection,
    store: StoreId,
    id: VariantId,
) -> Result<Option<(Variant, String)>, StoreError> {
    Ok(connection
        .prepare_cached(&format!("{VARIANT} WHERE v.id = ?1 AND v.store_id = ?2"))?
        .query_row(params![id, store], |row| Ok((variant(row)?, row.get(10)?)))
        .optional()?)
}

/// A variant that is sold, with its store and product.
pub(in crate::services::shop) fn sold(
    connection: &Connection,
    id: VariantId,
) -> Result<Option<(StoreId, Product, Variant)>, StoreError> {
    let found = connection
        .prepare_cached(&format!("{VARIANT} WHERE v.id = ?1"))?
        .query_row([id], variant)
        .optional()?;
    let Some(found) = found.filter(|variant| variant.active) else { return Ok(None) };
    let (store, product) = connection
        .prepare_cached(
            "SELECT id, handle, title, description, images, active, store_id FROM shop_products WHERE id = ?1",
        )?
        .query_row([found.product], |row| Ok((row.get(6)?, product(row)?)))?;
    Ok(Some((store, product, found)))
}

/// A page of what all open stores sell, after this variant: each with its store and its product, which has no variants
/// here.
pub(in crate::services::shop) fn sold_page(
    connection: &Connection,
    after: VariantId,
    limit: usize,
) -> Result<Vec<(StoreId, Product, Variant)>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&format!(
        "{VARIANT} JOIN shop_stores s ON s.id = v.store_id
         WHERE v.active = 1 AND p.active = 1 AND s.active = 1 AND v.id > ?1 ORDER BY v.id LIMIT ?2"
    ))?;
    let found = statement.query_map(params![after, limit], variant)?.collect::<Result<Vec<_>, _>>()?;
    let mut statement = connection.prepare_cached(
        "SELECT id, handle, title, description, images, active, store_id FROM shop_products WHERE id = ?1",
    )?;
    let mut all = Vec::with_capacity(found.len());
    for variant in found {
        let (store, product) =
            statement.query_row([variant.product], |row| Ok((row.get(6)?, product(row)?)))?;
        all.push((store, product, variant));
    }
    Ok(all)
}

/// How much all open stores sell.
pub(in crate::services::shop) fn sold_count(connection: &Connection) -> Result<usize, StoreError> {
    let count = connection
        .prepare_cached(
            "SELECT count(*) FROM shop_variants v JOIN shop_products p ON p.id = v.product_id
             JOIN shop_stores s ON s.id = v.store_id WHERE v.active = 1 AND p.active = 1 AND s.active = 1",
        )?
        .query_row([], |row| unsigned(row, 0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Which products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services::shop) enum Which {
    /// Those that are sold.
    Sold,
    /// All of them.
    All,
}

/// A page of a store's products with their variants, after this one.
pub(in crate::services::shop) fn page(
    connection: &Connection,
    store: StoreId,
    which: Which,
    after: ProductId,
    limit: usize,
) -> Result<Vec<Product>, StoreError> {
    let (of_products, of_variants) = match which {
        Which::Sold => ("AND active = 1", "AND v.active = 1 AND p.active = 1"),
        Which::All => ("", ""),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, handle, title, description, images, active FROM shop_products
         WHERE store_id = ?1 AND id > ?2 {of_products} ORDER BY id LIMIT ?3"
    ))?;
    let found = statement.query_map(params![store, after, limit], product)?;
    let mut products = found.collect::<Result<Vec<_>, _>>()?;
    let Some(last) = products.last().map(|last| last.id) else { return Ok(products) };
    let mut statement = connection.prepare_cached(&format!(
        "{VARIANT} WHERE v.product_id > ?1 AND v.product_id <= ?2 AND v.store_id = ?3 {of_variants}
         ORDER BY v.product_id, v.id"
    ))?;
    let found = statement.query_map(params![after, last, store], variant)?;
    let mut at = 0;
    for variant in found {
        let variant = variant?;
        while products.get(at).is_some_and(|product| product.id < variant.product) {
            at += 1;
        }
        if let Some(product) = products.get_mut(at).filter(|product| product.id == variant.product) {
            product.variants.push(variant);
        }
    }
    Ok(products)
}

/// Takes what an order needs out of stock: all of it or, unless it `must` be, nothing. Answers whether it was there,
/// and whether something is sold out by it.
pub(in crate::services::shop) fn take(
    tx: &Tx<'_>,
    order: OrderId,
    must: bool,
) -> Result<(bool, bool), LedgerError> {
    let short: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM shop_order_items i JOIN shop_variants v ON v.id = i.variant_id
             WHERE i.order_id = ?1 AND v.stock IS NOT NULL AND v.oversell = 0 AND v.stock < i.quantity)",
        )?
        .query_row([order], |row| row.get(0))?;
    if short && !must {
        return Ok((false, false));
    }
    tx.prepare_cached(
        "UPDATE shop_variants SET stock = stock - (SELECT i.quantity FROM shop_order_items i
             WHERE i.order_id = ?1 AND i.variant_id = shop_variants.id)
         WHERE stock IS NOT NULL AND id IN (SELECT variant_id FROM shop_order_items WHERE order_id = ?1)",
    )?
    .execute([order])?;
    let gone: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM shop_order_items i JOIN shop_variants v ON v.id = i.variant_id
             WHERE i.order_id = ?1 AND v.oversell = 0 AND v.stock <= 0)",
        )?
        .query_row([order], |row| row.get(0))?;
    Ok((!short, gone))
}

/// Puts back what an order took.
pub(in crate::services::shop) fn put_back(tx: &Tx<'_>, order: OrderId) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE shop_variants SET stock = stock + (SELECT i.quantity FROM shop_order_items i
             WHERE i.order_id = ?1 AND i.variant_id = shop_variants.id)
         WHERE stock IS NOT NULL AND id IN (SELECT variant_id FROM shop_order_items WHERE order_id = ?1)",
    )?
    .execute([order])?;
    Ok(())
}

/// Products of a store.
pub(in crate::services::shop) fn count(connection: &Connection, store: StoreId) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM shop_variants WHERE store_id = ?1")?
        .query_row([store], |row| unsigned(row, 0))?)
}

/// Writes a product down, or over the one of the same handle.
pub(in crate::services::shop) fn put_product(
    tx: &Tx<'_>,
    store: StoreId,
    product: &Product,
    now: UnixMillis,
) -> Result<ProductId, StoreError> {
    let images = serde_json::to_string(&product.images).unwrap_or_else(|_| "[]".into());
    Ok(tx
        .prepare_cached(&format!(
            "INSERT INTO shop_products (id, store_id, handle, title, description, images, active, updated_at)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM shop_products WHERE id < {LOCAL_IDS}),
                 ?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (store_id, handle) DO UPDATE SET title = excluded.title,
                 description = excluded.description, images = excluded.images, active = excluded.active,
                 updated_at = excluded.updated_at
             RETURNING id"
        ))?
        .query_row(
            params![store, product.handle, product.title, product.description, images, product.active, now],
            |row| row.get(0),
        )?)
}

/// The same of a variant, by its title.
pub(in crate::services::shop) fn put_variant(
    tx: &Tx<'_>,
    store: StoreId,
    product: ProductId,
    variant: &Variant,
) -> Result<VariantId, StoreError> {
    Ok(tx
        .prepare_cached(&format!(
            "INSERT INTO shop_variants (id, store_id, product_id, title, sku, price, stock, oversell, ships, taxable,
                 active)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM shop_variants WHERE id < {LOCAL_IDS}), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (product_id, title) DO UPDATE SET sku = excluded.sku, price = excluded.price,
                 stock = excluded.stock, oversell = excluded.oversell, ships = excluded.ships,
                 taxable = excluded.taxable, active = excluded.active
             RETURNING id"
        ))?
        .query_row(
            params![
                store,
                product,
                variant.title,
                variant.sku,
                signed(variant.price),
                variant.stock,
                variant.oversell,
                variant.ships,
                variant.taxable,
                variant.active,
            ],
            |row| row.get(0),
        )?)
}

/// Takes out of the catalogue what an import does not name any more.
pub(in crate::services::shop) fn retire_other_variants(
    tx: &Tx<'_>,
    product: ProductId,
    kept: &[VariantId],
) -> Result<(), StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT id FROM shop_variants WHERE product_id = ?1 AND active = 1")?;
    let all = statement.query_map([product], |row| row.get(0))?.collect::<Result<Vec<VariantId>, _>>()?;
    for id in all.into_iter().filter(|id| !kept.contains(id)) {
        tx.execute("UPDATE shop_variants SET active = 0 WHERE id = ?1", [id])?;
    }
    Ok(())
}

/// A change of one variant; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub(in crate::services::shop) struct VariantChange {
    pub(in crate::services::shop) price: Option<u64>,
    pub(in crate::services::shop) stock: Option<Option<i64>>,
    pub(in crate::services::shop) active: Option<bool>,
}

pub(in crate::services::shop) fn change_variant(
    tx: &Tx<'_>,
    id: VariantId,
    change: &VariantChange,
) -> Result<(), StoreError> {
    if let Some(price) = change.price {
        tx.execute("UPDATE shop_variants SET price = ?2 WHERE id = ?1", params![id, signed(price)])?;
    }
    if let Some(stock) = change.stock {
        tx.execute("UPDATE shop_variants SET stock = ?2 WHERE id = ?1", params![id, stock])?;
    }
    if let Some(active) = change.active {
        tx.execute("UPDATE shop_variants SET active = ?2 WHERE id = ?1", params![id, active])?;
        if active {
            tx.execute(
                "UPDATE shop_products SET active = 1 WHERE id = (SELECT product_id FROM shop_variants WHERE id = ?1)",
                [id],
            )?;
        }
    }
    Ok(())
}

/// Whether something of an order is taxed.
pub(in crate::services::shop) fn has_taxable(
    connection: &Connection,
    order: OrderId,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM shop_order_items i JOIN shop_variants v ON v.id = i.variant_id
                        WHERE i.order_id = ?1 AND v.taxable = 1)",
    )?;
    Ok(statement.query_row([order], |row| row.get(0))?)
}
