//! What handlers want to know of a request besides its body.

use axum::extract::{FromRequestParts, RawQuery};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::Value;

use super::Api;
use crate::gifts::codes::Guess;
use crate::gifts::error::GiftError;
use crate::gifts::ids::OrderId;
use crate::http::body::JsonObject;
use crate::http::client::Client;
use crate::http::idempotency::Ask;

/// Who asks.
pub(super) struct Asker {
    pub(super) client: Client,
    headers: HeaderMap,
}

impl FromRequestParts<Api> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let client = api.proxies.client(&parts.extensions, &parts.headers);
        Ok(Self { client, headers: parts.headers.clone() })
    }
}

impl Asker {
    /// The request's `Idempotency-Key`. One client's keys are nothing to another.
    pub(super) fn once(&self, route: &str, body: &JsonObject) -> Result<Option<Ask>, GiftError> {
        Ok(Ask::read(&self.headers, &format!("gifts {}", self.client), route, &body.raw)?)
    }
}

/// The query of a request; of a name given twice the first counts.
pub(super) struct Params(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let RawQuery(query) = RawQuery::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

impl Params {
    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let query = self.0.as_deref()?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    }

    /// What was given as a gift's code.
    pub(super) fn guess(&self) -> Option<Guess> {
        Guess::from_text(&self.get("verifyCode")?)
    }
}

/// The gift that a path names. What can't be an id names none.
pub(super) fn order_id(text: &str) -> Result<OrderId, GiftError> {
    text.parse().map_err(|_| GiftError::NotFound)
}

/// A text in a body.
pub(super) fn text(body: &JsonObject, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}
