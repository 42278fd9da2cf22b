//! Making gifts and looking at them.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::bodies::{CreateBody, ReadFailure, WriteFailure};
use super::extract::{Asker, guess, order_id};
use super::{Api, answer, answer_done, refused};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::respond;
use crate::services::gifts::Done;
use crate::services::gifts::error::GiftError;
use crate::services::gifts::request::Order;
use crate::services::gifts::view::{self, CreatedView, ErrorView, GiftView, StatusView};

/// Makes a gift and the invoice that fills it.
#[utoipa::path(
    post, path = "/create", tag = "gifts",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = CreateBody,
    responses(
        (status = 200, description = "The gift and its invoice", body = CreatedView<'_>),
        (status = 400, description = "The first rule that is broken", body = ErrorView),
        WriteFailure,
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Response {
    let made: Result<Done<Vec<u8>>, GiftError> = async {
        let body = body?;
        let order = Order::read(&body.fields, api.gifts.rules(), api.gifts.now())?;
        let ask = asker.once("POST /create", &body)?;
        asker.pay_for(order.quantity)?;
        api.gifts.create(order, ask).await
    }
    .await;
    answer_done(made)
}

/// Whether an invoice is paid.
#[utoipa::path(
    get, path = "/status/{id}", tag = "gifts",
    params(("id" = String, Path, description = "A charge id or an order id")),
    responses(
        (status = 200, description = "`unpaid`, `paid` or `expired`; `processing` is reserved", body = StatusView),
        (status = 404, description = "No such charge", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn status(State(api): State<Api>, Id(id): Id) -> Response {
    let status = api.gifts.invoice_status(&id).await;
    answer(status.and_then(|status| view::json(&StatusView { status: status.name() })))
}

/// A gift.
#[utoipa::path(
    get, path = "/gift/{orderId}", tag = "gifts",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("verifyCode" = Option<String>, Query, description = "The gift's code; without it a locked gift shows little"),
    ),
    responses(
        (status = 200, description = "The gift", body = GiftView<'_>),
        (status = 404, description = "No such gift", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn gift(State(api): State<Api>, Id(id): Id, params: Params) -> Response {
    match order_id(&id) {
        Ok(id) => answer(api.gifts.gift_json(id, guess(&params)).await),
        Err(error) => refused(error),
    }
}

/// A gift, and every change of it, as server-sent events.
#[utoipa::path(
    get, path = "/live/gift/{orderId}", tag = "gifts",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("verifyCode" = Option<String>, Query, description = "The gift's code"),
    ),
    responses(
        (status = 200, description = "Events, each the JSON of /gift", content_type = "text/event-stream"),
        (status = 404, description = "No such gift", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn live(State(api): State<Api>, asker: Asker, Id(id): Id, params: Params) -> Response {
    let stream = match order_id(&id) {
        Ok(id) => api.gifts.watch(id, guess(&params), asker.client).await,
        Err(error) => Err(error),
    };
    stream.unwrap_or_else(refused)
}

/// Leads to the gift's page; made for LNURL-pay, whose links must be on this host.
#[utoipa::path(
    get, path = "/view/{orderId}", tag = "gifts",
    params(("orderId" = String, Path, description = "From /create")),
    responses(
        (status = 302, description = "To the recipient's page"),
        (status = 404, description = "This is no order id", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn page(State(api): State<Api>, Id(id): Id) -> Response {
    let location = order_id(&id)
        .and_then(|id| HeaderValue::from_str(&api.gifts.page_url(id)).map_err(|_| GiftError::Internal));
    match location {
        Ok(location) => respond::no_store((StatusCode::FOUND, [(LOCATION, location)]).into_response()),
        Err(error) => refused(error),
    }
}
