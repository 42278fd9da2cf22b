//! What the original does with other payment providers. Here the node is the provider: their credentials are not even
//! read, so they can't be kept or logged.

use axum::http::StatusCode;
use axum::response::Response;
use utoipa::ToSchema;

use crate::http::body::{BodyError, JsonObject};
use crate::http::problem::{Failure, Problem};
use crate::http::respond;
use crate::services::merchant::MerchantError;
use crate::services::merchant::view::{DoneView, PROVIDER};

/// Why a credential is refused.
const NO_CREDENTIALS: &str = "Payments are taken by this server's own Lightning node: there is nothing to connect. What \
                              you sent was not read and is not kept";

/// Why nothing is renewed.
const NO_PLANS: &str =
    "This server has no plans: your account is active and does not end. There is nothing to pay";

/// Why OpenNode's webhooks are refused.
const NO_OPENNODE: &str =
    "Payments are taken by this server's own Lightning node: webhooks of other providers mean nothing here";

/// Who is to take your payments.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ProviderBody {
    #[schema(example = "ldk")]
    provider: String,
}

/// Says who takes your payments: it is this node, whose name is `ldk`.
#[utoipa::path(
    put, path = "/api/merchant/payment-provider", tag = "merchant",
    request_body = ProviderBody,
    responses(
        (status = 200, description = "It is", body = DoneView),
        (status = 400, description = "No provider is named", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another can't", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn payment_provider(body: Result<JsonObject, BodyError>) -> Result<Response, MerchantError> {
    let body = body?;
    let Some(name) = body.get("provider").and_then(|name| name.as_str()) else {
        return Err(MerchantError::invalid("invalid_provider", "provider must be \"ldk\""));
    };
    if !name.trim().eq_ignore_ascii_case(PROVIDER) {
        return Err(MerchantError::OtherProvider);
    }
    let message = "Payments are taken by this server's own Lightning node";
    Ok(respond::no_store(respond::json(StatusCode::OK, &DoneView { success: true, message })))
}

/// Refuses a wallet connection: none is needed, and none is kept.
#[utoipa::path(
    put, path = "/api/merchant/nwc-connection", tag = "merchant",
    responses((status = 410, description = "Always", body = Problem, content_type = "application/problem+json"), Failure)
)]
pub(super) async fn nwc_connection() -> MerchantError {
    MerchantError::Retired(NO_CREDENTIALS)
}

/// Refuses an OpenNode key: none is needed, and none is kept.
#[utoipa::path(
    put, path = "/api/merchant/opennode-key", tag = "merchant",
    responses((status = 410, description = "Always", body = Problem, content_type = "application/problem+json"), Failure)
)]
pub(super) async fn opennode_key() -> MerchantError {
    MerchantError::Retired(NO_CREDENTIALS)
}

/// Refuses to look at an OpenNode key.
#[utoipa::path(
    post, path = "/api/merchant/validate-opennode", tag = "merchant",
    responses((status = 410, description = "Always", body = Problem, content_type = "application/problem+json"), Failure)
)]
pub(super) async fn validate_opennode() -> MerchantError {
    MerchantError::Retired(NO_CREDENTIALS)
}

/// Refuses to renew: there are no plans, and nothing is charged.
#[utoipa::path(
    post, path = "/api/merchant/subscription/renew", tag = "merchant",
    responses((status = 410, description = "Always", body = Problem, content_type = "application/problem+json"), Failure)
)]
pub(super) async fn renew() -> MerchantError {
    MerchantError::Retired(NO_PLANS)
}

/// Refuses OpenNode's webhooks.
#[utoipa::path(
    post, path = "/api/webhooks/opennode", tag = "merchant",
    responses((status = 410, description = "Always", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn opennode_webhook() -> MerchantError {
    MerchantError::Retired(NO_OPENNODE)
}
