//! QR codes as SVG: for the pages by URL, and for any other module as text.
//!
//! Whatever is shown is public to whoever looks at the screen; nothing here is logged.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qrcode::bits::encode_auto;
use qrcode::canvas::{Canvas, MaskPattern};
use qrcode::{Color, EcLevel, Version, ec};
use serde::Deserialize;

use crate::http::limits::Meter;

/// The longest text that is drawn, in characters: beyond it phones can no longer read the code from a screen.
pub const MAX_CHARS: usize = 1_500;

/// From this many characters on, fewer modules help a camera more than error correction does: a screen has no scratches.
const LONG_TEXT: usize = 200;

/// Clear modules around a code.
const QUIET_ZONE: usize = 4;

/// Pictures that are remembered: a page that is loaded again costs nothing.
const REMEMBERED: usize = 32;

/// What a picture that is not remembered costs of a client's quota of pages, besides the request itself.
const MORE_REQUESTS: u32 = 9;

const MASKS: [MaskPattern; 8] = [
    MaskPattern::Checkerboard,
    MaskPattern::HorizontalLines,
    MaskPattern::VerticalLines,
    MaskPattern::DiagonalLines,
    MaskPattern::LargeCheckerboard,
    MaskPattern::Fields,
    MaskPattern::Diamonds,
    MaskPattern::Meadow,
];

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
    let bits = encode_auto(text.as_bytes(), level).map_err(|_| QrError::TooLong)?;
    let version = bits.version();
    let (data, correction) =
        ec::construct_codewords(&bits.into_bytes(), version, level).map_err(|_| QrError::TooLong)?;
    let mut canvas = Canvas::new(version, level);
    canvas.draw_all_functional_patterns();
    canvas.draw_data(&data, &correction);
    let width = width_of(version);
    // Any mask can be read; of the eight the one that scanners find easiest is taken.
    let masked = MASKS.iter().map(|mask| {
        let mut canvas = canvas.clone();
        canvas.apply_mask(*mask);
        canvas.into_colors().into_iter().map(|color| color == Color::Dark).collect::<Vec<_>>()
    });
    let best = masked.min_by_key(|modules| penalty(modules, width)).unwrap_or_default();
    Ok(picture(&best, width))
}

fn width_of(version: Version) -> usize {
    usize::try_from(version.width()).unwrap_or(0)
}

/// How hard a code is for scanners, by the standard's rules: runs and what looks like a finder in rows and columns,
/// blocks of one color, and how far from half of it is dark.
fn penalty(modules: &[bool], width: usize) -> u32 {
    let columns: Vec<_> = (0..width).flat_map(|x| modules.iter().skip(x).step_by(width).copied()).collect();
    let lines = modules.chunks(width).chain(columns.chunks(width)).map(line_penalty).sum::<u32>();
    let blocks: u32 = modules.chunks(width).zip(modules.chunks(width).skip(1)).map(block_penalty).sum();
    let dark = modules.iter().filter(|dark| **dark).count();
    let off = (dark * 20).abs_diff(modules.len() * 10) / modules.len().max(1);
    lines.saturating_add(blocks).saturating_add(u32::try_from(off * 10).unwrap_or(u32::MAX))
}

fn line_penalty(line: &[bool]) -> u32 {
    // A finder with four clear modules on one side, in the last eleven.
    const LEFT: u16 = 0b000_0101_1101;
    const RIGHT: u16 = 0b101_1101_0000;
    let (mut penalty, mut run, mut last, mut seen) = (0_u32, 0_u32, None, 0_u16);
    for (index, dark) in line.iter().enumerate() {
        run = if last == Some(*dark) { run.saturating_add(1) } else { 1 };
        last = Some(*dark);
        penalty = penalty.saturating_add(match run {
            5 => 3,
            6.. => 1,
            _ => 0,
        });
        seen = ((seen << 1) | u16::from(*dark)) & 0x7ff;
        if index >= 10 && (seen == LEFT || seen == RIGHT) {
            penalty = penalty.saturating_add(40);
        }
    }
    penalty
}

fn block_penalty((upper, lower): (&[bool], &[bool])) -> u32 {
    let same = upper
        .windows(2)
        .zip(lower.windows(2))
        .filter(|(upper, lower)| upper == lower && upper.first() == upper.last());
    u32::try_from(same.count()).unwrap_or(u32::MAX).saturating_mul(3)
}

/// Dark modules as one path, a run of a row at a time.
fn picture(modules: &[bool], width: usize) -> String {
    let size = width.saturating_add(2 * QUIET_ZONE);
    let mut svg = format!(
        "<?xml version=\"1.0\" standalone=\"yes\"?><svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" \
         width=\"{size}\" height=\"{size}\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path d=\"M0 0h{size}v{size}H0z\" fill=\"#fff\"/><path fill=\"#000\" d=\""
    );
    for (y, row) in modules.chunks(width.max(1)).enumerate() {
        let mut x = 0_usize;
        for run in row.chunk_by(|one, next| one == next) {
            if run.first() == Some(&true) {
                let (left, top, length) =
                    (x.saturating_add(QUIET_ZONE), y.saturating_add(QUIET_ZONE), run.len());
                // Writing into a text can't fail.
                let _ = write!(svg, "M{left} {top}h{length}v1h-{length}z");
            }
            x = x.saturating_add(run.len());
        }
    }
    svg.push_str("\"/></svg>");
    svg
}

/// The pictures asked for last, the latest in front.
static LATEST: Mutex<VecDeque<(String, Bytes)>> = Mutex::new(VecDeque::new());

fn remembered(text: &str) -> Option<Bytes> {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    let at = latest.iter().position(|(known, _)| known == text)?;
    let found = latest.remove(at)?;
    let picture = found.1.clone();
    latest.push_front(found);
    Some(picture)
}

fn drawn(text: &str) -> Result<Bytes, QrError> {
    let picture = Bytes::from(qr_svg(text)?);
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.push_front((text.to_owned(), picture.clone()));
    latest.truncate(REMEMBERED);
    Ok(picture)
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
        (status = 429, description = "Too many", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn qr(meter: Option<Extension<Meter>>, Query(wanted): Query<Wanted>) -> Response {
    let known = remembered(&wanted.text);
    if known.is_none()
        && let Some(Err(retry_after)) = meter.map(|Extension(meter)| meter.take(MORE_REQUESTS))
    {
        return super::too_many(retry_after);
    }
    let svg = match known.map_or_else(|| drawn(&wanted.text), Ok) {
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
    fn picture_is_what_the_standard_s_own_choice_of_mask_gives() {
        for text in ["HELLO".to_owned(), "lightning:lnbc1".repeat(30), "x7aQ-".repeat(300)] {
            let level = if text.len() < LONG_TEXT { EcLevel::M } else { EcLevel::L };
            let code = qrcode::QrCode::with_error_correction_level(&text, level).unwrap();
            let dark: Vec<_> = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
            // Of masks that are as good, and by the little that two readings of the rules differ, another may be taken.
            let svg = qr_svg(&text).unwrap();
            let all = MASKS.map(|mask| {
                let bits = encode_auto(text.as_bytes(), level).unwrap();
                let version = bits.version();
                let (data, correction) = ec::construct_codewords(&bits.into_bytes(), version, level).unwrap();
                let mut canvas = Canvas::new(version, level);
                canvas.draw_all_functional_patterns();
                canvas.draw_data(&data, &correction);
                canvas.apply_mask(mask);
                canvas.into_colors().into_iter().map(|color| color == Color::Dark).collect::<Vec<_>>()
            });
            assert!(all.contains(&dark), "the masks are the standard's");
            assert!(all.iter().any(|modules| picture(modules, code.width()) == svg));
        }
    }

    #[test]
    fn penalties_are_the_standard_s() {
        assert_eq!(line_penalty(&[true; 7]), 3 + 1 + 1);
        let finder = [false, false, false, false, true, false, true, true, true, false, true];
        assert_eq!(line_penalty(&finder), 40);
        assert_eq!(block_penalty((&[true, true, false], &[true, true, false])), 3);
    }

    #[test]
    fn same_text_is_the_same_picture_and_few_are_remembered() {
        let first = drawn("one").unwrap();
        for number in 0..100 {
            drawn(&number.to_string()).unwrap();
        }
        assert_eq!(remembered("one"), None, "long ago");
        assert_eq!((drawn("one").unwrap(), remembered("one")), (first.clone(), Some(first)));
        assert!(LATEST.lock().unwrap().len() <= REMEMBERED);
        assert_eq!(drawn(""), Err(QrError::Empty));
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
