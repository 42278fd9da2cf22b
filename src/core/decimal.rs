//! Exact decimals: prices and rates as people write them, never through a float.
//!
//! A [`Decimal`] is read from the text of a JSON number and written back as one, so `49.99` stays `49.99`.
//! Writing is exact with `serde_json::to_vec` and its like (and so with [`crate::http::respond::json`]), at any
//! depth; a detour through `serde_json::Value` is not, because a `Value` keeps numbers as floats. For the same
//! reason a handler reads an amount with [`crate::http::body::JsonObject::decimal`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// Most digits behind the point.
pub const MAX_PLACES: u32 = 18;

/// One more than the largest number that the digits, read without the point, may form: 30 of them.
const DIGITS_END: u128 = 10_u128.pow(30);

/// Longer texts are refused unread.
const LONGEST_TEXT: usize = 80;

/// A number that is not negative, of at most 30 digits, [`MAX_PLACES`] of them behind the point. Equal numbers
/// are equal however they were written: `1.50`, `1.5` and `15e-1` are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The number without its point.
    digits: u128,
    /// Digits behind the point; the last of them is never 0.
    places: u32,
}

/// Why a text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDecimal {
    /// Not a number as JSON writes it.
    #[error("not a number")]
    NotANumber,
    /// Below zero, or written as if.
    #[error("negative")]
    Negative,
    /// More digits than an amount of money has.
    #[error("too many digits")]
    TooLong,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self { digits: 0, places: 0 };

    /// The number `digits / 10^places`, unless that has too many digits.
    pub fn new(digits: u128, places: u32) -> Option<Self> {
        if digits == 0 {
            return Some(Self::ZERO);
        }
        let mut number = Self { digits, places };
        while number.places > 0 && number.digits.is_multiple_of(10) {
            number.digits /= 10;
            number.places -= 1;
        }
        (number.digits < DIGITS_END && number.places <= MAX_PLACES).then_some(number)
    }

    /// Reads a number as JSON writes it: `49.99`, `1e-3`.
    ///
    /// # Errors
    /// [`BadDecimal`].
    pub fn parse(text: &str) -> Result<Self, BadDecimal> {
        if text.len() > LONGEST_TEXT {
            return Err(BadDecimal::TooLong);
        }
        let (unsigned, negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, Some(power)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let well_formed = is_digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && fraction.is_none_or(is_digits)
            && power.is_none_or(|power| is_digits(power.strip_prefix(['+', '-']).unwrap_or(power)));
        if !well_formed {
            return Err(BadDecimal::NotANumber);
        }
        if negative {
            return Err(BadDecimal::Negative);
        }
        let all = format!("{whole}{}", fraction.unwrap_or_default());
        let short = all.trim_end_matches('0');
        if short.is_empty() {
            return Ok(Self::ZERO);
        }
        let cut = all.len().saturating_sub(short.len());
        let digits: u128 = short.parse().map_err(|_| BadDecimal::TooLong)?;
        let power: i64 = power.map_or(Ok(0), str::parse).map_err(|_| BadDecimal::TooLong)?;
        let length = |text: usize| i64::try_from(text).map_err(|_| BadDecimal::TooLong);
        // The number is digits · 10^shift.
        let shift = power
            .checked_add(length(cut)?)
            .and_then(|shift| shift.checked_sub(length(fraction.map_or(0, str::len)).ok()?))
            .ok_or(BadDecimal::TooLong)?;
        let by = u32::try_from(shift.unsigned_abs()).map_err(|_| BadDecimal::TooLong)?;
        let number = if shift < 0 {
            Self::new(digits, by)
        } else {
            ten_to(by).and_then(|factor| digits.checked_mul(factor)).and_then(|digits| Self::new(digits, 0))
        };
        number.ok_or(BadDecimal::TooLong)
    }

    /// Reads the text of a JSON value: a number, or a string that holds one.
    ///
    /// # Errors
    /// [`BadDecimal`]; of every other kind of value, [`BadDecimal::NotANumber`].
    pub fn from_json(raw: &str) -> Result<Self, BadDecimal> {
        if raw.starts_with('"') {
            let text: Cow<'_, str> = serde_json::from_str(raw).map_err(|_| BadDecimal::NotANumber)?;
            return Self::parse(&text);
        }
        Self::parse(raw)
    }

    /// Digits behind the point: 2 for `49.99`, 1 for `49.50`.
    pub const fn places(self) -> u32 {
        self.places
    }

    /// The number without its point: 4999 for `49.99`.
    pub const fn digits(self) -> u128 {
        self.digits
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// The number as a whole count of `10^-places`, if it is one and fits.
    pub fn in_units(self, places: u32) -> Option<u128> {
        ten_to(places.checked_sub(self.places)?)?.checked_mul(self.digits)
    }

    /// The number with what stands behind the `places`-th digit after the point cut off.
    #[must_use]
    pub fn floor_to(self, places: u32) -> Self {
        let cut = self.places.saturating_sub(places);
        ten_to(cut).and_then(|divisor| Self::new(self.digits / divisor, self.places - cut)).unwrap_or(self)
    }
}

/// A member of a JSON object as an exact decimal: from a number, or from a string that holds one. `None` if it
/// is missing or `null`, or if the text is no object; of a member given twice the last counts.
///
/// # Errors
/// [`BadDecimal`] if it is there and no such number.
pub fn field(object: &[u8], name: &str) -> Result<Option<Decimal>, BadDecimal> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(object).unwrap_or_default();
    match members.get(name).map(|raw| raw.get()) {
        None | Some("null") => Ok(None),
        Some(raw) => Decimal::from_json(raw).map(Some),
    }
}

/// `10^power`, if it fits.
pub(crate) fn ten_to(power: u32) -> Option<u128> {
    10_u128.checked_pow(power)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Whole part and fraction apart: brought to one number of places, both could be too large.
        let parts = |number: &Self| {
            let unit = ten_to(number.places).unwrap_or(1);
            let rest = ten_to(MAX_PLACES.saturating_sub(number.places)).unwrap_or(1);
            (number.digits / unit, (number.digits % unit) * rest)
        };
        parts(self).cmp(&parts(other))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<u64> for Decimal {
    fn from(whole: u64) -> Self {
        Self { digits: u128::from(whole), places: 0 }
    }
}

impl FromStr for Decimal {
    type Err = BadDecimal;

    fn from_str(text: &str) -> Result<Self, BadDecimal> {
        Self::parse(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = ten_to(self.places).unwrap_or(1);
        match usize::try_from(self.places) {
            Ok(places) if places > 0 => {
                write!(f, "{}.{:0places$}", self.digits / unit, self.digits % unit)
            }
            _ => write!(f, "{}", self.digits),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// From JSON text, number or string. Not behind `#[serde(flatten)]` or in an untagged enum: those keep numbers
/// as floats first.
impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(raw.get()).map_err(de::Error::custom)
    }
}

/// As text.
impl ToSql for Decimal {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for Decimal {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// A JSON number without fraction, however it was written; far beyond any amount it is cut off.
pub fn whole_number(number: &serde_json::Number) -> Option<i128> {
    if let Some(whole) = number.as_i64() {
        return Some(i128::from(whole));
    }
    if let Some(whole) = number.as_u64() {
        return Some(i128::from(whole));
    }
    let float = number.as_f64().filter(|float| float.is_finite() && float.fract() == 0.0)?;
    // The text of a float without fraction is its exact decimal value.
    let end = if float > 0.0 { i128::MAX } else { i128::MIN };
    Some(format!("{float:.0}").parse().unwrap_or(end))
}

#[cfg(test)]
mod tests;
