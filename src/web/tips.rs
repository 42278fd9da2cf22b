//! The pages of tips: claim one, find one by its magic words, get one of a group, log in by a letter's link.
//!
//! As with gifts a page is the same for every tip; scripts fill it from the JSON API. Opening one changes nothing,
//! so that a preview in a chat doesn't count as a look: the script says when a person sees it.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::WebSettings;
use super::page::{ANY_IMAGES, KEEP_NOTHING, Lost, Site, html, html_under, missing};

/// Characters of an id: `c` and 24 more (contract, ids).
const ID_LEN: usize = 25;

#[derive(Template)]
#[template(path = "tip_claim.html")]
struct ClaimPage<'a> {
    site: Site<'a>,
    tip_id: &'a str,
}

#[derive(Template)]
#[template(path = "tip_words.html")]
struct WordsPage<'a> {
    site: Site<'a>,
}

#[derive(Template)]
#[template(path = "tip_verify.html")]
struct VerifyPage<'a> {
    site: Site<'a>,
}

#[derive(Template)]
#[template(path = "tip_group.html")]
struct GroupPage<'a> {
    site: Site<'a>,
    group_id: &'a str,
}

/// The page on which a tip is claimed and withdrawn.
#[utoipa::path(
    get, path = "/tips/{id}/claim", tag = "pages",
    params(
        ("id" = String, Path, description = "The tip's id"),
        ("printed" = Option<bool>, Query, description = "`true`: the link was read from paper"),
    ),
    responses(
        (status = 200, description = "The page, the same for every tip", body = String, content_type = "text/html"),
        (status = 404, description = "No tip can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn claim(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    claim_page(&settings, path.ok().and_then(|Path(id)| tip_id(&id)))
}

/// The same under a language. All pages are in English so far; links made for others must work all the same.
pub(super) async fn claim_in(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let Ok(Path((locale, id))) = path else { return missing(&settings, Lost::Tip) };
    if !is_locale(&locale) {
        return missing(&settings, Lost::Page);
    }
    claim_page(&settings, tip_id(&id))
}

fn claim_page(settings: &WebSettings, id: Option<String>) -> Response {
    let Some(id) = id else { return missing(settings, Lost::Tip) };
    let page = ClaimPage { site: Site::new(settings), tip_id: &id };
    html_under(ANY_IMAGES, StatusCode::OK, KEEP_NOTHING, &page)
}

/// Leads to the page on which the tip is claimed.
#[utoipa::path(
    get, path = "/tips/{id}", tag = "pages",
    params(("id" = String, Path, description = "The tip's id")),
    responses(
        (status = 307, description = "To the page"),
        (status = 404, description = "No tip can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn tip(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(id) = path.ok().and_then(|Path(id)| tip_id(&id)) else {
        return missing(&settings, Lost::Tip);
    };
    let page = format!("{}/tips/{id}/claim", Site::new(&settings).base);
    let whole = query.map(|query| format!("{page}?{query}"));
    let location = whole.and_then(|whole| HeaderValue::try_from(whole).ok());
    let Some(location) = location.or_else(|| HeaderValue::try_from(page).ok()) else {
        return missing(&settings, Lost::Tip);
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static(KEEP_NOTHING)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// The page that asks for a tip's magic words.
#[utoipa::path(
    get, path = "/tip", tag = "pages",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(super) async fn words(State(settings): State<Arc<WebSettings>>) -> Response {
    html(StatusCode::OK, "no-cache", &WordsPage { site: Site::new(&settings) })
}

/// The page that the link of a letter leads to. It changes nothing: its button does.
#[utoipa::path(
    get, path = "/verify", tag = "pages",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "This site sends no letters", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn verify(State(settings): State<Arc<WebSettings>>) -> Response {
    if !settings.email {
        return missing(&settings, Lost::Page);
    }
    html(StatusCode::OK, KEEP_NOTHING, &VerifyPage { site: Site::new(&settings) })
}

/// The page behind the one link of a group of tips: it leads each visitor to a tip that is free.
#[utoipa::path(
    get, path = "/tip-groups/{id}/static", tag = "pages",
    params(("id" = String, Path, description = "The group's id")),
    responses(
        (status = 200, description = "The page, the same for every group", body = String, content_type = "text/html"),
        (status = 404, description = "No group can have this id", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn group(
    State(settings): State<Arc<WebSettings>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = path.ok().and_then(|Path(id)| tip_id(&id)) else {
        return missing(&settings, Lost::Tip);
    };
    html(StatusCode::OK, KEEP_NOTHING, &GroupPage { site: Site::new(&settings), group_id: &id })
}

/// An id as the API writes it. Users may have typed it in upper case.
fn tip_id(given: &str) -> Option<String> {
    let right = given.len() == ID_LEN
        && given.starts_with(['c', 'C'])
        && given.bytes().all(|byte| byte.is_ascii_alphanumeric());
    right.then(|| given.to_ascii_lowercase())
}

/// Whether this can be a language: two letters, and perhaps a country's two (`pt-BR`). Nothing longer, so that `api`
/// is none.
fn is_locale(text: &str) -> bool {
    let mut parts = text.splitn(2, '-');
    parts.all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic()))
}
