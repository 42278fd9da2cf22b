//! What is sold, and what opens it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Content, PATH, Prices, api};
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::limits::{LimitSettings, Limits};
use crate::services::l402::tests::shape;
use crate::services::l402::tests::test_seller::TestSeller;
use crate::storage::Store;

/// The routes, and a challenger whose customers pay.
struct Shop {
    router: Router,
    seller: TestSeller,
    _folder: tempfile::TempDir,
}

fn off() -> LimitSettings {
    let window = Duration::from_secs(60);
    LimitSettings { enabled: false, window, write: 0, read: 0, key_write: 0, key_read: 0 }
}

fn shop() -> Shop {
    priced(Prices { each: 10, bundle: 50 }, true)
}

fn priced(prices: Prices, enabled: bool) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
    let seller = TestSeller::open(&store, Clock::manual(1_800_000_000_000), enabled);
    let content = Content::new(None, prices, seller.l402.clone());
    let (router, _) = api::router(content, &Arc::new(Limits::new(off())), &Arc::new(Proxies::default()));
    Shop { router, seller, _folder: folder }
}

async fn ask(shop: &Shop, path: &str, shown: &str) -> (u16, Value) {
    let request = Request::get(path).header("authorization", shown).body(Body::empty()).unwrap();
    let response = shop.router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn pay(shop: &Shop, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let asked = shop.router.clone().oneshot(request).await.unwrap();
    assert_eq!(asked.status(), 402);
    shop.seller.token(asked.headers())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_free_and_tells_what_each_costs() {
    let (status, list) = ask(&shop(), PATH, "").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_document_opens_for_its_own_price_only() {
    let shop = shop();
    let (halvings, other) = (format!("{PATH}/halvings"), format!("{PATH}/what-is-l402"));
    let shown = pay(&shop, &halvings).await;
    let (status, body) = ask(&shop, &halvings, &shown).await;
    assert_eq!(
        (status, &body["format"], &body["content"]["halvings"][0]["year"]),
        (200, &json!("json"), &json!(2012))
    );
    assert_eq!(ask(&shop, &other, &shown).await.0, 402);
    assert_eq!(ask(&shop, &format!("{PATH}/bundle"), &shown).await.0, 402);
    let (status, body) = ask(&shop, &format!("{PATH}/nothing"), &shown).await;
    assert_eq!((status, &body["code"]), (404, &json!("CONTENT_NOT_FOUND")));
    assert_eq!(body["instance"], format!("{PATH}/nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_sold_now_says_which() {
    let shop = shop();
    shop.seller.node.running.store(false, Ordering::SeqCst);
    for path in [format!("{PATH}/halvings"), format!("{PATH}/bundle")] {
        let (status, body) = ask(&shop, &path, "").await;
        assert_eq!(
            (status, &body["error"], &body["instance"]),
            (503, &json!("node_unavailable"), &json!(path))
        );
    }
}

/// The challenger of a test takes a million at most.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_costs_more_than_can_be_asked_for() {
    let shop = priced(Prices { each: 2_000_000, bundle: 5_000_000 }, true);
    let list = ask(&shop, PATH, "").await.1;
    assert_eq!(
        (&list["items"][1]["priceSats"], &list["bundle"]["priceSats"]),
        (&json!(1_000_000), &json!(1_000_000))
    );
    for path in [format!("{PATH}/bundle"), format!("{PATH}/sats-and-msats")] {
        let (status, body) = ask(&shop, &path, "").await;
        assert_eq!((status, &body["l402"]["amount_sats"]), (402, &json!(1_000_000)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_nothing_is_sold_and_the_list_is_there() {
    let shop = priced(Prices { each: 10, bundle: 50 }, false);
    assert_eq!(ask(&shop, PATH, "").await.0, 200);
    for path in [format!("{PATH}/halvings"), format!("{PATH}/bundle")] {
        let (status, body) = ask(&shop, &path, "").await;
        assert_eq!((status, &body["error"], &body["status"]), (403, &json!("l402_not_enabled"), &json!(403)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_opens_everything() {
    let shop = shop();
    let bundle = format!("{PATH}/bundle");
    let shown = pay(&shop, &bundle).await;
    let (status, body) = ask(&shop, &bundle, &shown).await;
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 3));
    for slug in ["halvings", "what-is-l402", "sats-and-msats"] {
        let (status, body) = ask(&shop, &format!("{PATH}/{slug}"), &shown).await;
        assert_eq!((status, &body["slug"]), (200, &json!(slug)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_as_the_document_s_sample_does() {
    let shop = shop();
    for path in ["bundle", "halvings"].map(|slug| format!("{PATH}/{slug}")) {
        let (status, body) = ask(&shop, &path, "").await;
        assert_eq!(status, 402);
        shape::is_problem(&body, 402, &path);
    }
    let missing = format!("{PATH}/nothing");
    shape::is_problem(&ask(&shop, &missing, "").await.1, 404, &missing);
    let limits = Arc::new(Limits::new(off()));
    let content = Content::new(None, Prices { each: 10, bundle: 50 }, shop.seller.l402.clone());
    let document =
        serde_json::to_value(api::router(content, &limits, &Arc::new(Proxies::default())).1).unwrap();
    shape::describes(
        &document,
        &[
            ("get", "/api/l402/content", &[]),
            ("get", "/api/l402/content/bundle", &[]),
            ("get", "/api/l402/content/{slug}", &["slug"]),
        ],
    );
    // The challenger can't take money now.
    shop.seller.node.running.store(false, std::sync::atomic::Ordering::SeqCst);
    let path = format!("{PATH}/sats-and-msats");
    shape::is_problem(&ask(&shop, &path, "").await.1, 503, &path);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_may_show_what_it_paid() {
    let shop = shop();
    let router = crate::http::cors::everywhere(shop.router.clone());
    for path in ["bundle", "halvings"].map(|slug| format!("{PATH}/{slug}")) {
        let request = Request::options(path)
            .header("origin", "https://page.example")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .body(Body::empty())
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["access-control-allow-origin"]),
            (200, &"*".parse().unwrap())
        );
        let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("Authorization"), "{allowed}");
    }
}
