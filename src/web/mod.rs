//! The pages that people see: make a gift, open one, look after one; claim a tip; pay a shop; buy from a store.
//!
//! Called by the HTTP server, which merges [`router`] and falls back to [`not_found`]. This module holds HTML, style,
//! scripts and QR codes; it knows the JSON API by its contract alone and never touches a gift, the store or the node: what a
//! page without scripts says of a gift it asks [`FindGift`].
//! No page needs another host or an inline script. Those of gifts need no cookies either; claiming a tip does.

mod assets;
mod checkout;
pub mod legal;
mod page;
mod qr;
mod stores;
#[cfg(test)]
mod tests;
mod tips;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::future::BoxFuture;
use utoipa::{OpenApi, openapi};

use crate::core::fees::FeeRule;

pub use page::not_found;
pub use qr::{MAX_CHARS as QR_MAX_CHARS, QrError, qr_svg};

/// What the pages tell about this site.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Where the world reaches this site: `https://gifts.example`, with a path if it is served under one.
    pub public_url: String,
    /// The name on top of every page.
    pub site_name: String,
    /// Smallest gift, in sat.
    pub min_sat: u64,
    /// Largest gift, in sat.
    pub max_sat: u64,
    /// Most gifts that one invoice can pay for.
    pub max_quantity: u32,
    /// What a gift costs besides its amount.
    pub gift_fee: FeeRule,
    /// Whether letters are sent, and so one can log in by e-mail.
    pub email: bool,
}

/// What a page that runs no scripts says of a gift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiftNow {
    /// There is none.
    Unknown,
    /// Nobody has paid for it.
    Unpaid,
    /// It can be taken, with a code if it has one.
    Open {
        /// It has one.
        asks_code: bool,
    },
    /// It is being paid out.
    Pending,
    /// Somebody has taken it.
    Redeemed,
    /// Its time is over.
    Expired,
    /// It went back to its sender, or is on its way there.
    Returned,
    /// Nobody can tell now.
    Untold,
}

/// Tells where the gift of an order id is. The pages know no gift themselves.
pub type FindGift = Arc<dyn Fn(String) -> BoxFuture<'static, GiftNow> + Send + Sync>;

impl WebSettings {
    /// The public URL without a slash at its end, so that paths can be appended.
    fn origin(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }
}

/// What the API's document says of the pages.
pub fn document() -> openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        page::create,
        page::redeem,
        page::manage,
        qr::qr,
        tips::claim,
        tips::tip,
        tips::words,
        tips::verify,
        tips::group,
        checkout::checkout,
        stores::store,
        stores::order
    ))]
    struct Pages;
    Pages::openapi()
}

/// All pages and assets, ready to be merged with the routers of the other services.
pub fn router<S: Clone + Send + Sync + 'static>(settings: WebSettings, find_gift: FindGift) -> Router<S> {
    Router::new()
        .route("/", get(page::create))
        .route("/redeem/{orderId}", get(page::redeem).layer(Extension(find_gift)))
        .route("/manage/{orderId}", get(page::manage))
        .route("/tip", get(tips::words))
        .route("/verify", get(tips::verify))
        .route("/tips/{id}", get(tips::tip))
        .route("/tips/{id}/claim", get(tips::claim))
        .route("/{locale}/tips/{id}/claim", get(tips::claim_in))
        .route("/tip-groups/{id}/static", get(tips::group))
        .route("/checkout/{invoiceId}", get(checkout::checkout))
        .route("/store/{slug}", get(stores::store))
        .route("/store/{slug}/orders/{orderId}", get(stores::order))
        .route("/qr.svg", get(qr::qr))
        .route("/assets/{name}", get(assets::plain))
        .route("/assets/{version}/{name}", get(assets::versioned))
        .with_state(Arc::new(settings))
}

/// What a client is told that loads too much.
pub fn too_many(retry_after: u64) -> Response {
    let headers = [(RETRY_AFTER, retry_after.to_string()), (CACHE_CONTROL, "no-store".into())];
    (StatusCode::TOO_MANY_REQUESTS, headers, "Too many requests: try again soon").into_response()
}
