//! What the merchant's service asks of payments, L402, proxies and the node.

use ::l402::response::PAYMENT_RECEIPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;

use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::http::client::Client;
use crate::lightning::Node;
use crate::lightning::capacity::Model;
use crate::services::l402::{Admission, L402, Price};
use crate::services::merchant::{
    Challenger, MerchantError, NodeState, Paid, ProxyCount, ShopNumbers, ShopStats, Sold, Sources, Webhooks,
};
use crate::services::payments::Payments;
use crate::services::proxy::PaidProxies;
use crate::services::shop::Shop;
use crate::telemetry::Health;

/// Below it the operator's documents are sold.
const DOCUMENTS: &str = "/api/l402/content/";

/// Answers the merchant's service.
pub(crate) struct MerchantSources {
    pub(crate) payments: Payments,
    pub(crate) l402: L402,
    pub(crate) proxies: PaidProxies,
    pub(crate) node: Node,
    pub(crate) health: Health,
}

/// Another service's error of this status, as the merchant's service tells it.
fn told(status: u16) -> MerchantError {
    MerchantError::of_status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

impl Sources for MerchantSources {
    fn webhooks(&self, account: AccountId) -> BoxFuture<'_, Result<Webhooks, MerchantError>> {
        Box::pin(async move {
            let found = self.payments.merchant(account).await.map_err(|error| told(error.status()))?;
            Ok(found.map_or_else(Webhooks::default, |found| Webhooks {
                url: found.webhook_url,
                callback_url: found.callback_url,
                secret: Some(found.webhook_secret),
            }))
        })
    }

    fn proxies(&self, account: AccountId) -> BoxFuture<'_, Result<ProxyCount, MerchantError>> {
        Box::pin(async move {
            let counted = self.proxies.count(account).await;
            let (all, active) = counted.map_err(|error| told(error.status()))?;
            Ok(ProxyCount { all, active })
        })
    }

    fn sold(&self) -> BoxFuture<'_, Result<Sold, MerchantError>> {
        Box::pin(async move {
            let counted = self.l402.sold_below(DOCUMENTS).await;
            let (documents, requests) = counted.map_err(|error| told(error.status()))?;
            Ok(Sold { documents, requests })
        })
    }

    fn node(&self) -> BoxFuture<'_, NodeState> {
        Box::pin(async move {
            let rooms = self.node.ask(|lightning| lightning.channel_rooms()).await.unwrap_or_default();
            let inbound = Msat::new(Model::of(&rooms).largest_in_msat).unwrap_or(Msat::ZERO);
            NodeState { ready: self.health.is_ready(), inbound_sat: inbound.sat_floor() }
        })
    }
}

impl Challenger for L402 {
    fn proven<'a>(
        &'a self,
        headers: &'a HeaderMap,
        resource: &'a str,
    ) -> BoxFuture<'a, Result<Option<Paid>, Response>> {
        Box::pin(async move {
            let proven = L402::proven(self, headers, resource).await.map_err(IntoResponse::into_response)?;
            Ok(proven.map(|proven| Paid {
                payment_hash: proven.payment_hash.into(),
                amount_sat: proven.amount_sat,
                headers: proven.receipt.into_iter().map(|receipt| (PAYMENT_RECEIPT, receipt)).collect(),
            }))
        })
    }

    fn ask<'a>(
        &'a self,
        client: Client,
        resource: &'a str,
        sats: u64,
        description: &'a str,
    ) -> BoxFuture<'a, Response> {
        Box::pin(async move {
            let price = Price::new(resource, sats).description(description);
            // Without the request's headers: what they show has been judged, and is not to be taken here.
            match self.admit(client, &HeaderMap::new(), &price).await {
                Admission::Refused(response) => response,
                Admission::Paid(_) => MerchantError::Internal.into_response(),
            }
        })
    }
}

/// Tells what stores have sold.
pub(crate) struct ShopTotals(pub(crate) Shop);

impl ShopNumbers for ShopTotals {
    fn numbers(&self, account: Option<AccountId>) -> BoxFuture<'_, Result<ShopStats, MerchantError>> {
        Box::pin(async move {
            let totals = self.0.totals(account).await.map_err(|error| told(error.status()))?;
            Ok(ShopStats {
                stores: totals.stores,
                products: totals.products,
                orders: totals.orders,
                paid_orders: totals.paid_orders,
                revenue_sat: totals.revenue.sat_floor(),
            })
        })
    }
}
