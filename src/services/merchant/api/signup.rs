//! Buying an account.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use utoipa::ToSchema;

use super::answer;
use crate::http::body::JsonObject;
use crate::http::client::Proxies;
use crate::http::problem::Problem;
use crate::services::merchant::signup::SignedUp;
use crate::services::merchant::view::SignupView;
use crate::services::merchant::{MerchantError, Merchants};

/// Who wants an account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct SignupBody {
    /// Kept with the account, to be told to its owner and the operator.
    #[schema(example = "bob@example.com", max_length = 254)]
    email: String,
}

/// Sells an account with an API key, if the operator allows it. The first request is answered with 402; the same
/// request with the credential gets the key. The same credential gets the same key again, so keep it as safe as that.
#[utoipa::path(
    post, path = "/api/signup/l402", tag = "merchant",
    params(("Authorization" = Option<String>, Header, description = "`L402 <macaroon>:<preimage>`, once paid")),
    request_body = SignupBody,
    responses(
        (status = 200, description = "The account and its key", body = SignupView<'_>),
        (status = 400, description = "No e-mail address, or a credential without its token", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "Pay first", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No accounts are sold here", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The key has been revoked", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn sign_up(
    State(merchants): State<Merchants>,
    Extension(proxies): Extension<Arc<Proxies>>,
    request: Request,
) -> Result<Response, MerchantError> {
    let client = proxies.client(request.extensions(), request.headers());
    let headers = request.headers().clone();
    let body = JsonObject::from_request(request, &()).await?;
    let email = body.get("email").and_then(|email| email.as_str());
    Ok(match merchants.sign_up(client, &headers, email).await? {
        SignedUp::Answer(response) => response,
        SignedUp::Done(body, headers) => {
            let mut response = answer(body);
            response.headers_mut().extend(headers);
            response
        }
    })
}
