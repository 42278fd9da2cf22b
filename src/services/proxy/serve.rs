//! A request to a proxy, from the path it came on to the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::cache::Live;
use super::concurrency::ConcurrencyPermit;
use super::error::ProxyError;
use super::forward::{Answer, Call};
use super::glob::Letters;
use super::path::CleanPath;
use super::price::Methods;
use super::view::path_of;
use super::{PaidProxies, headers};
use crate::http::client::Client;
use crate::http::limits::Class;
use crate::services::l402::{Admission, PaymentLease, Price};

/// What all paths of proxies begin with.
pub(in crate::services) const PREFIX: &str = "/l402/proxy/";

/// Bytes of a query.
const QUERY: usize = 8 * 1_024;

/// Answers to a browser that asks whether it may ask are good for so long.
const PREFLIGHT_SECS: HeaderValue = HeaderValue::from_static("600");

/// What browsers may send if they don't say what they want.
const ALLOWED: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, Accept");

impl PaidProxies {
    /// Takes a request: refuses it, asks for money, or passes it on and gives the upstream's answer.
    ///
    /// # Errors
    /// Every [`ProxyError`]. Those of the upstream (502, 504) leave what was paid good for another try.
    pub async fn serve(&self, client: Client, request: Request) -> Result<Response, ProxyError> {
        let (parts, body) = request.into_parts();
        let declared = body.size_hint().lower();
        let within = self.rules().request_timeout;
        let prepared = tokio::time::timeout(within, self.prepare(client, &parts, declared));
        let ready = match prepared.await {
            Ok(Ok(Prepared::Ready(ready))) => *ready,
            Ok(Ok(Prepared::Answered(response))) => return Ok(response),
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => return Err(ProxyError::Unavailable),
        };
        let call = Call { method: parts.method, url: ready.url, headers: parts.headers, body };
        // Not before the challenger: whoever hasn't paid would take the places of those who have.
        let payment = ready.lease.as_ref().map(|lease| lease.admitted().payment_hash.into());
        let permit = self.0.concurrency.begin(ready.live.proxy.id, payment).ok_or(ProxyError::Busy);
        let Some(lease) = ready.lease else {
            return self.pass_on(&ready.live, call, permit).await.map(Answer::into_response);
        };
        // Whoever hangs up while we wait gets back what they paid, as if the upstream had failed.
        let mut answer = match self.pass_on(&ready.live, call, permit).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(proxy = ready.live.proxy.public_id, %error, "a request got no answer");
                lease.release().await;
                return Err(error);
            }
        };
        if let Some(error) = answer.wants_money() {
            tracing::warn!(
                proxy = ready.live.proxy.public_id,
                "an upstream answers 402 to what was paid for"
            );
            lease.release().await;
            return Err(error);
        }
        if answer.is_failure() {
            lease.release().await;
            return Ok(answer.into_response());
        }
        let admitted = lease.admitted().clone();
        answer.was_bought(lease, Arc::clone(&self.0.closing));
        let mut response = answer.into_response();
        admitted.add_headers(response.headers_mut());
        Ok(response)
    }

    /// Asks the upstream, if there is room for one more request.
    async fn pass_on(
        &self,
        live: &Live,
        call: Call,
        permit: Result<ConcurrencyPermit, ProxyError>,
    ) -> Result<Answer, ProxyError> {
        let permit = permit?;
        let mut answer = self.forward(live, call).await?;
        answer.hold(permit);
        Ok(answer)
    }

    /// All that happens before the upstream is asked. `declared` is what the body says of its length.
    async fn prepare(&self, client: Client, request: &Parts, declared: u64) -> Result<Prepared, ProxyError> {
        if !self.rules().enabled {
            return Err(ProxyError::NotEnabled);
        }
        let (id, raw) = split(request.uri.path()).ok_or(ProxyError::ProxyNotFound)?;
        let live = self.live(id).await.and_then(|live| match live.proxy.in_service() {
            true => Ok(live),
            false => Err(ProxyError::ProxyNotFound),
        });
        if is_preflight(&request.method, &request.headers) {
            // Where there is nothing, the page may ask all the same: else it could not read that.
            let methods = live.map_or_else(|_| Methods::default(), |live| live.methods.clone());
            return Ok(Prepared::Answered(preflight(&methods, &request.headers)));
        }
        let live = live?;
        if !live.methods.allows(&request.method) {
            return Err(ProxyError::MethodNotAllowed(Some(live.methods.clone())));
        }
        let path = CleanPath::read(raw)?;
        self.count_unpaid(client, &request.headers)?;
        let letters = Letters::of(path.matched());
        if !live.tariff.offers(&letters) {
            return Err(ProxyError::PathForbidden);
        }
        let query = request.uri.query();
        if query.is_some_and(|query| query.len() > QUERY) {
            return Err(ProxyError::invalid("invalid_query", "the query is too long"));
        }
        if !headers::fit(&request.headers) {
            return Err(ProxyError::HeadersTooLarge);
        }
        if headers::goes_round(&request.headers) {
            return Err(ProxyError::Loop);
        }
        if declared > self.rules().max_request_bytes {
            return Err(ProxyError::BodyTooLarge);
        }
        let url = self.0.targets.url(&live.proxy.target_url, &path, query).map_err(|error| match error {
            // The operator's list has changed, not the request.
            ProxyError::Invalid { code: "invalid_target", .. } => {
                ProxyError::BadGateway("The service behind this proxy is not at a public address")
            }
            other => other,
        })?;
        let quote = live.tariff.quote(&request.method, &letters);
        if quote.sats == 0 {
            let allowance = self.0.quotas.check(Class::Read, client);
            if let Some(retry_after) = allowance.retry_after {
                return Err(ProxyError::TooMany(retry_after));
            }
            return Ok(Prepared::Ready(Box::new(Ready { live, url, lease: None })));
        }
        let price = Price {
            resource: format!("{}{}", path_of(&live.proxy.public_id), path.sent()),
            product: Some(live.proxy.public_id.clone()),
            sats: quote.sats,
            description: quote.says.unwrap_or(&live.proxy.name).to_owned(),
            account: live.proxy.account,
            lifetime: live.proxy.token_validity_secs.map(Duration::from_secs),
            bundle: None,
        };
        match self.0.challenger.admit(client, &request.headers, &price).await {
            Admission::Paid(lease) => Ok(Prepared::Ready(Box::new(Ready { live, url, lease: Some(lease) }))),
            Admission::Refused(response) => Ok(Prepared::Answered(response)),
        }
    }
}

impl PaidProxies {
    /// Counts a request that shows no good credential, before an owner's patterns are tried on it.
    fn count_unpaid(&self, client: Client, headers: &HeaderMap) -> Result<(), ProxyError> {
        if self.0.challenger.has_paid(headers) {
            return Ok(());
        }
        self.0.unpaid.take(client).map_err(ProxyError::TooMany)
    }
}

enum Prepared {
    Answered(Response),
    Ready(Box<Ready>),
}

struct Ready {
    live: Arc<Live>,
    url: url::Url,
    lease: Option<PaymentLease>,
}

/// The id and the rest of a path: `/l402/proxy/{id}{rest}`, as they stand there.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (id, rest) = rest.split_at_checked(end)?;
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then_some((id, if rest.is_empty() { "/" } else { rest }))
}

/// A browser that asks whether a page may ask: it never pays, and shows no credential.
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(methods: &Methods, asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::try_from(methods.to_string()) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(ALLOWED);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_s_id_is_a_plain_segment() {
        for (path, found) in [
            ("/l402/proxy/p-1", Some(("p-1", "/"))),
            ("/l402/proxy/p-1/", Some(("p-1", "/"))),
            ("/l402/proxy/p-1/a/b", Some(("p-1", "/a/b"))),
            ("/l402/proxy/p-1//a", Some(("p-1", "//a"))),
            ("/l402/proxy/p-1%2fa", None),
            ("/l402/proxy/../a", None),
            ("/l402/proxy//a", None),
            ("/l402/proxy/p%2d1/a", None),
            ("/elsewhere", None),
        ] {
            assert_eq!(split(path), found, "{path}");
        }
    }
}
