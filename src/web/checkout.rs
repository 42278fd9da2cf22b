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

/// What ids begin with, and hex characters behind that: of payments, and of sessions for documents and services.
const IDS: [(&str, usize); 2] = [("inv_", 24), ("ses_", 28)];

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
    let is_hex = |hex: &str| hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    IDS.iter().any(|(mark, len)| id.strip_prefix(mark).is_some_and(|hex| hex.len() == *len && is_hex(hex)))
}
