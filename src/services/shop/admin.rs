//! Stores as the operator manages them.

pub(super) mod read;
mod show;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use self::read::Checked;
use self::show::{order_value, product_value, shown};
use super::ids::{OrderId, OrderKey, ProductId, VariantId};
use super::location::{self, Location};
use super::place::REST;
use super::queries::{self, Token};
use super::shopify::ShopifyError;
use super::store::catalogue::{self, Which};
use super::store::orders::{self, Tracking};
use super::store::stores::{self, ShopStore, Table, WhenSoldOut};
use super::{Shop, ShopError, amounts};
use crate::admin::{
    AdminError, OrdersRequest, PlaceRequest, ProductRequest, ShipRequest, StoreAdmin, StoreRequest,
    VariantChange,
};
use crate::core::currency::Currency;
use crate::core::ids::AccountId;
use crate::http::keys;
use crate::rates::Unit;
use crate::storage::Tx;

/// Stores, products or orders of one page.
const PAGE: usize = 100;

/// Variants that one store may have.
const MOST_VARIANTS: u64 = 100_000;

impl StoreAdmin for Shop {
    fn create(&self, slug: String, asked: StoreRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (shop, now) = (self.clone(), self.now());
            let made = self.store().write(move |tx| -> Result<Value, ShopError> {
                read::slug(&slug)?;
                if stores::by_slug(tx, &slug)?.is_some() {
                    return Err(ShopError::conflict(
                        "SLUG_TAKEN",
                        format!("there is a store {slug} already"),
                    ));
                }
                let bad_currency = || {
                    ShopError::invalid(
                        "INVALID_CURRENCY",
                        "currency must be sats or a currency like USD or EUR",
                    )
                };
                let currency = asked.currency.as_deref().unwrap_or(Currency::Usd.code());
                let unit: Unit = currency.parse().map_err(|_| bad_currency())?;
                if unit == Unit::Btc {
                    return Err(bad_currency());
                }
                let account = read::line("account", asked.account.as_deref().unwrap_or(&slug), 100)?;
                let country = read::country(asked.country.as_deref().unwrap_or("US"))?;
                let fresh = ShopStore {
                    id: super::ids::StoreId(0),
                    account: AccountId(0),
                    slug: slug.clone(),
                    name: slug.clone(),
                    description: String::new(),
                    unit,
                    home: Location { country, state: String::new() },
                    active: true,
                    when_sold_out: WhenSoldOut::Refund,
                    free_from: None,
                    tax_shipping: false,
                    created_at: now,
                };
                let asked = StoreRequest { account: None, currency: None, ..asked };
                let mut store = changed(fresh, &asked)?;
                store.account = keys::account_or_new(tx, &account, now)?;
                store.id = stores::insert(tx, &store)?;
                set_places(tx, &store, &asked)?;
                shown(&shop, tx, &store)
            });
            made.await.map_err(told)
        })
    }

    fn change(&self, slug: String, asked: StoreRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let shop = self.clone();
            let done = self.store().write(move |tx| -> Result<Value, ShopError> {
                let store = changed(named(tx, &slug)?, &asked)?;
                stores::update(tx, &store)?;
                set_places(tx, &store, &asked)?;
                shop.notifier().catalogue_changed(tx, store.id);
                shown(&shop, tx, &store)
            });
            done.await.map_err(told)
        })
    }

    fn list(&self, after: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let shop = self.clone();
            let read = self.store().read(move |connection| -> Result<Value, ShopError> {
                let mut found = stores::list(connection, &after, PAGE + 1)?;
                let more = found.len() > PAGE;
                found.truncate(PAGE);
                let next = found.last().filter(|_| more).map(|last| last.slug.clone());
                let all = found
                    .iter()
                    .map(|store| shown(&shop, connection, store))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(json!({ "stores": all, "next": next }))
            });
            read.await.map_err(told)
        })
    }

    fn show(&self, slug: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let shop = self.clone();
            let read = self.store().read(move |connection| -> Result<Value, ShopError> {
                shown(&shop, connection, &named(connection, &slug)?)
            });
            read.await.map_err(told)
        })
    }

    fn sync(&self, slug: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let Some(shop) = self.0.parts.shopify.behind(&slug) else {
                let message = format!(
                    "no Shopify shop stands behind the store {slug}: name one in [[shop.shopify]] of the configuration, and start satchel again"
                );
                return Err(AdminError::NotFound(message));
            };
            self.sync_now(shop).await.map_err(|error| match error {
                ShopifyError::Here(error) => told(error),
                error => AdminError::Refused(error.to_string()),
            })
        })
    }

    fn put(&self, slug: String, products: Vec<ProductRequest>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (shop, now) = (self.clone(), self.now());
            let written = self.store().write(move |tx| -> Result<Value, ShopError> {
                let store = named(tx, &slug)?;
                let mut variants = 0_usize;
                for product in &products {
                    let Checked { product, .. } = Checked::new(product, store.unit)?;
                    let id = catalogue::put_product(tx, store.id, &product, now)?;
                    let mut kept = Vec::new();
                    for variant in &product.variants {
                        kept.push(catalogue::put_variant(tx, store.id, id, variant)?);
                    }
                    catalogue::retire_other_variants(tx, id, &kept)?;
                    variants = variants.saturating_add(kept.len());
                }
                if catalogue::count(tx, store.id)? > MOST_VARIANTS {
                    let message = format!("A store has at most {MOST_VARIANTS} variants");
                    return Err(ShopError::invalid("TOO_MANY_VARIANTS", message));
                }
                shop.notifier().catalogue_changed(tx, store.id);
                Ok(json!({ "products": products.len(), "variants": variants }))
            });
            written.await.map_err(told)
        })
    }

    fn products(&self, slug: String, after: i64) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let read = self.store().read(move |connection| -> Result<Value, ShopError> {
                let store = named(connection, &slug)?;
                let after = ProductId(after);
                let mut found = catalogue::page(connection, store.id, Which::All, after, PAGE + 1)?;
                let more = found.len() > PAGE;
                found.truncate(PAGE);
                let next = found.last().filter(|_| more).map(|last| last.id);
                let all: Vec<_> = found.iter().map(|product| product_value(product, store.unit)).collect();
                Ok(json!({ "products": all, "currency": store.unit, "next": next }))
            });
            read.await.map_err(told)
        })
    }

    fn variant(
        &self,
        slug: String,
        id: i64,
        asked: VariantChange,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let shop = self.clone();
            let done = self.store().write(move |tx| -> Result<Value, ShopError> {
                let (store, id) = (named(tx, &slug)?, VariantId(id));
                let missing = || ShopError::ProductNotFound;
                catalogue::of_store(tx, store.id, id)?.ok_or_else(missing)?;
                let price = asked.price.map(|price| read::price(price, store.unit)).transpose()?;
                let stock = match (asked.uncounted, asked.stock) {
                    (true, _) => Some(None),
                    (false, Some(stock)) => Some(Some(read::stock(stock)?)),
                    (false, None) => None,
                };
                let change = catalogue::VariantChange { price, stock, active: asked.active };
                catalogue::change_variant(tx, id, &change)?;
                shop.notifier().catalogue_changed(tx, store.id);
                let (variant, title) = catalogue::of_store(tx, store.id, id)?.ok_or_else(missing)?;
                Ok(json!({
                    "product": title,
                    "id": variant.id,
                    "title": variant.title,
                    "price": amounts::shown(variant.price, store.unit).to_string(),
                    "stock": variant.stock,
                    "active": variant.active,
                }))
            });
            done.await.map_err(told)
        })
    }

    fn orders(&self, slug: String, asked: OrdersRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let status = match asked.status.as_deref().filter(|text| !text.is_empty()) {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    AdminError::BadRequest(
                        "status must be awaiting_payment, awaiting_details, processing, shipped, refund_due, refunding or refunded".into(),
                    )
                })?),
            };
            let before = OrderId(asked.before.unwrap_or(i64::MAX));
            let read = self.store().read(move |connection| -> Result<Value, ShopError> {
                let store = named(connection, &slug)?;
                let mut found = orders::list(connection, store.id, status, before, PAGE + 1)?;
                let more = found.len() > PAGE;
                found.truncate(PAGE);
                let next = found.last().filter(|_| more).map(|last| last.id);
                Ok(json!({ "orders": found.iter().map(order_value).collect::<Vec<_>>(), "next": next }))
            });
            read.await.map_err(told)
        })
    }

    fn order(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (shop, key) = (self.clone(), order_key(&id)?);
            let read = self.store().read(move |connection| -> Result<Vec<u8>, ShopError> {
                let order = orders::by_key(connection, key)?.ok_or(ShopError::OrderNotFound)?;
                let store = stores::by_id(connection, order.store)?;
                let seller = Token::Seller(order.account);
                queries::json_of(&shop, connection, &store, &order, Some(&seller))
            });
            let body = read.await.map_err(told)?;
            serde_json::from_slice(&body).map_err(AdminError::internal)
        })
    }

    fn ship(&self, id: String, asked: ShipRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        let shop = self.clone();
        self.with_order(id, move |tx, key| {
            let text = |name, text: Option<String>| -> Result<Option<String>, ShopError> {
                let text = text.map(|text| read::line(name, &text, 200)).transpose()?;
                Ok(text.filter(|text| !text.is_empty()))
            };
            let tracking = Tracking {
                number: text("number", asked.number)?,
                carrier: text("carrier", asked.carrier)?,
                url: asked.url.filter(|url| !url.is_empty()).map(|url| read::address(&url)).transpose()?,
            };
            shop.mark_shipped(tx, key, &tracking).map(|order| order_value(&order))
        })
    }

    fn cancel(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        let shop = self.clone();
        self.with_order(id, move |tx, key| shop.give_up(tx, key).map(|order| order_value(&order)))
    }

    fn forget(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        let (shop, shown) = (self.clone(), id.clone());
        self.with_order(id, move |tx, key| {
            let there = shop.forget_buyer(tx, key)?;
            Ok(json!({ "orderId": shown, "forgotten": there }))
        })
    }
}

impl Shop {
    fn with_order(
        &self,
        id: String,
        work: impl FnOnce(&Tx<'_>, OrderKey) -> Result<Value, ShopError> + Send + 'static,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let key = order_key(&id)?;
            self.store().write(move |tx| work(tx, key)).await.map_err(told)
        })
    }
}

fn order_key(id: &str) -> Result<OrderKey, AdminError> {
    id.parse().map_err(|_| told(ShopError::OrderNotFound))
}

fn named(connection: &rusqlite::Connection, slug: &str) -> Result<ShopStore, ShopError> {
    stores::by_slug(connection, slug)?.ok_or(ShopError::StoreNotFound)
}

/// A store with what is asked to be different.
fn changed(mut store: ShopStore, asked: &StoreRequest) -> Result<ShopStore, ShopError> {
    if asked.account.is_some() || asked.currency.is_some() {
        let message = "account and currency of a store can't be changed: make another store";
        return Err(ShopError::invalid("NOT_CHANGEABLE", message));
    }
    if let Some(name) = &asked.name {
        store.name = read::line("name", name, 200)?;
    }
    if let Some(text) = &asked.description {
        store.description = read::text("description", text, 2_000)?;
    }
    if let Some(country) = &asked.country {
        store.home.country = read::country(country)?;
    }
    if let Some(state) = &asked.state {
        store.home.state = read::state(&store.home.country, state)?;
    }
    if let Some(active) = asked.active {
        store.active = active;
    }
    if let Some(setting) = &asked.sold_out {
        store.when_sold_out = WhenSoldOut::read(setting)
            .ok_or_else(|| ShopError::invalid("INVALID_SETTING", "sold_out must be refund or backorder"))?;
    }
    if let Some(from) = asked.free_from {
        store.free_from = Some(read::price(from, store.unit)?).filter(|from| *from > 0);
    }
    if let Some(setting) = asked.tax_shipping {
        store.tax_shipping = setting;
    }
    Ok(store)
}

fn set_places(tx: &Tx<'_>, store: &ShopStore, asked: &StoreRequest) -> Result<(), ShopError> {
    for place in &asked.shipping {
        let price = place.price.map(|price| read::price(price, store.unit)).transpose()?;
        stores::set_value(tx, Table::Shipping, store.id, &at(place)?, price)?;
    }
    for place in &asked.taxes {
        let ppm = place.percent.map(read::percent).transpose()?;
        stores::set_value(tx, Table::Taxes, store.id, &at(place)?, ppm)?;
    }
    Ok(())
}

fn at(place: &PlaceRequest) -> Result<Location, ShopError> {
    let country = if place.country.trim() == "*" { "*".to_owned() } else { read::country(&place.country)? };
    let rest = place.state.trim() == REST && country != "*";
    let state = if rest { REST.to_owned() } else { read::state(&country, &place.state)? };
    Ok(Location { country, state })
}

/// In the operator's words.
fn told(error: ShopError) -> AdminError {
    let message = error.message().to_owned();
    match error.status() {
        400 => AdminError::BadRequest(message),
        404 => {
            AdminError::NotFound(format!("{message}; see `satchel store list` and `satchel store orders`"))
        }
        409 => AdminError::Refused(message),
        503 => AdminError::Unavailable(message),
        _ => AdminError::internal(error),
    }
}

/// A country's code, from a place that an operator names.
fn country_code(text: &str) -> Option<String> {
    location::country(text)
}
