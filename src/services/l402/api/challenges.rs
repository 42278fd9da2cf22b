//! For producers: challenges for their own clients, and what their clients show.

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;
use utoipa::ToSchema;

use super::Who;
use super::views::{ChallengesView, OfferView, VerdictView};
use crate::core::text::beginning;
use crate::http::body::{BodyError, JsonObject};
use crate::http::client::Client;
use crate::http::extract::Params;
use crate::http::problem::{Failure, Problem};
use crate::http::respond;
use crate::services::l402::error::L402Error;
use crate::services::l402::{L402, LONGEST_RESOURCE, NewChallenge, Page, Question};

/// Challenges of one answer at most.
const LONGEST_PAGE: u32 = 200;

/// Challenges of one answer unless another number is asked for.
const PAGE: u32 = 20;

/// Characters of an idempotency key; what is longer is cut off.
const LONGEST_KEY: usize = 256;

/// The same, under the name it has elsewhere.
const KEY_HEADERS: [&str; 2] = ["x-idempotency-key", "idempotency-key"];

/// What is sold.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ChallengeBody {
    /// Your own name for it; usually the path that your client asked for.
    #[schema(min_length = 1, max_length = 512, example = "/api/premium/weather")]
    resource: String,
    #[schema(minimum = 1, example = 100)]
    price_sats: i64,
    /// What the payer reads, on one line; what is longer than 512 bytes is cut off.
    description: Option<String>,
}

/// What a client showed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct VerifyBody {
    /// Without it the payment is taken for one answer.
    macaroon: Option<String>,
    /// 64 hexadecimal digits.
    #[schema(min_length = 1)]
    preimage: String,
    /// If given, it must be what was bought.
    resource: Option<String>,
    /// If given, so much must have been paid.
    #[schema(minimum = 1)]
    amount_sats: Option<i64>,
}

/// The client that a request comes from, and its headers and body.
pub(super) struct Asked {
    client: Client,
    headers: HeaderMap,
    body: JsonObject,
}

impl FromRequest<L402> for Asked {
    type Rejection = L402Error;

    async fn from_request(request: Request, l402: &L402) -> Result<Self, L402Error> {
        let client = l402.proxies().client(request.extensions(), request.headers());
        let headers = request.headers().clone();
        let body = JsonObject::from_request(request, l402).await?;
        Ok(Self { client, headers, body })
    }
}

/// Asks a client of yours for payment: an invoice and a token to hand on. The same client, resource and price within
/// a minute get the same challenge; so does the same idempotency key until the invoice ends.
#[utoipa::path(
    post, path = "/api/l402/challenges", tag = "l402",
    params(("X-Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same challenge")),
    request_body = ChallengeBody,
    responses(
        (status = 200, description = "The challenge", body = OfferView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The idempotency key was used for another challenge", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn create(
    State(l402): State<L402>,
    Extension(caller): Who,
    asked: Asked,
) -> Result<Response, L402Error> {
    let resource = required(&asked.body, "resource", "invalid_resource", LONGEST_RESOURCE)?;
    let price_sat = sats(&asked.body, "priceSats", "invalid_price")?
        .ok_or_else(|| L402Error::invalid("invalid_price", "priceSats is required"))?;
    let new = NewChallenge {
        client: asked.client,
        counted: true,
        account: Some(caller.account),
        resource,
        product: None,
        price_sat,
        description: words(&asked.body, "description", "invalid_description")?,
        lifetime: None,
        idempotency_key: key(&asked.headers)?,
    };
    let created = l402.challenge(new).await?;
    Ok(respond::no_store(respond::json(StatusCode::OK, &OfferView::new(&created, l402.rules().fee))))
}

/// Whether what a client showed opens what you sell. A token is good until it ends; a preimage alone, once.
#[utoipa::path(
    post, path = "/api/l402/challenges/verify", tag = "l402",
    request_body = VerifyBody,
    responses(
        (status = 200, description = "The verdict, also if it is no", body = VerdictView<'_>),
        (status = 400, description = "The body can't be read", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn verify(
    State(l402): State<L402>,
    Extension(caller): Who,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, L402Error> {
    let body = body?;
    let preimage = shown(&body, "preimage", "invalid_preimage")?;
    let question = Question {
        macaroon: shown(&body, "macaroon", "invalid_macaroon")?,
        preimage: preimage.ok_or_else(|| L402Error::invalid("invalid_preimage", "preimage is required"))?,
        resource: shown(&body, "resource", "invalid_resource")?,
        amount_sat: sats(&body, "amountSats", "invalid_amount")?,
    };
    let verdict = l402.verify(caller.account, question).await?;
    Ok(respond::no_store(respond::json(StatusCode::OK, &VerdictView::new(&verdict))))
}

/// Your challenges, newest first.
#[utoipa::path(
    get, path = "/api/l402/challenges", tag = "l402",
    params(
        ("status" = Option<String>, Query, description = "Only those: `paid`, `unpaid`, `expired`"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 200; 20 without it"),
        ("offset" = Option<u32>, Query, description = "Behind so many"),
    ),
    responses(
        (status = 200, description = "A part of the list", body = ChallengesView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn list(
    State(l402): State<L402>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, L402Error> {
    let status = match params.get("status").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.to_ascii_lowercase().parse().map_err(
            |error: crate::services::l402::status::BadStatus| {
                L402Error::invalid("invalid_status_filter", error.to_string())
            },
        )?),
    };
    let given = |name| params.get(name).filter(|text| !text.is_empty());
    let limit = match given("limit") {
        None => PAGE,
        Some(text) => {
            text.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit)).ok_or_else(|| {
                L402Error::invalid("invalid_limit", "limit must be a whole number from 1 to 200")
            })?
        }
    };
    let offset = match given("offset") {
        None => 0,
        Some(text) => {
            text.parse().map_err(|_| L402Error::invalid("invalid_offset", "offset must be a whole number"))?
        }
    };
    let page = Page { status, limit, offset };
    let (challenges, total) = l402.list(caller.account, page).await?;
    let view = ChallengesView::new((&challenges, total), page, l402.now());
    Ok(respond::no_store(respond::json(StatusCode::OK, &view)))
}

/// A text of one line that isn't empty; `None` if there is none.
fn text(
    body: &JsonObject,
    name: &str,
    slug: &'static str,
    longest: usize,
) -> Result<Option<String>, L402Error> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= longest && !text.chars().any(char::is_control) => {
            Ok(Some(text.clone()))
        }
        Some(_) => {
            let message = format!("{name} must be a text of at most {longest} bytes, on one line");
            Err(L402Error::invalid(slug, message))
        }
    }
}

/// A text that a client showed, whatever it says: what can't be a credential is a bad one, and no reason to refuse the
/// question.
fn shown(body: &JsonObject, name: &str, slug: &'static str) -> Result<Option<String>, L402Error> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(L402Error::invalid(slug, format!("{name} must be a text"))),
    }
}

/// A text for people, on one line and no longer than is kept: it is made so, since nothing depends on it.
fn words(body: &JsonObject, name: &str, slug: &'static str) -> Result<Option<String>, L402Error> {
    let Some(text) = shown(body, name, slug)? else { return Ok(None) };
    let parts = text.split(|letter: char| letter.is_control() || letter.is_whitespace());
    let line = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    Ok(Some(beginning(&line, LONGEST_RESOURCE).to_owned()).filter(|line| !line.is_empty()))
}

fn required(body: &JsonObject, name: &str, slug: &'static str, longest: usize) -> Result<String, L402Error> {
    let text = text(body, name, slug, longest)?.filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| L402Error::invalid(slug, format!("{name} is required")))
}

/// A whole number of sats, at least 1.
fn sats(body: &JsonObject, name: &str, slug: &'static str) -> Result<Option<u64>, L402Error> {
    match body.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|sats| *sats > 0) {
            Some(sats) => Ok(Some(sats)),
            None => Err(L402Error::invalid(slug, format!("{name} must be a whole number of at least 1"))),
        },
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, L402Error> {
    let Some(value) = KEY_HEADERS.iter().find_map(|name| headers.get(*name)) else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    let text = text.get(..LONGEST_KEY).unwrap_or(text);
    if text.is_empty() {
        let message = "The idempotency key must be printable ASCII";
        return Err(L402Error::invalid("invalid_idempotency_key", message));
    }
    Ok(Some(text.to_owned()))
}
