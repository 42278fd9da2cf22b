//! Any page may call the public APIs, so every answer says so: errors, 404 and 429 too.
//!
//! Nothing here is authorised by a cookie, which is what makes `*` harmless.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;

/// The list that clients of the original APIs were written against.
const ALLOWED_HEADERS: &str = "Origin, X-Requested-With, Content-Type, Accept";

/// What a browser is told when it asks beforehand: all that our routes read, keys and proofs of payment among it.
const ALLOWED_BY_PREFLIGHT: &str = "Origin, X-Requested-With, Content-Type, Accept, Authorization, X-API-Key, Idempotency-Key, X-Idempotency-Key, X-Correlation-Id, X-Buyer-Location, Last-Event-ID";

/// What a page may read of an answer besides its body.
const EXPOSED_HEADERS: &str = "WWW-Authenticate, Payment-Receipt, Retry-After, X-Next-Cursor, X-Correlation-Id, X-Idempotency-Replayed, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Content-Disposition, Location, Allow";

/// On an answer to `OPTIONS` that was no preflight: a request like any other, whose 405 says what it says.
#[derive(Clone, Copy, Debug)]
pub struct NoPreflight;

/// Puts the headers on every answer of `router`, its fallback included, and answers `OPTIONS` on a defined
/// route with 200 and what is allowed there.
pub fn everywhere(router: Router) -> Router {
    router.layer(middleware::from_fn(apply))
}

async fn apply(request: Request, next: Next) -> Response {
    let asked = *request.method() == Method::OPTIONS;
    let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| asked).cloned();
    let mut response = next.run(request).await;
    let refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    if asked && refused && response.extensions().get::<NoPreflight>().is_none() {
        // The router puts the route's `Allow` on it afterwards.
        response = Response::default();
    }
    if let Some(method) = wanted.filter(|_| response.status() == StatusCode::OK) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_BY_PREFLIGHT));
        // Those that a page may use anyway need no leave.
        if ![b"GET".as_slice(), b"HEAD", b"POST"].contains(&method.as_bytes()) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        }
    }
    dress(&mut response);
    response
}

/// The headers alone, for an answer that no router gave.
pub(super) fn dress(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    // A route that takes more says so itself.
    headers.entry(ACCESS_CONTROL_ALLOW_HEADERS).or_insert(HeaderValue::from_static(ALLOWED_HEADERS));
    headers.entry(ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(HeaderValue::from_static(EXPOSED_HEADERS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::{get, post};
    use tower::ServiceExt;

    async fn ask(method: Method, path: &str) -> Response {
        ask_for(method, path, "").await
    }

    async fn ask_for(method: Method, path: &str, wanted: &str) -> Response {
        async fn fine() {}
        async fn broken() -> StatusCode {
            StatusCode::TOO_MANY_REQUESTS
        }
        let router = Router::new()
            .route("/read", get(fine))
            .route("/both", get(fine).post(fine))
            .route("/write", post(broken))
            .fallback(|| async { StatusCode::NOT_FOUND })
            .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED });
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        if !wanted.is_empty() {
            request.headers_mut().insert(ACCESS_CONTROL_REQUEST_METHOD, wanted.parse().unwrap());
        }
        everywhere(router).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn every_answer_is_open_to_any_page() {
        let cases = [
            (Method::GET, "/read", StatusCode::OK),
            (Method::POST, "/write", StatusCode::TOO_MANY_REQUESTS),
            (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
            (Method::GET, "/write", StatusCode::METHOD_NOT_ALLOWED),
            (Method::OPTIONS, "/write", StatusCode::OK),
            (Method::OPTIONS, "/nowhere", StatusCode::NOT_FOUND),
        ];
        for (method, path, status) in cases {
            let answer = ask(method, path).await;
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
            assert_eq!(answer.headers()["access-control-allow-headers"], ALLOWED_HEADERS);
        }
    }

    #[tokio::test]
    async fn preflight_names_the_headers_that_keys_need() {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let answer = ask_for(Method::OPTIONS, "/both", method).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
            for name in [
                "Authorization",
                "X-API-Key",
                "Idempotency-Key",
                "X-Idempotency-Key",
                "X-Correlation-Id",
                "Content-Type",
            ] {
                assert!(allowed.split(", ").any(|one| one == name), "{name}: {allowed}");
            }
            let methods = answer.headers().get("access-control-allow-methods").map(HeaderValue::as_bytes);
            let needed = (!matches!(method, "GET" | "POST")).then_some(method.as_bytes());
            assert_eq!(methods, needed);
        }
        let answer = ask(Method::GET, "/read").await;
        let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("X-Next-Cursor") && exposed.contains("WWW-Authenticate"), "{exposed}");
    }

    #[tokio::test]
    async fn options_lists_the_methods_of_the_route() {
        for (path, methods) in [("/read", "GET,HEAD"), ("/both", "GET,HEAD,POST"), ("/write", "POST")] {
            let answer = ask(Method::OPTIONS, path).await;
            assert_eq!(answer.headers()["allow"], methods);
        }
    }
}
