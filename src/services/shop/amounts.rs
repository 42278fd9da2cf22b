//! Prices: whole numbers of the smallest unit of a store's currency (cents, yen, sats), and what they are in sats and
//! dollars.

use crate::core::currency::Currency;
use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::rates::{ConvertError, Quote, Rates, Unit};

/// The most that one thing may cost, in the smallest unit: ten sums of ten of it still fit.
pub const MOST: u64 = 1_000_000_000_000;

/// A price as people write it.
pub fn shown(units: u64, unit: Unit) -> Decimal {
    Decimal::new(u128::from(units), unit.places()).unwrap_or_default()
}

/// A price from how people write it; `None` for more digits than the currency has, or for more than [`MOST`].
pub fn read(text: Decimal, unit: Unit) -> Option<u64> {
    text.in_units(unit.places()).and_then(|units| u64::try_from(units).ok()).filter(|units| *units <= MOST)
}

/// A share in parts per million, rounded half up.
pub fn share(units: u64, ppm: u32) -> u64 {
    let share = (u128::from(units) * u128::from(ppm) + 500_000) / 1_000_000;
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// What it is in whole sats, rounded up.
///
/// # Errors
/// [`ConvertError`].
pub fn sats(units: u64, unit: Unit, quote: Option<&Quote>) -> Result<Msat, ConvertError> {
    unit.to_sats(shown(units, unit), quote)
}

/// What it is in dollars; by the rates of now if it is priced in something else, and `None` without them.
pub fn dollars(units: u64, unit: Unit, rates: &Rates) -> Option<Decimal> {
    if unit == Unit::Fiat(Currency::Usd) {
        return Some(shown(units, unit));
    }
    let quote = match unit.currency() {
        None => None,
        Some(currency) => Some(rates.quote(currency).ok()?),
    };
    let worth = sats(units, unit, quote.as_ref()).ok()?;
    rates.quote(Currency::Usd).ok()?.fiat_of(worth).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_to_the_last_digit_and_no_further() {
        let dollar = Unit::Fiat(Currency::Usd);
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(read(decimal("19.99"), dollar), Some(1_999));
        assert_eq!(read(decimal("19.999"), dollar), None);
        assert_eq!(read(decimal("1.5"), Unit::Fiat(Currency::Jpy)), None);
        assert_eq!(read(decimal("10000000000.01"), dollar), None);
        assert_eq!(shown(1_990, dollar).to_string(), "19.9");
        assert_eq!(shown(21, Unit::Sats).to_string(), "21");
    }

    #[test]
    fn shares_round_half_up() {
        assert_eq!(share(1_000, 72_500), 73);
        assert_eq!(share(999, 72_500), 72);
        assert_eq!(share(0, 1_000_000), 0);
        assert_eq!(share(MOST, 1_000_000), MOST);
    }
}
