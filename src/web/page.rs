//! The HTML pages: their templates and the headers that every one of them carries.
//!
//! A page is the same for every gift: scripts fill it from the JSON API. Only what the recipient's page says without
//! scripts depends on the gift's state. None of these handlers reads the store, and nothing that a stranger wrote ever
//! passes through a template except the checked order id. The pages of tips are in the neighbouring file and share what
//! is here.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{FindGift, GiftNow, WebSettings, assets};
use crate::http::extract::base_path;
use crate::outbound::lnurl;

/// Everything from this host and nothing inline; nobody may frame a page on which money is taken.
/// Trusted types make the browser itself refuse a script that turns text into markup.
macro_rules! policy {
    ($images:literal) => {
        concat!(
            "default-src 'self'; img-src ",
            $images,
            "; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'"
        )
    };
}

/// Of nearly all pages.
const OWN_IMAGES: &str = policy!("'self' data:");

/// Of pages that may show somebody's picture: those that a tipper pays for with a tip.
pub(super) const ANY_IMAGES: &str = policy!("'self' data: https:");

/// Hex characters of an order id (contract, limits).
const ORDER_ID_LEN: usize = 48;

/// Digits of a verify code (contract, verifyCode).
const CODE_LEN: usize = 4;

/// What every template needs to know about this site.
pub(super) struct Site<'a> {
    pub(super) settings: &'a WebSettings,
    /// Path under which the site is served, without a slash at the end; mostly empty.
    pub(super) base: &'a str,
    /// Where this build's assets are.
    pub(super) assets: String,
}

impl<'a> Site<'a> {
    pub(super) fn new(settings: &'a WebSettings) -> Self {
        let base = base_path(&settings.public_url);
        Self { settings, base, assets: format!("{base}/assets/{}", *assets::VERSION) }
    }
}

#[derive(Template)]
#[template(path = "create.html")]
struct CreatePage<'a> {
    site: Site<'a>,
    /// Upper case, of the static LNURL-pay that makes a gift. Empty if this site's URL is too long for one.
    pay_lnurl: String,
}

#[derive(Template)]
#[template(path = "redeem.html")]
struct RedeemPage<'a> {
    site: Site<'a>,
    order_id: &'a str,
    /// Where the gift is, for browsers without JavaScript.
    now: GiftNow,
    /// Upper case, for the same; empty if it takes no gift now.
    lnurl: String,
}

#[derive(Template)]
#[template(path = "manage.html")]
struct ManagePage<'a> {
    site: Site<'a>,
    order_id: &'a str,
}

#[derive(Template)]
#[template(path = "not_found.html")]
struct NotFoundPage<'a> {
    site: Site<'a>,
    /// What the address looked like one of.
    what: Lost,
}

/// What somebody looks for who gets [`missing`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Page,
    Gift,
    Tip,
    Payment,
}

/// Renders a page and puts on the headers of all pages.
pub(super) fn html(status: StatusCode, caching: &'static str, page: &impl Template) -> Response {
    html_under(OWN_IMAGES, status, caching, page)
}

/// The same under another policy.
pub(super) fn html_under(
    policy: &'static str,
    status: StatusCode,
    caching: &'static str,
    page: &impl Template,
) -> Response {
    let body = match page.render() {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return (StatusCode::INTERNAL_SERVER_ERROR, "this page could not be made").into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The address of a gift is the gift.
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, body).into_response()
}

/// For pages whose address holds a secret.
pub(super) const KEEP_NOTHING: &str = "no-store";

/// The page on which gifts are made.
#[utoipa::path(
    get, path = "/", tag = "pages",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn create(State(settings): State<Arc<WebSettings>>) -> Response {
    let pay_lnurl = lnurl::encode(&format!("{}/lnurl", settings.origin())).unwrap_or_default().to_uppercase();
    html(StatusCode::OK, "no-cache", &CreatePage { site: Site::new(&settings), pay_lnurl })
}

/// The query of a recipient's page; `lightning` is there for wallets and means nothing to us.
#[derive(Deserialize)]
pub(super) struct RedeemQuery {
    #[serde(rename = "verifyCode")]
    verify_code: Option<String>,
}

/// The recipient's page of a gift.
#[utoipa::path(
    get, path = "/redeem/{orderId}", tag = "pages",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("verifyCode" = Option<String>, Query, description = "The gift's code"),
        ("lightning" = Option<String>, Query, description = "The gift's LNURL, for wallets that look for it"),
    ),
    responses(
        (status = 200, description = "The page; but for what it says without scripts, the same for every gift", body = String, content_type = "text/html"),
        (status = 404, description = "No gift can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn redeem(
    State(settings): State<Arc<WebSettings>>,
    Extension(find_gift): Extension<FindGift>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<RedeemQuery>, QueryRejection>,
) -> Response {
    let Some(order_id) = order_id(path) else { return missing(&settings, Lost::Gift) };
    // A garbled query is no reason to hide the gift: the script asks for the code then.
    let code = query.ok().and_then(|Query(query)| query.verify_code);
    let code = code.filter(|code| code.len() == CODE_LEN && code.bytes().all(|digit| digit.is_ascii_digit()));
    let now = find_gift(order_id.clone()).await;
    // Whether the code is right is not told here: that would be one more place to guess at it.
    let can_be_scanned = matches!(now, GiftNow::Open { asks_code } if !asks_code || code.is_some());
    let code = code.map(|code| format!("?verifyCode={code}")).unwrap_or_default();
    let url = can_be_scanned.then(|| format!("{}/lnurl/{order_id}{code}", settings.origin()));
    let lnurl = url.and_then(|url| lnurl::encode(&url).ok()).unwrap_or_default().to_uppercase();
    let page = RedeemPage { site: Site::new(&settings), order_id: &order_id, now, lnurl };
    html(StatusCode::OK, KEEP_NOTHING, &page)
}

/// The sender's page of a gift. Its key stands in the fragment, which browsers keep to themselves.
#[utoipa::path(
    get, path = "/manage/{orderId}", tag = "pages",
    params(("orderId" = String, Path, description = "From /create")),
    responses(
        (status = 200, description = "The page, the same for every gift", body = String, content_type = "text/html"),
        (status = 404, description = "No gift can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn manage(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(order_id) = order_id(path) else { return missing(&settings, Lost::Gift) };
    html(StatusCode::OK, KEEP_NOTHING, &ManagePage { site: Site::new(&settings), order_id: &order_id })
}

/// What a browser gets for a path that leads nowhere; `None` if a program asks. For the HTTP server's fallback.
pub fn not_found(settings: &WebSettings, request: &HeaderMap) -> Option<Response> {
    let wants_html = request
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"));
    wants_html.then(|| missing(settings, Lost::Page))
}

pub(super) fn missing(settings: &WebSettings, what: Lost) -> Response {
    html(StatusCode::NOT_FOUND, KEEP_NOTHING, &NotFoundPage { site: Site::new(settings), what })
}

/// The order id in a path, as the API writes it. Users may have typed it in upper case.
fn order_id(path: Result<Path<String>, PathRejection>) -> Option<String> {
    let Path(id) = path.ok()?;
    let right = id.len() == ORDER_ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    right.then(|| id.to_ascii_lowercase())
}
