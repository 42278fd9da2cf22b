//! The document's operations on proxies and manifests, one by one: members and their kinds, names and defaults of
//! parameters, status codes.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::test_app::{TestApp, base, rules};
use crate::services::l402::tests::shape;
use crate::services::proxy::Rules;
use crate::services::proxy::price::METHODS;

const REGISTRY: &str = "/api/manifests/registry";
const VALIDATE: &str = "/api/manifests/validate";

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_proxied_request_is_like_the_document_s_sample() {
    let app = TestApp::with(Rules { max_request_bytes: 10, ..rules() }).await;
    let base = base(&app.sell(&json!({ "blockedPaths": ["/admin"], "timeout": 1 })).await);
    let reader =
        format!("{}/x", super::test_app::base(&app.sell(&json!({ "allowedMethods": ["GET"] })).await));
    let lies = app.sell_lies(&json!({ "timeout": 1 })).await;
    for method in METHODS {
        let path = format!("{base}/{method}");
        let asked = app.show(method.clone(), &path, "").await;
        assert_eq!(
            (asked.status, asked.headers["content-type"].to_str().unwrap()),
            (402, "application/problem+json")
        );
        if method != Method::HEAD {
            shape::is_problem(&asked.json(), 402, &path);
            let offer = json!({
                "macaroon": "", "invoice": "", "amount_sats": 0, "payment_hash": "", "expires_at": "", "resource": "",
            });
            shape::is(&asked.json()["l402"], &offer, &[]);
        }
        // A key of this server, even a wrong one, is neither needed nor in the way.
        for key in [app.owner.as_str(), "nobody's"] {
            assert_eq!(app.manage(method.clone(), key, &path, None).await.status, 402);
        }
    }
    for (method, path, status) in [
        (Method::GET, format!("{base}/a;b"), 400),
        (Method::GET, format!("{base}/admin"), 403),
        (Method::GET, "/l402/proxy/none-1/x".into(), 404),
        (Method::PATCH, reader, 405),
    ] {
        shape::is_problem(&app.show(method, &path, "").await.json(), status, &path);
    }
    for (path, status) in [("/reset", 502), ("/hang", 504)] {
        let path = format!("{lies}{path}");
        shape::is_problem(&app.buy(Method::GET, &path).await.json(), status, &path);
    }
    let path = format!("{base}/large");
    let request = Request::post(&path).body(Body::from(vec![b'x'; 11])).unwrap();
    shape::is_problem(&app.send(request).await.json(), 413, &path);
    app.seller.node.running.store(false, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let path = format!("{base}/later");
    let none = app.show(Method::GET, &path, "").await;
    assert_eq!(none.headers["retry-after"], "5");
    shape::is_problem(&none.json(), 503, &path);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_there_or_a_problem() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let settings = format!("/api/proxy/{id}/manifest/settings");
    for rest in ["/.well-known/l402-manifest.json", "/openapi.json"] {
        let path = format!("{}{rest}", base(&id));
        for key in ["", app.owner.as_str(), "nobody's"] {
            assert_eq!(app.manage(Method::GET, key, &path, None).await.status, 200);
        }
        app.put(&settings, &json!({ "manifestEnabled": false })).await.ok();
        // The path is the service's then, and sold like any other.
        assert_eq!(app.manage(Method::GET, "", &path, None).await.status, 402);
        app.put(&settings, &json!({ "manifestEnabled": true })).await.ok();
        let path = format!("/l402/proxy/none-1{rest}");
        shape::is_problem(&app.get(&path).await.json(), 404, &path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_has_the_document_s_parameters_and_defaults() {
    let app = TestApp::new().await;
    let look = async |query: &str| app.manage(Method::GET, "", &format!("{REGISTRY}{query}"), None).await;
    let empty = look("").await.ok();
    shape::is(&empty, &shape::registry(), &[]);
    assert_eq!((&empty["page"], &empty["pageSize"]), (&json!(1), &json!(20)));
    let id = app.sell(&json!({ "name": "Weather", "description": "Of tomorrow" })).await;
    let body = json!({ "manifestPubliclyListed": true, "categories": ["data"] });
    app.put(&format!("/api/proxy/{id}/manifest/settings"), &body).await.ok();
    let found = look("?q=weather&category=data&page=1&pageSize=7&more=x").await.ok();
    shape::is(&found, &shape::registry(), &[]);
    assert_eq!((&found["total"], &found["page"], &found["pageSize"]), (&json!(1), &json!(1), &json!(7)));
    let item = json!({
        "name": "", "description": "", "manifestUrl": "", "proxyBaseUrl": "", "documentationUrl": "",
        "parsedCategories": [""], "endpointCount": 0, "defaultPriceSats": 0,
    });
    shape::is(&found["items"][0], &item, &["documentationUrl"]);
    assert_eq!(look("?q=&category=").await.ok()["total"], 1, "nothing is everything");
    assert_eq!(look("?page=2").await.ok()["items"], json!([]));
    for query in ["?page=0", "?page=x", "?page=-1", "?pageSize=0", "?pageSize=101"] {
        let refused = look(query).await;
        assert_eq!(refused.status, 400, "{query}");
        shape::is_problem(&refused.json(), 400, REGISTRY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_can_be_validated() {
    let app = TestApp::new().await;
    for body in [Value::Null, json!(1), json!("text"), json!([]), json!({}), json!({ "version": "1.0" })] {
        for key in ["", app.owner.as_str(), "nobody's"] {
            let answer = app.manage(Method::POST, key, VALIDATE, Some(&body)).await;
            assert_eq!(answer.status, 200);
            shape::is(&answer.json(), &shape::validation(), &[]);
            assert!(answer.json()["errors"].as_array().unwrap().iter().all(Value::is_string));
        }
    }
    let none = app.manage(Method::POST, "", VALIDATE, None).await.ok();
    assert_eq!(none["valid"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_operation() {
    let app = TestApp::new().await;
    let document = app.description();
    let path = "/l402/proxy/{proxyId}/{path}";
    let both: &[&str] = &["proxyId", "path"];
    let sold =
        ["get", "head", "post", "put", "patch", "delete", "options"].map(|method| (method, path, both));
    shape::describes(&document, &sold);
    let page: &[&str] = &["page", "pageSize"];
    shape::describes(
        &document,
        &[
            ("get", "/l402/proxy/{proxyId}/.well-known/l402-manifest.json", &["proxyId"]),
            ("get", "/l402/proxy/{proxyId}/openapi.json", &["proxyId"]),
            ("get", REGISTRY, &["q", "category", "page", "pageSize"]),
            ("post", VALIDATE, &[]),
            ("post", "/api/proxy", &[]),
            ("get", "/api/proxy", page),
            ("get", "/api/proxy/{proxyId}", &["proxyId"]),
            ("put", "/api/proxy/{proxyId}", &["proxyId"]),
            ("delete", "/api/proxy/{proxyId}", &["proxyId"]),
            ("post", "/api/proxy/{proxyId}/unpublish", &["proxyId"]),
            ("post", "/api/proxy/{proxyId}/manifest/endpoints", &["proxyId"]),
            ("put", "/api/proxy/{proxyId}/manifest/settings", &["proxyId"]),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_sold_by_their_root_at_what_a_request_to_it_costs() {
    let app = TestApp::new().await;
    let list = async |more: &Value, endpoints: &[Value]| {
        let id = app.sell(more).await;
        let settings = format!("/api/proxy/{id}/manifest/settings");
        app.put(&settings, &json!({ "manifestPubliclyListed": true })).await.ok();
        for endpoint in endpoints {
            app.post(&format!("/api/proxy/{id}/manifest/endpoints"), endpoint).await.ok();
        }
        id
    };
    let plain = list(&json!({ "defaultPriceSats": 5, "tokenValiditySeconds": 60 }), &[]).await;
    let root = json!({ "endpointId": "all", "path": "/**", "httpMethod": "GET", "basePriceSats": 9 });
    let dearer = list(&json!({ "defaultPriceSats": 5 }), &[root]).await;
    let by_post = list(&json!({ "allowedMethods": ["POST"] }), &[]).await;
    list(&json!({ "allowedPaths": ["/data/**"] }), &[]).await;
    let sold = app.proxies.sold().await.unwrap();
    let told = |service: crate::services::proxy::SoldService| {
        (service.id, service.price_sat, service.token_validity_secs)
    };
    let sold: Vec<_> = sold.into_iter().map(told).collect();
    assert_eq!(sold, [(dearer, 9, None), (plain, 5, Some(60))], "what its root can't open is not offered");
    assert_eq!(app.proxies.sold_one(&sold[0].0).await.unwrap().map(told), Some(sold[0].clone()));
    for id in [by_post, "none-1".into(), app.sell(&json!({})).await] {
        assert!(app.proxies.sold_one(&id).await.unwrap().is_none(), "{id}");
    }
}
