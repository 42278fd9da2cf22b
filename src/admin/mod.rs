//! `/admin/v1`: what the person who runs the node does by hand, over HTTP.
//!
//! `cli` is its main caller. [`router`] has no authentication of its own: `routes` puts the layer that asks
//! for a key of the scope `admin` around it, and it must never be mounted without. Handlers hold no rules
//! of money: they parse, call the node or one of the traits that `app` wires ([`Money`], [`KeyAdmin`],
//! [`AccountAdmin`], [`GiftAdmin`], [`TipAdmin`], [`PaymentAdmin`], [`L402Admin`], [`ProxyAdmin`], [`PurseAdmin`], [`WebhookAdmin`],
//! [`CoinAdmin`], [`PayoutAdmin`], [`SuspenseAdmin`], [`StoreAdmin`], [`ExportAdmin`]),
//! and answer. Whatever changes something is an [act](crate::http::audit_log), and recorded with the key that asked for it.
//!
//! Errors are `{"error":{"code","message"}}`; the message says what to do.

mod accounts;
mod acts;
mod audit;
mod channels;
mod coins;
mod error;
mod exports;
mod extract;
mod gifts;
mod keys;
mod l402;
mod money;
mod node;
mod observe;
mod payments;
mod payouts;
mod peers;
mod proxies;
mod purses;
mod signups;
mod stores;
mod stream;
mod suspense;
mod tips;
mod webhooks;
mod wrong_keys;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, delete, get, post};
use futures_util::future::BoxFuture;

use crate::config::Config;
use crate::http::client::Proxies;
use crate::lightning::Node;
use crate::rates::Rates;
use crate::storage::Store;
use crate::telemetry::Health;

pub use accounts::{AccountAdmin, StatementRequest, SweepRequest, TableRequest, WithdrawRequest};
pub use acts::Acts;
pub use coins::{CoinAdmin, SendOrder};
pub use error::{AdminError, method_not_allowed, no_such_route, refusal};
pub use exports::{ExportAdmin, TableKind};
pub use gifts::{GiftAdmin, PageRequest};
pub use keys::{KeyAdmin, NewKey};
pub use l402::{L402Admin, SoldRequest};
pub use money::{Issued, Money, PayOrder, PayTo, PayoutView};
pub use observe::observe;
pub use payments::{ExportRequest, PaymentAdmin};
pub use payouts::{PayoutAdmin, PayoutPage};
pub use proxies::{ProxyAdmin, ProxyPage, ProxyPrice};
pub use purses::{NewPurse, PurseAdmin};
pub use signups::SignupAdmin;
pub use stores::{
    OrdersRequest, PlaceRequest, ProductRequest, ProductsRequest, ShipRequest, StoreAdmin, StoreRequest,
    VariantChange, VariantRequest,
};
pub use suspense::{Recipient, SuspenseAdmin};
pub use tips::{TipAdmin, TipOrder};
pub use webhooks::WebhookAdmin;
pub use wrong_keys::{WrongKeys, limit_wrong_keys};

/// Runs the audit. The object has `"clean": bool` and, if it isn't, `"problems": ["…"]`; the rest is shown as it
/// is. The error is a text for the operator.
pub type Audit = Arc<dyn Fn() -> BoxFuture<'static, Result<serde_json::Value, String>> + Send + Sync>;

/// What the handlers work with.
#[derive(Clone)]
pub struct AdminState {
    /// Records what is done here.
    pub acts: Acts,
    /// The node.
    pub node: Node,
    /// The database, for whether it takes writes.
    pub store: Store,
    /// The settings.
    pub config: Arc<Config>,
    /// How far the process is.
    pub health: Health,
    /// Who asks the public API.
    pub clients: Arc<Proxies>,
    /// What a bitcoin costs.
    pub rates: Rates,
    /// The books' check.
    pub audit: Audit,
    /// How far what is owed can be paid out.
    pub solvency: Audit,
    /// How the relays stand to which agents' events go: a list, empty without any.
    pub relays: Audit,
    /// Payouts and invoices of the operator's own.
    pub money: Arc<dyn Money>,
    /// Payouts of everybody.
    pub payouts: Arc<dyn PayoutAdmin>,
    /// Money in suspense.
    pub suspense: Arc<dyn SuspenseAdmin>,
    /// Tables for bookkeepers.
    pub exports: Arc<dyn ExportAdmin>,
    /// API keys.
    pub keys: Arc<dyn KeyAdmin>,
    /// Gifts.
    pub gifts: Arc<dyn GiftAdmin>,
    /// Tips.
    pub tips: Arc<dyn TipAdmin>,
    /// Payments.
    pub payments: Arc<dyn PaymentAdmin>,
    /// What is sold by the request.
    pub l402: Arc<dyn L402Admin>,
    /// Services that are sold by the request.
    pub proxies: Arc<dyn ProxyAdmin>,
    /// The webhooks' delivery log.
    pub webhooks: Arc<dyn WebhookAdmin>,
    /// Coins on their way to addresses.
    pub coins: Arc<dyn CoinAdmin>,
    /// What accounts have earned.
    pub accounts: Arc<dyn AccountAdmin>,
    /// Who bought accounts.
    pub signups: Arc<dyn SignupAdmin>,
    /// What API keys may spend of it.
    pub purses: Arc<dyn PurseAdmin>,
    /// Stores.
    pub stores: Arc<dyn StoreAdmin>,
}

/// All routes below `/admin/v1`, with their full paths.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/admin/v1/node", get(node::show))
        .route("/admin/v1/address", post(node::new_address))
        .route("/admin/v1/sync", post(node::sync))
        .route("/admin/v1/channels", get(channels::list).post(channels::open))
        .route("/admin/v1/channels/{id}/close", post(channels::close))
        .route("/admin/v1/peers", get(peers::list).post(peers::connect))
        .route("/admin/v1/audit", get(audit::run))
        .route("/admin/v1/acts", get(acts::list))
        .route("/admin/v1/pay", post(money::pay))
        .route("/admin/v1/payouts/{public_id}", get(money::payout))
        .route("/admin/v1/payouts", get(payouts::list))
        .route("/admin/v1/payouts/{public_id}/history", get(payouts::show))
        .route("/admin/v1/payouts/{public_id}/settle", post(payouts::settle))
        .route("/admin/v1/suspense", get(suspense::list))
        .route("/admin/v1/suspense/{id}/settle", post(suspense::settle))
        .route("/admin/v1/invoice", post(money::invoice))
        .route("/admin/v1/keys", get(keys::list).post(keys::create))
        .route("/admin/v1/keys/{id}", delete(keys::revoke))
        .route("/admin/v1/keys/{id}/rotate", post(keys::rotate))
        .route("/admin/v1/gifts", get(gifts::list))
        .route("/admin/v1/gifts/export", get(exports::gifts))
        .route("/admin/v1/tips/export", get(exports::tips))
        .route("/admin/v1/l402/export", get(exports::l402))
        .route("/admin/v1/payouts/export", get(exports::payouts))
        .route("/admin/v1/ledger/export", get(exports::ledger))
        .route("/admin/v1/gifts/{id}", get(gifts::show))
        .route("/admin/v1/tips", get(tips::list).post(tips::create))
        .route("/admin/v1/tips/{id}", get(tips::show))
        .route("/admin/v1/tips/{id}/reclaim", post(tips::reclaim))
        .route("/admin/v1/payments/export", get(payments::export))
        .route("/admin/v1/l402", get(l402::sold))
        .route("/admin/v1/accounts", get(accounts::list))
        .route("/admin/v1/accounts/{name}", get(accounts::show))
        .route("/admin/v1/accounts/{name}/statement", get(accounts::statement))
        .route("/admin/v1/accounts/{name}/statement/export", get(accounts::table))
        .route("/admin/v1/accounts/{name}/withdrawals", post(accounts::withdraw))
        .route("/admin/v1/accounts/{name}/email", delete(signups::forget))
        .route("/admin/v1/accounts/{name}/sweep", post(accounts::sweep))
        .route("/admin/v1/withdrawals/{id}", get(accounts::withdrawal))
        .route("/admin/v1/withdrawals/{id}/settle", post(accounts::settle))
        .route("/admin/v1/keys/{id}/withdraw-limit", post(accounts::limit_key))
        .route("/admin/v1/coins", get(coins::list))
        .route("/admin/v1/send", post(coins::send))
        .route("/admin/v1/coins/{id}", get(coins::show))
        .route("/admin/v1/coins/{id}/settle", post(coins::settle))
        .route("/admin/v1/proxies", get(proxies::list).post(proxies::create))
        .route("/admin/v1/proxies/{id}/price", post(proxies::price))
        .route("/admin/v1/proxies/{id}/retire", post(proxies::retire))
        .route("/admin/v1/purses", get(purses::list).post(purses::create))
        .route("/admin/v1/purses/{name}", get(purses::show).delete(purses::revoke))
        .route("/admin/v1/purses/{name}/top-up", post(purses::top_up))
        .route("/admin/v1/stores", get(stores::list))
        .route("/admin/v1/stores/{slug}", get(stores::show).post(stores::create))
        .route("/admin/v1/stores/{slug}/settings", post(stores::change))
        .route("/admin/v1/stores/{slug}/sync", post(stores::sync))
        .route("/admin/v1/stores/{slug}/products", get(stores::products).post(stores::put))
        .route("/admin/v1/stores/{slug}/variants/{id}", post(stores::variant))
        .route("/admin/v1/stores/{slug}/orders", get(stores::orders))
        .route("/admin/v1/orders/{id}", get(stores::order))
        .route("/admin/v1/orders/{id}/ship", post(stores::ship))
        .route("/admin/v1/orders/{id}/cancel", post(stores::cancel))
        .route("/admin/v1/orders/{id}/forget", post(stores::forget))
        .route("/admin/v1/webhooks", get(webhooks::list))
        .route("/admin/v1/webhooks/{id}/replay", post(webhooks::replay))
        .method_not_allowed_fallback(error::method_not_allowed)
        .route("/admin/v1/{*rest}", any(error::no_such_route))
        .with_state(state)
}
