//! Every row of the table of errors.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::test_app::{Setup, TIPS, TestApp, id, members};
use crate::http::keys::Scope;
use crate::http::limits::LimitSettings;

/// Every route of the family's own, with the methods it takes.
fn routes(tip: &str, group: &str) -> Vec<(String, &'static [&'static str])> {
    let link = "00000000-0000-4000-8000-000000000000";
    [
        (TIPS.to_owned(), ["GET", "POST"].as_slice()),
        (format!("{TIPS}/{tip}"), &["GET", "PUT", "DELETE"]),
        (format!("{TIPS}/{tip}/reclaim"), &["POST"]),
        (format!("{TIPS}/{tip}/generatePassphrase"), &["POST"]),
        (format!("{TIPS}/{tip}/markCopied"), &["POST"]),
        (format!("/api/tipGroups/{group}"), &["GET", "DELETE"]),
        (format!("/api/tipGroups/{group}/tips"), &["PUT"]),
        (format!("/api/tipGroups/{group}/reclaim"), &["POST"]),
        (format!("/api/tipGroups/{group}/static"), &["GET"]),
        ("/api/tippee/tips".into(), &["GET"]),
        (format!("/api/tippee/tips/{tip}"), &["GET"]),
        (format!("/api/tippee/tips/{tip}/live"), &["GET"]),
        (format!("/api/tippee/tips/{tip}/markSeen"), &["POST"]),
        (format!("/api/tippee/tips/{tip}/claim"), &["POST"]),
        ("/api/anonymous/tips".into(), &["GET"]),
        ("/api/invoices".into(), &["POST"]),
        ("/api/withdrawalLinks".into(), &["POST"]),
        (format!("/api/withdrawalLinks/{link}"), &["GET"]),
        (format!("/api/withdrawalLinks/{link}/pay"), &["GET"]),
        ("/api/users".into(), &["GET"]),
        ("/api/reminders".into(), &["GET", "POST"]),
        ("/api/tipper/webhookSecret".into(), &["GET"]),
    ]
    .into()
}

/// What needs somebody: method, path, body.
fn guarded(tip: &str, group: &str) -> Vec<(Method, String, Option<Value>)> {
    let mut all: Vec<_> = [
        (Method::GET, TIPS.to_owned()),
        (Method::GET, format!("{TIPS}/{tip}")),
        (Method::DELETE, format!("{TIPS}/{tip}")),
        (Method::POST, format!("{TIPS}/{tip}/reclaim")),
        (Method::POST, format!("{TIPS}/{tip}/generatePassphrase")),
        (Method::POST, format!("{TIPS}/{tip}/markCopied")),
        (Method::GET, format!("/api/tipGroups/{group}")),
        (Method::DELETE, format!("/api/tipGroups/{group}")),
        (Method::POST, format!("/api/tipGroups/{group}/reclaim")),
        (Method::GET, "/api/tippee/tips".into()),
        (Method::POST, format!("/api/tippee/tips/{tip}/claim")),
    ]
    .into_iter()
    .map(|(method, path)| (method, path, None))
    .collect();
    let body = Some(json!({"note": "x"}));
    all.push((Method::PUT, format!("{TIPS}/{tip}"), body.clone()));
    all.push((Method::PUT, format!("/api/tipGroups/{group}/tips"), body));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn status_400_names_the_rule_that_is_broken() {
    let app = TestApp::new().await;
    for (more, code) in [
        (json!({"amount": null}), "AMOUNT_INVALID"),
        (json!({"amount": "21"}), "AMOUNT_INVALID"),
        (json!({"amount": 0}), "AMOUNT_INVALID"),
        (json!({"amount": 1.5}), "AMOUNT_INVALID"),
        (json!({"amount": -21}), "AMOUNT_INVALID"),
        (json!({"amount": 2_100_001}), "AMOUNT_INVALID"),
        (json!({"amount": 2_079_003}), "TOTAL_TOO_LARGE"),
        (json!({"amount": 100_000, "quantity": 21}), "TOTAL_TOO_LARGE"),
        (json!({"quantity": null}), "QUANTITY_INVALID"),
        (json!({"quantity": 0}), "QUANTITY_INVALID"),
        (json!({"quantity": 501}), "QUANTITY_INVALID"),
        (json!({"quantity": "1"}), "QUANTITY_INVALID"),
        (json!({"expiry": null}), "EXPIRY_INVALID"),
        (json!({"expiry": "tomorrow"}), "EXPIRY_INVALID"),
        (json!({"expiry": 1_900_000_000}), "EXPIRY_INVALID"),
        (json!({"expiry": "2040-01-01T00:00:00.000Z"}), "EXPIRY_INVALID"),
        (json!({"onboardingFlow": "STANDARD"}), "ONBOARDING_FLOW_INVALID"),
        (json!({"note": "é".repeat(1_001)}), "NOTE_INVALID"),
        (json!({"note": 7}), "NOTE_INVALID"),
        (json!({"tippeeName": "x".repeat(51)}), "TIPPEE_NAME_INVALID"),
        (json!({"quantity": 2, "tippeeNames": "Bob"}), "TIPPEE_NAMES_INVALID"),
        (json!({"quantity": 2, "tippeeNames": ["x".repeat(51)]}), "TIPPEE_NAMES_INVALID"),
        (json!({"anonymousTipper": "yes"}), "ANONYMOUS_TIPPER_INVALID"),
        (json!({"generatePassphrase": true}), "PASSPHRASE_LENGTH_INVALID"),
        (json!({"generatePassphrase": true, "passphraseLength": 2}), "PASSPHRASE_LENGTH_INVALID"),
        (json!({"generatePassphrase": true, "passphraseLength": 7}), "PASSPHRASE_LENGTH_INVALID"),
        (json!({"claimWebhookUrl": "ftp://a.example"}), "CLAIM_WEBHOOK_URL_INVALID"),
        (json!({"claimWebhookUrl": "http://127.0.0.1/x"}), "CLAIM_WEBHOOK_URL_INVALID"),
        (json!({"withdrawWebhookUrl": "https://169.254.169.254/"}), "WITHDRAW_WEBHOOK_URL_INVALID"),
        (json!({"advertisementUrl": "https://a.example"}), "ADVERTISEMENT_INCOMPLETE"),
        (
            json!({"advertisementUrl": "javascript:x", "advertisementImageUrl": "x"}),
            "ADVERTISEMENT_URL_INVALID",
        ),
        (json!({"type": "NON_CUSTODIAL_NWC"}), "TYPE_NOT_SUPPORTED"),
        (json!({"type": "OTHER"}), "TYPE_INVALID"),
        (json!({"quantity": 2, "enableStaticLink": 1}), "ENABLE_STATIC_LINK_INVALID"),
    ] {
        let answer = app.order(&more).await;
        assert_eq!(answer.json()["code"], code, "{more}");
        answer.is_error(400, code);
    }
    assert_eq!(app.get(&app.tipper, TIPS).await.text, "[]");
    let raw = |body: &'static str| {
        let request = Request::post(TIPS).header("authorization", format!("Bearer {}", app.tipper));
        app.send(request.header("content-type", "application/json").body(Body::from(body)).unwrap())
    };
    raw("{\"amount\": 21,").await.is_error(400, "BODY_NOT_JSON");
    raw("[21]").await.is_error(400, "BODY_NOT_JSON");
    let tip = app.claimed(&json!({})).await;
    let path = format!("{TIPS}/{tip}/reclaim");
    app.post(&app.tipper, &path, &json!({"force": "yes"})).await.is_error(400, "BAD_REQUEST");
    for (body, code) in [
        (json!({"flow": "tippee"}), "BAD_REQUEST"),
        (json!({"flow": "tippee", "invoice": 7}), "BAD_REQUEST"),
        (json!({"flow": "tippee", "invoice": "lnbc1x"}), "INVOICE_INVALID"),
        (json!({"flow": "both", "invoice": app.invoice(21)}), "FLOW_INVALID"),
        (json!({"flow": "anonymous", "invoice": app.invoice(21)}), "BAD_REQUEST"),
        (json!({"flow": "tippee", "invoice": "me@"}), "ADDRESS_INVALID"),
    ] {
        app.post(&app.friend, "/api/invoices", &body).await.is_error(400, code);
    }
    let link = json!({"flow": "tippee", "amount": 1.5});
    app.post(&app.friend, "/api/withdrawalLinks", &link).await.is_error(400, "BAD_REQUEST");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_401_without_a_key_or_with_a_wrong_one() {
    let app = TestApp::new().await;
    let group = app.order(&json!({"quantity": 2})).await.ok();
    let mut all = guarded(&members(&group)[0], &id(&group));
    all.push((Method::POST, TIPS.into(), Some(app.body(&json!({})))));
    for (method, path, body) in all {
        let nobody = app.ask(method.clone(), "", &path, body.as_ref()).await;
        nobody.is_error(401, "UNAUTHORIZED");
        assert_eq!(nobody.headers["www-authenticate"], "Bearer");
        app.ask(method.clone(), "satchel_no", &path, body.as_ref()).await.is_error(401, "API_KEY_INVALID");
        // A header without a second word is no key, and not a crash.
        let request = Request::builder().method(method).uri(&path).header("authorization", &app.tipper);
        app.send(request.body(Body::empty()).unwrap()).await.is_error(401, "API_KEY_INVALID");
    }
    assert_eq!(app.get(&app.tipper, TIPS).await.ok().as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_403_for_what_is_anothers() {
    let app = TestApp::new().await;
    let group = app.funded(&json!({"quantity": 2})).await;
    let (tip, before) = (members(&group)[0].clone(), app.balances());
    for (method, path, body) in guarded(&tip, &id(&group)) {
        if path == TIPS || path.starts_with("/api/tippee") {
            continue;
        }
        app.ask(method, &app.friend, &path, body.as_ref()).await.is_error(403, "FORBIDDEN");
    }
    assert_eq!((app.balances(), app.status(&tip).await), (before, "UNSEEN".into()));
    assert_eq!(app.get(&app.friend, TIPS).await.text, "[]");
    // A key for other things.
    let gifts = app.key(&[Scope::Gifts], "tipper").await;
    app.get(&gifts, TIPS).await.is_error(403, "API_KEY_LACKS_SCOPE");
    app.get("", &format!("/api/users?refundable=true&apiKey={}", app.tipper))
        .await
        .is_error(403, "API_KEY_LACKS_SCOPE");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_404_for_what_is_not_there() {
    let app = TestApp::new().await;
    let nobodys = format!("c{}", "0".repeat(24));
    for id in [nobodys.as_str(), "1", "%FF", "c"] {
        for (method, path, body) in guarded(id, id) {
            if path != TIPS && path != "/api/tippee/tips" {
                app.ask(method, &app.tipper, &path, body.as_ref()).await.is_error(404, "NOT_FOUND");
            }
        }
        app.get("", &format!("/api/tippee/tips/{id}")).await.is_error(404, "NOT_FOUND");
        app.get("", &format!("/api/tippee/tips/{id}/live")).await.is_error(404, "NOT_FOUND");
        app.get("", &format!("/api/anonymous/tips?tipId={id}")).await.is_error(404, "NOT_FOUND");
        app.get("", &format!("/api/tipGroups/{id}/static")).await.is_error(404, "NOT_FOUND");
        // Nobody learns from it which tips there are.
        app.see(id).await;
    }
    app.get("", "/api/anonymous/tips").await.is_error(404, "NOT_FOUND");
    app.get(&app.tipper, "/api/tipper/other").await.is_error(404, "NOT_FOUND");
    // A tip that must be claimed is not to be had without.
    let tip = app.tip(&json!({})).await;
    app.get("", &format!("/api/anonymous/tips?tipId={tip}")).await.is_error(404, "NOT_FOUND");
    let body = json!({"flow": "anonymous", "tipId": tip, "invoice": app.invoice(21)});
    app.post("", "/api/invoices", &body).await.is_error(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_405_and_406_on_every_route() {
    let app = TestApp::new().await;
    let group = app.order(&json!({"quantity": 2})).await.ok();
    for (path, takes) in routes(&members(&group)[0], &id(&group)) {
        let wallets = path.starts_with("/api/withdrawalLinks/");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let method: Method = method.parse().unwrap();
            if !takes.contains(&method.as_str()) {
                let answer = app.ask(method, &app.tipper, &path, None).await;
                if wallets {
                    answer.is_lnurl_error("")
                } else {
                    answer.is_error(405, "METHOD_NOT_ALLOWED")
                }
                continue;
            }
            for accept in ["text/html", "image/png, application/xml;q=0.9", "application/json;q=0.00"] {
                let request = Request::builder().method(&method).uri(&path).header("accept", accept);
                let request = request.header("authorization", format!("Bearer {}", app.tipper));
                let answer = app.send(request.body(Body::empty()).unwrap()).await;
                if wallets {
                    assert_eq!(answer.status, 200, "wallets read nothing but the body of a 200");
                } else {
                    answer.is_error(406, "NOT_ACCEPTABLE");
                }
            }
        }
    }
    for accept in ["*/*", "application/json", "text/html, application/json;q=0.5", "application/*"] {
        let request = Request::get(TIPS).header("accept", accept);
        let request = request.header("authorization", format!("Bearer {}", app.tipper));
        assert_eq!(app.send(request.body(Body::empty()).unwrap()).await.status, 200, "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_429_for_writes_reads_invoices_and_groups() {
    let limits = LimitSettings {
        enabled: true,
        window: Duration::from_secs(900),
        write: 3,
        read: 2,
        key_write: 0,
        key_read: 0,
    };
    let app = TestApp::with(Setup { limits, ..Setup::default() }).await;
    for _ in 0..3 {
        assert_eq!(app.order(&json!({})).await.status, 200);
    }
    let refused = app.order(&json!({})).await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(app.get(&app.tipper, TIPS).await.status, 200);
    assert_eq!(app.get(&app.tipper, TIPS).await.status, 200);
    app.get(&app.tipper, TIPS).await.is_error(429, "TOO_MANY_REQUESTS");
    app.get("", "/api/withdrawalLinks/x").await.is_lnurl_error("Too many");
    // Every ten tips of a group count as a request.
    let app = TestApp::with(Setup { limits, ..Setup::default() }).await;
    app.order(&json!({"quantity": 31})).await.is_error(429, "TOO_MANY_REQUESTS");
    assert_eq!(app.order(&json!({"quantity": 20})).await.status, 200);
    app.order(&json!({})).await.is_error(429, "TOO_MANY_REQUESTS");
    // And all clients together get so many invoices.
    let app = TestApp::with(Setup { budget: 2, ..Setup::default() }).await;
    app.order(&json!({})).await.ok();
    app.order(&json!({})).await.ok();
    let refused = app.order(&json!({})).await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_503_while_the_node_can_not_serve_and_nothing_is_left_behind() {
    let app = TestApp::new().await;
    let tip = app.claimed(&json!({})).await;
    app.node.running.store(false, Ordering::SeqCst);
    app.order(&json!({})).await.is_error(503, "UNAVAILABLE");
    app.order(&json!({"quantity": 3})).await.is_error(503, "UNAVAILABLE");
    let body = json!({"flow": "tippee", "invoice": app.invoice(21)});
    app.post(&app.friend, "/api/invoices", &body).await.is_error(503, "UNAVAILABLE");
    assert_eq!(app.status(&tip).await, "CLAIMED");
    assert_eq!(app.get(&app.tipper, TIPS).await.ok().as_array().unwrap().len(), 1);
    let closed = TestApp::with_rules(|rules| rules.enabled = false).await;
    closed.order(&json!({})).await.is_error(503, "UNAVAILABLE");
    let narrow = TestApp::new().await;
    narrow.node.inbound_msat.store(30_999, Ordering::SeqCst);
    narrow.order(&json!({})).await.is_error(503, "NO_INBOUND_CAPACITY");
    narrow.order(&json!({"amount": 20})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_handler_answered_has_the_family_s_shape() {
    for (status, code) in
        [(500, "INTERNAL_ERROR"), (503, "UNAVAILABLE"), (504, "UNAVAILABLE"), (413, "BODY_TOO_LARGE")]
    {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let response = crate::app::routes::failure("/api/tipper/tips", status);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], code);
        assert!(body["errorMessage"].is_string() && body.as_object().unwrap().len() == 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defects_10_and_15_no_route_lists_keys_mails_links_or_names_columns() {
    let app = TestApp::new().await;
    let user = id(&app.get(&app.tipper, "/api/auth/session").await.ok());
    for (method, path) in [
        (Method::GET, format!("/api/users/{user}/apiKeys")),
        (Method::POST, format!("/api/users/{user}/apiKeys")),
        (Method::DELETE, format!("/api/users/{user}/linkedAccounts")),
        (Method::POST, "/api/auth/2fa/send".into()),
        (Method::GET, "/api/invoices/1".into()),
    ] {
        app.ask(method, &app.tipper, &path, Some(&json!({}))).await.is_error(404, "NOT_FOUND");
    }
}
