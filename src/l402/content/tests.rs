//! What is sold, and what opens it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Content, PATH, Prices, api};
use crate::http::client::Proxies;
use crate::http::limits::{LimitSettings, Limits};
use crate::l402::L402;

fn router() -> Router {
    let window = Duration::from_secs(60);
    let off = LimitSettings { enabled: false, window, write: 0, read: 0, key_write: 0, key_read: 0 };
    let content = Content::new(None, Prices { each: 10, bundle: 50 }, L402::default());
    api::router(content, &Arc::new(Limits::new(off)), &Arc::new(Proxies::default())).0
}

async fn ask(router: &Router, path: &str, shown: &str) -> (u16, Value) {
    let request = Request::get(path).header("authorization", shown).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn pay(router: &Router, path: &str) -> String {
    let (status, body) = ask(router, path, "").await;
    assert_eq!(status, 402);
    format!("L402 {}:00", body["l402"]["macaroon"].as_str().unwrap())
}

#[tokio::test]
async fn the_list_is_free_and_tells_what_each_costs() {
    let (status, list) = ask(&router(), PATH, "").await;
    assert_eq!(status, 200);
    assert_eq!(
        list["items"][0],
        json!({
            "slug": "halvings",
            "title": "The halvings until now",
            "description": "Blocks at which the subsidy fell, as data",
            "priceSats": 3,
            "url": "/api/l402/content/halvings",
        })
    );
    assert_eq!(list["items"][1]["priceSats"], 10, "one that says no price costs what is configured");
    assert_eq!(list["bundle"], json!({ "priceSats": 50, "url": "/api/l402/content/bundle" }));
}

#[tokio::test]
async fn a_document_opens_for_its_own_price_only() {
    let router = router();
    let (halvings, other) = (format!("{PATH}/halvings"), format!("{PATH}/what-is-l402"));
    let shown = pay(&router, &halvings).await;
    let (status, body) = ask(&router, &halvings, &shown).await;
    assert_eq!(
        (status, &body["format"], &body["content"]["halvings"][0]["year"]),
        (200, &json!("json"), &json!(2012))
    );
    assert_eq!(ask(&router, &other, &shown).await.0, 402);
    assert_eq!(ask(&router, &format!("{PATH}/bundle"), &shown).await.0, 402);
    let (status, body) = ask(&router, &format!("{PATH}/nothing"), &shown).await;
    assert_eq!((status, &body["code"]), (404, &json!("CONTENT_NOT_FOUND")));
}

#[tokio::test]
async fn the_bundle_opens_everything() {
    let router = router();
    let bundle = format!("{PATH}/bundle");
    let shown = pay(&router, &bundle).await;
    let (status, body) = ask(&router, &bundle, &shown).await;
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 3));
    for slug in ["halvings", "what-is-l402", "sats-and-msats"] {
        let (status, body) = ask(&router, &format!("{PATH}/{slug}"), &shown).await;
        assert_eq!((status, &body["slug"]), (200, &json!(slug)));
    }
}
