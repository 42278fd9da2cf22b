//! The routes of users and logins: parse, authorise, one call, answer.
//!
//! A wallet's call is answered with 200 whatever happens, because wallets look at nothing but the body.

mod login;
mod mail;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header::SET_COOKIE};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::{IntoResponses, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Users, wallet};
use crate::http::client::Proxies;
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::respond;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::ids::Cuid;

const LIMITED: TipError = TipError::TooMany { retry_after: 0 };

/// The routes and their description. What writes, or costs memory, counts as a write; the rest as reads.
pub fn router(users: Users, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> (Router, OpenApi) {
    let limited = |class: Class, refusal: fn(&Allowance) -> Response| {
        let limiter = Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal };
        from_fn_with_state(limiter, limit)
    };
    let writes = OpenApiRouter::new()
        .routes(routes!(login::generate_secret))
        .routes(routes!(login::finish))
        .routes(routes!(login::guest))
        .routes(routes!(login::log_out))
        .routes(routes!(mail::send))
        .routes(routes!(mail::verify))
        .routes(routes!(users::change))
        .route_layer(limited(Class::Write, |_| LIMITED.into_response()));
    let wallets = OpenApiRouter::new()
        .routes(routes!(login::do_login))
        .route_layer(limited(Class::Read, |_| login::refused(LIMITED.message())));
    let reads = OpenApiRouter::new()
        .routes(routes!(login::status))
        .routes(routes!(login::session))
        .routes(routes!(users::user))
        .route_layer(limited(Class::Read, |_| LIMITED.into_response()));
    writes.merge(wallets).merge(reads).with_state(users).split_for_parts()
}

/// What no handler answered, if this is a path that wallets call.
pub fn wallet_failure(path: &str, status: StatusCode) -> Option<Response> {
    is_wallets(path).then(|| login::refused(TipError::of_status(status).message()))
}

/// Whether wallets call this path, who read nothing but the body of a 200.
pub fn is_wallets(path: &str) -> bool {
    path == wallet::CALLBACK
}

/// Whom an answer is about.
#[derive(Serialize, ToSchema)]
struct UserIdView {
    /// The user's id.
    #[schema(value_type = String)]
    id: Cuid,
}

/// How any of these routes can fail besides its own refusals.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a schema alone")]
enum Failure {
    /// The API key is not valid
    #[response(status = 401)]
    Key(TipErrorView),
    /// The API key lacks the scope `tips`, or a page of another site asks
    #[response(status = 403)]
    Forbidden(TipErrorView),
    /// Too many requests
    #[response(status = 429)]
    TooMany(TipErrorView),
    /// A bug, or the machine is broken
    #[response(status = 500)]
    Broken(TipErrorView),
    /// The database can't take this now
    #[response(status = 503)]
    Unavailable(TipErrorView),
}

/// JSON for this asker alone.
fn answer(value: &impl Serialize) -> Response {
    respond::no_store(respond::json(StatusCode::OK, value))
}

/// Done, and nothing to say.
fn done() -> Response {
    respond::no_store(StatusCode::NO_CONTENT.into_response())
}

fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
