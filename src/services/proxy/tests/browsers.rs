//! Pages of other sites: what they may ask, and what they can read.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::test_app::{Answer, TestApp, base, rules};
use crate::services::proxy::Rules;

/// A page can read the status, the body and these headers.
#[track_caller]
fn is_open(answer: &Answer, what: &str) {
    assert_eq!(
        answer.headers.get_all("access-control-allow-origin").iter().collect::<Vec<_>>(),
        ["*"],
        "{what}"
    );
    let exposed = answer.headers.get_all("access-control-expose-headers").iter();
    let exposed: Vec<_> = exposed.map(|names| names.to_str().unwrap()).collect();
    let ours = "WWW-Authenticate, Payment-Receipt, Retry-After";
    assert_eq!(exposed.iter().filter(|names| **names == ours).count(), 1, "{what}: {exposed:?}");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{what}");
}

async fn preflight(app: &TestApp, path: &str, origin: &str, method: &str) -> Answer {
    let request = Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,x-other")
        .body(Body::empty())
        .unwrap();
    app.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_can_read_every_answer() {
    let app = TestApp::with(Rules { max_in_flight: 1, ..rules() }).await;
    let id = app.sell(&json!({ "blockedPaths": ["/admin"], "allowedMethods": ["GET", "OPTIONS"] })).await;
    let body = json!({ "endpointId": "f", "path": "/free", "basePriceSats": 0 });
    assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    let (base, lies) = (base(&id), app.sell_lies(&json!({})).await);
    let ask = async |method: Method, path: &str, shown: &str| app.show(method, path, shown).await;
    let asked = ask(Method::GET, &format!("{base}/x"), "").await;
    assert_eq!(asked.headers.get_all("www-authenticate").iter().count(), 2);
    is_open(&asked, "402");
    let (token, once) = (app.settle(&asked), app.settle_once(&asked));
    let paid = ask(Method::GET, &format!("{base}/x"), &token).await;
    assert_eq!(paid.text, "GET /x");
    is_open(&paid, "paid with a token");
    let paid = ask(Method::GET, &format!("{base}/x"), &once).await;
    assert!(paid.headers.contains_key("payment-receipt"));
    is_open(&paid, "paid once");
    is_open(&ask(Method::GET, &format!("{base}/x"), &once).await, "used");
    for (method, path, status) in [
        (Method::GET, format!("{base}/free"), 200),
        (Method::GET, format!("{base}/admin"), 403),
        (Method::PUT, format!("{base}/x"), 405),
        (Method::GET, format!("{base}/a;b"), 400),
        (Method::GET, "/l402/proxy/none-1/x".into(), 404),
    ] {
        let answer = ask(method, &path, "").await;
        assert_eq!(answer.status, status, "{path}");
        is_open(&answer, &path);
    }
    for (path, status) in [("/reset", 502), ("/fine", 200)] {
        let path = format!("{lies}{path}");
        let answer = app.buy(Method::GET, &path).await;
        assert_eq!(answer.status, status);
        is_open(&answer, &path);
    }
    for (path, status) in [("/broken", 500), ("/greedy", 401), ("/none", 204)] {
        let answer = app.buy(Method::GET, &format!("{base}{path}")).await;
        assert_eq!(answer.status, status);
        is_open(&answer, path);
    }
    // What the service itself lets pages read stays, beside what we do.
    let greedy = app.buy(Method::GET, &format!("{base}/greedy")).await;
    let exposed: Vec<_> = greedy.headers.get_all("access-control-expose-headers").iter().collect();
    assert_eq!(exposed, ["x-kept", "WWW-Authenticate, Payment-Receipt, Retry-After"]);
    // No place is free.
    let hold = format!("{base}/hold");
    let shown = app.pay(Method::GET, &hold).await;
    let (busy, _) = tokio::join!(
        async {
            app.upstream.hears_of(app.upstream.hits() + 1).await;
            let busy = app.show(Method::GET, &hold, &shown).await;
            app.upstream.release(1);
            busy
        },
        app.show(Method::GET, &hold, &shown)
    );
    assert_eq!((busy.status, busy.headers["retry-after"].to_str().unwrap()), (503, "5"));
    is_open(&busy, "busy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_free_and_never_passed_on() {
    let app = TestApp::new().await;
    let one = app.sell(&json!({ "allowedMethods": ["GET", "POST"], "blockedPaths": ["/admin"] })).await;
    let retired = app.sell(&json!({})).await;
    app.post(&format!("/api/proxy/{retired}/unpublish"), &json!({})).await.ok();
    let all = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";
    for (path, methods) in [
        (format!("{}/x", base(&one)), "GET,POST"),
        (base(&one), "GET,POST"),
        (format!("{}/admin", base(&one)), "GET,POST"),
        // So that the page can read that there is nothing.
        (format!("{}/x", base(&retired)), all),
        ("/l402/proxy/none-1/x".into(), all),
    ] {
        for origin in ["https://page.example", "null"] {
            let answer = preflight(&app, &path, origin, "POST").await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
            assert_eq!(answer.headers["access-control-allow-origin"], "*");
            assert_eq!(answer.headers["access-control-allow-methods"], methods, "{path}");
            assert_eq!(answer.headers["access-control-allow-headers"], "authorization,x-other");
            assert_eq!(answer.headers["access-control-max-age"], "600");
            assert!(!answer.headers.contains_key("www-authenticate"));
        }
    }
    assert_eq!(app.upstream.hits(), 0);
    assert!(app.seller.node.preimages.lock().unwrap().is_empty(), "no invoice was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_is_no_preflight_is_sold_like_any_other() {
    let app = TestApp::new().await;
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(Request::options(path), |request, (name, value)| request.header(*name, *value));
        app.send(request.body(Body::empty()).unwrap()).await
    };
    for headers in [
        vec![],
        vec![("origin", "https://page.example")],
        vec![("access-control-request-headers", "authorization")],
        // No browser leaves out where it comes from.
        vec![("access-control-request-method", "GET")],
    ] {
        assert_eq!(ask(&path, &headers).await.status, 402, "{headers:?}");
    }
    let answer = app.buy(Method::OPTIONS, &path).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "OPTIONS /x"));
    // A 405 is one: the service's own, and ours.
    let refused = app.buy(Method::OPTIONS, &path.replace("/x", "/no-options")).await;
    assert_eq!((refused.status, refused.text.as_str()), (405, "not with this one"));
    let reader = format!("{}/x", base(&app.sell(&json!({ "allowedMethods": ["GET"] })).await));
    let refused = ask(&reader, &[]).await;
    assert_eq!((refused.status, refused.error().as_str()), (405, "method_not_allowed"));
    assert_eq!(refused.headers["allow"], "GET");
}
