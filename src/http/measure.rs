//! Counts and times requests, by the route's pattern: paths hold ids, and some ids are secrets.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::telemetry::metrics::{HTTP_REQUESTS, HTTP_SECONDS};

/// The label of what no route answers.
const NO_ROUTE: &str = "none";

/// Measures every request to `router`, its fallback included. Add it last, so that it is outermost.
pub fn everywhere(router: Router) -> Router {
    router.layer(middleware::from_fn(measure))
}

async fn measure(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let status = response.status();
    metrics::counter!(HTTP_REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status.as_str().to_owned())
        .increment(1);
    metrics::histogram!(HTTP_SECONDS, "route" => route.to_owned()).record(began.elapsed());
    response
}

/// A stranger may invent methods, but no labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    #[tokio::test]
    async fn the_pattern_is_counted_and_never_the_path() {
        metrics::install().unwrap();
        let app = everywhere(Router::new().route("/measured/{secret}", get(|| async {})));
        for (method, path) in
            [("GET", "/measured/hunter2"), ("BREW", "/measured/hunter2"), ("GET", "/nowhere/hunter2")]
        {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap();
        }
        let page = metrics::render();
        assert!(!page.contains("hunter2"), "{page}");
        for line in [
            r#"satchel_http_requests_total{method="GET",route="/measured/{secret}",status="200"} 1"#,
            r#"satchel_http_requests_total{method="other",route="/measured/{secret}",status="405"} 1"#,
            r#"satchel_http_requests_total{method="GET",route="none",status="404"} 1"#,
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
