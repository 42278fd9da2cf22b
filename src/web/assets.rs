//! Style, scripts and the icon of the pages, built into the binary.
//!
//! The pages name them under a digest of them all, so that a browser may keep them for ever and never mixes two versions.
//! Scripts import each other by relative path and so stay under the same digest.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bitcoin::hashes::{Hash, HashEngine, sha256};
use rust_embed::RustEmbed;

use crate::core::ids::to_hex;

#[derive(RustEmbed)]
#[folder = "src/web/assets/"]
struct Files;

/// Enough hex digits of the digest to tell two builds apart.
const VERSION_DIGITS: usize = 12;

/// Names the assets of this build.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort_unstable();
    let mut engine = sha256::Hash::engine();
    for name in names {
        if let Some(file) = Files::get(&name) {
            engine.input(name.as_bytes());
            engine.input(&file.metadata.sha256_hash());
        }
    }
    let mut digest = sha256::Hash::from_engine(engine).to_string();
    digest.truncate(VERSION_DIGITS);
    digest
});

/// `GET /assets/{name}`: for whoever embeds an asset by a lasting name.
pub(super) async fn plain(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    let Ok(Path(name)) = name else { return missing() };
    answer(&name, &headers, "public, no-cache")
}

/// `GET /assets/{version}/{name}`: what the pages use. A page of an older build gets today's file, not to be kept.
pub(super) async fn versioned(
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path((version, name))) = path else { return missing() };
    let caching =
        if version == *VERSION { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    answer(&name, &headers, caching)
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "no such asset").into_response()
}

fn answer(name: &str, request: &HeaderMap, caching: &'static str) -> Response {
    let Some(file) = Files::get(name) else {
        return missing();
    };
    let etag = format!("\"{}\"", to_hex(&file.metadata.sha256_hash()));
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    let common = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, caching)];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let own = [(header::CONTENT_TYPE, content_type(name)), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (common, own, file.data.into_owned()).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
