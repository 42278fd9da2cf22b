//! Stores, products and orders as the operator reads them.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::core::time::iso::IsoSeconds;
use crate::rates::Unit;
use crate::services::shop::store::catalogue::{self, Product};
use crate::services::shop::store::orders::Order;
use crate::services::shop::store::stores::{self, ShopStore, Table};
use crate::services::shop::{Shop, ShopError, amounts};

/// A store with its shipping and taxes, and how it stands with the Shopify shop behind it.
pub(super) fn shown(shop: &Shop, connection: &Connection, store: &ShopStore) -> Result<Value, ShopError> {
    let places = |table, value: &dyn Fn(u64) -> (&'static str, String)| -> Result<Vec<Value>, ShopError> {
        let all = stores::values(connection, table, store.id)?.into_iter().map(|(country, state, number)| {
            let (name, text) = value(number);
            json!({ "country": country, "state": state, name: text })
        });
        Ok(all.collect())
    };
    let price = |units| ("price", amounts::shown(units, store.unit).to_string());
    let percent = |ppm: u64| {
        let percent = crate::core::decimal::Decimal::new(u128::from(ppm), 4).unwrap_or_default();
        ("percent", percent.to_string())
    };
    Ok(json!({
        "slug": store.slug,
        "name": store.name,
        "description": store.description,
        "account": crate::ledger::accounts::name(connection, store.account)?,
        "currency": store.unit,
        "country": store.home.country,
        "state": store.home.state,
        "active": store.active,
        "sold_out": store.when_sold_out.name(),
        "free_from": store.free_from.map(|from| amounts::shown(from, store.unit).to_string()),
        "tax_shipping": store.tax_shipping,
        "shipping": places(Table::Shipping, &price)?,
        "taxes": places(Table::Taxes, &percent)?,
        "variants": catalogue::count(connection, store.id)?,
        "created_at": IsoSeconds(store.created_at),
        "shopify": shop.shopify_value(connection, store)?,
    }))
}

pub(super) fn product_value(product: &Product, unit: Unit) -> Value {
    json!({
        "id": product.id,
        "handle": product.handle,
        "title": product.title,
        "active": product.active,
        "variants": product.variants.iter().map(|variant| variant_value(variant, unit)).collect::<Vec<_>>(),
    })
}

fn variant_value(variant: &catalogue::Variant, unit: Unit) -> Value {
    json!({
        "id": variant.id,
        "title": variant.title,
        "sku": variant.sku,
        "price": amounts::shown(variant.price, unit).to_string(),
        "stock": variant.stock,
        "oversell": variant.oversell,
        "active": variant.active,
    })
}

/// An order without who bought it.
pub(super) fn order_value(order: &Order) -> Value {
    json!({
        "row": order.id,
        "orderId": order.key,
        "number": order.shown_number(),
        "status": order.status,
        "total": amounts::shown(order.bill.total, order.unit).to_string(),
        "currency": order.unit,
        "totalSats": order.price.sat_floor(),
        "paidSats": order.received.sat_floor(),
        "backordered": order.backordered,
        "items": order.items.iter().map(|item| json!({
            "variantId": item.variant, "sku": item.sku, "title": item.title(), "quantity": item.quantity,
        })).collect::<Vec<_>>(),
        "createdAt": IsoSeconds(order.created_at),
        "paidAt": order.paid_at.map(IsoSeconds),
        "shippedAt": order.shipped_at.map(IsoSeconds),
    })
}
