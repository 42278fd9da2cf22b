//! What anybody may know: what things cost, and whether a token is good.

use ::l402::Presented;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::gated;
use crate::core::ids::PaymentHash;
use crate::core::time::iso::IsoSeconds;
use crate::http::respond;
use crate::services::l402::L402;

/// What things cost.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PricingView {
    default_price_sats: u64,
    #[schema(example = "satchel")]
    service_name: &'static str,
    endpoints: Vec<EndpointView>,
    /// How long a token is good.
    #[schema(example = 3600)]
    token_validity_seconds: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    #[schema(example = "/api/l402/demo")]
    path_pattern: &'static str,
    price_sats: PriceView,
    description: &'static str,
}

/// A price in sat, or `varies`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum PriceView {
    Sats(u64),
    Words(&'static str),
}

/// What is sold in many places, each at its own price.
const VARIES: [(&str, &str); 2] =
    [("/api/l402/content/*", "Articles, and all of them together"), ("/l402/proxy/*", "Services of others")];

/// What things cost here.
#[utoipa::path(
    get, path = "/api/l402/pricing", tag = "l402",
    responses((status = 200, description = "Prices", body = PricingView))
)]
pub(super) async fn pricing(State(l402): State<L402>) -> Response {
    let rules = l402.rules();
    let own = gated::sales(rules).into_iter().map(|sale| EndpointView {
        path_pattern: sale.path,
        price_sats: PriceView::Sats(sale.sats),
        description: sale.description,
    });
    let others = VARIES.into_iter().map(|(path_pattern, description)| EndpointView {
        path_pattern,
        price_sats: PriceView::Words("varies"),
        description,
    });
    let view = PricingView {
        default_price_sats: rules.default_price_sat,
        service_name: "satchel",
        endpoints: own.chain(others).collect(),
        token_validity_seconds: rules.lifetime.as_secs(),
    };
    respond::json(StatusCode::OK, &view)
}

/// Whether a request shows a good token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusView {
    authenticated: bool,
    #[serde(flatten)]
    rest: Recognised,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Recognised {
    #[serde(rename_all = "camelCase")]
    Yes {
        #[schema(value_type = String)]
        payment_hash: PaymentHash,
        #[schema(value_type = String, format = DateTime)]
        expires_at: IsoSeconds,
        /// Always `null`: as many as its holder likes.
        remaining_requests: Option<u64>,
    },
    No {
        message: &'static str,
    },
}

/// Whether the request's token is good, wherever it is good for.
#[utoipa::path(
    get, path = "/api/l402/status", tag = "l402",
    params(("Authorization" = Option<String>, Header, description = "`L402 <macaroon>:<preimage>`")),
    responses((status = 200, description = "Whether it is", body = StatusView))
)]
pub(super) async fn status(State(l402): State<L402>, headers: HeaderMap) -> Response {
    let rest = match l402.recognise(&Presented::read(&headers)) {
        Some((payment_hash, valid_until)) => Recognised::Yes {
            payment_hash,
            expires_at: IsoSeconds(valid_until.saturating_mul(1_000)),
            remaining_requests: None,
        },
        None => Recognised::No { message: "L402 credential required" },
    };
    let view = StatusView { authenticated: matches!(rest, Recognised::Yes { .. }), rest };
    respond::no_store(respond::json(StatusCode::OK, &view))
}
