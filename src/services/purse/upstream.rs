//! Requests to services, behind the address guard: bounded in time and size, without redirects.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};

use super::request::FetchRequest;
use super::{PurseError, Rules};
use crate::outbound::fetch::{FetchError, GuardedClient, NoClient, StreamSettings, read_body};
use crate::outbound::guard::Guard;

/// How we name ourselves, if the caller doesn't say otherwise.
const OUR_NAME: HeaderValue = HeaderValue::from_static(concat!("satchel/", env!("CARGO_PKG_VERSION")));

/// Connections to one host that are kept for the next request.
const IDLE_CONNECTIONS: usize = 8;

/// What asks services.
pub(super) struct Upstream {
    client: GuardedClient,
    time: Duration,
    max_answer: usize,
}

/// What a service answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Upstream {
    pub(super) fn new(guard: &Guard, rules: &Rules) -> Result<Self, NoClient> {
        let settings = StreamSettings {
            connect_timeout: rules.answer_time.min(Duration::from_secs(10)),
            idle_connections: IDLE_CONNECTIONS,
        };
        Ok(Self {
            client: guard.streaming_client(settings)?,
            time: rules.answer_time,
            max_answer: rules.max_answer,
        })
    }

    /// Sends a request once. A redirect is an answer like any other.
    pub(super) async fn send(
        &self,
        request: &FetchRequest,
        credential: Option<&HeaderValue>,
    ) -> Result<Answer, PurseError> {
        let asked = tokio::time::timeout(self.time, self.exchange(request, credential)).await;
        asked.unwrap_or(Err(FetchError::TimedOut)).map_err(told)
    }

    async fn exchange(
        &self,
        request: &FetchRequest,
        credential: Option<&HeaderValue>,
    ) -> Result<Answer, FetchError> {
        let mut headers = request.headers.clone();
        headers.entry(USER_AGENT).or_insert(OUR_NAME);
        if let Some(credential) = credential {
            headers.insert(AUTHORIZATION, credential.clone());
        }
        let asked = self.client.request_url(request.method.clone(), request.url.clone())?.headers(headers);
        let asked = if request.body.is_empty() { asked } else { asked.body(request.body.clone()) };
        let response = asked.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: read_body(response, self.max_answer).await? })
    }
}

fn told(error: FetchError) -> PurseError {
    let (status, code) = match error {
        FetchError::Url(bad) => return PurseError::invalid("INVALID_URL", bad.to_string()),
        FetchError::TimedOut => (504, "UPSTREAM_TIMEOUT"),
        FetchError::TooLarge => (502, "ANSWER_TOO_LARGE"),
        // What leads inside is no different from what is down, to whoever asks.
        FetchError::Refused
        | FetchError::Unreachable
        | FetchError::Status(_)
        | FetchError::NotJson
        | FetchError::Redirects
        | FetchError::Downgrade => (502, "UPSTREAM_UNREACHABLE"),
    };
    PurseError::Upstream { status, code, message: error.to_string() }
}
