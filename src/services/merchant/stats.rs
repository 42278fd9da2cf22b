//! Public numbers.

use serde::Serialize;
use utoipa::ToSchema;

use super::{MerchantError, Merchants};
use crate::core::ids::AccountId;
use crate::http::respond;

/// How much was sold by the request.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DownloadsView {
    /// Documents that were paid for.
    total: u64,
    /// All requests that were paid for, documents too.
    inclusive_total: u64,
}

/// What the shops have sold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShopView {
    /// Shops that are open.
    stores: u64,
    /// Products that can be bought.
    products: u64,
    orders: u64,
    paid_orders: u64,
    /// In sat; `null` without a key: what is earned is told to its owner.
    revenue_sats: Option<u64>,
}

/// Whose numbers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of all, without what they brought in.
    Public,
    /// Of one account.
    Account(AccountId),
    /// Of all.
    Operator,
}

impl Merchants {
    /// How much was sold by the request, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn downloads_json(&self) -> Result<Vec<u8>, MerchantError> {
        let sold = self.0.sources.sold().await?;
        Ok(respond::to_json(&DownloadsView { total: sold.documents, inclusive_total: sold.requests })?)
    }

    /// What the shops have sold, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn shop_json(&self, whose: Whose) -> Result<Vec<u8>, MerchantError> {
        let account = match whose {
            Whose::Account(account) => Some(account),
            Whose::Public | Whose::Operator => None,
        };
        let stats = self.0.shop.numbers(account).await?;
        let view = ShopView {
            stores: stats.stores,
            products: stats.products,
            orders: stats.orders,
            paid_orders: stats.paid_orders,
            revenue_sats: (whose != Whose::Public).then_some(stats.revenue_sat),
        };
        Ok(respond::to_json(&view)?)
    }
}
