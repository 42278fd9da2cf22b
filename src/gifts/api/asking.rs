//! What handlers want to know of a request besides its body.

use axum::extract::{FromRequestParts, Path, RawQuery};
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
use crate::http::limits::Meter;

/// Gifts of one order that are counted as one request.
const GIFTS_A_REQUEST: u32 = 10;

/// Who asks.
pub(super) struct Asker {
    pub(super) client: Client,
    headers: HeaderMap,
    meter: Option<Meter>,
}

impl FromRequestParts<Api> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let client = api.proxies.client(&parts.extensions, &parts.headers);
        Ok(Self { client, headers: parts.headers.clone(), meter: parts.extensions.get().cloned() })
    }
}

impl Asker {
    /// The request's `Idempotency-Key`. One client's keys are nothing to another.
    pub(super) fn once(&self, route: &str, body: &JsonObject) -> Result<Option<Ask>, GiftError> {
        Ok(Ask::read(&self.headers, &format!("gifts {}", self.client), route, &body.raw)?)
    }

    /// Counts a batch on the asker's quota: ten gifts weigh as much as one request.
    pub(super) fn pay_for(&self, quantity: u32) -> Result<(), GiftError> {
        let more = quantity.div_ceil(GIFTS_A_REQUEST).saturating_sub(1);
        let Some(meter) = self.meter.as_ref().filter(|_| more > 0) else { return Ok(()) };
        meter.take(more).map_err(|retry_after| GiftError::TooMany { retry_after })
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

/// The id in a path. One that isn't text at all is empty, which names nothing: so every route says in its
/// own family's words that there is no such thing.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(read.map(|Path(id)| id).unwrap_or_default()))
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
