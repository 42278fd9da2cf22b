//! Who has a copy of the database alone.

use axum::http::Method;
use serde_json::json;

use super::house::{House, id};
use crate::services::tips::ids::Cuid;
use crate::services::tips::{keyring, store};
use crate::storage::StoreError;
use crate::testing::{database_bytes, holds, stolen_copy};

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_the_database_claims_no_tip() {
    let house = House::new().await;
    let tip = house
        .tip(&json!({
            "generatePassphrase": true, "passphraseLength": 4, "note": "a note in the clear",
            "claimWebhookUrl": "https://hook.example/c", "withdrawWebhookUrl": "https://hook.example/w",
        }))
        .await;
    let words = house.shown(&tip).await["passphrase"].as_str().unwrap().to_owned();
    let group = house.funded(&json!({"quantity": 3})).await;
    let of_group = group["tips"][0]["id"].as_str().unwrap().to_owned();
    let skip = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    house.see(&tip).await;
    house.claim(&house.friend, &tip).await.done();
    let link = house.link(&house.friend, &json!({"flow": "tippee", "amount": 21, "tipId": tip})).await;
    let printed = house.link("", &json!({"flow": "anonymous", "amount": 21, "tipId": skip})).await;
    let k1 = house.get("", &printed).await.ok()["k1"].as_str().unwrap().to_owned();
    house
        .ask(Method::GET, "", &format!("/api/tippee/tips?passphrase={}", words.replace(' ', "+")), None)
        .await
        .ok();
    assert!(!house.sent().is_empty(), "nobody is told");

    let path = house.ledger.store.path().to_owned();
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
