//! Who has a copy of the database alone.

use axum::http::Method;
use serde_json::json;

use super::test_app::{TestApp, id};
use crate::services::tips::ids::Cuid;
use crate::services::tips::{keyring, store};
use crate::storage::StoreError;
use crate::testing::{database_bytes, holds, stolen_copy};

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_the_database_claims_no_tip() {
    let app = TestApp::new().await;
    let tip = app
        .tip(&json!({
            "generatePassphrase": true, "passphraseLength": 4, "note": "a note in the clear",
            "claimWebhookUrl": "https://hook.example/c", "withdrawWebhookUrl": "https://hook.example/w",
        }))
        .await;
    let words = app.shown(&tip).await["passphrase"].as_str().unwrap().to_owned();
    let group = app.funded(&json!({"quantity": 3})).await;
    let of_group = group["tips"][0]["id"].as_str().unwrap().to_owned();
    let skip = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    app.see(&tip).await;
    app.claim(&app.friend, &tip).await.done();
    let link = app.link(&app.friend, &json!({"flow": "tippee", "amount": 21, "tipId": tip})).await;
    let printed = app.link("", &json!({"flow": "anonymous", "amount": 21, "tipId": skip})).await;
    let k1 = app.get("", &printed).await.ok()["k1"].as_str().unwrap().to_owned();
    app.ask(Method::GET, "", &format!("/api/tippee/tips?passphrase={}", words.replace(' ', "+")), None)
        .await
        .ok();
    assert!(!app.sent().is_empty(), "nobody is told");

    let path = app.ledger.store.path().to_owned();
    let bytes = database_bytes(&path);
    assert!(holds(&bytes, "a note in the clear"), "these are not the files");
    let of_link = |link: &str| link.rsplit('/').next().unwrap().replace('-', "");
    let opening =
        [tip.clone(), of_group, id(&group), skip.clone(), words, of_link(&link), of_link(&printed), k1];
    for opens in opening {
        assert!(!holds(&bytes, &opens), "{opens}");
    }

    let (_folder, thief) = stolen_copy(&path);
    for tip in [tip, skip] {
        let tip: Cuid = tip.parse().unwrap();
        let found = thief.read_blocking(move |connection| store::by_public_id(connection, tip));
        assert!(found.unwrap().is_none());
    }
    let listed = thief.read_blocking(|connection| {
        store::given_by(connection, None, store::Listing { limit: Some(10), ..Default::default() }, 0)
    });
    assert!(listed.is_err());
    // Words are found and opened with the family's secret, handles and k1 made of it.
    assert!(keyring(&thief).is_err());
    let link = thief.read_blocking(|connection| -> Result<Vec<u8>, StoreError> {
        Ok(connection.query_row("SELECT unseal(id) FROM tip_links LIMIT 1", [], |row| row.get(0))?)
    });
    assert!(link.is_err());
}
