//! Requests to the GraphQL Admin API of one shop: with a token, within the rate limit, bounded in time and size.
//!
//! [`Client::ask`] is for questions, which may be asked again; [`Client::tell`] for what changes something, which is
//! sent again only where it is certain that it was not carried out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::API_VERSION;
use super::error::{ShopifyError, clean};
use super::graphql::Query;
use super::throttle::{Bucket, Cost};
use super::token::Tokens;
use crate::config;
use crate::core::ids::Secret;
use crate::core::time::Clock;
use crate::outbound::fetch::{FetchError, GuardedClient, read_body};

/// Bytes of an answer; the largest we ask for are a few hundred kilobytes.
const LARGEST: usize = 8 * 1_024 * 1_024;

/// How often a request is sent while Shopify asks us to wait.
const THROTTLED_TRIES: u32 = 8;

/// The pause after a query that cost more than the bucket had.
const THROTTLED_PAUSE: Duration = Duration::from_millis(500);

/// How often a question is asked that got no answer.
const ASK_TRIES: u32 = 3;

/// The pause before it is asked again; each further one is doubled.
const ASK_PAUSE: Duration = Duration::from_millis(500);

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One shop's API.
pub(super) struct Client {
    http: GuardedClient,
    url: String,
    tokens: Tokens,
    bucket: Mutex<Bucket>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    errors: Option<Value>,
    #[serde(default)]
    extensions: Option<Value>,
}

/// What one attempt came to.
enum Attempt {
    Done(Value),
    /// The token was not taken.
    Unauthorised,
    /// It was not carried out; how long to wait.
    Wait(Duration),
}

impl Client {
    pub(super) fn new(http: GuardedClient, base: &str, shop: &config::Shopify, clock: Clock) -> Self {
        Self {
            http: http.clone(),
            url: format!("{base}/admin/api/{API_VERSION}/graphql.json"),
            tokens: Tokens::new(http, base, shop, clock),
            bucket: Mutex::default(),
        }
    }

    /// Asks a question, a few times if there is no answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        query: Query,
        variables: &Value,
    ) -> Result<T, ShopifyError> {
        let mut tries = 1;
        loop {
            match self.tell(query, variables).await {
                Err(error) if error.is_passing() && tries < ASK_TRIES => {
                    tokio::time::sleep(ASK_PAUSE.saturating_mul(2_u32.saturating_pow(tries))).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// Sends something once. An error says whether it is [certain](ShopifyError::is_certain) that nothing was done.
    pub(super) async fn tell<T: DeserializeOwned>(
        &self,
        query: Query,
        variables: &Value,
    ) -> Result<T, ShopifyError> {
        let (mut renewed, mut tries) = (false, 1);
        loop {
            let token = self.tokens.get().await?;
            let wait = self.bucket().take(query.name, Instant::now());
            tokio::time::sleep(wait).await;
            match self.attempt(query, variables, &token).await? {
                Attempt::Done(data) => {
                    return serde_json::from_value(data)
                        .map_err(|error| ShopifyError::Nonsense(clean(&error.to_string())));
                }
                Attempt::Unauthorised => {
                    self.tokens.refused(&token).await;
                    if renewed {
                        return Err(ShopifyError::Credentials(401));
                    }
                    renewed = true;
                }
                Attempt::Wait(wait) => {
                    if tries >= THROTTLED_TRIES {
                        return Err(ShopifyError::Throttled);
                    }
                    tries += 1;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        query: Query,
        variables: &Value,
        token: &Secret,
    ) -> Result<Attempt, ShopifyError> {
        let request = self
            .http
            .request(Method::POST, &self.url)?
            .header("accept", "application/json")
            .header("x-shopify-access-token", token.expose())
            .json(&json!({ "query": query.text, "variables": variables }));
        let response = sent(request).await?;
        match response.status().as_u16() {
            200 => {}
            401 => return Ok(Attempt::Unauthorised),
            429 => return Ok(Attempt::Wait(retry_after(&response))),
            403 => return Err(ShopifyError::Denied("HTTP status 403".into())),
            status => return Err(ShopifyError::Status(status)),
        }
        let body = body_of(response, LARGEST).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| ShopifyError::NotJson)?;
        let cost = answer.extensions.as_ref().and_then(|extensions| extensions.get("cost"));
        if let Some(cost) = cost.and_then(|cost| Cost::deserialize(cost).ok()) {
            self.bucket().learn(query.name, &cost, Instant::now());
        }
        match answer.errors.as_ref().and_then(first_error) {
            None => {}
            // What the answer said of the bucket tells how long besides.
            Some((code, _)) if code == "THROTTLED" => return Ok(Attempt::Wait(THROTTLED_PAUSE)),
            Some((code, message)) => {
                let message =
                    if self.tokens.are_in(&message, token) { String::new() } else { clean(&message) };
                return Err(of_code(&code, message, answer.data.is_some_and(|data| !data.is_null())));
            }
        }
        match answer.data {
            Some(data @ Value::Object(_)) => Ok(Attempt::Done(data)),
            _ => Err(ShopifyError::Nonsense("there is no data in it".into())),
        }
    }

    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Code and message of the first error of an answer, if there is any.
fn first_error(errors: &Value) -> Option<(String, String)> {
    let first = match errors {
        Value::Null => return None,
        Value::Array(all) => all.first()?,
        other => other,
    };
    let code = first.pointer("/extensions/code").and_then(Value::as_str).unwrap_or_default();
    let message = first.get("message").and_then(Value::as_str).or_else(|| first.as_str());
    Some((code.to_owned(), message.unwrap_or("no reason is given").to_owned()))
}

fn of_code(code: &str, message: String, has_data: bool) -> ShopifyError {
    match code {
        // With data beside it the mutation may have been carried out, and only what it answers is denied.
        "ACCESS_DENIED" if !has_data => ShopifyError::Denied(message),
        "SHOP_INACTIVE" => ShopifyError::Denied("the shop is not active".into()),
        "MAX_COST_EXCEEDED" => ShopifyError::Refused(message),
        // What the schema refuses is refused before anything is done.
        "INVALID_VARIABLE" | "BAD_REQUEST" | "argumentLiteralsIncompatible" | "undefinedField"
            if !has_data =>
        {
            ShopifyError::Refused(message)
        }
        _ => ShopifyError::Failed(message),
    }
}

/// Sends a request; tells apart whether it can have arrived.
pub(super) async fn sent(request: RequestBuilder) -> Result<Response, ShopifyError> {
    request.send().await.map_err(|error| {
        let connecting = error.is_connect();
        match FetchError::from(error) {
            FetchError::Refused => ShopifyError::Address(crate::outbound::guard::BadUrl::Refused),
            _ if connecting => ShopifyError::Unreachable,
            FetchError::TimedOut => ShopifyError::TimedOut,
            _ => ShopifyError::Broken,
        }
    })
}

pub(super) async fn body_of(response: Response, largest: usize) -> Result<Vec<u8>, ShopifyError> {
    read_body(response, largest).await.map_err(|error| match error {
        FetchError::TooLarge => ShopifyError::TooLarge,
        FetchError::TimedOut => ShopifyError::TimedOut,
        _ => ShopifyError::Broken,
    })
}

/// What `Retry-After` says, in seconds with or without a point; two without it.
fn retry_after(response: &Response) -> Duration {
    let text = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let secs = text.and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(2.0);
    Duration::try_from_secs_f64(secs).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}
