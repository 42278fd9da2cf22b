//! Applies a reading to our tables, a part of it in each transaction: buyers read and pay meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ShopifyShop;
use super::error::ShopifyError;
use super::read::{Reading, RemoteProduct};
use super::store::{catalogue, shops};
use crate::core::time::UnixMillis;
use crate::services::shop::Shop;
use crate::services::shop::ids::{ProductId, StoreId, VariantId};
use crate::services::shop::store::stores::{self, ShopStore};
use crate::storage::{StoreError, Tx};

/// Products of one transaction.
const AT_ONCE: usize = 100;

/// What a reading has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Products that were read, and make sense.
    pub products: usize,
    /// Their variants.
    pub variants: usize,
    /// Products of which something was different.
    pub changed: usize,
    /// Products that are not there any more, and are not sold any more.
    pub removed: usize,
    /// What was left as it was, and why; the first of them.
    pub problems: Vec<String>,
    /// How many those are.
    pub problem_count: u32,
}

/// Things of Shopify's that a reading has.
struct Seen {
    products: HashSet<i64>,
    variants: HashSet<i64>,
}

impl Shop {
    /// Reads the catalogue of a Shopify shop, and applies it. How it went is noted, for the operator to see.
    ///
    /// # Errors
    /// Every [`ShopifyError`]: the catalogue stays as it was, or as far as it was applied, each product whole.
    pub async fn sync_shopify(&self, shop: &Arc<ShopifyShop>) -> Result<Synced, ShopifyError> {
        let _one = shop.reading.lock().await;
        let store = self.shopify_store(shop).await?;
        let (id, domain, began) = (store.id, shop.domain.clone(), self.now());
        self.store().write(move |tx| shops::begun(tx, id, &domain, began)).await?;
        let done = self.read_and_apply(shop, &store, began).await;
        if let Err(error) = &done {
            let text = error.to_string();
            tracing::warn!(
                store = shop.slug,
                shop = shop.domain,
                error = text,
                "the Shopify shop could not be read"
            );
            self.store().write(move |tx| shops::failed(tx, id, &text)).await?;
        }
        done
    }

    /// The store that a shop stands behind.
    pub(super) async fn shopify_store(&self, shop: &ShopifyShop) -> Result<ShopStore, ShopifyError> {
        let slug = shop.slug.clone();
        let found = self.store().read(move |connection| stores::by_slug(connection, &slug)).await?;
        found.ok_or_else(|| ShopifyError::NoStore(shop.slug.clone()))
    }

    async fn read_and_apply(
        &self,
        shop: &ShopifyShop,
        store: &ShopStore,
        began: UnixMillis,
    ) -> Result<Synced, ShopifyError> {
        let Reading { mut products, seen, seen_variants, problems, problem_count } =
            shop.read(store.unit).await?;
        let mut synced = Synced {
            products: products.len(),
            variants: products.iter().map(|product| product.variants.len()).sum(),
            problems,
            problem_count,
            ..Synced::default()
        };
        let seen = Arc::new(Seen { products: seen, variants: seen_variants });
        while !products.is_empty() {
            let rest = products.split_off(products.len().min(AT_ONCE));
            let part = std::mem::replace(&mut products, rest);
            let (here, id, seen) = (self.clone(), store.id, Arc::clone(&seen));
            let now = self.now();
            let write = move |tx: &Tx<'_>| -> Result<usize, StoreError> {
                let unknown = catalogue::unknown_pieces(tx, id, (began, now))?;
                let mut changed = 0;
                for product in &part {
                    if put(tx, id, product, &seen, &unknown, now)? {
                        changed += 1;
                    }
                }
                if changed > 0 {
                    here.notifier().catalogue_changed(tx, id);
                }
                Ok(changed)
            };
            synced.changed = synced.changed.saturating_add(self.store().write(write).await?);
        }
        let (here, id, problems) = (self.clone(), store.id, synced.problems.clone());
        let write = move |tx: &Tx<'_>| -> Result<(usize, Option<catalogue::Before>), StoreError> {
            let mut removed = 0;
            for (product, remote) in catalogue::linked(tx, id)? {
                if !seen.products.contains(&remote) {
                    catalogue::retire_product(tx, product)?;
                    removed += 1;
                }
            }
            if removed > 0 {
                here.notifier().catalogue_changed(tx, id);
            }
            let first = shops::state(tx, id)?.synced_at.is_none();
            shops::done(tx, id, began, &problems, problem_count)?;
            Ok((removed, first.then(|| catalogue::before(tx, id)).transpose()?))
        };
        let (removed, before) = self.store().write(write).await?;
        synced.removed = removed;
        // Only at connecting: `store show` tells of it as long as it is so.
        if let Some(before) = before.filter(|before| before.orders > 0 || before.unclaimed_orders > 0) {
            tracing::warn!(
                store = shop.slug,
                shop = shop.domain,
                orders = before.orders,
                pieces = before.pieces,
                unclaimed_orders = before.unclaimed_orders,
                unclaimed_pieces = before.unclaimed_pieces,
                "orders from before the Shopify shop was connected are subtracted from its stock: claimed ones until \
                 you enter them at Shopify and run `satchel store ship`, unclaimed ones until they are claimed"
            );
        }
        if synced.problem_count > 0 {
            tracing::warn!(
                store = shop.slug,
                count = synced.problem_count,
                first = synced.problems.first(),
                "products of the Shopify shop are left as they were"
            );
        }
        Ok(synced)
    }
}

/// Writes a product; whether anything was different.
fn put(
    tx: &Tx<'_>,
    store: StoreId,
    remote: &RemoteProduct,
    seen: &Seen,
    unknown: &HashMap<VariantId, i64>,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let (id, handle, new) = place(tx, store, remote, seen, now)?;
    let mut changed = catalogue::update_product(tx, id, &remote.product, &handle, now)? || new;
    let rows = catalogue::variants(tx, id)?;
    let mut taken: HashMap<VariantId, usize> = HashMap::new();
    let mut ours = Vec::with_capacity(remote.variants.len());
    // By Shopify's id first: titles change.
    for (at, wanted) in remote.variants.iter().enumerate() {
        let found = rows.iter().find(|row| row.remote == Some(*wanted)).map(|row| row.id);
        if let Some(found) = found {
            taken.insert(found, at);
        }
        ours.push(found);
    }
    // Then by title: what was imported before, or is made anew there.
    for ((at, variant), ours) in remote.product.variants.iter().enumerate().zip(&mut ours) {
        let free = |remote: Option<i64>| remote.is_none_or(|remote| !seen.variants.contains(&remote));
        if ours.is_none() {
            *ours = rows
                .iter()
                .find(|row| row.title == variant.title && free(row.remote) && !taken.contains_key(&row.id))
                .map(|row| row.id);
            if let Some(found) = *ours {
                taken.insert(found, at);
            }
        }
    }
    // No two variants of a product have one title, not even for a moment.
    for row in &rows {
        match taken.get(&row.id).and_then(|at| remote.product.variants.get(*at)) {
            Some(variant) if variant.title == row.title => {}
            Some(_) => catalogue::rename_variant(tx, row.id, &format!("\u{1}{}", row.id))?,
            None => {
                if row.active {
                    catalogue::retire_variant(tx, row.id)?;
                    changed = true;
                }
                if remote.product.variants.iter().any(|variant| variant.title == row.title) {
                    catalogue::rename_variant(tx, row.id, &format!("{} ({})", row.title, row.id))?;
                }
            }
        }
    }
    for ((wanted, variant), ours) in remote.variants.iter().zip(&remote.product.variants).zip(ours) {
        let ours = match ours {
            Some(ours) => ours,
            None => {
                changed = true;
                catalogue::insert_variant(tx, store, id, *wanted, &variant.title)?
            }
        };
        catalogue::link_variant(tx, store, ours, *wanted)?;
        let sold = unknown.get(&ours).copied().unwrap_or(0);
        let stock = variant.stock.map(|stock| stock.saturating_sub(sold));
        changed |= catalogue::update_variant(tx, ours, variant, stock)?;
    }
    Ok(changed)
}

/// Which product of ours it is, with which handle, and whether it is new: the one that it was, else one of the same
/// handle that is nothing else there.
fn place(
    tx: &Tx<'_>,
    store: StoreId,
    remote: &RemoteProduct,
    seen: &Seen,
    now: UnixMillis,
) -> Result<(ProductId, String, bool), StoreError> {
    let known = catalogue::product_of(tx, store, remote.id)?;
    let handle = remote.product.handle.clone();
    let named = catalogue::by_handle(tx, store, &handle)?;
    match (known, named) {
        (Some(known), Some((named, _))) if known != named => {
            Ok((known, format!("{handle}-{}", remote.id), false))
        }
        (Some(known), _) => Ok((known, handle, false)),
        (None, Some((named, other))) if other.is_none_or(|other| !seen.products.contains(&other)) => {
            catalogue::link_product(tx, store, named, remote.id)?;
            Ok((named, handle, false))
        }
        (None, named) => {
            let handle = if named.is_some() { format!("{handle}-{}", remote.id) } else { handle };
            let id = catalogue::insert_product(tx, store, remote.id, &handle, now)?;
            catalogue::link_product(tx, store, id, remote.id)?;
            Ok((id, handle, true))
        }
    }
}
