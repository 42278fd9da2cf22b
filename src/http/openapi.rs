//! The API's description: one document of all families, and a page that shows it without any outside host.
//!
//! Families annotate their handlers with `utoipa` and hand their part over; nothing is written by hand twice.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Server};

use super::respond;

const PAGE: &str = include_str!("docs/index.html");
const SCRIPT: &str = include_str!("docs/docs.js");
const STYLE: &str = include_str!("docs/docs.css");

/// The page loads its own script and style and the document, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How a key is shown.
const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";
const NO_SCOPES: [&str; 0] = [];

/// One document out of the families' parts. Of two parts with the same path and method the first wins.
pub fn merge(title: &str, description: &str, parts: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let info =
        InfoBuilder::new().title(title).description(Some(description)).version(env!("CARGO_PKG_VERSION"));
    let mut whole = OpenApiBuilder::new().info(info).build();
    for part in parts {
        whole.merge(part);
    }
    // Where a part says nothing itself a key may be shown, either way, and need not.
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
    let components = whole.components.get_or_insert_default();
    components.add_security_scheme(BEARER, bearer);
    components.add_security_scheme(API_KEY, header);
    let none = SecurityRequirement::default();
    whole.security = Some(std::iter::once(none).chain(a_key()).collect());
    whole
}

/// Says where the API is reached.
pub fn served_at(mut whole: OpenApi, public_url: &str) -> OpenApi {
    whole.servers = Some(vec![Server::new(public_url.trim_end_matches('/'))]);
    whole
}

/// Says of each operation of a part whether it needs a key: those do that can be refused with 401.
pub fn keyed(mut part: OpenApi) -> OpenApi {
    for item in part.paths.paths.values_mut() {
        operations(item).for_each(|operation| {
            let keyed = operation.responses.responses.contains_key("401");
            operation.security = Some(if keyed { a_key() } else { Vec::new() });
        });
    }
    part
}

fn a_key() -> Vec<SecurityRequirement> {
    vec![SecurityRequirement::new(BEARER, NO_SCOPES), SecurityRequirement::new(API_KEY, NO_SCOPES)]
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

/// `/openapi.json`, and the page at `/docs`.
///
/// # Errors
/// The document can't be written as JSON: a bug in a schema, found at start.
pub fn routes(document: &OpenApi) -> serde_json::Result<Router> {
    let json = Bytes::from(serde_json::to_vec(document)?);
    Ok(Router::new()
        .route(
            "/openapi.json",
            get(move || std::future::ready(respond::json_bytes(StatusCode::OK, json.clone()))),
        )
        .route("/docs", get(|| std::future::ready(asset("text/html; charset=utf-8", PAGE))))
        .route("/docs/docs.js", get(|| std::future::ready(asset("text/javascript; charset=utf-8", SCRIPT))))
        .route("/docs/docs.css", get(|| std::future::ready(asset("text/css; charset=utf-8", STYLE)))))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let mut response = respond::typed(StatusCode::OK, HeaderValue::from_static(content_type), text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;
    use utoipa_axum::router::OpenApiRouter;
    use utoipa_axum::routes;

    #[utoipa::path(get, path = "/a", responses((status = 200, description = "A")))]
    async fn a() {}

    #[utoipa::path(post, path = "/b", responses((status = 200, description = "B"), (status = 401, description = "No key")))]
    async fn b() {}

    #[tokio::test]
    async fn the_document_has_every_part_and_the_page_only_its_own_assets() {
        let (_, first) = OpenApiRouter::<()>::default().routes(routes!(a)).split_for_parts();
        let (_, second) = OpenApiRouter::<()>::default().routes(routes!(b)).split_for_parts();
        let whole = merge("Satchel", "All of it", [first, keyed(second)]);
        let app = super::routes(&served_at(whole, "https://a.example/pay/")).unwrap();
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
        };
        let document: serde_json::Value = serde_json::from_str(&ask("/openapi.json").await).unwrap();
        assert_eq!(document["info"]["title"], "Satchel");
        assert_eq!(document["servers"], serde_json::json!([{ "url": "https://a.example/pay" }]));
        assert!(document["paths"]["/a"]["get"].is_object() && document["paths"]["/b"]["post"].is_object());
        assert!(document["paths"]["/a"]["get"]["security"].is_null(), "as for all");
        assert_eq!(document["security"][0], serde_json::json!({}));
        let keys = serde_json::json!([{ "bearer": [] }, { "apiKey": [] }]);
        assert_eq!(document["paths"]["/b"]["post"]["security"], keys);
        assert!(document["components"]["securitySchemes"]["apiKey"].is_object());
        let page = ask("/docs").await;
        // Relative, so that they are found below any path at which a front proxy serves us.
        for asset in ["docs/docs.js", "docs/docs.css"] {
            assert!(page.contains(&format!("\"{asset}\"")), "{page}");
            ask(&format!("/{asset}")).await;
        }
        assert!(page.contains("\"openapi.json\"") && SCRIPT.contains("fetch(\"openapi.json\")"));
        assert!(!page.contains("//") || !page.contains("http"), "no outside host");
        assert!(!SCRIPT.contains("innerHTML"));
    }
}
