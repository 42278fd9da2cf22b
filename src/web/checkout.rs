//! The page on which a shop's customer pays.
//!
//! It is the same for every payment; its script fills it from `/checkout/{invoiceId}/status` and follows it.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::WebSettings;
use super::page::{KEEP_NOTHING, Lost, Site, html, missing};

/// Hex characters behind the mark of a payment's id.
const ID_LEN: usize = 24;

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage<'a> {
    site: Site<'a>,
    invoice_id: &'a str,
}

/// The page on which a customer pays.
#[utoipa::path(
    get, path = "/checkout/{invoiceId}", tag = "pages",
    params(("invoiceId" = String, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "The page, the same for every payment", body = String, content_type = "text/html"),
        (status = 404, description = "No payment can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn checkout(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = path.ok().map(|Path(id)| id).filter(|id| is_id(id)) else {
        return missing(&settings, Lost::Payment);
    };
    html(StatusCode::OK, KEEP_NOTHING, &CheckoutPage { site: Site::new(&settings), invoice_id: &id })
}

fn is_id(id: &str) -> bool {
    id.strip_prefix("inv_").is_some_and(|hex| {
        hex.len() == ID_LEN && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}
