//! Rounding, proven against numbers of any length that know nothing of [`Decimal`].

use std::cmp::Ordering;

use proptest::prelude::*;

use super::decimal;
use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::rates::{ConvertError, Currency, Quote, Unit, fiat_of, sats, sats_within};

/// A whole number of any length: its decimal digits, the last first.
#[derive(Debug)]
struct Big(Vec<u8>);

impl Big {
    /// A decimal text, times `10^places`.
    fn scaled(text: &str, places: usize) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction:0<places$}");
        Self(digits.bytes().rev().map(|digit| digit - b'0').collect())
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.0.len() + other.0.len() + 1];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                product[i + j] += u32::from(*a) * u32::from(*b);
            }
        }
        let mut carry = 0;
        let digits = product.into_iter().map(|sum| {
            let all = sum + carry;
            carry = all / 10;
            u8::try_from(all % 10).unwrap()
        });
        Self(digits.collect())
    }

    fn compare(&self, other: &Self) -> Ordering {
        let digit = |number: &Self, at: usize| number.0.get(at).copied().unwrap_or(0);
        let longest = self.0.len().max(other.0.len());
        let differing = (0..longest).rev().find(|at| digit(self, *at) != digit(other, *at));
        differing.map_or(Ordering::Equal, |at| digit(self, at).cmp(&digit(other, at)))
    }
}

/// Compares what `sat` sats are worth at a rate with a price.
fn worth_against_price(sat: u64, rate: Decimal, price: Decimal) -> Ordering {
    let worth = Big::scaled(&sat.to_string(), 0).times(&Big::scaled(&rate.to_string(), 8));
    // Sats are 10^-8 bitcoin, and the rate is scaled by 10^8; the price by 10^18.
    worth.times(&Big::scaled("100", 0)).compare(&Big::scaled(&price.to_string(), 18))
}

fn all_bitcoin() -> Msat {
    Msat::from_sat(21_000_000 * 100_000_000).unwrap()
}

#[track_caller]
fn right(price: Decimal, rate: Decimal, converted: Result<Msat, ConvertError>) -> Result<(), TestCaseError> {
    match converted {
        Ok(amount) => {
            let sat = amount.sat_exact().expect("whole sats");
            prop_assert_ne!(worth_against_price(sat, rate, price), Ordering::Less, "less than the price");
            if sat > 0 {
                let below = worth_against_price(sat - 1, rate, price);
                prop_assert_eq!(below, Ordering::Less, "a sat above the price");
            }
        }
        Err(error) => {
            prop_assert_eq!(error, ConvertError::TooLarge);
            let most = worth_against_price(all_bitcoin().sat_floor(), rate, price);
            prop_assert_eq!(most, Ordering::Less, "refused, but there is enough bitcoin");
        }
    }
    Ok(())
}

/// Numbers of all lengths, not only the long ones that chance alone would bring.
fn digits(longest: u32) -> impl Strategy<Value = u128> {
    (0..=longest).prop_flat_map(|length| 0..10_u128.pow(length))
}

/// Every rate that may be: from `10^-8` to `10^12`.
fn rate() -> impl Strategy<Value = Decimal> {
    digits(20).prop_map(|units| Decimal::new(units.max(1), 8).unwrap())
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    #[test]
    fn never_below_the_price_and_never_a_sat_above(price in digits(30), places in 0..=18_u32, rate in rate()) {
        let price = Decimal::new(price, places).unwrap();
        right(price, rate, sats(price, rate))?;
        // The other way: never above it, and a sat more would be.
        if let Ok(within) = sats_within(price, rate) {
            let sat = within.sat_exact().expect("whole sats");
            prop_assert_ne!(worth_against_price(sat, rate, price), Ordering::Greater, "more than the price");
            prop_assert_eq!(worth_against_price(sat + 1, rate, price), Ordering::Greater, "a sat below the price");
        } else {
            prop_assert_eq!(sats(price, rate), Err(ConvertError::TooLarge));
        }
    }

    #[test]
    fn in_every_currency(cents in digits(16), rate in rate(), which in 0..Currency::ALL.len()) {
        let currency = Currency::ALL[which];
        let quote = Quote { currency, rate, sources: vec!["test"], at: 0 };
        let price = Decimal::new(cents, currency.places()).unwrap();
        let converted = Unit::Fiat(currency).to_sats(price, Some(&quote));
        right(price, rate, converted)?;
        // What is shown for it is never less than the price, and what is shown for a sat less never more.
        if let Ok(amount) = converted {
            prop_assert!(quote.fiat_of(amount).unwrap() >= price);
            let less = amount.saturating_sub(Msat::from_sat(1).unwrap());
            prop_assert!(quote.fiat_of(less).unwrap() <= price);
        }
    }

    #[test]
    fn prices_near_a_whole_sat(sat in 1..2_100_000_000_000_000_u64, rate in rate(), off in -1..=1_i8) {
        // The price of exactly so many sats, and one unit of its last digit beside it.
        let exact = rate.in_units(8).unwrap().checked_mul(u128::from(sat)).filter(|units| *units < 10_u128.pow(30) - 1);
        prop_assume!(exact.is_some());
        let Some(price) = Decimal::new(exact.unwrap().checked_add_signed(off.into()).unwrap(), 16) else {
            return Ok(());
        };
        let converted = sats(price, rate);
        right(price, rate, converted)?;
        if off == 0 {
            prop_assert_eq!(converted, Ok(Msat::from_sat(sat).unwrap()));
        }
    }
}

#[test]
fn the_documents_example_is_exact() {
    assert_eq!(sats(decimal("49.99"), decimal("39992")), Ok(Msat::from_sat(125_000).unwrap()));
    assert_eq!(sats(decimal("49.99"), decimal("39991.99")), Ok(Msat::from_sat(125_001).unwrap()));
    assert_eq!(sats(decimal("0.01"), decimal("1000000000000")), Ok(Msat::from_sat(1).unwrap()));
    assert_eq!(sats(decimal("0"), decimal("50000")), Ok(Msat::ZERO));
}

#[test]
fn absurd_rates_and_amounts_are_errors() {
    assert_eq!(sats(decimal("1"), decimal("0")), Err(ConvertError::NoRate));
    assert_eq!(sats(decimal("1"), decimal("1e13")), Err(ConvertError::NoRate));
    assert_eq!(sats(decimal("1e29"), decimal("0.00000001")), Err(ConvertError::TooLarge));
    assert_eq!(sats(decimal("21000000.00000001"), decimal("1")), Err(ConvertError::TooLarge));
    assert_eq!(sats(decimal("21000000"), decimal("1")), Ok(all_bitcoin()));
}

#[test]
fn units_are_read_in_any_case_and_keep_their_places() {
    let unit = |text: &str| text.parse::<Unit>().map(|unit| (unit.code(), unit.places())).ok();
    assert_eq!(unit("usd"), Some(("USD", 2)));
    assert_eq!(unit("Jpy"), Some(("JPY", 0)));
    assert_eq!(unit("btc"), Some(("BTC", 8)));
    for text in ["sat", "sats", "SATS", "Sat"] {
        assert_eq!(unit(text), Some(("sats", 0)), "{text}");
    }
    assert_eq!(unit(" USD\n"), Some(("USD", 2)));
    for text in ["", "msat", "XBT", "US", "U SD"] {
        assert_eq!(unit(text), None, "{text}");
    }
    let convert = |unit: &str, amount: &str| {
        let converted = unit.parse::<Unit>().unwrap().to_sats(decimal(amount), None);
        converted.map(|amount| amount.sat_exact().unwrap())
    };
    assert_eq!(convert("BTC", "0.001"), Ok(100_000));
    assert_eq!(convert("BTC", "0.00000001"), Ok(1));
    assert_eq!(convert("BTC", "0.000000001"), Err(ConvertError::TooPrecise { places: 8 }));
    assert_eq!(convert("BTC", "21000000.00000001"), Err(ConvertError::TooLarge));
    assert_eq!(convert("sats", "1500"), Ok(1_500));
    assert_eq!(convert("sats", "1500.00"), Ok(1_500));
    assert_eq!(convert("sats", "0.5"), Err(ConvertError::TooPrecise { places: 0 }));
    assert_eq!(convert("sats", "1e29"), Err(ConvertError::TooLarge));
    assert_eq!(convert("USD", "0.001"), Err(ConvertError::TooPrecise { places: 2 }));
    assert_eq!(convert("USD", "1"), Err(ConvertError::NoRate));
    let euros = Quote { currency: Currency::Eur, rate: decimal("50000"), sources: vec!["test"], at: 0 };
    let dollars = Unit::Fiat(Currency::Usd).to_sats(decimal("1"), Some(&euros));
    assert_eq!(dollars, Err(ConvertError::NoRate));
}

#[test]
fn what_is_shown_is_rounded_down() {
    let worth = |sat: u64, currency, rate: &str| {
        fiat_of(Msat::from_sat(sat).unwrap(), currency, decimal(rate)).map(|worth| worth.to_string())
    };
    assert_eq!(worth(125_000, Currency::Usd, "39992"), Ok("49.99".into()));
    assert_eq!(worth(124_999, Currency::Usd, "39992"), Ok("49.98".into()));
    assert_eq!(worth(1, Currency::Usd, "39992"), Ok("0".into()));
    assert_eq!(worth(199, Currency::Jpy, "15000000"), Ok("29".into()));
    let most = fiat_of(all_bitcoin(), Currency::Usd, decimal("1000000000000"));
    assert_eq!(most, Ok(decimal("21000000000000000000")));
    let quote = Quote { currency: Currency::Usd, rate: decimal("50000"), sources: vec!["a", "b"], at: 0 };
    assert_eq!(quote.inverse(), decimal("0.00002"));
    assert_eq!(quote.source(), "a, b");
}
