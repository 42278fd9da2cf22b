//! Asks the upstream, and says in time when it gives no answer.
//!
//! Called only for what was paid for or is free. Whatever fails here before the answer has begun is 502 or 504, and
//! the caller gives back what was paid; what fails later breaks the connection off, as it must, and gives back too.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use url::Url;

use super::body::{Broken, Download, Progress, Upload};
use super::bought::Bought;
use super::cache::Live;
use super::concurrency::ConcurrencyPermit;
use super::error::ProxyError;
use super::view::path_of;
use super::{PaidProxies, headers, links};
use crate::outbound::fetch::FetchError;
use crate::services::l402::PaymentLease;

/// Bytes of an answer that are read before any of it is passed on: an upstream that breaks off within them, or says
/// more than it sends, is found out in time for a 502.
const FIRST_BYTES: usize = 64 * 1_024;

/// How long those may hold up an answer that says no length or a larger one.
const PATIENCE: Duration = Duration::from_millis(100);

const UNREACHABLE: ProxyError = ProxyError::BadGateway("The service behind this proxy can't be reached");
const BROKE_OFF: ProxyError = ProxyError::BadGateway("The service behind this proxy broke off its answer");
const REFUSED: ProxyError =
    ProxyError::BadGateway("The service behind this proxy is not at a public address");
const NO_HTTP: ProxyError = ProxyError::BadGateway("The service behind this proxy does not keep to HTTP");
const TOO_LARGE: ProxyError =
    ProxyError::BadGateway("The answer of the service behind this proxy is too large");

/// What to ask.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// An answer that has begun.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Download,
    upload: Arc<Progress>,
    bodiless: bool,
}

impl Answer {
    /// Whether the upstream itself says that it gives nothing: it failed, has too much to do, or doesn't take the
    /// owner's word for the caller, whose own it never hears.
    pub(super) fn is_failure(&self) -> bool {
        self.status.is_server_error() || matches!(self.status.as_u16(), 401 | 407 | 408 | 425 | 429)
    }

    /// What a caller who has paid here is told of an upstream that wants to be paid too: its 402 has a challenge that
    /// never passes, and would be taken for ours.
    pub(super) fn wants_money(&self) -> Option<ProxyError> {
        let why = ProxyError::BadGateway("The service behind this proxy wants to be paid by others");
        (self.status == StatusCode::PAYMENT_REQUIRED).then_some(why)
    }

    /// It counts as on its way until the last of it has passed.
    pub(super) fn hold(&mut self, permit: ConcurrencyPermit) {
        self.body.hold(permit);
    }

    /// It was paid for, which goes back if the service breaks the rest of it off.
    pub(super) fn was_bought(&mut self, payment: PaymentLease, closing: Arc<AtomicBool>) {
        let has_length = self.headers.contains_key(CONTENT_LENGTH);
        self.body.was_bought(Bought::new(payment, Arc::clone(&self.upload), closing, has_length));
    }

    /// The answer to whoever asked.
    pub(super) fn into_response(self) -> Response {
        let body = if self.bodiless { self.body.without_any() } else { self.body.into_body() };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers::downstream(&self.headers);
        response
    }
}

impl PaidProxies {
    /// Asks, and waits until the answer has begun.
    pub(super) async fn forward(&self, live: &Live, call: Call) -> Result<Answer, ProxyError> {
        let (rules, proxy) = (self.rules(), &live.proxy);
        let (upload, progress) = Upload::new(call.body, rules.max_request_bytes, rules.idle_timeout);
        let base = call.url.clone();
        let request = self.0.client.request_url(call.method.clone(), call.url).map_err(|_| REFUSED)?;
        let mut request = request.headers(headers::upstream(&call.headers, proxy.auth.as_ref()));
        if !axum::body::HttpBody::is_end_stream(&upload) {
            request = request.body(reqwest::Body::wrap(upload));
        }
        let timeout = Duration::from_secs(proxy.timeout_secs).min(rules.max_timeout);
        let answered = wait(request.send(), &progress, timeout).await?;
        let (parts, body) = axum::http::Response::<reqwest::Body>::from(answered).into_parts();
        if parts.status.is_informational() || !headers::fit(&parts.headers) {
            return Err(NO_HTTP);
        }
        let bodiless = call.method == Method::HEAD
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut body = Download::new(body, rules.max_answer_bytes, rules.idle_timeout.max(timeout));
        if !bodiless {
            let length = length(&parts.headers);
            if length.is_some_and(|length| length > rules.max_answer_bytes) {
                return Err(TOO_LARGE);
            }
            let first = u64::try_from(FIRST_BYTES).unwrap_or(u64::MAX);
            let patience = match length {
                Some(length) if length <= first => None,
                _ => Some(PATIENCE),
            };
            if !is_event_stream(&parts.headers) {
                body.begin(FIRST_BYTES, patience).await.map_err(|why| match why {
                    Broken::TooLarge => TOO_LARGE,
                    Broken::Stalled => ProxyError::GatewayTimeout,
                    Broken::Cut => BROKE_OFF,
                })?;
            }
        }
        let mut headers = parts.headers;
        let root = format!("{}{}", rules.base_path(), path_of(&proxy.public_id));
        links::relocate(&mut headers, &base, &proxy.target_url, &root);
        Ok(Answer { status: parts.status, headers, body, upload: progress, bodiless })
    }
}

/// Waits for an answer for as long as the request still moves, and then for `timeout`.
async fn wait(
    sending: impl Future<Output = reqwest::Result<reqwest::Response>>,
    progress: &Progress,
    timeout: Duration,
) -> Result<reqwest::Response, ProxyError> {
    let mut sending = pin!(sending);
    loop {
        let until = progress.last() + timeout;
        match tokio::time::timeout_at(until, sending.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => return Err(failure(error, progress)),
            Err(_elapsed) if progress.last() + timeout > until => {}
            Err(_elapsed) => return Err(ProxyError::GatewayTimeout),
        }
    }
}

/// What went wrong, without the upstream's address.
fn failure(error: reqwest::Error, progress: &Progress) -> ProxyError {
    match progress.broken() {
        Some(Broken::TooLarge) => return ProxyError::BodyTooLarge,
        Some(Broken::Stalled) => return ProxyError::Stalled,
        Some(Broken::Cut) => return ProxyError::invalid("body_cut", "the body ended too soon"),
        None => {}
    }
    match FetchError::from(error) {
        FetchError::Url(_) => REFUSED,
        FetchError::TimedOut => ProxyError::GatewayTimeout,
        _ => UNREACHABLE,
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// A stream of events may say nothing for long.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    named.trim_start().get(..17).is_some_and(|begin| begin.eq_ignore_ascii_case("text/event-stream"))
}
