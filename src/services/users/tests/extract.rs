//! API keys: which are taken, where from, and whom they open.

use axum::http::HeaderMap;

use super::test_app::TestApp;
use crate::http::keys::Scope;
use crate::services::tips::error::TipError;

const SESSION: &str = "/api/auth/session";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_account_s_user_whatever_word_stands_before_it() {
    let app = TestApp::new();
    let key = app.key(&[Scope::Tips], "shop").await;
    let ask = async |name: &'static str, value: &str| app.get(SESSION, &[(name, value)]).await.ok();
    let first = ask("authorization", &format!("Bearer {key}")).await;
    assert_eq!(first["guest"], false);
    for word in ["bearer", "Token", "Basic", "x"] {
        assert_eq!(ask("authorization", &format!("{word} {key}")).await["id"], first["id"], "{word}");
    }
    assert_eq!(ask("authorization", &format!("L402 abc:def, Bearer {key}")).await["id"], first["id"]);
    assert_eq!(ask("x-api-key", &key).await["id"], first["id"]);
    // Another key of the account is the same user, and one of another account is not.
    let same = app.key(&[Scope::Admin], "shop").await;
    assert_eq!(ask("x-api-key", &same).await["id"], first["id"]);
    let other = app.key(&[Scope::Tips], "other").await;
    assert_ne!(ask("x-api-key", &other).await["id"], first["id"]);
    assert_eq!(app.count("tip_users").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_is_refused_even_beside_a_good_cookie() {
    let app = TestApp::new();
    let key = app.key(&[Scope::Tips], "shop").await;
    let browser = app.browser();
    browser.guest().await;
    let cookie = format!("__Host-satchel_tips={}", browser.jar.lock().unwrap()["__Host-satchel_tips"].0);
    let wrong = format!("Bearer satchel_{}", "0".repeat(64));
    for value in ["", "Bearer", "Bearer ", key.as_str(), "Bearer é", "Bearer none", &wrong] {
        let refused = app.get(SESSION, &[("authorization", value), ("cookie", &cookie)]).await;
        refused.is_error(401, "API_KEY_INVALID");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }
    app.get(SESSION, &[("x-api-key", "")]).await.is_error(401, "API_KEY_INVALID");
    let gifts = app.key(&[Scope::Gifts, Scope::Scheduler], "shop").await;
    app.get(SESSION, &[("x-api-key", &gifts)]).await.is_error(403, "API_KEY_LACKS_SCOPE");
    // And a good key counts before a cookie.
    let both = [("x-api-key", key.as_str()), ("cookie", &cookie)];
    assert_eq!(app.get(SESSION, &both).await.ok()["guest"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_need_no_page_of_ours() {
    let app = TestApp::new();
    let key = app.key(&[Scope::Tips], "shop").await;
    let id = app.get(SESSION, &[("x-api-key", &key)]).await.ok()["id"].as_str().unwrap().to_owned();
    let request = axum::http::Request::put(format!("/api/users/{id}"))
        .header("x-api-key", &key)
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(r#"{"name":"Shop"}"#))
        .unwrap();
    assert_eq!(app.send(request).await.status, 204);
    assert_eq!(app.get(SESSION, &[("x-api-key", &key)]).await.ok()["name"], "Shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_shows_its_key_in_the_query_or_a_header() {
    let app = TestApp::new();
    let (scheduler, tips) =
        (app.key(&[Scope::Scheduler], "cron").await, app.key(&[Scope::Tips], "shop").await);
    let header = |key: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
        headers
    };
    let (users, none) = (&app.users, HeaderMap::new());
    let query = |key: &str| format!("expired&apiKey={key}");
    assert_eq!(users.scheduler(&none, Some(&query(&scheduler))).await, Ok(true));
    assert_eq!(users.scheduler(&header(&scheduler), None).await, Ok(true));
    assert_eq!(users.scheduler(&header(&tips), Some("expired")).await, Ok(false));
    assert_eq!(users.scheduler(&none, None).await, Ok(false));
    assert_eq!(users.scheduler(&none, Some("apiKey=x")).await, Err(TipError::KeyInvalid));
    assert_eq!(users.scheduler(&none, Some("apiKey=")).await, Err(TipError::KeyInvalid));
    let lacks = Err(TipError::KeyLacks(Scope::Scheduler));
    assert_eq!(users.scheduler(&header(&scheduler), Some(&query(&tips))).await, lacks);
}
