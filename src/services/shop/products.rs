//! What this node sells, of all kinds, and payments for one of it.
//!
//! Ids: `item_{variantId}` of a store; others are made by [`Elsewhere`](super::Elsewhere).

use serde::Serialize;

use super::cart::Cart;
use super::checkout::NewOrder;
use super::ids::{ProductId, StoreId, VariantId};
use super::ports::{Offered, Session};
use super::store::catalogue::{self, Product, Variant, Which};
use super::store::stores::{self, ShopStore};
use super::{Shop, ShopError, access, amounts, json};
use crate::clock::iso::IsoSeconds;
use crate::rates::Unit;

/// What ids of items begin with.
const ITEM: &str = "item_";

/// Stores and products of one list at most; the rest is in the stores' own catalogues.
const MOST_STORES: usize = 100;
const MOST_PRODUCTS: usize = 500;

/// Everything that is sold.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductsView {
    products: Vec<Offered>,
    total: usize,
}

impl Shop {
    /// What this node sells, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn products(&self) -> Result<Vec<u8>, ShopError> {
        let shop = self.clone();
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            let mut all = Vec::new();
            for store in &stores::open(connection, MOST_STORES)? {
                let room = MOST_PRODUCTS.saturating_sub(all.len());
                let page = catalogue::page(connection, store.id, Which::Sold, ProductId(0), room)?;
                for product in &page {
                    all.extend(product.variants.iter().map(|variant| shop.offered(store, product, variant)));
                }
            }
            all.truncate(MOST_PRODUCTS);
            Ok(all)
        });
        let mut products = read.await?;
        products.extend(self.0.parts.elsewhere.all().await?);
        let total = products.len();
        json(&ProductsView { products, total })
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
            price_sats: sats.map(crate::money::Msat::sat_floor),
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
