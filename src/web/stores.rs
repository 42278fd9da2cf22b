//! The pages of stores: what one sells, and one order. Both are the same for all; scripts fill them from
//! `/api/shopify/`.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::WebSettings;
use super::page::{ANY_IMAGES, KEEP_NOTHING, Lost, Site, html, html_under, missing};

/// Hex characters behind the mark of an order's id.
const ID_LEN: usize = 24;

/// Characters of a store's name in addresses.
const LONGEST_SLUG: usize = 60;

#[derive(Template)]
#[template(path = "store.html")]
struct StorePage<'a> {
    site: Site<'a>,
    slug: &'a str,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage<'a> {
    site: Site<'a>,
    slug: &'a str,
    order_id: &'a str,
}

/// What a store sells, and a cart.
#[utoipa::path(
    get, path = "/store/{slug}", tag = "pages",
    params(("slug" = String, Path, description = "The store")),
    responses(
        (status = 200, description = "The page, the same for every store", body = String, content_type = "text/html"),
        (status = 404, description = "No store can have this name", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn store(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(slug) = path.ok().map(|Path(slug)| slug).filter(|slug| is_slug(slug)) else {
        return missing(&settings, Lost::Page);
    };
    let page = StorePage { site: Site::new(&settings), slug: &slug };
    // Sellers' pictures are where they have them.
    html_under(ANY_IMAGES, StatusCode::OK, "no-cache", &page)
}

/// An order: paid, claimed, followed, refunded. Its token stands in the fragment, which browsers keep to themselves.
#[utoipa::path(
    get, path = "/store/{slug}/orders/{orderId}", tag = "pages",
    params(
        ("slug" = String, Path, description = "The store"),
        ("orderId" = String, Path, description = "The order"),
    ),
    responses(
        (status = 200, description = "The page, the same for every order", body = String, content_type = "text/html"),
        (status = 404, description = "No order can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn order(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let found = path.ok().map(|Path(names)| names).filter(|(slug, id)| is_slug(slug) && is_id(id));
    let Some((slug, id)) = found else { return missing(&settings, Lost::Page) };
    let page = OrderPage { site: Site::new(&settings), slug: &slug, order_id: &id };
    html(StatusCode::OK, KEEP_NOTHING, &page)
}

fn is_slug(slug: &str) -> bool {
    (1..=LONGEST_SLUG).contains(&slug.len())
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_id(id: &str) -> bool {
    id.strip_prefix("shpfy_").is_some_and(|hex| {
        hex.len() == ID_LEN && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}
