//! The members of a body, one by one, each by its rule.

use serde_json::{Map, Value};

use super::{Checked, DESCRIPTION_LEN, PATTERN_LEN, URL_LEN, pattern};
use crate::http::body::web_address;
use crate::services::proxy::error::ProxyError;

/// The members of a body. What is `null` is not there.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl Fields<'_> {
    /// A text that is not empty, on one line.
    pub(super) fn text(self, name: &str, longest: usize) -> Checked<Option<String>> {
        let fits = |text: &str| text.chars().count() <= longest && !text.chars().any(char::is_control);
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if fits(text) => Ok(Some(text.clone())),
            Some(_) => {
                Err(wrong(format!("{name} must be a text of at most {longest} characters, on one line")))
            }
        }
    }

    /// A text that `null` or an empty one takes away.
    pub(super) fn clearable(self, name: &str, longest: usize) -> Checked<Option<Option<String>>> {
        if self.0.contains_key(name) { self.text(name, longest).map(Some) } else { Ok(None) }
    }

    /// A pattern for paths, with its slash.
    pub(super) fn path(self) -> Checked<Option<String>> {
        let Some(path) = self.text("path", PATTERN_LEN)? else { return Ok(None) };
        pattern("path", &path)?;
        Ok(Some(if path.starts_with('/') { path } else { format!("/{path}") }))
    }

    /// A text that may be left as it is, and not be taken away.
    pub(super) fn needed(
        self,
        name: &str,
        longest: usize,
        error: (&'static str, &'static str),
    ) -> Checked<Option<String>> {
        let Some(text) = self.clearable(name, longest)? else { return Ok(None) };
        match text.as_deref().map_or("", str::trim) {
            "" => Err(missing(error)),
            text => Ok(Some(text.to_owned())),
        }
    }

    /// A text for people, whose lines become one, and that `null` or an empty one takes away.
    pub(super) fn words(self, name: &str) -> Checked<Option<Option<String>>> {
        let Some(Value::String(text)) = self.0.get(name) else {
            return self.clearable(name, DESCRIPTION_LEN);
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = Map::from_iter([(name.to_owned(), Value::String(text))]);
        Fields(&line).clearable(name, DESCRIPTION_LEN)
    }

    pub(super) fn link(self, name: &str) -> Checked<Option<Option<String>>> {
        let Some(Some(text)) = self.clearable(name, URL_LEN)? else {
            return Ok(self.0.contains_key(name).then_some(None));
        };
        match web_address(&text) {
            Some(url) => Ok(Some(Some(url.to_string()))),
            None => Err(ProxyError::invalid("invalid_url", format!("{name} must be a web address"))),
        }
    }

    pub(super) fn number(self, name: &str, range: std::ops::RangeInclusive<u64>) -> Checked<Option<u64>> {
        let given = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match given.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (least, most) = (range.start(), range.end());
                Err(wrong(format!("{name} must be a whole number from {least} to {most}")))
            }
        }
    }

    pub(super) fn clearable_number(
        self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Checked<Option<Option<u64>>> {
        if self.0.contains_key(name) { self.number(name, range).map(Some) } else { Ok(None) }
    }

    pub(super) fn flag(self, name: &str) -> Checked<Option<bool>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(format!("{name} must be true or false"))),
        }
    }

    /// Texts, as an array or as one text with commas between them.
    pub(super) fn list(self, name: &str, most: usize, longest: usize) -> Checked<Option<Vec<String>>> {
        let bad = || {
            wrong(format!("{name} must be a list of at most {most} texts of at most {longest} characters"))
        };
        let texts: Vec<String> = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(|item| item.trim().to_owned()).ok_or_else(bad);
                items.iter().map(text).collect::<Checked<_>>()?
            }
            Some(_) => return Err(bad()),
        };
        let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let fits = |text: &String| text.chars().count() <= longest && !text.chars().any(char::is_control);
        if texts.len() <= most && texts.iter().all(fits) { Ok(Some(texts)) } else { Err(bad()) }
    }
}

pub(super) fn missing((code, message): (&'static str, &'static str)) -> ProxyError {
    ProxyError::invalid(code, message)
}

pub(super) fn wrong(message: String) -> ProxyError {
    ProxyError::invalid("invalid_field", message)
}
