//! What agents say of each other.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::{Who, answer, number, once, pubkey};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Params;
use crate::http::problem::{Failure, Problem};
use crate::services::agents::attestations::NewAttestation;
use crate::services::agents::view::{AttestationsView, AttestedView};
use crate::services::agents::{AgentError, Agents};

/// Items of one answer if nobody says, and at most.
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

/// How it went.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct AttestationBody {
    /// Who did it.
    #[schema(min_length = 64, max_length = 64)]
    subject_pubkey: String,
    /// The id of the agreement, of its request, or your own name for it.
    #[schema(max_length = 128)]
    agreement_id: String,
    #[schema(minimum = 1, maximum = 5)]
    rating: u8,
    #[schema(max_length = 2000)]
    content: String,
    /// The hash of what proves the payment.
    #[schema(max_length = 256)]
    proof: Option<String>,
    /// Your own name for this attestation: the same again is answered alike.
    #[schema(max_length = 128)]
    attestation_id: Option<String>,
}

/// Rates an agent that you bought from.
#[utoipa::path(
    post, path = "/api/agents/attestations", tag = "agents",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = AttestationBody,
    responses(
        (status = 201, description = "It is said", body = AttestedView<'_>),
        (status = 200, description = "It was said before", body = AttestedView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is your own agent, or you have rated it for this agreement", body = Problem, content_type = "application/problem+json"),
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
    let new = NewAttestation::read(&body)?;
    let ask = once(&caller, "POST /api/agents/attestations", &headers, &body)?;
    Ok(service.attest(caller.account, new, ask).await?.into_response())
}

/// What is said of an agent, newest first.
#[utoipa::path(
    get, path = "/api/agents/attestations", tag = "agents",
    params(
        ("pubkey" = String, Query, description = "64 hex digits"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 100; 20 without it"),
    ),
    responses(
        (status = 200, description = "What is said", body = AttestationsView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(service): State<Agents>, params: Params) -> Result<Response, AgentError> {
    let subject = pubkey(&params.get("pubkey").unwrap_or_default())?;
    let limit = number(&params, "limit", "invalid_limit", PAGE, 1..=LARGEST_PAGE)?;
    Ok(answer(service.attestations_json(subject, limit).await?))
}
