//! Guests, cookies, and how long they last.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::test_app::{DAY, TestApp};
use crate::core::ids::UserId;
use crate::services::users::{Session, store};
use crate::storage::StoreError;

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_known_by_a_cookie_of_which_only_the_hash_is_kept() {
    let app = TestApp::new();
    let browser = app.browser();
    assert_eq!(browser.get("/api/auth/session").await.text, r#"{"id":null,"methods":["guest","lightning"]}"#);
    let made = browser.ask(Method::POST, "/api/auth/guest", None).await;
    let cookie = made.cookies()[0].to_owned();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    let value = value.strip_prefix("__Host-satchel_tips=").unwrap();
    assert_eq!(value.len(), 64);
    assert_eq!(attributes, "Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure");
    let id = made.ok()["id"].as_str().unwrap().to_owned();
    let session = browser.get("/api/auth/session").await;
    let expected = format!(
        r#"{{"id":"{id}","name":null,"lightningAddress":null,"guest":true,"methods":["guest","lightning"]}}"#
    );
    assert_eq!(session.text, expected);
    assert_eq!(session.headers["cache-control"], "no-store");
    let again = browser.ask(Method::POST, "/api/auth/guest", None).await;
    assert!(again.cookies().is_empty());
    assert_eq!(again.ok()["id"], id);
    let kept: [u8; 32] = app
        .store
        .read(|connection| -> Result<_, StoreError> {
            Ok(connection.query_row("SELECT hash FROM tip_sessions", [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert_ne!(crate::core::ids::to_hex(&kept), value);
    // Without TLS the browser would not send a secure cookie back.
    let plain = TestApp::with("http://127.0.0.1:8080/", false);
    let made = plain.browser().ask(Method::POST, "/api/auth/guest", None).await;
    assert!(made.cookies()[0].ends_with("; SameSite=Lax"));
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_session_everywhere() {
    let app = TestApp::new();
    let browser = app.browser();
    let id = browser.log_in(1, false).await.ok()["id"].as_str().unwrap().to_owned();
    let copy = app.browser();
    *copy.jar.lock().unwrap() = browser.jar.lock().unwrap().clone();
    let answer = browser.ask(Method::POST, "/api/auth/logout", None).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert!(answer.cookies()[0].starts_with("__Host-satchel_tips=; Path=/; Max-Age=0; HttpOnly"));
    assert_eq!((browser.who().await, copy.who().await), (None, None));
    assert_eq!(browser.ask(Method::POST, "/api/auth/logout", None).await.status, 204);
    assert_eq!(browser.log_in(1, false).await.ok()["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_ninety_days_from_its_last_use() {
    let app = TestApp::new();
    let (used, idle) = (app.browser(), app.browser());
    let id = used.guest().await;
    idle.guest().await;
    app.clock.advance(60 * DAY);
    assert_eq!(used.who().await, Some(id.clone()));
    app.written().await;
    app.clock.advance(30 * DAY);
    assert_eq!((used.who().await, idle.who().await), (Some(id.clone()), None));
    app.prune().await;
    assert_eq!((app.count("tip_sessions").await, app.count("tip_users").await), (1, 1));
    app.clock.advance(90 * DAY);
    assert_eq!(used.who().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_claimed_goes_with_their_session_unless_something_speaks_of_them() {
    let app = TestApp::new();
    app.execute("CREATE TABLE other (user_id INTEGER REFERENCES tip_users (id)) STRICT;").await;
    let ids: Vec<_> = [app.browser(), app.browser(), app.browser()].into_iter().collect();
    let (claimed, named, nobody) = (ids[0].guest().await, ids[1].guest().await, ids[2].guest().await);
    let owner = app.browser().log_in(1, false).await.ok()["id"].clone();
    app.store
        .write(|tx| -> Result<(), StoreError> {
            store::note_claim(tx, UserId(1))?;
            tx.execute("INSERT INTO other (user_id) VALUES (2)", [])?;
            Ok(())
        })
        .await
        .unwrap();
    app.clock.advance(90 * DAY);
    app.prune().await;
    assert_eq!(app.count("tip_sessions").await, 0);
    for (id, status) in
        [(claimed.as_str(), 200), (&named, 200), (&nobody, 404), (owner.as_str().unwrap(), 404)]
    {
        assert_eq!(app.get(&format!("/api/users/{id}"), &[]).await.status, status);
    }
    assert_eq!(app.get(&format!("/api/users/{claimed}"), &[]).await.json()["userType"], "tippee");
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_takes_a_bounded_bite() {
    let app = TestApp::new();
    app.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
             INSERT INTO tip_users (id, public_id, created_at) SELECT i, printf('c%024d', i), 0 FROM n;
             INSERT INTO tip_sessions SELECT randomblob(32), id, 0, id FROM tip_users;",
    )
    .await;
    let more = app.store.write(|tx| crate::services::users::prune(tx, 700)).await.unwrap();
    assert!(more);
    assert_eq!((app.count("tip_sessions").await, app.count("tip_users").await), (200, 200));
    app.prune().await;
    assert_eq!(app.count("tip_users").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_get_nowhere() {
    let app = TestApp::new();
    let browser = app.browser();
    let id = browser.guest().await;
    let cookie = {
        let jar = browser.jar.lock().unwrap();
        format!("__Host-satchel_tips={}", jar["__Host-satchel_tips"].0)
    };
    let ask = async |method: &str, path: &str, headers: &[(&'static str, &str)]| {
        let mut request = Request::builder().method(method).uri(path).header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send(request.body(Body::from(r#"{"name":"evil"}"#)).unwrap()).await
    };
    let own = format!("/api/users/{id}");
    for (method, path) in
        [("PUT", own.as_str()), ("POST", "/api/auth/logout"), ("POST", "/api/auth/lnurl/session")]
    {
        for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let refused = ask(method, path, &[("content-type", form)]).await;
            assert_eq!(refused.status, 400, "{method} {path} {form}");
            assert!(refused.cookies().is_empty());
        }
        for site in ["cross-site", "same-site"] {
            let json = [("content-type", "application/json"), ("sec-fetch-site", site)];
            let refused = ask(method, path, &json).await;
            assert!(matches!(refused.status, 400 | 403), "{method} {path} {site}");
            assert!(refused.cookies().is_empty());
        }
    }
    let name = browser.get(&own).await.ok()["name"].clone();
    assert!(name.is_null());
    assert_eq!(browser.who().await, Some(id));
    // Nor can one make a stranger's browser a new guest.
    let stranger = app.browser();
    let form = Request::post("/api/auth/guest").header("content-type", "application/x-www-form-urlencoded");
    app.send(form.body(Body::empty()).unwrap()).await.is_error(400, "CONTENT_TYPE_NOT_JSON");
    let foreign = Request::post("/api/auth/guest").header("sec-fetch-site", "cross-site");
    app.send(foreign.body(Body::empty()).unwrap()).await.is_error(403, "FOREIGN_PAGE");
    assert_eq!(stranger.who().await, None);
    assert_eq!(stranger.post("/api/auth/guest", &json!({})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_cookies_are_nobody_and_logs_show_no_secrets() {
    let app = TestApp::new();
    for cookie in [
        "__Host-satchel_tips=",
        "__Host-satchel_tips",
        "__Host-satchel_tips=zz",
        "x=1;__Host-satchel_tips=é",
        ";;=",
    ] {
        let answer = app.get("/api/auth/session", &[("cookie", cookie)]).await;
        assert!(answer.ok()["id"].is_null(), "{cookie}");
    }
    let unknown = format!("__Host-satchel_tips={}", "ab".repeat(32));
    assert!(app.get("/api/auth/session", &[("cookie", &unknown)]).await.ok()["id"].is_null());
    let browser = app.browser();
    browser.guest().await;
    let known = browser.jar.lock().unwrap()["__Host-satchel_tips"].0.clone();
    let shown =
        async |cookie: String| app.get("/api/auth/session", &[("cookie", &cookie)]).await.ok()["id"].clone();
    assert!(shown(format!("__Host-satchel_tips={known}")).await.is_string());
    // A page of a sibling host could set the second, and the bare name altogether.
    let twice = format!("__Host-satchel_tips={known}; __Host-satchel_tips={}", "ab".repeat(32));
    for cookie in [twice, format!("satchel_tips={known}")] {
        assert!(shown(cookie.clone()).await.is_null(), "{cookie}");
    }
    app.execute("UPDATE tip_users SET email = 'a@b.example', lightning_address = 'c@d.example'").await;
    let user = app.store.read(|connection| store::by_id(connection, UserId(1))).await.unwrap().unwrap();
    let shown = format!("{:?}", Session { user, by_key: false });
    assert!(!shown.contains("example"), "{shown}");
}
