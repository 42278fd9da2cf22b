//! Errors as `application/problem+json` (RFC 9457), with the members that older clients read beside them.
//!
//! A family words its errors and makes a [`Problem`] of each. Handlers and gates needn't know the path that was
//! asked: what they answer gets it from [`name_instance`] or [`correlate`], one of which lies around the routes.

use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use super::respond;

/// The media type of every problem.
pub const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What a problem's type begins with: programs written for the original services know it.
const TYPES: &str = "https://lightningenable.com/problems/";

/// What a request is called, by its caller or by us.
const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// The body of an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(example = "https://lightningenable.com/problems/invalid_amount")]
    kind: String,
    #[schema(example = "Bad Request")]
    title: &'static str,
    #[schema(example = 400)]
    status: u16,
    /// For people.
    detail: String,
    /// The path that was asked.
    instance: String,
    /// For programs, or the same as `title`: each family has its own habit.
    error: &'static str,
    /// The same as `detail`.
    message: String,
    /// For programs.
    #[schema(example = "INVALID_AMOUNT")]
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_plan: Option<&'static str>,
    /// What has to be done so that it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    action_required: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<TooManyView>,
    /// Of what is our fault: by this the operator finds it in the log.
    #[serde(rename = "correlationId", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    /// What else programs may want to know.
    #[serde(flatten)]
    #[schema(ignore)]
    more: serde_json::Map<String, serde_json::Value>,
    /// Seconds until another try makes sense.
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// How many requests were too many.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TooManyView {
    /// Requests in a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "60 seconds")]
    window: Option<String>,
    /// Seconds.
    retry_after: u64,
}

/// How any keyed route can fail besides its own refusals, for its description.
#[derive(IntoResponses)]
pub enum Failure {
    /// No API key, or one that is not valid
    #[response(status = 401, content_type = "application/problem+json")]
    Key(Problem),
    /// The API key lacks the scope
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Too many requests
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Problem),
    /// A bug, or the machine is broken
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// Something that is needed for it is down
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

impl Problem {
    /// A problem with this HTTP status. `code` is what programs compare; the body has it in capitals, the problem's
    /// type in small letters. `message` is shown to whoever asked.
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            kind: format!("{TYPES}{}", code.to_ascii_lowercase()),
            title,
            status: status.as_u16(),
            detail: message.to_owned(),
            instance: String::new(),
            error: title,
            message: message.to_owned(),
            code: code.to_ascii_uppercase(),
            current_plan: None,
            action_required: None,
            details: None,
            correlation_id: None,
            more: serde_json::Map::new(),
            retry_after: None,
        }
    }

    /// What stands in `error`, if it is not the title.
    pub fn error(self, error: &'static str) -> Self {
        Self { error, ..self }
    }

    /// What has to be done so that it is allowed; there are no plans to buy here.
    pub fn action_required(self, action: &'static str) -> Self {
        Self { current_plan: Some("none"), action_required: Some(action), ..self }
    }

    /// With a member more.
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// When another try makes sense, in seconds.
    pub fn retry_after(self, secs: u64) -> Self {
        Self { retry_after: Some(secs), ..self }
    }

    /// How many requests in what time were too many, if it was not all clients together, and in how many seconds the
    /// next may come.
    pub fn too_many(self, quota: Option<(u32, String)>, retry_after: u64) -> Self {
        let (limit, window) = quota.unzip();
        Self { details: Some(TooManyView { limit, window, retry_after }), ..self }.retry_after(retry_after)
    }

    /// The answer to whoever asked for this path.
    pub fn answer(mut self, path: &str) -> Response {
        path.clone_into(&mut self.instance);
        self.render()
    }

    fn render(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond::no_store(respond::json(status, self));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
        }
        if let Some(secs) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

/// Without the path; the answer carries the problem, so that whoever knows the path can put it in.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render();
        response.extensions_mut().insert(self);
        response
    }
}

/// Tells in the body of a problem which path was asked.
pub async fn name_instance(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    named(next.run(request).await, &path)
}

/// The same answer, which tells that this path was asked if it is a problem that doesn't yet.
pub fn named(response: Response, path: &str) -> Response {
    rewrite(response, |problem| path.clone_into(&mut problem.instance))
}

/// As [`name_instance`], and gives every answer the request's `X-Correlation-Id`, or a new one. What is our fault
/// tells it in the body too, and is logged with it.
pub async fn correlate(request: Request, next: Next) -> Response {
    let (path, correlation) = (request.uri().path().to_owned(), correlation(request.headers()));
    let response = next.run(request).await;
    let mut response = rewrite(response, |problem| {
        if problem.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(correlation_id = ?correlation, %path, "a request failed; see above");
            problem.correlation_id = correlation.to_str().ok().map(str::to_owned);
        }
        problem.instance = path;
    });
    response.headers_mut().insert(CORRELATION, correlation);
    response
}

/// The same answer with another body, if it is a problem's that doesn't know its path yet.
fn rewrite(mut response: Response, change: impl FnOnce(&mut Problem)) -> Response {
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        change(&mut problem);
        *response.body_mut() = problem.render().into_body();
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response
}

/// What the caller calls the request, if it is short and plain.
fn correlation(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let given = headers.get(CORRELATION).filter(plain).cloned();
    given.unwrap_or_else(|| {
        let minted = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
        minted.unwrap_or(HeaderValue::from_static("none"))
    })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn ask(router: Router, path: &str) -> (HeaderMap, String) {
        let request = Request::get(path).header(CORRELATION, "seven").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let headers = response.headers().clone();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_path_is_put_in_and_every_header_stays() {
        let busy = || async {
            let mut response = Problem::new(429, "slow_down", "Wait").too_many(None, 7).into_response();
            response.headers_mut().insert("x-ratelimit-limit", HeaderValue::from_static("2"));
            response
        };
        let router = Router::new().route("/a/{b}", get(busy)).layer(from_fn(name_instance));
        let (headers, body) = ask(router, "/a/b?c=d").await;
        let expected = r#"{"type":"https://lightningenable.com/problems/slow_down","title":"Too Many Requests","status":429,"detail":"Wait","instance":"/a/b","error":"Too Many Requests","message":"Wait","code":"SLOW_DOWN","details":{"retryAfter":7}}"#;
        assert_eq!(body, expected);
        assert_eq!(headers["content-length"], expected.len().to_string());
        assert_eq!(headers["content-type"], PROBLEM);
        assert_eq!(headers["retry-after"], "7");
        assert_eq!(headers["x-ratelimit-limit"], "2");
    }

    #[tokio::test]
    async fn what_is_our_fault_is_told_with_the_request_s_name() {
        let router = Router::new()
            .route("/ours", get(|| async { Problem::new(500, "BROKEN", "Alas") }))
            .route("/theirs", get(|| async { Problem::new(400, "BROKEN", "Alas") }))
            .route("/fine", get(|| async { "fine" }))
            .layer(from_fn(correlate));
        for (path, told) in [("/ours", true), ("/theirs", false), ("/fine", false)] {
            let (headers, body) = ask(router.clone(), path).await;
            assert_eq!(headers["x-correlation-id"], "seven");
            assert_eq!(body.ends_with(r#","code":"BROKEN","correlationId":"seven"}"#), told, "{body}");
        }
    }
}
