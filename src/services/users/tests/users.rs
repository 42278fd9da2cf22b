//! What users say about themselves, and who sees it.

use axum::http::Method;
use serde_json::json;

use super::test_app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn only_they_themselves_see_address_and_e_mail() {
    let app = TestApp::new();
    let (own, other) = (app.browser(), app.browser());
    let id = own.guest().await;
    other.guest().await;
    let path = format!("/api/users/{id}");
    let body =
        json!({"name": " Alice ", "lightningAddress": "Alice@Wallet.example", "email": "x@evil.example"});
    let answer = own.ask(Method::PUT, &path, Some(&body)).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    app.execute("UPDATE tip_users SET email = 'alice@mail.example' WHERE id = 1").await;
    let expected = format!(
        r#"{{"id":"{id}","created":"2027-01-15T08:00:00.000Z","userType":"tipper","name":"Alice","lightningAddress":"alice@wallet.example","email":"alice@mail.example","guest":false,"walletConnected":false}}"#
    );
    assert_eq!(own.get(&path).await.text, expected);
    let public =
        format!(r#"{{"id":"{id}","created":"2027-01-15T08:00:00.000Z","userType":"tipper","name":"Alice"}}"#);
    assert_eq!(other.get(&path).await.text, public);
    assert_eq!(app.get(&path, &[]).await.text, public);
    assert_eq!(own.get(&format!("{path}?publicProfile=true")).await.text, public);
    let unknown = format!("/api/users/c{}", "0".repeat(24));
    for path in [unknown.as_str(), "/api/users/1", "/api/users/%FF"] {
        app.get(path, &[]).await.is_error(404, "NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_keeps_what_it_does_not_name_and_is_for_oneself() {
    let app = TestApp::new();
    let (own, other) = (app.browser(), app.browser());
    let (id, stranger) = (own.guest().await, other.guest().await);
    let path = format!("/api/users/{id}");
    let put = async |body| own.ask(Method::PUT, &path, Some(&body)).await;
    assert_eq!(put(json!({"name": "Alice", "lightningAddress": "a@b.example"})).await.status, 204);
    app.execute("UPDATE tip_users SET refund_tries = 3, refund_try_at = 9").await;
    assert_eq!(put(json!({"name": null})).await.status, 204);
    let session = own.get("/api/auth/session").await.ok();
    assert!(session["name"].is_null());
    assert_eq!(session["lightningAddress"], "a@b.example");
    assert_eq!(put(json!({"lightningAddress": "c@d.example"})).await.status, 204);
    let tries = app.store.read(|connection| -> Result<(i64, i64), crate::storage::StoreError> {
        let sql = "SELECT refund_tries, refund_try_at FROM tip_users WHERE id = 1";
        Ok(connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    });
    assert_eq!(tries.await.unwrap(), (0, 1), "a new address is tried afresh");
    put(json!({"lightningAddress": "nowhere"})).await.is_error(400, "LIGHTNING_ADDRESS_BAD");
    put(json!({"name": "x".repeat(51)})).await.is_error(400, "NAME_BAD");
    for foreign in [stranger.as_str(), "nobody"] {
        let path = format!("/api/users/{foreign}");
        own.ask(Method::PUT, &path, Some(&json!({"name": "x"}))).await.is_error(403, "FORBIDDEN");
    }
    let nobody = app.browser();
    nobody.ask(Method::PUT, &path, Some(&json!({"name": "x"}))).await.is_error(401, "UNAUTHORIZED");
}
