//! Bodies, and what is ordered in them.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use bitcoin::Network;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::two;
use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::http::body::JsonObject;
use crate::http::idempotency::{IdempotencyKey, without_white_space};
use crate::outbound::guard::GuardSettings;
use crate::services::gifts::Rules;
use crate::services::gifts::request::{Order, Words};
use crate::services::payments::request::NewPayment;
use crate::services::proxy::Targets;
use crate::services::proxy::request::{Bounds, Change, endpoint};
use crate::services::tips::request::{Limits, NewTips};

const NOW: i64 = 1_800_000_000_000;

/// A content type, an idempotency key, a body.
pub(super) fn bodies(data: &[u8]) {
    let (kind, rest) = two(data);
    let (key, raw) = two(rest);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(kind) {
        headers.insert(CONTENT_TYPE, value);
    }
    if let Ok(value) = HeaderValue::from_bytes(key) {
        headers.insert("idempotency-key", value);
    }
    if let Ok(body) = JsonObject::parse(&headers, Bytes::copy_from_slice(raw)) {
        assert_eq!(body.raw, raw);
        for name in body.fields.keys().take(8) {
            if let Ok(Some(number)) = body.decimal(name) {
                assert_eq!(Decimal::parse(&number.to_string()), Ok(number));
            }
        }
    }
    // Numbers beyond all floats are JSON, and no value.
    let is_json = serde_json::from_slice::<IgnoredAny>(raw).is_ok();
    if let Ok(value) = serde_json::from_slice::<Value>(raw) {
        let short = without_white_space(raw);
        assert_eq!(without_white_space(&short), short);
        assert_eq!(serde_json::from_slice::<Value>(&short).ok(), Some(value), "the same without blanks");
    }
    let ask = |body: &[u8]| IdempotencyKey::read(&headers, "caller", "POST /x", body);
    let Ok(Some(asked)) = ask(raw) else { return };
    assert!((1..=256).contains(&asked.key().len()) && asked.key().is_ascii());
    let spaced = [b" \n", raw, b"\t\r\n"].concat();
    let again = ask(&spaced).unwrap().unwrap();
    assert_eq!(again.digest(), asked.digest());
    assert_eq!(again.is_body(&asked.body_hash()), is_json, "white space says nothing in JSON alone");
    let anybody = IdempotencyKey::read_for_anybody(&headers, None, "gifts", "POST /x", raw);
    assert!(anybody.is_err() || asked.key().len() >= 22, "what somebody may guess is refused");
}

/// One JSON object as each of the orders that strangers make.
pub(super) fn orders(data: &[u8]) {
    let Ok(body) = JsonObject::parse(
        &HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        Bytes::copy_from_slice(data),
    ) else {
        return;
    };
    let rules = Rules::new(Network::Regtest, "https://gifts.example");
    if let Ok(order) = Order::read(&body.fields, &rules, NOW) {
        let sat = order.amount.sat_exact().unwrap();
        assert!(
            (rules.min_sat..=rules.max_sat).contains(&sat)
                && (1..=rules.max_quantity).contains(&order.quantity)
        );
        assert_eq!(order.total.get(), (order.amount.get() + order.fee.get()) * u64::from(order.quantity));
        assert!(order.expires_at.is_none_or(|at| at > NOW));
        told_again(&order.words);
    }
    let limits = Limits::default();
    if let Ok(order) = NewTips::read(&body.fields, &limits, NOW) {
        assert!((1..=limits.max_quantity).contains(&order.quantity) && order.total <= Msat::MAX);
        assert_eq!(order.total.get(), (order.amount.get() + order.fee.get()) * u64::from(order.quantity));
        assert!(order.total.sat_floor() <= limits.max_total_sat);
        let words = &order.details.words;
        assert!(!words.is_empty() && words.len() <= usize::try_from(order.quantity).unwrap());
        for words in words {
            assert!(words.note.as_ref().is_none_or(|note| note.chars().count() <= 1_000));
        }
    }
    if let Ok(order) = NewPayment::read(&body) {
        assert!(!order.amount.is_zero() && !order.order_id.trim().is_empty());
        assert!(!order.order_id.contains(char::is_control) && order.order_id.chars().count() <= 255);
        if let Ok(worth) = order.unit.to_sats(order.amount, None) {
            assert!(worth > Msat::ZERO && worth <= Msat::MAX);
        }
        for link in [&order.success_url, &order.cancel_url].into_iter().flatten() {
            assert!(link.starts_with("http://") || link.starts_with("https://"), "{link}");
        }
    }
    let (targets, bounds) = (Targets::new(GuardSettings::default()), Bounds { timeout: 60, sats: 1_000_000 });
    let _ = Change::read_new(&body.fields, &targets, bounds);
    let _ = endpoint(&body.fields, bounds);
}

/// What a sender says goes through a path of an LNURL.
fn told_again(words: &Words) {
    let Some(path) = words.to_path() else { return };
    let again = Words::from_path(&path).unwrap_or_else(|error| panic!("{error:?} {words:?}"));
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    assert_eq!(again.sender_name, filled(&words.sender_name));
    assert_eq!(again.sender_message, filled(&words.sender_message));
    assert_eq!(again.code, words.code);
    assert_eq!(again.notify, words.notify);
}
