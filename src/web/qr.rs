//! QR codes as SVG: for the pages by URL, and for any other room as text.
//!
//! Whatever is shown is public to whoever looks at the screen; nothing here is logged.

use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde::Deserialize;

/// The longest text that is drawn, in characters: beyond it phones can no longer read the code from a screen.
pub const MAX_CHARS: usize = 1_500;

/// From this many characters on, fewer modules help a camera more than error correction does: a screen has no scratches.
const LONG_TEXT: usize = 200;

/// Why a text has no QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QrError {
    /// There is nothing to draw.
    #[error("there is no text to draw")]
    Empty,
    /// More than [`MAX_CHARS`] characters, or more bytes than a QR code holds.
    #[error("the text is too long for a QR code")]
    TooLong,
}

/// An SVG image of `text` exactly as given, with the quiet zone that scanners need, one unit a module.
///
/// Upper-case what may be upper-cased (BOLT11, LNURL) before: it makes a much smaller code.
///
/// # Errors
/// [`QrError`] if the text is empty or too long.
pub fn qr_svg(text: &str) -> Result<String, QrError> {
    if text.is_empty() {
        return Err(QrError::Empty);
    }
    let chars = text.chars().count();
    if chars > MAX_CHARS {
        return Err(QrError::TooLong);
    }
    let level = if chars < LONG_TEXT { EcLevel::M } else { EcLevel::L };
    let code = QrCode::with_error_correction_level(text, level).map_err(|_| QrError::TooLong)?;
    Ok(code.render::<svg::Color<'_>>().quiet_zone(true).module_dimensions(1, 1).build())
}

/// The query of `GET /qr.svg`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    text: String,
}

/// A QR code.
#[utoipa::path(
    get, path = "/qr.svg", tag = "pages",
    params(("text" = String, Query, description = "What it says, at most 1,500 characters")),
    responses(
        (status = 200, description = "The picture", body = String, content_type = "image/svg+xml"),
        (status = 400, description = "No text, or too long", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn qr(Query(wanted): Query<Wanted>) -> Response {
    let svg = match qr_svg(&wanted.text) {
        Ok(svg) => svg,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        // The same text is the same picture for ever; but it may hold a gift, so shared caches must not keep it.
        (header::CACHE_CONTROL, "private, max-age=86400, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, svg).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_quiet_zone_of_four_modules() {
        let svg = qr_svg("HELLO").unwrap();
        // Version 1 is 21 modules wide.
        assert!(svg.contains(r#"viewBox="0 0 29 29""#), "{svg}");
    }

    #[test]
    fn the_text_is_data_and_never_markup() {
        let svg = qr_svg("</svg><script>alert(1)</script>").unwrap();
        assert!(!svg.contains("script"));
    }

    #[test]
    fn case_is_left_alone_but_matters() {
        let text = "lnbc1".repeat(20);
        assert!(qr_svg(&text).unwrap().len() > qr_svg(&text.to_uppercase()).unwrap().len());
    }

    #[test]
    fn length_is_limited_in_characters_and_bytes() {
        assert!(qr_svg(&"x".repeat(MAX_CHARS)).is_ok());
        assert_eq!(qr_svg(&"x".repeat(MAX_CHARS + 1)), Err(QrError::TooLong));
        assert_eq!(qr_svg(&"\u{1f381}".repeat(MAX_CHARS)), Err(QrError::TooLong));
        assert_eq!(qr_svg(""), Err(QrError::Empty));
    }
}
