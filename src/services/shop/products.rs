//! What this node sells, of all kinds, and payments for one of it.
//!
//! Ids: `item_{variantId}` of a store; others are made by [`Elsewhere`](super::Elsewhere).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use utoipa::ToSchema;

use super::cart::Cart;
use super::checkout::NewOrder;
use super::ids::{StoreId, VariantId};
use super::ports::{Offered, Session};
use super::store::catalogue::{self, Product, Variant};
use super::store::stores::{self, ShopStore};
use super::{Shop, ShopError, access, amounts, json};
use crate::core::time::iso::IsoSeconds;
use crate::rates::Unit;

/// What ids of items begin with.
const ITEM: &str = "item_";

/// Things of one page at most, and without a limit.
pub(super) const LONGEST_PAGE: usize = 500;

/// A page of what is sold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductsView {
    products: Vec<Offered>,
    /// Of all pages.
    total: usize,
    /// `cursor` of the next page; `null` on the last.
    next_cursor: Option<String>,
}

impl Shop {
    /// A page of what this node sells, as JSON: items of stores by their ids, then the rest.
    ///
    /// # Errors
    /// [`ShopError::Invalid`] for a cursor that names nothing; the store's.
    pub async fn products(&self, cursor: Option<&str>, limit: Option<usize>) -> Result<Vec<u8>, ShopError> {
        let limit = limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
        let cursor = cursor.filter(|text| !text.is_empty());
        let others = self.0.parts.elsewhere.all().await?;
        // How many of the others come before the page; `None` while it begins among the items.
        let passed = match cursor {
            Some(id) if item(id).is_none() => {
                let at = others.iter().position(|other| other.id == id).ok_or_else(|| {
                    ShopError::invalid("INVALID_CURSOR", "cursor must be the nextCursor of a page")
                })?;
                Some(at.saturating_add(1))
            }
            _ => None,
        };
        let after = cursor.and_then(item).unwrap_or(VariantId(0));
        let shop = self.clone();
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            let count = catalogue::sold_count(connection)?;
            if passed.is_some() {
                return Ok((count, Vec::new()));
            }
            let mut open: HashMap<StoreId, ShopStore> = HashMap::new();
            let mut page = Vec::new();
            for (of, product, variant) in catalogue::sold_page(connection, after, limit.saturating_add(1))? {
                let store = match open.entry(of) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(stores::by_id(connection, of)?),
                };
                page.push(shop.offered(store, &product, &variant));
            }
            Ok((count, page))
        });
        let (items, mut products) = read.await?;
        let total = items.saturating_add(others.len());
        let room = limit.saturating_add(1).saturating_sub(products.len());
        products.extend(others.into_iter().skip(passed.unwrap_or(0)).take(room));
        let more = products.len() > limit;
        products.truncate(limit);
        let next_cursor = products.last().filter(|_| more).map(|last| last.id.clone());
        json(&ProductsView { products, total, next_cursor })
    }

    /// One of it, as JSON.
    ///
    /// # Errors
    /// [`ShopError::ProductNotFound`]; the store's.
    pub async fn product(&self, id: &str) -> Result<Vec<u8>, ShopError> {
        if let Some(variant) = item(id) {
            let (store, product, variant) = self.sold(variant).await?;
            return json(&self.offered(&store, &product, &variant));
        }
        let found = self.0.parts.elsewhere.one(id).await?;
        json(&found.ok_or(ShopError::ProductNotFound)?)
    }

    /// Opens a payment for one of it: of an item an order for one piece.
    ///
    /// # Errors
    /// [`ShopError::ProductNotFound`]; as for a new order.
    pub async fn open_session(&self, id: &str) -> Result<Vec<u8>, ShopError> {
        let Some(variant) = item(id) else {
            return json(&self.0.parts.elsewhere.open(id).await?);
        };
        let (store, _, variant) = self.sold(variant).await?;
        let new = NewOrder { cart: Cart::of(variant.id), at: None, idempotency_key: None };
        let order = self.order(&store, new).await?;
        let resource = access::resource(&store.slug);
        let challenge = self.challenge(&store, &order, &resource);
        let page = self.page_url(&store.slug, &order, false);
        json(&Session {
            session_id: order.key.to_string(),
            product_id: id.to_owned(),
            checkout_url: page.clone(),
            url: page,
            invoice: order.invoice,
            amount_sats: order.price.sat_floor(),
            macaroon: challenge.macaroon,
            resource_url: format!("{}{resource}", self.rules().public_url),
            expires_at: IsoSeconds(order.expires_at),
        })
    }

    async fn sold(&self, id: VariantId) -> Result<(ShopStore, Product, Variant), ShopError> {
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            let Some((store, product, variant)): Option<(StoreId, _, _)> = catalogue::sold(connection, id)?
            else {
                return Ok(None);
            };
            Ok(Some((stores::by_id(connection, store)?, product, variant)))
        });
        read.await?.filter(|(store, ..)| store.active).ok_or(ShopError::ProductNotFound)
    }

    fn offered(&self, store: &ShopStore, product: &Product, variant: &Variant) -> Offered {
        let name = match variant.title.as_str() {
            "" | "Default Title" => product.title.clone(),
            title => format!("{} ({title})", product.title),
        };
        let quote = store.unit.currency().map(|currency| self.rates().quote(currency));
        let sats = match quote {
            None => amounts::sats(variant.price, Unit::Sats, None).ok(),
            Some(quote) => {
                quote.ok().and_then(|quote| amounts::sats(variant.price, store.unit, Some(&quote)).ok())
            }
        };
        Offered {
            id: format!("{ITEM}{}", variant.id),
            kind: "item",
            name,
            description: product.description.clone(),
            price: amounts::shown(variant.price, store.unit),
            currency: store.unit.code(),
            price_sats: sats.map(crate::core::money::Msat::sat_floor),
            price_usd: amounts::dollars(variant.price, store.unit, self.rates()),
            image_url: product.images.first().cloned(),
            available: variant.has(1),
            url: format!("{}/store/{}", self.rules().public_url, store.slug),
        }
    }
}

fn item(id: &str) -> Option<VariantId> {
    let number = id.strip_prefix(ITEM)?;
    // As it was written, and no other way: one thing has one id.
    let id: i64 = number.parse().ok().filter(|id: &i64| id.to_string() == number)?;
    Some(VariantId(id))
}
