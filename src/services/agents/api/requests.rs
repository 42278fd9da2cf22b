//! What agents ask of each other.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::{Who, answer, number, once};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Params;
use crate::http::problem::{Failure, Problem};
use crate::services::agents::requests::{NewRequest, Page};
use crate::services::agents::store::agreements::Side;
use crate::services::agents::view::{AgreementsView, RequestedView};
use crate::services::agents::{AgentError, Agents};

/// Items of one answer if nobody says, and at most.
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

/// What is asked for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct RequestBody {
    /// As the search answers it.
    #[schema(min_length = 64, max_length = 64)]
    capability_event_id: String,
    /// What you would pay at most.
    #[schema(minimum = 0)]
    budget_sats: u64,
    /// For the provider, and public where relays are configured.
    #[schema(max_length = 4096)]
    parameters: Option<String>,
}

/// Asks for a capability. Paying at `l402Endpoint` completes it.
#[utoipa::path(
    post, path = "/api/agents/requests", tag = "agents",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = RequestBody,
    responses(
        (status = 201, description = "It is asked for", body = RequestedView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such capability", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Too many requests are open", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn create(
    State(service): State<Agents>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, AgentError> {
    let body = body?;
    let new = NewRequest::read(&body)?;
    let ask = once(&caller, "POST /api/agents/requests", &headers, &body)?;
    Ok(service.request(caller.account, new, ask).await?.into_response())
}

/// What your agents were asked for, or have asked for, newest first.
#[utoipa::path(
    get, path = "/api/agents/requests", tag = "agents",
    params(
        ("role" = Option<String>, Query, description = "`provider` (without it) or `requester`"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 100; 20 without it"),
        ("offset" = Option<u32>, Query, description = "Behind so many"),
    ),
    responses(
        (status = 200, description = "A part of the list", body = AgreementsView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn list(
    State(service): State<Agents>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, AgentError> {
    let side = match params.get("role").as_deref() {
        None | Some("" | "provider") => Side::Provider,
        Some("requester") => Side::Requester,
        Some(_) => {
            return Err(AgentError::invalid("invalid_role", "role must be provider or requester"));
        }
    };
    let page = Page {
        limit: number(&params, "limit", "invalid_limit", PAGE, 1..=LARGEST_PAGE)?,
        offset: number(&params, "offset", "invalid_offset", 0, 0..=u32::MAX)?,
    };
    Ok(answer(service.requests_json(caller.account, side, page).await?))
}
