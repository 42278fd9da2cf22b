//! What a store sells, as its buyers see it.
//!
//! A page of it is written once and kept until something of any store's catalogue changes; a price in another currency
//! than dollars is shown in dollars too, and is written anew every half a minute.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;

use super::ids::ProductId;
use super::store::catalogue::{self, Which};
use super::store::stores::{self, Table};
use super::view::{CatalogueView, ProductView, ShippingView};
use super::{Shop, ShopError, json};
use crate::clock::UnixMillis;
use crate::currency::Currency;
use crate::rates::Unit;

/// Products of one page at most.
pub(super) const LONGEST_PAGE: usize = 250;

/// Pages that are kept.
const KEPT: usize = 256;

/// How long a page is good that shows converted prices.
const CONVERTED_MS: i64 = 30_000;

/// Which page: store, products after this one, how many.
type Key = (String, ProductId, usize);

/// Pages that were written, and of which state of the catalogue.
#[derive(Default)]
pub(super) struct Pages {
    generation: AtomicU64,
    pages: Mutex<HashMap<Key, Page>>,
}

#[derive(Clone)]
struct Page {
    generation: u64,
    good_until: UnixMillis,
    body: Bytes,
}

impl Pages {
    /// Something of a catalogue has changed.
    pub(super) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn get(&self, key: &Key, now: UnixMillis) -> Option<Bytes> {
        let generation = self.generation.load(Ordering::Acquire);
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.get(key).filter(|page| page.generation == generation && now < page.good_until);
        page.map(|page| page.body.clone())
    }

    fn put(&self, key: Key, page: Page) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= KEPT {
            pages.clear();
        }
        pages.insert(key, page);
    }
}

impl Shop {
    /// A page of a store's catalogue, as JSON.
    ///
    /// # Errors
    /// [`ShopError::StoreNotFound`]; [`ShopError::Invalid`] for a cursor that no page gave; the store's.
    pub async fn catalogue(
        &self,
        slug: &str,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Bytes, ShopError> {
        let after = match cursor.filter(|text| !text.is_empty()) {
            None => ProductId(0),
            Some(text) => ProductId(text.parse().map_err(|_| {
                ShopError::invalid("INVALID_CURSOR", "cursor must be the nextCursor of a page")
            })?),
        };
        let limit = limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
        let (pages, now) = (self.notifier().pages(), self.now());
        let key = (slug.to_owned(), after, limit);
        if let Some(body) = pages.get(&key, now) {
            return Ok(body);
        }
        let generation = pages.generation.load(Ordering::Acquire);
        let (shop, wanted) = (self.clone(), slug.to_owned());
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            let store = stores::by_slug(connection, &wanted)?.filter(|store| store.active);
            let store = store.ok_or(ShopError::StoreNotFound)?;
            let shipping = stores::values(connection, Table::Shipping, store.id)?;
            let mut found =
                catalogue::page(connection, store.id, Which::Sold, after, limit.saturating_add(1))?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next_cursor = found.last().filter(|_| more).map(|last| last.id.to_string());
            let products = found
                .iter()
                .filter(|product| !product.variants.is_empty())
                .map(|product| ProductView::new(product, store.unit, shop.rates()))
                .collect();
            let view = CatalogueView {
                store_name: &store.name,
                slug: &store.slug,
                shipping: ShippingView::new(&store, &shipping, shop.rates()),
                products,
                description: &store.description,
                currency: store.unit.code(),
                country: &store.home.country,
                next_cursor,
            };
            Ok((json(&view)?, store.unit))
        });
        let (body, unit) = read.await?;
        let body = Bytes::from(body);
        let converted = unit != Unit::Fiat(Currency::Usd);
        let good_until = if converted { now.saturating_add(CONVERTED_MS) } else { i64::MAX };
        pages.put(key, Page { generation, good_until, body: body.clone() });
        Ok(body)
    }
}
