//! Decimals, prices in units, what sources of rates answer, and dates.

use super::{text, two};
use crate::core::currency::{Currency, plausible_rate};
use crate::core::decimal::{self, Decimal, MAX_PLACES};
use crate::core::money::Msat;
use crate::core::time::iso::{self, IsoSeconds, IsoTime};
use crate::rates::sources::{coinbase, kraken, mempool};
use crate::rates::{Unit, fiat_of, sats, sats_within};
use crate::storage::export::{Place, Span};

const DIGITS_END: u128 = 10_u128.pow(30);

fn is_sound(number: Decimal) {
    assert!(number.places() <= MAX_PLACES && number.digits() < DIGITS_END, "{number}");
    let written = number.to_string();
    assert_eq!(Decimal::parse(&written), Ok(number), "{written}");
    assert_eq!(Decimal::from_json(&format!("\"{written}\"")), Ok(number));
    assert_eq!(serde_json::to_string(&number).unwrap(), written);
    let (mut last, mut places) = (number.floor_to(0), 0);
    while places <= MAX_PLACES {
        let cut = number.floor_to(places);
        assert!(cut <= number && last <= cut && cut.places() <= places, "{number} {places}");
        (last, places) = (cut, places + 1);
    }
    assert_eq!(last, number);
}

/// Two numbers, one behind the other's line.
pub(super) fn decimals(data: &[u8]) {
    let (one, other) = two(data);
    let (one, other) = (text(one), text(other));
    let read = (Decimal::parse(one), Decimal::parse(other));
    if let Ok(number) = read.0 {
        is_sound(number);
        let body = format!("{{\"amount\":{one},\"amount\":{one}}}");
        assert_eq!(decimal::field(body.as_bytes(), "amount"), Ok(Some(number)), "{body}");
    }
    if let (Ok(one), Ok(other)) = read {
        assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
        assert_eq!(one == other, one.cmp(&other).is_eq());
    }
    if let Ok(number) = serde_json::from_str::<serde_json::Number>(one)
        && let Some(whole) = decimal::whole_number(&number)
        && let (Ok(whole), Ok(read)) = (u64::try_from(whole), read.0)
    {
        // Up to where a float tells neighbours apart they are the same number.
        assert!(whole > (1 << 53) || read.floor_to(0) == Decimal::from(whole) || read.places() > 0, "{one}");
    }
}

/// An amount, a unit, and a rate, each on a line.
pub(super) fn prices(data: &[u8]) {
    let (amount, rest) = two(data);
    let (unit, rate) = two(rest);
    let (Ok(amount), Ok(unit)) = (Decimal::parse(text(amount)), text(unit).parse::<Unit>()) else { return };
    assert_eq!(unit.code().parse::<Unit>(), Ok(unit));
    if let Ok(worth) = unit.to_sats(amount, None) {
        assert!(worth <= Msat::MAX && unit.currency().is_none());
        let back = Decimal::new(u128::from(worth.sat_floor()), if unit == Unit::Btc { 8 } else { 0 });
        assert_eq!(back, Some(amount), "neither more nor less");
    }
    let (Some(currency), Ok(rate)) = (unit.currency(), Decimal::parse(text(rate))) else { return };
    let (up, down) = (sats(amount, rate), sats_within(amount, rate));
    let Ok(down) = down else {
        assert!(up.is_err(), "what is rounded up is at least as large");
        return;
    };
    assert!(up.is_ok() || down.checked_add(Msat::from_sat(1).unwrap()).is_none());
    if let Ok(up) = up {
        let apart = up.get() - down.get();
        assert!(apart == 0 || apart == 1_000, "{up} {down}");
        // Who pays it pays the price, to the last digit that the currency has.
        if amount.places() <= currency.places() {
            assert!(fiat_of(up, currency, rate).unwrap() >= amount, "{up} at {rate}");
        }
    }
    assert!(fiat_of(down, currency, rate).is_ok_and(|worth| worth <= amount), "{down} at {rate}");
}

/// What sources of rates answer.
pub(super) fn rates(data: &[u8]) {
    for kind in [coinbase::KIND, kraken::KIND, mempool::KIND] {
        let Ok(prices) = (kind.read)(data) else { continue };
        assert!(prices.rates.len() <= data.len());
        for (currency, rate) in prices.rates {
            is_sound(rate);
            assert!(Currency::ALL.contains(&currency));
            if let Some(kept) = plausible_rate(rate) {
                assert_eq!(plausible_rate(kept), Some(kept));
            }
        }
    }
}

pub(super) fn dates(data: &[u8]) {
    let (first, second) = two(data);
    let (first, second) = (text(first), text(second));
    if let Some(at) = iso::parse(first) {
        let written = IsoTime(at).to_string();
        // A zone may bring the first and last hours of the calendar out of it.
        if !written.starts_with(['+', '-']) {
            assert_eq!(iso::parse(&written), Some(at), "{written}");
            let seconds = IsoSeconds(at).to_string();
            assert_eq!(iso::parse(&seconds), Some(at - at.rem_euclid(1_000)), "{seconds}");
        }
    }
    if let Ok(span) = Span::read(Some(first), Some(second)) {
        assert!(span.from == i64::MIN || span.has(span.from) || span.from >= span.to);
        assert!(span.to == i64::MAX || !span.has(span.to));
    }
    if let Some(place) = Place::read(first) {
        assert_eq!(Place::read(&place.to_text()), Some(place));
    }
}
