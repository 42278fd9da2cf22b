//! Buying an account: once for each payment, again and again the same.

use ::l402::mpp::Challenge;
use ::l402::{Macaroon, b64};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{PRICE, PUBLIC_URL, TestApp, names, rules};
use crate::admin::{AdminError, SignupAdmin};
use crate::http::audit_log::{Act, ActKind};
use crate::http::keys::{KeyId, Scope};
use crate::services::merchant::{Rules, SIGNUP_PATH};
use crate::storage::StoreError;

const EMAIL: &str = "bob@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_request_gets_a_key_that_works_and_the_same_one_again() {
    let app = TestApp::new().await;
    let asked = app.sign_up(EMAIL, "").await;
    assert_eq!(asked.status, 402, "{}", asked.text);
    let terms = &asked.json()["l402"];
    assert_eq!((&terms["amount_sats"], &terms["resource"]), (&json!(PRICE), &json!(SIGNUP_PATH)));
    let before = app.counts();
    let (macaroon, preimage) = app.pay(&asked);
    assert_eq!(app.counts(), before, "a payment alone makes no account");
    let credential = format!("L402 {macaroon}:{preimage}");
    let first = app.sign_up(EMAIL, &credential).await;
    assert_eq!(first.headers["cache-control"], "no-store");
    let made = first.ok();
    assert_eq!(
        names(&made),
        [
            "apiKey",
            "dashboardUrl",
            "email",
            "merchantId",
            "planTier",
            "status",
            "subscriptionStatus",
            "trialEndsAt"
        ]
    );
    assert_eq!((&made["status"], &made["email"]), (&json!("active"), &json!(EMAIL)));
    assert_eq!(made["dashboardUrl"], format!("{PUBLIC_URL}/docs"));
    let key = made["apiKey"].as_str().unwrap();
    let me = app.get(key, "/api/merchant/me").await.ok();
    assert_eq!((&me["merchantId"], &me["email"]), (&made["merchantId"], &json!(EMAIL)));
    assert_eq!(app.counts(), (before.0 + 1, before.1 + 1));
    // Long after the token's end, with another address, with none: what was bought is the same.
    app.clock.advance(Duration::from_secs(90 * 86_400));
    for email in [EMAIL, "eve@example.com", ""] {
        assert_eq!(app.sign_up(email, &credential).await.ok(), made);
    }
    assert_eq!(app.counts(), (before.0 + 1, before.1 + 1));
    assert_eq!(app.earned(), i64::try_from(PRICE).unwrap());
    // The key is nowhere kept in clear.
    let digits = key.to_owned();
    let kept = app.store.read_blocking(move |connection| -> Result<u64, crate::storage::StoreError> {
        let sql = "SELECT count(*) FROM api_keys WHERE instr(prefix || name || hash, ?1) > 0";
        Ok(connection.query_row(sql, [digits], |row| row.get(0))?)
    });
    assert_eq!(kept.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_credential_shown_fifty_times_at_once_makes_one_account() {
    let app = TestApp::new().await;
    let credential = app.buy(EMAIL).await;
    let before = app.counts();
    let all = (0..50).map(|_| app.sign_up(EMAIL, &credential));
    let answers = futures_util::future::join_all(all).await;
    let first = answers[0].ok();
    assert!(answers.iter().all(|answer| answer.ok() == first));
    assert_eq!(app.counts(), (before.0 + 1, before.1 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payment_buys_an_account_of_its_own() {
    let app = TestApp::new().await;
    let one = app.buy(EMAIL).await;
    let first = app.sign_up(EMAIL, &one).await.ok();
    let other = app.buy(EMAIL).await;
    assert_ne!(one, other, "the same person asks again and gets another invoice");
    let second = app.sign_up(EMAIL, &other).await.ok();
    assert_ne!(first["apiKey"], second["apiKey"]);
    assert_ne!(first["merchantId"], second["merchantId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_is_honoured_after_sales_have_ended_or_the_price_has_risen() {
    let mut app = TestApp::new().await;
    let (one, other) = (app.buy(EMAIL).await, {
        app.clock.advance(Duration::from_secs(61));
        app.buy("ada@example.com").await
    });
    app.set_up(Rules { signup_price_sat: 5_000, ..rules() });
    let made = app.sign_up(EMAIL, &one).await.ok();
    app.set_up(Rules { signup_enabled: false, ..rules() });
    assert_eq!(app.sign_up(EMAIL, &one).await.ok(), made);
    assert_eq!(app.sign_up("ada@example.com", &other).await.ok()["email"], "ada@example.com");
    app.sign_up(EMAIL, "").await.is_error(403, "signup_disabled", SIGNUP_PATH);
    app.sign_up(EMAIL, "L402 nonsense").await.is_error(403, "signup_disabled", SIGNUP_PATH);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payment_scheme_s_credential_is_good_again_and_a_bare_preimage_never() {
    let app = TestApp::new().await;
    let asked = app.sign_up(EMAIL, "").await;
    let lines = asked.headers.get_all("www-authenticate").iter().map(|line| line.to_str().unwrap());
    let challenge = Challenge::read_all(&lines.collect::<Vec<_>>().join(", ")).remove(0);
    let (macaroon, preimage) = app.pay(&asked);
    // Every node on the payment's way knows the preimage.
    let bare = format!("Payment method=\"lightning\", preimage=\"{preimage}\"");
    app.sign_up(EMAIL, &bare).await.is_error(400, "token_required", SIGNUP_PATH);
    let shown = json!({ "challenge": challenge, "payload": { "preimage": preimage } });
    let credential = format!("Payment {}", b64::url(shown.to_string().as_bytes()));
    let first = app.sign_up(EMAIL, &credential).await;
    assert!(first.headers.contains_key("payment-receipt"), "{:?}", first.headers);
    let made = first.ok();
    assert_eq!(app.sign_up(EMAIL, &credential).await.ok(), made);
    assert_eq!(app.sign_up(EMAIL, &format!("L402 {macaroon}:{preimage}")).await.ok(), made);
    app.sign_up(EMAIL, &bare).await.is_error(400, "token_required", SIGNUP_PATH);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_good_are_asked_for_payment() {
    let app = TestApp::new().await;
    let asked = app.sign_up(EMAIL, "").await;
    let terms = asked.json()["l402"].clone();
    let macaroon = terms["macaroon"].as_str().unwrap();
    let before = app.counts();
    let unpaid = format!("L402 {macaroon}:{}", "00".repeat(32));
    assert_eq!(app.sign_up(EMAIL, &unpaid).await.status, 402);
    let (macaroon, preimage) = app.pay(&asked);
    let read = Macaroon::read(&b64::read_any(&macaroon).unwrap()).unwrap();
    let narrowed = b64::standard(&read.attenuate("valid_until=1").to_bytes());
    for shown in [
        "L402 nonsense".to_owned(),
        format!("L402 {narrowed}:{preimage}"),
        format!("L402 {}:{preimage}", &macaroon[..macaroon.len() - 8]),
        format!("L402 {macaroon}:{}", "11".repeat(32)),
    ] {
        assert_eq!(app.sign_up(EMAIL, &shown).await.status, 402, "{shown}");
    }
    assert_eq!(app.counts(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_wanted_before_anything_is_paid() {
    let app = TestApp::new().await;
    let before = app.counts();
    for body in [
        json!({}),
        json!({ "email": "" }),
        json!({ "email": "bob" }),
        json!({ "email": 7 }),
        json!({ "email": format!("{}@example.com", "x".repeat(300)) }),
    ] {
        let asked = app.ask(Method::POST, "", SIGNUP_PATH, &body, &[]).await;
        asked.is_error(400, "invalid_email", SIGNUP_PATH);
    }
    // Shown with a bad address nothing is lost: the next try has the account.
    let credential = app.buy(EMAIL).await;
    app.sign_up("", &credential).await.is_error(400, "invalid_email", SIGNUP_PATH);
    assert_eq!(app.counts(), before);
    assert_eq!(app.sign_up(EMAIL, &credential).await.ok()["email"], EMAIL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_not_given_again() {
    let app = TestApp::new().await;
    let credential = app.buy(EMAIL).await;
    let made = app.sign_up(EMAIL, &credential).await.ok();
    let key = made["apiKey"].as_str().unwrap();
    let listed = app.keys.list().await.unwrap();
    let id: KeyId = listed.iter().find(|info| info.account.starts_with("signup-")).unwrap().id;
    app.keys.revoke(id).await.unwrap();
    app.sign_up(EMAIL, &credential).await.is_error(409, "key_revoked", SIGNUP_PATH);
    assert_eq!(app.get(key, "/api/merchant/me").await.status, 401);
    assert_eq!(app.keys.list().await.unwrap().len(), listed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_bought_has_the_scopes_of_the_settings() {
    let app = TestApp::new().await;
    let credential = app.buy(EMAIL).await;
    app.sign_up(EMAIL, &credential).await.ok();
    let listed = app.keys.list().await.unwrap();
    let bought = listed.iter().find(|info| info.account.starts_with("signup-")).unwrap();
    assert_eq!(bought.scopes, [Scope::Payments, Scope::L402]);
    assert_eq!(app.get("", SIGNUP_PATH).await.status, 405);
    let me = app.get(&app.shop, "/api/merchant/me").await.ok();
    assert_eq!(me["email"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn email_of_a_bought_account_is_removed_and_the_account_stays() {
    let app = TestApp::new().await;
    let credential = app.buy(EMAIL).await;
    let made = app.sign_up(EMAIL, &credential).await.ok();
    let key = made["apiKey"].as_str().unwrap();
    let listed = app.keys.list().await.unwrap();
    let account = &listed.iter().find(|info| info.account.starts_with("signup-")).unwrap().account;
    let merchants = app.merchants.as_ref().unwrap();
    let forget = |name: &str| merchants.forget_email(name.into(), Act::new(KeyId(1), ActKind::EmailForget));
    assert!(matches!(forget("shop").await, Err(AdminError::NotFound(_))));
    assert_eq!(forget(account).await.unwrap()["forgotten"], true);
    assert_eq!(forget(account).await.unwrap()["forgotten"], false);
    assert_eq!(app.get(key, "/api/merchant/me").await.ok()["email"], Value::Null);
    let kept = app.store.read(|connection| -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM signups WHERE email <> ''";
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
    });
    assert_eq!(kept.await.unwrap(), 0);
    // Whoever bought it has the key again all the same.
    assert_eq!(app.sign_up(EMAIL, &credential).await.ok()["apiKey"], made["apiKey"]);
}
