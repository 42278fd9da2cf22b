//! The members of a body, one by one, each by its rule.
//!
//! Texts are kept as they are given, HTML too: they are answered as JSON, and whoever shows them escapes them. Control
//! characters are refused, but for line breaks and tabs where a text may have several lines.

use std::str::FromStr;

use serde_json::Value;

use super::error::AgentError;
use crate::http::body::{JsonObject, web_address};

type Checked<T> = Result<T, AgentError>;

/// Characters of an address.
const URL_LEN: usize = 2_048;

/// Whether a text has one line or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    One,
    Several,
}

/// The members of a body. What is `null` is not there.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a JsonObject);

impl Fields<'_> {
    /// A text; an empty one is none.
    pub(super) fn text(self, name: &'static str, longest: usize, lines: Lines) -> Checked<Option<String>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) if fits(text, longest, lines) => Ok(Some(text.clone())),
            Some(_) => {
                let how = if lines == Lines::One { " on one line" } else { "" };
                Err(wrong(format!(
                    "{name} must be a text of at most {longest} characters{how}, without control characters"
                )))
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed(self, name: &'static str, longest: usize, lines: Lines) -> Checked<String> {
        self.text(name, longest, lines)?.ok_or_else(|| wrong(format!("{name} is required")))
    }

    /// Hex digits of a certain length, in small or capital letters.
    pub(super) fn hex<T: FromStr>(self, name: &'static str, slug: &'static str, digits: usize) -> Checked<T> {
        let text = self.0.get(name).and_then(Value::as_str);
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| AgentError::invalid(slug, format!("{name} must be {digits} hex digits")))
    }

    /// A whole number within bounds.
    pub(super) fn number(
        self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Checked<Option<u64>> {
        let given = match self.0.get(name) {
            None => return Ok(None),
            Some(value) => value.as_u64(),
        };
        match given.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (least, most) = (range.start(), range.end());
                Err(wrong(format!("{name} must be a whole number from {least} to {most}")))
            }
        }
    }

    /// An address of the web.
    pub(super) fn link(self, name: &'static str) -> Checked<Option<String>> {
        let Some(text) = self.text(name, URL_LEN, Lines::One)? else { return Ok(None) };
        match web_address(text.trim()) {
            Some(url) => Ok(Some(url.to_string())),
            None => Err(AgentError::invalid("invalid_url", format!("{name} must be a web address"))),
        }
    }

    /// Short texts, as an array or as one text with commas between them; each once.
    pub(super) fn list(self, name: &'static str, most: usize, longest: usize) -> Checked<Vec<String>> {
        let bad = || {
            wrong(format!("{name} must be a list of at most {most} texts of at most {longest} characters"))
        };
        let texts: Vec<String> = match self.0.get(name) {
            None => Vec::new(),
            Some(Value::String(text)) => split(text),
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(|item| item.trim().to_owned()).ok_or_else(bad);
                items.iter().map(text).collect::<Checked<_>>()?
            }
            Some(_) => return Err(bad()),
        };
        let mut kept = Vec::new();
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            if !fits(&text, longest, Lines::One) {
                return Err(bad());
            }
            if !kept.contains(&text) {
                kept.push(text);
            }
        }
        if kept.len() > most { Err(bad()) } else { Ok(kept) }
    }
}

/// Texts between commas.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn fits(text: &str, longest: usize, lines: Lines) -> bool {
    let allowed = |letter: char| {
        !letter.is_control() || (lines == Lines::Several && matches!(letter, '\n' | '\r' | '\t'))
    };
    text.chars().count() <= longest && text.chars().all(allowed)
}

pub(super) fn wrong(message: String) -> AgentError {
    AgentError::invalid("invalid_field", message)
}
