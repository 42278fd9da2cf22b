//! What agents offer.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::{Who, answer, number, once};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::problem::{Failure, Problem};
use crate::services::agents::capabilities::NewCapability;
use crate::services::agents::fields::split;
use crate::services::agents::store::search::Search;
use crate::services::agents::view::{CapabilitiesView, PublishedView};
use crate::services::agents::{AgentError, Agents};

/// Items of one answer if nobody says, and at most.
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

/// Characters of a search, and hashtags in it.
const LONGEST_SEARCH: usize = 200;
const MOST_HASHTAGS: usize = 20;

/// What an agent offers.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct CapabilityBody {
    #[schema(max_length = 100, example = "translate-de")]
    service_id: String,
    #[schema(min_items = 1, max_items = 20, example = json!(["ai", "translation"]))]
    categories: Vec<String>,
    /// What it does, for people.
    #[schema(max_length = 2000)]
    content: String,
    /// 0 only without `targetUrl`.
    price_sats: u64,
    /// Where it is sold, if you sell it yourself.
    l402_endpoint: Option<String>,
    /// Where it is done: a proxy is made that sells it at this price.
    target_url: Option<String>,
    #[schema(max_items = 20)]
    hashtags: Option<Vec<String>>,
    /// Which of your agents offers it; without it the one that was verified last.
    pubkey: Option<String>,
}

/// Offers something. Each call makes a new listing.
#[utoipa::path(
    post, path = "/api/agents/capabilities", tag = "agents",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = CapabilityBody,
    responses(
        (status = 201, description = "It is listed", body = PublishedView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "You have no agent of this key", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There are too many, or the proxy is listed already", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn publish(
    State(service): State<Agents>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, AgentError> {
    let body = body?;
    let new = NewCapability::read(&body, service.rules().max_price_sat)?;
    let ask = once(&caller, "POST /api/agents/capabilities", &headers, &body)?;
    Ok(service.publish(caller.account, new, ask).await?.into_response())
}

/// Takes a listing back, and the proxy that sells it out of service. For one with a proxy
/// `POST /api/proxy/{proxyId}/unpublish` does the same. Twice is fine.
#[utoipa::path(
    delete, path = "/api/agents/capabilities/{eventId}", tag = "agents",
    params(("eventId" = String, Path, description = "As it was answered")),
    responses(
        (status = 200, description = "It is listed no more", body = PublishedView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn withdraw(
    State(service): State<Agents>,
    Extension(caller): Who,
    Id(id): Id,
) -> Result<Response, AgentError> {
    let event = id.parse().map_err(|_| AgentError::CapabilityNotFound)?;
    Ok(answer(service.withdraw(caller.account, event).await?))
}

/// What agents offer, newest first.
#[utoipa::path(
    get, path = "/api/agents/capabilities", tag = "agents",
    params(
        ("category" = Option<String>, Query, description = "A whole category, in small or capital letters"),
        ("q" = Option<String>, Query, description = "Words; all must be there, the last may be the beginning of one"),
        ("hashtags" = Option<String>, Query, description = "With commas between them; one must be there"),
        ("limit" = Option<i32>, Query, description = "At most so many: 20 without it, never more than 100"),
    ),
    responses(
        (status = 200, description = "What fits", body = CapabilitiesView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search(State(service): State<Agents>, params: Params) -> Result<Response, AgentError> {
    let text = |name: &'static str| match params.get(name) {
        Some(text) if text.chars().count() > LONGEST_SEARCH => {
            let message = format!("{name} may have {LONGEST_SEARCH} characters at most");
            Err(AgentError::invalid("invalid_search", message))
        }
        text => Ok(text.unwrap_or_default()),
    };
    let mut hashtags = split(&params.get("hashtags").unwrap_or_default());
    hashtags.truncate(MOST_HASHTAGS);
    let search = Search { text: text("q")?, category: text("category")?, hashtags };
    let limit = number(&params, "limit", "invalid_limit", PAGE, 1..=u32::MAX)?.min(LARGEST_PAGE);
    Ok(answer(service.search_json(search, limit).await?))
}
