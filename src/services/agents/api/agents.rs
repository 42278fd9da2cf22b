//! Agents and their keys.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::{Who, answer, number, once, pubkey};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::problem::{Failure, Problem};
use crate::services::agents::register::{Proof, Registration};
use crate::services::agents::requests::Page;
use crate::services::agents::view::{AgentView, AgentsView, ChallengeView, StatsView, VerifiedView};
use crate::services::agents::{AgentError, Agents};

/// Agents of one answer if nobody says, and at most.
const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

/// An agent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct RegisterBody {
    /// 64 hex digits: the x coordinate of its key (BIP-340), as Nostr has it.
    #[schema(min_length = 64, max_length = 64)]
    pubkey: String,
    /// `null` takes it away.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// `null` takes it away.
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// A signed challenge.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct VerifyBody {
    #[schema(min_length = 64, max_length = 64)]
    pubkey: String,
    #[schema(min_length = 64, max_length = 64)]
    challenge: String,
    /// By BIP-340, over the 32 bytes that the challenge stands for, or over the SHA-256 of its 64 digits.
    #[schema(min_length = 128, max_length = 128)]
    signature: String,
}

/// Registers an agent, or changes what it says of itself.
#[utoipa::path(
    post, path = "/api/agents/register", tag = "agents",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = RegisterBody,
    responses(
        (status = 201, description = "The agent", body = AgentView<'_>),
        (status = 200, description = "The agent, changed", body = AgentView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another account registered this key, or there are too many", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn register(
    State(service): State<Agents>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, AgentError> {
    let body = body?;
    let new = Registration::read(&body)?;
    let ask = once(&caller, "POST /api/agents/register", &headers, &body)?;
    Ok(service.register(caller.account, new, ask).await?.into_response())
}

/// What to sign to prove that you hold a key: good once, for this key, for five minutes.
#[utoipa::path(
    get, path = "/api/agents/challenge", tag = "agents",
    params(("pubkey" = String, Query, description = "64 hex digits")),
    responses(
        (status = 200, description = "The challenge", body = ChallengeView),
        (status = 400, description = "That is no key", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn challenge(
    State(service): State<Agents>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, AgentError> {
    let pubkey = pubkey(&params.get("pubkey").unwrap_or_default())?;
    Ok(answer(service.challenge(caller.account, pubkey).await?))
}

/// Proves that you hold a key. An agent that another account registered is yours from then on.
#[utoipa::path(
    post, path = "/api/agents/verify", tag = "agents",
    request_body = VerifyBody,
    responses(
        (status = 200, description = "It is proven", body = VerifiedView),
        (status = 400, description = "The signature is wrong, or the challenge is not good", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The key is not registered", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn verify(
    State(service): State<Agents>,
    Extension(caller): Who,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, AgentError> {
    let proof = Proof::read(&body?)?;
    Ok(answer(service.verify(caller.account, proof).await?))
}

/// Agents, the oldest first.
#[utoipa::path(
    get, path = "/api/agents", tag = "agents",
    params(
        ("limit" = Option<u32>, Query, description = "At most so many, up to 1,000; 100 without it"),
        ("offset" = Option<u32>, Query, description = "Behind so many"),
    ),
    responses(
        (status = 200, description = "A part of the list", body = AgentsView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(service): State<Agents>, params: Params) -> Result<Response, AgentError> {
    let page = Page {
        limit: number(&params, "limit", "invalid_limit", PAGE, 1..=LARGEST_PAGE)?,
        offset: number(&params, "offset", "invalid_offset", 0, 0..=u32::MAX)?,
    };
    Ok(answer(service.list_json(page).await?))
}

/// One agent.
#[utoipa::path(
    get, path = "/api/agents/{pubkey}", tag = "agents",
    params(("pubkey" = String, Path, description = "64 hex digits")),
    responses(
        (status = 200, description = "The agent", body = AgentView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(State(service): State<Agents>, Id(id): Id) -> Result<Response, AgentError> {
    let pubkey = id.parse().map_err(|_| AgentError::AgentNotFound)?;
    Ok(answer(service.one_json(pubkey).await?))
}

/// What an agent has sold.
#[utoipa::path(
    get, path = "/api/agents/{pubkey}/stats", tag = "agents",
    params(("pubkey" = String, Path, description = "64 hex digits")),
    responses(
        (status = 200, description = "Its sales", body = StatsView<'_>),
        (status = 404, description = "There is no such agent", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stats(State(service): State<Agents>, Id(id): Id) -> Result<Response, AgentError> {
    let pubkey = id.parse().map_err(|_| AgentError::AgentNotFound)?;
    Ok(answer(service.stats_json(pubkey).await?))
}
