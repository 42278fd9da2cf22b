//! Verify codes: four digits that a recipient must know. What keeps strangers from guessing is the lock beside this file.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::error::GiftError;
use crate::core::decimal::whole_number;

/// The largest code.
const LARGEST: u16 = 9_999;

/// Digits of a code.
const DIGITS: usize = 4;

/// A code of a gift, 0000 to 9999.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyCode(u16);

impl VerifyCode {
    /// Reads the code of a new gift: a JSON number of four digits or a text of exactly four.
    ///
    /// # Errors
    /// [`GiftError::CodeNotNumber`], then [`GiftError::CodeBadLength`].
    pub fn read(value: &Value) -> Result<Self, GiftError> {
        match value {
            Value::Number(number) => {
                let whole = whole_number(number).ok_or(GiftError::CodeBadLength)?;
                match u16::try_from(whole) {
                    Ok(code @ 1_000..=LARGEST) => Ok(Self(code)),
                    _ => Err(GiftError::CodeBadLength),
                }
            }
            Value::String(text) => Self::read_text(text),
            _ => Err(GiftError::CodeNotNumber),
        }
    }

    /// Reads the code of a new gift from a query.
    ///
    /// # Errors
    /// As [`VerifyCode::read`].
    pub fn read_text(text: &str) -> Result<Self, GiftError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(GiftError::CodeNotNumber);
        }
        if text.len() != DIGITS {
            return Err(GiftError::CodeBadLength);
        }
        text.parse().map(Self).map_err(|_| GiftError::CodeBadLength)
    }

    /// As it stands in a link: always four digits.
    pub fn digits(self) -> String {
        format!("{:04}", self.0)
    }

    /// Whether this is what was given, in the same time for any answer.
    pub fn matches(self, given: Guess) -> bool {
        // What is no code at all is compared as a number that no code is.
        let given = given.0.unwrap_or(u16::MAX);
        bool::from(self.0.to_be_bytes().ct_eq(&given.to_be_bytes()))
    }
}

impl std::fmt::Debug for VerifyCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyCode(..)")
    }
}

impl Serialize for VerifyCode {
    /// A number, as the original service answered; with leading zeros a text, which alone can hold them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 >= 1_000 {
            serializer.serialize_u16(self.0)
        } else {
            serializer.serialize_str(&self.digits())
        }
    }
}

impl ToSql for VerifyCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // Always as long, so that sealed it looks like any other.
        Ok(ToSqlOutput::from(self.digits()))
    }
}

impl FromSql for VerifyCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::read_text(value.as_str()?).map_err(|_| FromSqlError::InvalidType)
    }
}

/// What somebody gave as a code: compared as a number, so that 42 opens what 0042 locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guess(Option<u16>);

impl Guess {
    /// From a body; `null` and nothing are no guess.
    pub fn from_json(value: Option<&Value>) -> Option<Self> {
        match value? {
            Value::Null => None,
            Value::Number(number) => {
                Some(Self(whole_number(number).and_then(|whole| u16::try_from(whole).ok())))
            }
            Value::String(text) => Self::from_text(text),
            _ => Some(Self(None)),
        }
    }

    /// From a query; an empty text is no guess.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let digits = text.len() <= DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self(if digits { text.parse().ok() } else { None }))
    }
}

impl std::fmt::Debug for Guess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guess(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn four_digits_as_number_or_text() {
        for (given, digits) in
            [(json!(1234), "1234"), (json!("0042"), "0042"), (json!("0000"), "0000"), (json!(1e3), "1000")]
        {
            assert_eq!(VerifyCode::read(&given).unwrap().digits(), digits, "{given}");
        }
        for given in
            [json!(42), json!(12345), json!(1.23), json!(-123), json!("123"), json!("00042"), json!(1e300)]
        {
            assert_eq!(VerifyCode::read(&given), Err(GiftError::CodeBadLength), "{given}");
        }
        for given in
            [json!(true), json!([1234]), json!({}), json!("12a4"), json!(""), json!("-123"), json!("+123")]
        {
            assert_eq!(VerifyCode::read(&given), Err(GiftError::CodeNotNumber), "{given}");
        }
    }

    #[test]
    fn a_guess_is_compared_as_a_number() {
        let code = VerifyCode::read(&json!("0042")).unwrap();
        for right in [json!("0042"), json!("42"), json!(42), json!(" 0042 "), json!(42.0)] {
            assert!(code.matches(Guess::from_json(Some(&right)).unwrap()), "{right}");
        }
        for wrong in
            [json!("0043"), json!("x"), json!(-42), json!(65578), json!(true), json!("000042"), json!(65535)]
        {
            assert!(!code.matches(Guess::from_json(Some(&wrong)).unwrap()), "{wrong}");
        }
        assert_eq!(Guess::from_json(Some(&Value::Null)), None);
        assert_eq!(Guess::from_json(None), None);
        assert_eq!(Guess::from_text(""), None);
    }

    #[test]
    fn the_code_prints_as_it_was_given_and_never_in_a_log() {
        let read = |value: Value| VerifyCode::read(&value).unwrap();
        assert_eq!(serde_json::to_string(&read(json!(1234))).unwrap(), "1234");
        assert_eq!(serde_json::to_string(&read(json!("0042"))).unwrap(), "\"0042\"");
        assert_eq!(format!("{:?}", read(json!(1234))), "VerifyCode(..)");
    }
}
