//! What handlers want to know of a request besides its body.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::Value;

use super::Api;
use crate::http::body::JsonObject;
use crate::http::client::Client;
use crate::http::extract::Params;
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::Caller;
use crate::http::limits::Meter;
use crate::services::gifts::codes::Guess;
use crate::services::gifts::error::GiftError;
use crate::services::gifts::ids::OrderId;

/// Gifts of one order that are counted as one request.
const GIFTS_A_REQUEST: u32 = 10;

/// Who asks.
pub(super) struct Asker {
    pub(super) client: Client,
    headers: HeaderMap,
    meter: Option<Meter>,
    caller: Option<Caller>,
}

impl FromRequestParts<Api> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let client = api.proxies.client(&parts.extensions, &parts.headers);
        let (meter, caller) = (parts.extensions.get().cloned(), parts.extensions.get().cloned());
        Ok(Self { client, headers: parts.headers.clone(), meter, caller })
    }
}

impl Asker {
    /// The `Idempotency-Key` of a request about a gift, whose id nobody else has.
    pub(super) fn once_for(
        &self,
        id: OrderId,
        route: &str,
        body: &JsonObject,
    ) -> Result<Option<IdempotencyKey>, GiftError> {
        Ok(IdempotencyKey::read(&self.headers, &format!("gift {id}"), route, &body.raw)?)
    }

    /// The request's `Idempotency-Key`. Without an API key it must be one that nobody guesses.
    pub(super) fn once(&self, route: &str, body: &JsonObject) -> Result<Option<IdempotencyKey>, GiftError> {
        Ok(IdempotencyKey::read_for_anybody(&self.headers, self.caller.as_ref(), "gifts", route, &body.raw)?)
    }

    /// Counts a batch on the asker's quota: ten gifts weigh as much as one request.
    pub(super) fn pay_for(&self, quantity: u32) -> Result<(), GiftError> {
        let more = quantity.div_ceil(GIFTS_A_REQUEST).saturating_sub(1);
        let Some(meter) = self.meter.as_ref().filter(|_| more > 0) else { return Ok(()) };
        meter.take(more).map_err(|retry_after| GiftError::TooMany { retry_after })
    }
}

/// What was given as a gift's code.
pub(super) fn guess(params: &Params) -> Option<Guess> {
    Guess::from_text(&params.get("verifyCode")?)
}

/// The gift that a path names. What can't be an id names none.
pub(super) fn order_id(text: &str) -> Result<OrderId, GiftError> {
    text.parse().map_err(|_| GiftError::NotFound)
}

/// A text in a body.
pub(super) fn text(body: &JsonObject, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}
