//! What a store sells, as its buyers see it.
//!
//! A page of it is written once and kept until something of that store's catalogue changes; a price in another currency
//! than dollars is shown in dollars too, and is written anew every half a minute. Of many that ask for a page that is
//! not kept one writes it, and the others wait for that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::HeaderValue;
use bitcoin::hashes::{Hash, sha256};
use tokio::sync::OwnedMutexGuard;

use super::ids::{ProductId, StoreId};
use super::store::catalogue::{self, Which};
use super::store::stores::{self, Table};
use super::view::{CatalogueView, ProductView, ShippingView};
use super::{Shop, ShopError, json};
use crate::core::currency::Currency;
use crate::core::ids::to_hex;
use crate::core::time::UnixMillis;
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
    kept: Mutex<KeptPages>,
    /// Pages that are written just now.
    turns: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Default)]
struct KeptPages {
    /// How often something of any catalogue has changed.
    changes: u64,
    /// Which of these changes was the last of a store.
    changed: HashMap<StoreId, u64>,
    pages: HashMap<Key, Kept>,
}

struct Kept {
    page: Page,
    store: StoreId,
    /// Changes before it was read.
    as_of: u64,
    good_until: UnixMillis,
}

/// A page as JSON.
#[derive(Clone, Debug)]
pub struct Page {
    /// The text.
    pub body: Bytes,
    /// Names the text.
    pub etag: HeaderValue,
}

impl Page {
    fn new(body: Vec<u8>) -> Self {
        let name = sha256::Hash::hash(&body).to_byte_array();
        let name = format!("\"{}\"", to_hex(name.get(..16).unwrap_or_default()));
        // Hexadecimal digits fit in a header.
        let etag = HeaderValue::try_from(name).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { body: body.into(), etag }
    }
}

impl Pages {
    /// Something of a store's catalogue has changed.
    pub(super) fn changed(&self, store: StoreId) {
        let mut kept = self.kept();
        kept.changes = kept.changes.saturating_add(1);
        let changes = kept.changes;
        kept.changed.insert(store, changes);
    }

    fn changes(&self) -> u64 {
        self.kept().changes
    }

    fn get(&self, key: &Key, now: UnixMillis) -> Option<Page> {
        let kept = self.kept();
        let found = kept.pages.get(key)?;
        let changed = kept.changed.get(&found.store).copied().unwrap_or(0);
        (changed <= found.as_of && now < found.good_until).then(|| found.page.clone())
    }

    fn put(&self, key: Key, page: Kept) {
        let mut kept = self.kept();
        if kept.pages.len() >= KEPT {
            kept.pages.clear();
        }
        kept.pages.insert(key, page);
    }

    /// Waits until nobody else writes this page. The turn ends when what is returned is dropped.
    async fn turn(&self, key: &Key) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever has a turn, or waits for one, holds a copy.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(key.clone()).or_default())
        };
        turn.lock_owned().await
    }

    fn kept(&self) -> MutexGuard<'_, KeptPages> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
    ) -> Result<Page, ShopError> {
        let after = match cursor.filter(|text| !text.is_empty()) {
            None => ProductId(0),
            Some(text) => ProductId(text.parse().map_err(|_| {
                ShopError::invalid("INVALID_CURSOR", "cursor must be the nextCursor of a page")
            })?),
        };
        let limit = limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
        let (pages, now) = (self.notifier().pages(), self.now());
        let key = (slug.to_owned(), after, limit);
        if let Some(page) = pages.get(&key, now) {
            return Ok(page);
        }
        let _turn = pages.turn(&key).await;
        if let Some(page) = pages.get(&key, now) {
            return Ok(page);
        }
        let as_of = pages.changes();
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
            Ok((Page::new(json(&view)?), store.unit, store.id))
        });
        let (page, unit, store) = read.await?;
        let converted = unit != Unit::Fiat(Currency::Usd);
        let good_until = if converted { now.saturating_add(CONVERTED_MS) } else { i64::MAX };
        pages.put(key, Kept { page: page.clone(), store, as_of, good_until });
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_kept_until_its_own_store_changes() {
        let pages = Pages::default();
        let key = |slug: &str| (slug.to_owned(), ProductId(0), 10);
        let put = |slug: &str, store| {
            let as_of = pages.changes();
            let page = Page::new(slug.as_bytes().to_vec());
            pages.put(key(slug), Kept { page, store, as_of, good_until: 1_000 });
        };
        let has = |slug: &str, now| pages.get(&key(slug), now).is_some();
        put("mugs", StoreId(1));
        put("cups", StoreId(2));
        pages.changed(StoreId(1));
        assert!(!has("mugs", 0) && has("cups", 0) && !has("cups", 1_000));
        put("mugs", StoreId(1));
        assert!(has("mugs", 0));
        // What changes while a page is read makes it old.
        let as_of = pages.changes();
        pages.changed(StoreId(2));
        pages.put(key("cups"), Kept { page: Page::new(vec![]), store: StoreId(2), as_of, good_until: 1_000 });
        assert!(!has("cups", 0) && has("mugs", 0));
    }
}
