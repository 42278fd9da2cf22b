//! lnurl-auth: who may log in, as whom, and how often.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::test_app::{PUBLIC_URL, TestApp, sign, sign_high};
use crate::services::tips::TipError;

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_logs_in_and_comes_back_as_the_same_user() {
    let app = TestApp::new();
    let browser = app.browser();
    let begun = browser.get("/api/auth/lnurl/generate-secret").await;
    let cookie = begun.cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-satchel_tips_login="));
    let scope = "; Path=/; Max-Age=300; HttpOnly; SameSite=Lax; Secure";
    assert!(cookie.ends_with(scope), "{cookie}");
    let begun = begun.ok();
    let k1 = begun["k1"].as_str().unwrap().to_owned();
    let lnurl = begun["lnurl_auth"].as_str().unwrap();
    assert_eq!(lnurl, lnurl.to_uppercase());
    let (_, url) = bech32::decode(lnurl).unwrap();
    let expected = format!("{PUBLIC_URL}/api/auth/lnurl/do-login?tag=login&k1={k1}&action=login");
    assert_eq!(String::from_utf8(url).unwrap(), expected);

    let status = format!("/api/auth/lnurl/status?k1={k1}");
    assert_eq!(browser.get(&status).await.text, r#"{"verified":false,"used":false}"#);
    browser.finish(&k1).await.is_error(409, "LOGIN_NOT_VERIFIED");
    assert_eq!(app.call_back(&k1, &sign(&k1, 1)).await.text, r#"{"status":"OK"}"#);
    assert_eq!(browser.get(&status).await.text, r#"{"verified":true,"used":false}"#);
    let finished = browser.finish(&k1).await;
    let id = finished.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((finished.status, id.len()), (200, 25));
    assert_eq!(browser.who().await, Some(id.clone()));
    assert_eq!(browser.jar.lock().unwrap().len(), 1, "the login's cookie is gone");
    assert_eq!(browser.get(&status).await.text, r#"{"verified":false,"used":true}"#);

    // Elsewhere, with the other form of the signature.
    let other = app.browser();
    let k1 = other.challenge(false).await;
    assert_eq!(app.call_back(&k1, &sign_high(&k1, 1)).await.text, r#"{"status":"OK"}"#);
    assert_eq!(other.finish(&k1).await.ok()["id"], id);
    assert_eq!(browser.who().await, Some(id), "both stay logged in");
    assert_eq!(app.count("tip_users").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_k1_is_used_once_and_for_five_minutes() {
    let app = TestApp::new();
    let browser = app.browser();
    let k1 = browser.challenge(false).await;
    let signed = sign(&k1, 1);
    for _ in 0..2 {
        assert_eq!(app.call_back(&k1, &signed).await.text, r#"{"status":"OK"}"#);
    }
    app.call_back(&k1, &sign(&k1, 2)).await.is_wallet_error("Another wallet has already signed this k1");
    let before = browser.jar.lock().unwrap().clone();
    assert_eq!(browser.finish(&k1).await.status, 200);
    // Neither the page nor the wallet can do it again, even with the cookie that was taken away.
    browser.jar.lock().unwrap().extend(before);
    browser.finish(&k1).await.is_error(404, "LOGIN_NOT_FOUND");
    app.call_back(&k1, &signed).await.is_wallet_error("Unknown or expired k1");

    let k1 = browser.challenge(false).await;
    let signed = sign(&k1, 1);
    app.call_back(&k1, &signed).await;
    app.clock.advance(Duration::from_secs(300));
    app.call_back(&k1, &signed).await.is_wallet_error("Unknown or expired k1");
    browser.finish(&k1).await.is_error(404, "LOGIN_NOT_FOUND");
    app.call_back(&"ab".repeat(32), &signed).await.is_wallet_error("Unknown or expired k1");
    app.call_back("nonsense", &signed).await.is_wallet_error("Unknown or expired k1");
    app.get("/api/auth/lnurl/do-login", &[]).await.is_wallet_error("Unknown or expired k1");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_s_own_signature_of_this_k1_counts() {
    let app = TestApp::new();
    let browser = app.browser();
    let k1 = browser.challenge(false).await;
    let (signature, key) = sign(&k1, 1);
    let (other_signature, other_key) = sign(&k1, 2);
    let of_another_k1 = sign(&browser.challenge(false).await, 1).0;
    let long = "30".repeat(200);
    for (signature, key) in [
        (&signature, &other_key),
        (&other_signature, &key),
        (&of_another_k1, &key),
        (&signature[2..].to_owned(), &key),
        (&signature[1..].to_owned(), &key),
        (&long, &key),
        (&String::new(), &key),
        (&signature, &key[2..].to_owned()),
        (&signature, &format!("05{}", &key[2..])),
        (&signature, &String::new()),
    ] {
        let given = (signature.clone(), key.clone());
        app.call_back(&k1, &given).await.is_wallet_error("Invalid signature");
    }
    assert_eq!(app.call_back(&k1.to_uppercase(), &(signature, key)).await.text, r#"{"status":"OK"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_saw_the_code_gets_nothing() {
    let app = TestApp::new();
    let (owner, thief) = (app.browser(), app.browser());
    let k1 = owner.challenge(false).await;
    app.call_back(&k1, &sign(&k1, 1)).await;
    let status = format!("/api/auth/lnurl/status?k1={k1}");
    assert_eq!(thief.get(&status).await.text, r#"{"verified":false,"used":true}"#);
    thief.finish(&k1).await.is_error(404, "LOGIN_NOT_FOUND");
    // Not with a login of their own under way either, and the owner loses nothing by it.
    thief.challenge(false).await;
    thief.finish(&k1).await.is_error(404, "LOGIN_NOT_FOUND");
    assert_eq!(thief.who().await, None);
    assert_eq!(owner.finish(&k1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_links_a_wallet_and_is_no_guest_any_more() {
    let app = TestApp::new();
    let browser = app.browser();
    app.browser()
        .get("/api/auth/lnurl/generate-secret?linkExistingAccount=true")
        .await
        .is_error(401, "UNAUTHORIZED");
    let id = browser.guest().await;
    let begun = browser.get("/api/auth/lnurl/generate-secret?linkExistingAccount=true").await.ok();
    let (_, url) = bech32::decode(begun["lnurl_auth"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(url).unwrap().ends_with("&action=link"));
    assert_eq!(browser.log_in(1, true).await.ok()["id"], id);
    assert_eq!(browser.get("/api/auth/session").await.ok()["guest"], false);
    // Elsewhere the wallet now opens the same user.
    assert_eq!(app.browser().log_in(1, false).await.ok()["id"], id);
    // The same wallet once more does no harm; another one is refused, to the wallet already.
    assert_eq!(browser.log_in(1, true).await.ok()["id"], id);
    let k1 = browser.challenge(true).await;
    let refused = app.call_back(&k1, &sign(&k1, 2)).await;
    refused.is_wallet_error("This account is already connected to another wallet");
    browser.finish(&k1).await.is_error(409, "LOGIN_NOT_VERIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_another_user_is_not_linked() {
    let app = TestApp::new();
    let owner = app.browser().log_in(1, false).await.ok()["id"].clone();
    let guest = app.browser();
    guest.guest().await;
    let k1 = guest.challenge(true).await;
    let refused = app.call_back(&k1, &sign(&k1, 1)).await;
    refused.is_wallet_error("This wallet is already connected to another account");
    // It was free when it signed, and is not when the page finishes.
    let k1 = guest.challenge(true).await;
    assert_eq!(app.call_back(&k1, &sign(&k1, 2)).await.text, r#"{"status":"OK"}"#);
    assert_ne!(app.browser().log_in(2, false).await.ok()["id"], owner);
    guest.finish(&k1).await.is_error(409, "WALLET_TAKEN");
    assert_eq!(guest.get("/api/auth/session").await.ok()["guest"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_finished_only_by_who_began_it() {
    let app = TestApp::new();
    let browser = app.browser();
    browser.guest().await;
    let k1 = browser.challenge(true).await;
    app.call_back(&k1, &sign(&k1, 1)).await;
    assert_eq!(browser.ask(Method::POST, "/api/auth/logout", None).await.status, 204);
    browser.finish(&k1).await.is_error(401, "UNAUTHORIZED");
    browser.guest().await;
    browser.finish(&k1).await.is_error(401, "UNAUTHORIZED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_replaces_the_browser_s_earlier_session() {
    let app = TestApp::new();
    let browser = app.browser();
    let guest = browser.guest().await;
    let stolen = browser.jar.lock().unwrap().clone();
    let id = browser.log_in(1, false).await.ok()["id"].as_str().unwrap().to_owned();
    assert_ne!(id, guest);
    assert_eq!((app.count("tip_sessions").await, app.count("tip_users").await), (1, 1));
    let earlier = app.browser();
    *earlier.jar.lock().unwrap() = stolen;
    assert_eq!(earlier.who().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_wants_a_k1_and_json() {
    let app = TestApp::new();
    let browser = app.browser();
    browser.post("/api/auth/lnurl/session", &json!({})).await.is_error(400, "BAD_REQUEST");
    browser.post("/api/auth/lnurl/session", &json!([])).await.is_error(400, "BODY_NOT_JSON");
    browser.finish("short").await.is_error(404, "LOGIN_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_speak_to_wallets_in_their_words() {
    let app = TestApp::with(PUBLIC_URL, true);
    let browser = app.browser();
    for _ in 0..2 {
        browser.challenge(false).await;
    }
    let refused = browser.get("/api/auth/lnurl/generate-secret").await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    assert!(refused.headers.contains_key("retry-after"));
    for _ in 0..3 {
        browser.get("/api/auth/session").await.ok();
    }
    browser.get("/api/auth/session").await.is_error(429, "TOO_MANY_REQUESTS");
    let refused = app.get("/api/auth/lnurl/do-login", &[]).await;
    refused.is_wallet_error("Too many requests; wait a little");
}

/// However many addresses they come from.
#[tokio::test(flavor = "multi_thread")]
async fn newcomers_of_all_clients_together_have_a_budget() {
    let app = TestApp::with(PUBLIC_URL, true);
    let come = async || app.users.guest(&axum::http::HeaderMap::new()).await;
    assert!(come().await.is_ok());
    assert!(matches!(come().await, Err(TipError::TooMany { retry_after: 1.. })));
}
