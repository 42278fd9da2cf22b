//! The catalogue, and buying from it.

use axum::Extension;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{answer, page_limit};
use crate::core::decimal::Decimal;
use crate::core::ids::PaymentHash;
use crate::core::time::iso::IsoSeconds;
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::Caller;
use crate::http::problem::{PROBLEM, Problem};
use crate::http::respond;
use crate::services::shop::access::Asked;
use crate::services::shop::cart::Cart;
use crate::services::shop::catalogue::LONGEST_PAGE;
use crate::services::shop::checkout::NewOrder;
use crate::services::shop::ids::OrderKey;
use crate::services::shop::location::Location;
use crate::services::shop::view::{self, BillView, BoughtView, CatalogueView, ItemView};
use crate::services::shop::{Outcome, Shop, ShopError};

/// What pages of other sites may read of an answer.
const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Retry-After");

/// What to buy.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct CheckoutBody {
    /// 1 to 10, of 10 pieces in all.
    items: Vec<CheckoutItem>,
}

/// A line of it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
struct CheckoutItem {
    variant_id: i64,
    /// 1 to 10; 1 without it.
    quantity: Option<i32>,
}

/// The body of a 402: a problem, the order, and what to pay for it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AskedView<'a> {
    #[serde(rename = "type")]
    #[schema(example = "https://paymentauth.org/problems/payment-required")]
    kind: &'static str,
    #[schema(example = "Payment Required")]
    title: &'static str,
    #[schema(example = 402)]
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[schema(value_type = String, example = "shpfy_0123456789abcdef01234567")]
    order_id: OrderKey,
    items: Vec<ItemView<'a>>,
    /// With shipping and tax; `null` if the store's prices are in something else and there is no rate.
    #[schema(value_type = Option<f64>)]
    total_usd: Option<Decimal>,
    total_sats: u64,
    /// BOLT11.
    invoice: &'a str,
    /// Shown with the preimage when the same request is sent again.
    macaroon_base64: &'a str,
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    #[schema(value_type = String, format = DateTime)]
    expires_at: IsoSeconds,
    bill: BillView,
    /// Lets you follow the payment, if your wallet shows no preimage: `GET …/orders/{orderId}?statusToken=`.
    status_token: &'a str,
    /// The page that does that.
    order_url: String,
    message: &'static str,
    error: &'static str,
    l402: TermsView<'a>,
}

/// What to pay, as every 402 of this server says it.
#[derive(Serialize, ToSchema)]
struct TermsView<'a> {
    macaroon: &'a str,
    invoice: &'a str,
    amount_sats: u64,
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    #[schema(value_type = String, format = DateTime)]
    expires_at: IsoSeconds,
    resource: &'a str,
}

/// What a store sells.
#[utoipa::path(
    get, path = "/api/shopify/{slug}/catalog", tag = "shop",
    params(
        ("slug" = String, Path, description = "The store"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many products, up to 250; 250 without it"),
    ),
    responses(
        (status = 200, description = "A page of its products", body = CatalogueView<'_>),
        (status = 304, description = "It is as `If-None-Match` knows it"),
        (status = 400, description = "limit or cursor makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such store, or it is closed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn catalogue(
    State(shop): State<Shop>,
    Id(slug): Id,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, ShopError> {
    let limit = page_limit(&params, LONGEST_PAGE)?;
    let page = shop.catalogue(&slug, params.get("cursor").as_deref(), limit).await?;
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|known| {
        known.split(',').any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == page.etag.as_bytes())
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        respond::json_bytes(StatusCode::OK, page.body)
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(ETAG, page.etag);
    Ok(response)
}

/// Buys. Answers 402 with an invoice; the same request with `Authorization: L402 macaroon:preimage` answers with what
/// was bought, as often as it is sent.
#[utoipa::path(
    post, path = "/api/shopify/{slug}/checkout", tag = "shop",
    params(
        ("slug" = String, Path, description = "The store"),
        ("X-Buyer-Location" = Option<String>, Header, description = "`country-state-zip`, for shipping and tax, like `US-CA-94107`; the store's own without it. Where rates depend on the state, a known one is needed"),
        ("Authorization" = Option<String>, Header, description = "`L402 macaroon:preimage` once it is paid"),
        ("X-Idempotency-Key" = Option<String>, Header, description = "The same key, at least 22 random characters, with the same body is the same order; or `Idempotency-Key`"),
    ),
    request_body = CheckoutBody,
    responses(
        (status = 402, description = "Pay the invoice, and ask again", body = AskedView<'_>, content_type = "application/problem+json"),
        (status = 200, description = "It was paid", body = BoughtView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such store, or it is closed", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is sold out; or the payment was for something else", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The payment settles now, or something is down", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn checkout(
    State(shop): State<Shop>,
    Id(slug): Id,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ShopError> {
    let cart = Cart::read(&body?.fields)?;
    let at = match headers.get("x-buyer-location") {
        None => None,
        Some(value) => Location::read(value.to_str().unwrap_or("?"))?,
    };
    let caller = caller.as_ref().map(|Extension(caller)| caller);
    let ask = IdempotencyKey::read_for_anybody(&headers, caller, "shop", "POST checkout", b"")?;
    let idempotency_key = ask.map(|ask| ask.digest());
    let says_where = at.is_some();
    let new = NewOrder { cart, at, idempotency_key };
    Ok(match shop.checkout(&slug, &headers, new, says_where).await? {
        Outcome::Bought(body) => {
            let mut response = answer(body);
            response.headers_mut().append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            response
        }
        Outcome::Asked(asked) => payment_required(&shop, &asked),
    })
}

fn payment_required(shop: &Shop, asked: &Asked) -> Response {
    let (order, challenge) = (&asked.order, &asked.challenge);
    let message = "Pay the Lightning invoice, and send the same request again with Authorization: L402 <macaroonBase64>:<preimage>";
    let title = "Payment Required";
    let view = AskedView {
        kind: "https://paymentauth.org/problems/payment-required",
        title,
        status: StatusCode::PAYMENT_REQUIRED.as_u16(),
        detail: asked.wrong.as_deref().unwrap_or(message),
        instance: &asked.resource,
        order_id: order.key,
        items: view::items(&order.items, order.unit, shop.rates()),
        total_usd: order.total_usd,
        total_sats: order.price.sat_floor(),
        invoice: &order.invoice,
        macaroon_base64: &challenge.macaroon,
        payment_hash: order.payment_hash,
        expires_at: IsoSeconds(order.expires_at),
        bill: BillView::new(order),
        status_token: order.status_token.expose(),
        order_url: shop.page_url(&asked.store.slug, order, false),
        message,
        error: title,
        l402: TermsView {
            macaroon: &challenge.macaroon,
            invoice: &order.invoice,
            amount_sats: order.price.sat_floor(),
            payment_hash: order.payment_hash,
            expires_at: IsoSeconds(order.expires_at),
            resource: &asked.resource,
        },
    };
    let mut response = respond::no_store(respond::json(StatusCode::PAYMENT_REQUIRED, &view));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM);
    headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    // The order counts: clients that look for one line take the first.
    for line in &challenge.lines {
        if let Ok(value) = HeaderValue::from_str(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    response
}
