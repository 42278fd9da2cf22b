//! Keeps a store and its Shopify shop together: reads at the start and every so often, writes as soon as there is
//! something to write.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ShopifyShop;
use super::error::ShopifyError;
use super::store::orders as sending;
use crate::services::shop::store::stores;
use crate::services::shop::{Shop, ShopError};
use crate::storage::StoreError;

/// The longest sleep: a store may be made, or the clock set, meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

impl Shop {
    /// Runs for ever. Whoever stops it loses nothing.
    pub async fn run_shopify(&self, shop: Arc<ShopifyShop>) {
        let writing = self.keep_writing(&shop);
        let reading = self.keep_reading(&shop);
        tokio::join!(writing, reading);
    }

    async fn keep_reading(&self, shop: &Arc<ShopifyShop>) {
        let mut failures = 0_u32;
        loop {
            let began = Instant::now();
            let pause = match self.read_shopify(shop).await {
                Ok(()) => {
                    failures = 0;
                    shop.every
                }
                Err(error) => {
                    // Of the others there is a line already.
                    if failures == 0 && matches!(error, ShopifyError::NoStore(_)) {
                        tracing::warn!(shop = shop.domain, %error, "a Shopify shop stands behind no store");
                    }
                    failures = failures.saturating_add(1);
                    shop.pace.pause(failures).min(shop.every)
                }
            };
            tokio::time::sleep_until(began + pause.max(Duration::from_secs(1))).await;
        }
    }

    async fn read_shopify(&self, shop: &Arc<ShopifyShop>) -> Result<(), ShopifyError> {
        self.sync_shopify(shop).await?;
        let followed = self.follow_shopify(shop).await;
        if let Err(error) = &followed {
            tracing::warn!(store = shop.slug, %error, "Shopify could not be asked what became of orders; trying again");
        }
        followed.map(drop)
    }

    async fn keep_writing(&self, shop: &Arc<ShopifyShop>) {
        loop {
            if let Err(error) = self.send_to_shopify(shop).await {
                tracing::warn!(store = shop.slug, %error, "orders could not be written to Shopify; trying again");
                tokio::time::sleep(LONGEST_SLEEP).await;
            }
            let sleep = self.until_due(shop).await.unwrap_or(LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = shop.due.notified() => {}
            }
        }
    }

    /// How long until the next order is due.
    async fn until_due(&self, shop: &ShopifyShop) -> Result<Duration, ShopError> {
        let slug = shop.slug.clone();
        let read = self.store().read(move |connection| -> Result<_, StoreError> {
            match stores::by_slug(connection, &slug)? {
                Some(store) => sending::next_due(connection, store.id),
                None => Ok(None),
            }
        });
        let Some(next) = read.await? else { return Ok(LONGEST_SLEEP) };
        let left = u64::try_from(next.saturating_sub(self.now())).unwrap_or(0);
        Ok(Duration::from_millis(left).clamp(Duration::from_millis(50), LONGEST_SLEEP))
    }
}
