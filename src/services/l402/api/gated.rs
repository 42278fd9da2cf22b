//! Our own routes that cost something: a test for wallets, and two to try a client on.

use ::l402::{Admitted, PaymentRequired};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::core::ids::PaymentHash;
use crate::core::time::iso::IsoSeconds;
use crate::http::respond;
use crate::services::l402::{L402, Rules};

pub(super) const PING: &str = "/l402/test/ping";
pub(super) const DEMO: &str = "/api/l402/demo";
pub(super) const PREMIUM: &str = "/api/l402/premium-data";

/// What a test costs, in sat: clients refuse to test with more than 10.
const PING_SAT: u64 = 1;

/// Something we sell.
pub(super) struct Sale {
    pub(super) path: &'static str,
    pub(super) sats: u64,
    pub(super) description: &'static str,
}

/// Everything of these routes.
pub(super) fn sales(rules: &Rules) -> [Sale; 3] {
    let sale = |path, sats, description| Sale { path, sats, description };
    [
        sale(PING, PING_SAT, "A test of paying for a request"),
        sale(DEMO, rules.default_price_sat, "A demonstration of L402"),
        sale(PREMIUM, rules.premium_price_sat, "Data for sale"),
    ]
}

/// What a request got for its payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sold {
    success: bool,
    #[schema(example = "pong")]
    message: &'static str,
    /// In sat.
    amount_sats: u64,
    #[schema(value_type = String)]
    payment_hash: PaymentHash,
    #[schema(value_type = String, format = DateTime)]
    timestamp: IsoSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// Something worth money.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Data {
    title: &'static str,
    lines: [&'static str; 3],
}

fn sold(l402: &L402, paid: &Admitted, message: &'static str, data: Option<Data>) -> Response {
    let view = Sold {
        success: true,
        message,
        amount_sats: paid.amount_sat,
        payment_hash: paid.payment_hash.into(),
        timestamp: IsoSeconds(l402.now()),
        data,
    };
    respond::json(StatusCode::OK, &view)
}

/// Costs 1 sat and does nothing: for wallets and clients to test themselves.
#[utoipa::path(
    get, path = "/l402/test/ping", tag = "l402",
    responses(
        (status = 200, description = "Paid", body = Sold),
        (status = 402, description = "Pay first", body = PaymentRequired<'_>, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ping(State(l402): State<L402>, Extension(paid): Extension<Admitted>) -> Response {
    sold(&l402, &paid, "pong", None)
}

/// A request at the default price.
#[utoipa::path(
    get, path = "/api/l402/demo", tag = "l402",
    responses(
        (status = 200, description = "Paid", body = Sold),
        (status = 402, description = "Pay first", body = PaymentRequired<'_>, content_type = "application/problem+json"),
    )
)]
pub(super) async fn demo(State(l402): State<L402>, Extension(paid): Extension<Admitted>) -> Response {
    sold(&l402, &paid, "You have paid for this request over Lightning.", None)
}

/// A dearer one.
#[utoipa::path(
    get, path = "/api/l402/premium-data", tag = "l402",
    responses(
        (status = 200, description = "Paid", body = Sold),
        (status = 402, description = "Pay first", body = PaymentRequired<'_>, content_type = "application/problem+json"),
    )
)]
pub(super) async fn premium_data(State(l402): State<L402>, Extension(paid): Extension<Admitted>) -> Response {
    let data = Data {
        title: "How a token is verified",
        lines: [
            "Its key is derived from one secret and the token's own identifier.",
            "A chain of hashes shows that nothing was taken away from it.",
            "The preimage shows that its invoice was paid; nothing is looked up.",
        ],
    };
    sold(&l402, &paid, "Premium data", Some(data))
}
