//! The family's routes: parse, authorise, one call, answer.
//!
//! Errors have the family's body, except on the two legs of LNURL-withdraw, where wallets read nothing but the
//! body of a 200.

mod groups;
mod reminders;
mod tippee;
mod tipper;
mod withdrawals;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::IntoResponses;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{TipError, TipErrorView};
use super::{Cuid, Done, Tips};
use crate::http::body::JsonObject;
use crate::http::client::{Client, Proxies};
use crate::http::extract::is_below;
use crate::http::idempotency::IdempotencyKey;
use crate::http::limits::{Allowance, Class, Limiter, Limits, Meter, limit};
use crate::http::respond;
use crate::services::users::{self, Session, User};

/// Tips of one order that are counted as one request.
const TIPS_A_REQUEST: u32 = 10;

const LIMITED: TipError = TipError::TooMany { retry_after: 0 };

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Api {
    tips: Tips,
    proxies: Arc<Proxies>,
}

/// The family's routes and their description.
pub fn router(tips: Tips, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> (Router, OpenApi) {
    let limited = |class: Class, refusal: fn(&Allowance) -> Response| {
        let limiter = Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal };
        from_fn_with_state(limiter, limit)
    };
    let writes = OpenApiRouter::new()
        .routes(routes!(tipper::create))
        .routes(routes!(tipper::change, tipper::delete))
        .routes(routes!(tipper::reclaim))
        .routes(routes!(tipper::new_passphrase))
        .routes(routes!(tipper::mark_copied))
        .routes(routes!(groups::change))
        .routes(routes!(groups::delete))
        .routes(routes!(groups::reclaim))
        .routes(routes!(withdrawals::pay))
        .routes(routes!(withdrawals::refund))
        .routes(routes!(reminders::remind))
        .route_layer(limited(Class::Write, |_| LIMITED.into_response()));
    let wallets = OpenApiRouter::new()
        .routes(routes!(withdrawals::link_pay))
        .route_layer(limited(Class::Write, |_| withdrawals::refused(&LIMITED)));
    let wallets_looking = OpenApiRouter::new()
        .routes(routes!(withdrawals::link_request))
        .route_layer(limited(Class::Read, |_| withdrawals::refused(&LIMITED)));
    let reads = OpenApiRouter::new()
        .routes(routes!(tipper::list))
        .routes(routes!(tipper::tip))
        .routes(routes!(tipper::webhook_secret))
        .routes(routes!(groups::group))
        .routes(routes!(groups::static_link))
        .routes(routes!(tippee::tip))
        .routes(routes!(tippee::live))
        // These write a little, once a tip; and a crowd behind one address does it all at once.
        .routes(routes!(tippee::mark_seen))
        .routes(routes!(tippee::claim))
        .routes(routes!(withdrawals::link))
        .routes(routes!(tippee::tips))
        .routes(routes!(tippee::anonymous))
        .routes(routes!(withdrawals::refundable))
        .routes(routes!(reminders::list))
        .route_layer(limited(Class::Read, |_| LIMITED.into_response()));
    let users = users::api::router(tips.users().clone(), limits, proxies);
    let api = Api { tips, proxies: Arc::clone(proxies) };
    let (routes, mut document) =
        writes.merge(wallets).merge(wallets_looking).merge(reads).with_state(api).split_for_parts();
    document.merge(users.1);
    (routes.merge(users.0).layer(from_fn(json_only)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    if let Some(response) = users::api::wallet_failure(path, status) {
        return response;
    }
    let error = TipError::of_status(status);
    if path.starts_with("/api/withdrawalLinks/") {
        withdrawals::refused(&error)
    } else {
        error.into_response()
    }
}

/// Whether a path is this family's.
pub fn owns(path: &str) -> bool {
    [
        "/api/tip",
        "/api/anonymous/",
        "/api/withdrawal",
        "/api/invoices",
        "/api/users",
        "/api/auth/",
        "/api/reminders",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
        || ["/api/auth", "/api/anonymous", "/tip", "/tips", "/tip-groups", "/verify"]
            .iter()
            .any(|root| is_below(path, root))
}

/// Refuses who takes no JSON, or on live routes no stream of it. Wallets are answered whatever they accept: they
/// read nothing but the body of a 200.
async fn json_only(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let live = path.ends_with("/live");
    let refused = |value: &HeaderValue| !value.to_str().is_ok_and(|text| admits(text, live));
    if !is_wallets(path) && request.headers().get_all(ACCEPT).iter().any(refused) {
        return TipError::NotAcceptable.into_response();
    }
    next.run(request).await
}

fn is_wallets(path: &str) -> bool {
    path.starts_with("/api/withdrawalLinks/") || users::api::is_wallets(path)
}

/// Whether an `Accept` admits JSON, or what a live route answers.
fn admits(accept: &str, live: bool) -> bool {
    accept.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let essence = parts.next().unwrap_or("").to_ascii_lowercase();
        let known = match essence.as_str() {
            "*/*" | "application/*" | "application/json" | "" => true,
            "text/event-stream" | "text/*" => live,
            _ => false,
        };
        let never = |weight: &str| {
            weight.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0)
        };
        known && !parts.any(never)
    })
}

/// Who asks, with what they sent along.
struct Asker {
    client: Client,
    headers: HeaderMap,
    meter: Option<Meter>,
}

impl FromRequestParts<Api> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let client = api.proxies.client(&parts.extensions, &parts.headers);
        Ok(Self { client, headers: parts.headers.clone(), meter: parts.extensions.get().cloned() })
    }
}

impl Asker {
    /// Somebody who must be known, to look at something.
    async fn reader(&self, api: &Api) -> Result<User, TipError> {
        Ok(api.tips.users().known(&self.headers).await?.user)
    }

    /// Somebody who must be known, to change something.
    async fn writer(&self, api: &Api) -> Result<User, TipError> {
        Ok(api.tips.users().writer(&self.headers).await?.user)
    }

    /// Somebody who may make tips: with an API key. What anybody in a browser may make has to be forgotten
    /// again, and tips are kept.
    async fn tipper(&self, api: &Api) -> Result<User, TipError> {
        let session = api.tips.users().writer(&self.headers).await?;
        if session.by_key { Ok(session.user) } else { Err(TipError::Unauthorized) }
    }

    /// Whoever it is.
    async fn anybody(&self, api: &Api) -> Result<Option<Session>, TipError> {
        api.tips.users().asker(&self.headers).await
    }

    /// The request's `Idempotency-Key`. One user's keys are nothing to another.
    fn once(&self, user: &User, route: &str, body: &JsonObject) -> Result<Option<IdempotencyKey>, TipError> {
        self.once_by(&format!("tips {}", user.id), route, body)
    }

    fn once_by(
        &self,
        whose: &str,
        route: &str,
        body: &JsonObject,
    ) -> Result<Option<IdempotencyKey>, TipError> {
        Ok(IdempotencyKey::read(&self.headers, whose, route, &body.raw)?)
    }

    /// Counts a group on the asker's quota.
    fn pay_for(&self, quantity: u32) -> Result<(), TipError> {
        let more = quantity.div_ceil(TIPS_A_REQUEST).saturating_sub(1);
        let Some(meter) = self.meter.as_ref().filter(|_| more > 0) else { return Ok(()) };
        meter.take(more).map_err(|retry_after| TipError::TooMany { retry_after })
    }
}

/// The tip, group or user that a path names. What can't be an id names none.
fn cuid(text: &str) -> Result<Cuid, TipError> {
    text.parse().map_err(|_| TipError::NotFound)
}

fn flag(body: &JsonObject, name: &'static str) -> Result<bool, TipError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(TipError::bad_request(format!("{name} must be true or false"))),
    }
}

fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}

fn answer_done(done: Done) -> Response {
    match done {
        Done::Now(body) => answer(body),
        Done::Before(recorded) => respond::no_store(recorded.into_response()),
    }
}

/// Done, and nothing to say.
fn nothing() -> Response {
    respond::no_store(StatusCode::NO_CONTENT.into_response())
}

/// How any of these routes can fail besides its own refusals.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a schema alone")]
enum Failure {
    /// Nobody is logged in, or the API key is not valid
    #[response(status = 401)]
    Unauthorized(TipErrorView),
    /// It belongs to somebody else, the key lacks the scope, or a page of another site asks
    #[response(status = 403)]
    Forbidden(TipErrorView),
    /// There is no such thing
    #[response(status = 404)]
    NotFound(TipErrorView),
    /// Too many requests
    #[response(status = 429)]
    TooMany(TipErrorView),
    /// A bug, or the machine is broken
    #[response(status = 500)]
    Broken(TipErrorView),
    /// The node or the database can't take this now
    #[response(status = 503)]
    Unavailable(TipErrorView),
}
