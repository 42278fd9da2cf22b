//! A store with a Shopify shop behind it, against a server that speaks its API.

mod catalogue;
mod orders;
mod sent;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::setup::{World, claim, mugs, one};
use super::shopify_server::ShopifyServer;
use crate::admin::StoreAdmin;
use crate::config::Config;
use crate::outbound::mail::Mailer;
use crate::services::shop::shopify::ShopifyShop;

/// A store `mugs` in dollars and the shop behind it.
struct Pair {
    world: World,
    server: ShopifyServer,
    shop: Arc<ShopifyShop>,
}

impl Pair {
    async fn new() -> Self {
        Self::with(None, "").await
    }

    async fn with(mail: Option<Mailer>, more: &str) -> Self {
        let server = ShopifyServer::start().await;
        let text = format!("network = \"regtest\"\n{}{more}", server.config("mugs"));
        let config: Config = toml::from_str(&text).unwrap();
        let world = World::with(&config, mail).await;
        world.create("mugs", &mugs()).await;
        let shop = world.shop.shopify_shops().into_iter().next().unwrap();
        Self { world, server, shop }
    }

    /// With a mug, of which there are ten.
    async fn with_a_mug() -> Self {
        let pair = Self::new().await;
        pair.server.product(7_700_000_000_001, "mug", &[(MUG, "Blue", "20.00", 10)]);
        pair.sync().await;
        pair
    }

    async fn sync(&self) {
        self.world.shop.sync_shopify(&self.shop).await.unwrap();
    }

    /// Why the shop can't be read.
    async fn refused(&self) -> String {
        self.world.shop.sync_shopify(&self.shop).await.unwrap_err().to_string()
    }

    /// What is due is written and cancelled.
    async fn send(&self) {
        self.world.shop.send_to_shopify(&self.shop).await.unwrap();
    }

    /// The same after so long.
    async fn send_after(&self, secs: u64) {
        self.world.clock.advance(Duration::from_secs(secs));
        self.send().await;
    }

    async fn shown(&self) -> Value {
        self.world.shop.show("mugs".into()).await.unwrap()["shopify"].clone()
    }

    /// The catalogue, without pages that are kept.
    async fn products(&self) -> Value {
        StoreAdmin::products(&self.world.shop, "mugs".into(), 0).await.unwrap()["products"].clone()
    }

    async fn buy(&self, variant: i64) -> Value {
        self.world.buy("mugs", variant).await
    }

    /// A paid order is claimed; what that answers.
    async fn claim(&self, bought: &Value) -> Value {
        self.world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await.ok()
    }

    async fn look(&self, bought: &Value) -> Value {
        let (id, token) = (bought["orderId"].as_str().unwrap(), bought["claimToken"].as_str().unwrap());
        self.world.get(&format!("/api/shopify/mugs/orders/{id}?claimToken={token}")).await.ok()
    }

    async fn cancel(&self, bought: &Value) {
        let id = bought["orderId"].as_str().unwrap().to_owned();
        self.world.shop.cancel(id).await.unwrap();
    }
}

const MUG: i64 = 44_000_000_000_001;

/// Two of a variant.
fn two(variant: i64) -> Value {
    json!([{ "variantId": variant, "quantity": 2 }])
}

async fn ask(pair: &Pair, variant: i64) -> Value {
    pair.world.checkout("mugs", &one(variant), &[]).await.asked()
}
