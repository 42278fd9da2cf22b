//! Stores, and what shipping and tax they ask for.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::rates::Unit;
use crate::services::shop::ids::StoreId;
use crate::services::shop::location::Location;
use crate::storage::{StoreError, Tx};

/// What becomes of an order whose pieces are gone when it is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenSoldOut {
    /// The buyer gets the money back.
    Refund,
    /// The buyer waits.
    Backorder,
}

impl WhenSoldOut {
    /// Its name in the database and in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Backorder => "backorder",
        }
    }

    /// The setting of a name.
    pub fn read(name: &str) -> Option<Self> {
        [Self::Refund, Self::Backorder].into_iter().find(|setting| setting.name() == name)
    }
}

/// A store.
#[derive(Clone, Debug)]
pub struct ShopStore {
    /// Row id.
    pub id: StoreId,
    /// Whose it is.
    pub account: AccountId,
    /// Its name in paths.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Of all its prices.
    pub unit: Unit,
    /// Where it is, and where buyers are that don't say.
    pub home: Location,
    /// Whether it sells.
    pub active: bool,
    /// What becomes of sold-out orders.
    pub when_sold_out: WhenSoldOut,
    /// The subtotal from which shipping is free at home.
    pub free_from: Option<u64>,
    /// Whether shipping is taxed too.
    pub tax_shipping: bool,
    /// When it was made.
    pub created_at: UnixMillis,
}

const STORE: &str =
    "SELECT id, account_id, slug, name, description, currency, country, state, active, when_sold_out,
     free_from, tax_shipping, created_at FROM shop_stores";

fn read(row: &Row<'_>) -> rusqlite::Result<ShopStore> {
    let when: String = row.get(9)?;
    Ok(ShopStore {
        id: row.get(0)?,
        account: row.get(1)?,
        slug: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        unit: row.get(5)?,
        home: Location { country: row.get(6)?, state: row.get(7)? },
        active: row.get(8)?,
        when_sold_out: WhenSoldOut::read(&when).unwrap_or(WhenSoldOut::Refund),
        free_from: unsigned_maybe(row, 10)?,
        tax_shipping: row.get(11)?,
        created_at: row.get(12)?,
    })
}

/// A column that is never negative.
pub(in crate::services::shop) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let raw: i64 = row.get(at)?;
    u64::try_from(raw).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, raw))
}

/// The same, or `NULL`.
pub(in crate::services::shop) fn unsigned_maybe(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    let raw: Option<i64> = row.get(at)?;
    raw.map(|raw| u64::try_from(raw).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, raw)))
        .transpose()
}

/// A number for the database; prices are far below its limit.
pub(in crate::services::shop) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(in crate::services::shop) fn by_slug(
    connection: &Connection,
    slug: &str,
) -> Result<Option<ShopStore>, StoreError> {
    Ok(connection.prepare_cached(&format!("{STORE} WHERE slug = ?1"))?.query_row([slug], read).optional()?)
}

pub(in crate::services::shop) fn by_id(
    connection: &Connection,
    id: StoreId,
) -> Result<ShopStore, LedgerError> {
    let found =
        connection.prepare_cached(&format!("{STORE} WHERE id = ?1"))?.query_row([id], read).optional()?;
    found.ok_or_else(|| LedgerError::Broken(format!("store {id} is missing")))
}

/// Stores by slug, after this one.
pub(in crate::services::shop) fn list(
    connection: &Connection,
    after: &str,
    limit: usize,
) -> Result<Vec<ShopStore>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement =
        connection.prepare_cached(&format!("{STORE} WHERE slug > ?1 ORDER BY slug LIMIT ?2"))?;
    let found = statement.query_map(params![after, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(in crate::services::shop) fn insert(tx: &Tx<'_>, store: &ShopStore) -> Result<StoreId, StoreError> {
    tx.execute(
        "INSERT INTO shop_stores (account_id, slug, name, description, currency, country, state, active, when_sold_out,
             free_from, tax_shipping, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            store.account,
            store.slug,
            store.name,
            store.description,
            store.unit,
            store.home.country,
            store.home.state,
            store.active,
            store.when_sold_out.name(),
            store.free_from.map(signed),
            store.tax_shipping,
            store.created_at,
        ],
    )?;
    Ok(StoreId(tx.last_insert_rowid()))
}

/// Writes what can be changed of a store: not its slug, account or currency.
pub(in crate::services::shop) fn update(tx: &Tx<'_>, store: &ShopStore) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE shop_stores SET name = ?2, description = ?3, country = ?4, state = ?5, active = ?6,
             when_sold_out = ?7, free_from = ?8, tax_shipping = ?9 WHERE id = ?1",
        params![
            store.id,
            store.name,
            store.description,
            store.home.country,
            store.home.state,
            store.active,
            store.when_sold_out.name(),
            store.free_from.map(signed),
            store.tax_shipping,
        ],
    )?;
    Ok(())
}

/// The next order's number.
pub(in crate::services::shop) fn next_number(tx: &Tx<'_>, id: StoreId) -> Result<i64, LedgerError> {
    Ok(tx
        .prepare_cached(
            "UPDATE shop_stores SET next_number = next_number + 1 WHERE id = ?1 RETURNING next_number - 1",
        )?
        .query_row([id], |row| row.get(0))?)
}

/// A table of values by country and state.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::shop) enum Table {
    Shipping,
    Taxes,
}

impl Table {
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Shipping => ("shop_shipping", "price"),
            Self::Taxes => ("shop_taxes", "ppm"),
        }
    }
}

/// All values of a store: country, state, value.
pub(in crate::services::shop) fn values(
    connection: &Connection,
    table: Table,
    store: StoreId,
) -> Result<Vec<(String, String, u64)>, StoreError> {
    let (name, column) = table.names();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT country, state, {column} FROM {name} WHERE store_id = ?1 ORDER BY country, state"
    ))?;
    let found = statement.query_map([store], |row| Ok((row.get(0)?, row.get(1)?, unsigned(row, 2)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Sets a value, or removes it.
pub(in crate::services::shop) fn set_value(
    tx: &Tx<'_>,
    table: Table,
    store: StoreId,
    at: &Location,
    value: Option<u64>,
) -> Result<(), StoreError> {
    let (name, column) = table.names();
    match value {
        None => {
            tx.execute(
                &format!("DELETE FROM {name} WHERE store_id = ?1 AND country = ?2 AND state = ?3"),
                params![store, at.country, at.state],
            )?;
        }
        Some(value) => {
            tx.execute(
                &format!(
                    "INSERT INTO {name} (store_id, country, state, {column}) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (store_id, country, state) DO UPDATE SET {column} = excluded.{column}"
                ),
                params![store, at.country, at.state, signed(value)],
            )?;
        }
    }
    Ok(())
}

/// What stores have sold: those of one account, or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Stores that are open.
    pub stores: u64,
    /// Products that can be bought in them.
    pub products: u64,
    /// Orders that are kept.
    pub orders: u64,
    /// Those that were paid.
    pub paid_orders: u64,
    /// What they brought in, without what went back.
    pub revenue: Msat,
}

/// What stores have sold.
pub(in crate::services::shop) fn totals(
    connection: &Connection,
    account: Option<AccountId>,
) -> Result<Totals, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT count(*) FROM shop_stores WHERE active = 1 AND (?1 IS NULL OR account_id = ?1)),
                (SELECT count(*) FROM shop_products p JOIN shop_stores s ON s.id = p.store_id
                 WHERE p.active = 1 AND s.active = 1 AND (?1 IS NULL OR s.account_id = ?1)),
                count(*), count(paid_at), coalesce(sum(received_msat - refunding_msat), 0)
         FROM shop_orders WHERE ?1 IS NULL OR account_id = ?1",
    )?;
    Ok(statement.query_row([account], |row| {
        Ok(Totals {
            stores: unsigned(row, 0)?,
            products: unsigned(row, 1)?,
            orders: unsigned(row, 2)?,
            paid_orders: unsigned(row, 3)?,
            revenue: row.get(4)?,
        })
    })?)
}
