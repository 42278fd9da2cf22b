//! One field of a body at a time: its type, its length, its form.

use serde_json::{Map, Number, Value};

pub use crate::http::body::Invalid;

/// Longest URL, in bytes.
const URL_LEN: usize = 2_000;

/// A field that the API knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name in the body.
    pub name: &'static str,
    /// The code of every rule about it.
    pub code: &'static str,
}

impl Field {
    pub(super) const fn new(name: &'static str, code: &'static str) -> Self {
        Self { name, code }
    }

    /// What is wrong with it: the name and `rule`.
    pub(super) fn broken(self, rule: impl std::fmt::Display) -> Invalid {
        Invalid { code: self.code, message: format!("{} {rule}", self.name) }
    }
}

/// A body. What is `null` is not there, and what nobody asks for does not matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn get(self, field: Field) -> Option<&'a Value> {
        self.0.get(field.name).filter(|value| !value.is_null())
    }

    /// A text that is not empty.
    pub(super) fn text(self, field: Field) -> Result<Option<&'a str>, Invalid> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(field.broken("must be a text")),
        }
    }

    /// A text that is not empty and has at most so many characters.
    pub(super) fn short_text(self, field: Field, longest: usize) -> Result<Option<String>, Invalid> {
        let text = self.text(field)?;
        text.map(|text| check_len(field, text, longest)).transpose()?;
        Ok(text.map(str::to_owned))
    }

    pub(super) fn flag(self, field: Field) -> Result<Option<bool>, Invalid> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(field.broken("must be true or false")),
        }
    }

    /// A whole number between two others. One beyond them all is as wrong as a fraction.
    pub(super) fn whole(self, field: Field, least: u64, most: u64) -> Result<u64, Invalid> {
        let value = self.get(field).ok_or_else(|| field.broken("is missing"))?;
        let Value::Number(number) = value else { return Err(field.broken("must be a number")) };
        whole_number(number)
            .filter(|whole| (least..=most).contains(whole))
            .ok_or_else(|| field.broken(format!("must be a whole number from {least} to {most}")))
    }

    /// An address of the web. Whether it may be called is the address guard's question.
    pub(super) fn url(self, field: Field) -> Result<Option<String>, Invalid> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        if text.len() > URL_LEN {
            return Err(field.broken(format!("must have at most {URL_LEN} bytes")));
        }
        let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let parsed = url::Url::parse(text).ok().filter(|_| clean);
        match parsed {
            Some(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Some(text.to_owned()))
            }
            _ => Err(field.broken("must be a URL that begins with http:// or https://")),
        }
    }
}

/// Whether a text has at most so many characters.
pub(super) fn check_len(field: Field, text: &str, longest: usize) -> Result<(), Invalid> {
    match text.chars().nth(longest) {
        None => Ok(()),
        Some(_) => Err(field.broken(format!("must have at most {longest} characters"))),
    }
}

/// A JSON number without fraction and sign, however it was written: `21`, `21.0`, `2.1e1`.
fn whole_number(number: &Number) -> Option<u64> {
    if let Some(whole) = number.as_u64() {
        return Some(whole);
    }
    let float = number.as_f64().filter(|float| float.is_finite() && float.fract() == 0.0)?;
    format!("{float:.0}").parse().ok()
}
