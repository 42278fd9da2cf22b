//! The balance and the statement.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::{Who, answer};
use crate::http::extract::Params;
use crate::http::problem::{Failure, Problem};
use crate::http::respond;
use crate::services::accounts::view::{AccountView, StatementView};
use crate::services::accounts::{AccountError, Accounts, Span, span};

/// Lines of a page, and the most of one.
const LIMIT: usize = 50;
const MOST: usize = 500;

/// What your account has.
#[utoipa::path(
    get, path = "/v1/account", tag = "accounts",
    responses((status = 200, description = "The balance", body = AccountView), Failure)
)]
pub(super) async fn show(
    State(accounts): State<Accounts>,
    Extension(caller): Who,
) -> Result<Response, AccountError> {
    Ok(answer(accounts.account_json(caller.account).await?))
}

/// Every change of your balance, newest first.
#[utoipa::path(
    get, path = "/v1/account/statement", tag = "accounts",
    params(
        ("from" = Option<String>, Query, description = "Not before this date (`2026-01-31`, UTC) or time"),
        ("to" = Option<String>, Query, description = "Not after this date, or before this time"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 500; 50 without it"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = StatementView),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn statement(
    State(accounts): State<Accounts>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, AccountError> {
    let limit = match params.get("limit").filter(|text| !text.is_empty()) {
        None => LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
            AccountError::invalid("INVALID_LIMIT", format!("limit must be from 1 to {MOST}"))
        })?,
    };
    let cursor = params.get("cursor");
    let page = accounts.statement(caller.account, span_of(&params)?, cursor.as_deref(), limit).await?;
    Ok(answer(respond::to_json(&page)?))
}

/// The same as a table: CSV (RFC 4180, UTF-8) with a head. Sats have up to three digits behind the point.
#[utoipa::path(
    get, path = "/v1/account/statement.csv", tag = "accounts",
    params(
        ("from" = Option<String>, Query, description = "Not before this date (`2026-01-31`, UTC) or time"),
        ("to" = Option<String>, Query, description = "Not after this date, or before this time"),
    ),
    responses(
        (status = 200, description = "The table", body = String, content_type = "text/csv"),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another statement of yours is being read", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn table(
    State(accounts): State<Accounts>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, AccountError> {
    let body = Body::from_stream(accounts.table(caller.account, span_of(&params)?)?);
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    let mut response = respond::no_store(respond::typed(StatusCode::OK, csv, body));
    let name = HeaderValue::from_static("attachment; filename=\"statement.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

fn span_of(params: &Params) -> Result<Span, AccountError> {
    span(params.get("from").as_deref(), params.get("to").as_deref())
}
