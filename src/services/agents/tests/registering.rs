//! Keys: registered, changed, proven, and taken over by whoever holds them.

use bitcoin::hashes::{Hash, sha256};
use serde_json::{Value, json};

use super::test_app::{CHALLENGE, DAY, Identity, REGISTER, TestApp, VERIFY};
use crate::core::ids::from_hex;
use std::time::Duration;

fn body(identity: &Identity, challenge: &str, signature: &str) -> Value {
    json!({ "pubkey": identity.pubkey, "challenge": challenge, "signature": signature })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_registered_again_is_updated() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    let first = json!({ "pubkey": ada.pubkey.to_uppercase(), "name": "Ada", "description": "Adds\nnumbers" });
    let made = app.post(&app.seller, REGISTER, &first).await;
    assert_eq!(made.status, 201);
    let made = made.made();
    assert_eq!((&made["pubkey"], &made["isVerified"]), (&json!(ada.pubkey), &json!(false)));
    app.clock.advance(Duration::from_secs(1));
    // What is absent stays, what is null goes.
    let second = app.post(&app.seller, REGISTER, &json!({ "pubkey": ada.pubkey, "name": null })).await;
    assert_eq!(second.status, 200);
    let second = second.made();
    assert_eq!((&second["id"], &second["name"]), (&made["id"], &Value::Null));
    assert_eq!(second["description"], "Adds\nnumbers");
    assert_eq!(second["createdAt"], made["createdAt"]);
    assert_ne!(second["updatedAt"], made["updatedAt"]);
    assert_eq!(app.get("", "/api/agents").await.made()["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_good_once_for_one_key_and_five_minutes() {
    let app = TestApp::new().await;
    let (ada, bob) = (Identity::new(1), Identity::new(2));
    for identity in [&ada, &bob] {
        app.post(&app.seller, REGISTER, &json!({ "pubkey": identity.pubkey })).await.made();
    }
    let challenge = app.challenge(&app.seller, &ada).await;
    // Another's challenge, another account, a challenge nobody gave: none is good.
    for (key, identity, challenge) in [
        (&app.seller, &bob, challenge.as_str()),
        (&app.buyer, &ada, &challenge),
        (&app.seller, &ada, &"ab".repeat(32)),
    ] {
        app.prove(key, identity, challenge).await.is_error(400, "invalid_challenge", VERIFY);
    }
    let verified = app.prove(&app.seller, &ada, &challenge).await.made();
    assert_eq!(verified["verifiedAt"], "2027-01-15T08:00:00.000Z");
    app.prove(&app.seller, &ada, &challenge).await.is_error(400, "invalid_challenge", VERIFY);
    let challenge = app.challenge(&app.seller, &ada).await;
    app.clock.advance(Duration::from_secs(299));
    app.prove(&app.seller, &ada, &challenge).await.made();
    let challenge = app.challenge(&app.seller, &ada).await;
    app.clock.advance(Duration::from_secs(300));
    app.prove(&app.seller, &ada, &challenge).await.is_error(400, "invalid_challenge", VERIFY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_proves_nothing_and_leaves_the_challenge_good() {
    let app = TestApp::new().await;
    let (ada, bob) = (Identity::new(1), Identity::new(2));
    app.post(&app.seller, REGISTER, &json!({ "pubkey": ada.pubkey })).await.made();
    let challenge = app.challenge(&app.seller, &ada).await;
    let digest = from_hex(&challenge).unwrap();
    let good = ada.sign(digest);
    let mut flipped = good.clone();
    flipped.replace_range(0..1, if good.starts_with('0') { "1" } else { "0" });
    for wrong in [bob.sign(digest), ada.sign([7; 32]), flipped, "0".repeat(128), "f".repeat(128)] {
        let answer = app.post(&app.seller, VERIFY, &body(&ada, &challenge, &wrong)).await;
        answer.is_error(400, "invalid_signature", VERIFY);
    }
    assert_eq!(app.get("", &format!("/api/agents/{}", ada.pubkey)).await.made()["isVerified"], false);
    let capitals = body(&ada, &challenge.to_uppercase(), &good.to_uppercase());
    app.post(&app.seller, VERIFY, &capitals).await.made();
    let agent = app.get("", &format!("/api/agents/{}", ada.pubkey.to_uppercase())).await.made();
    assert_eq!(
        (&agent["isVerified"], &agent["verifiedAt"]),
        (&json!(true), &json!("2027-01-15T08:00:00.000Z"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_of_the_challenge_s_text_may_be_signed_instead() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    app.post(&app.seller, REGISTER, &json!({ "pubkey": ada.pubkey })).await.made();
    let challenge = app.challenge(&app.seller, &ada).await;
    let signature = ada.sign(sha256::Hash::hash(challenge.as_bytes()).to_byte_array());
    app.post(&app.seller, VERIFY, &body(&ada, &challenge, &signature)).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_key_takes_it_from_whoever_only_registered_it() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    let claim = json!({ "pubkey": ada.pubkey, "name": "Squatter" });
    app.post(&app.seller, REGISTER, &claim).await.made();
    app.offer(&json!({})).await;
    app.post(&app.buyer, REGISTER, &claim).await.is_error(409, "agent_exists", REGISTER);
    let challenge = app.challenge(&app.buyer, &ada).await;
    app.prove(&app.buyer, &ada, &challenge).await.made();
    app.post(&app.buyer, REGISTER, &json!({ "pubkey": ada.pubkey, "name": "Ada" })).await.made();
    app.post(&app.seller, REGISTER, &claim).await.is_error(409, "agent_exists", REGISTER);
    // What the first one offers is not hers.
    let listed = app.get("", super::test_app::CAPABILITIES).await.made();
    assert_ne!(listed["items"][0]["pubkey"], json!(ada.pubkey));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_key_gets_a_challenge_and_no_proof() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    let challenge = app.challenge(&app.seller, &ada).await;
    app.prove(&app.seller, &ada, &challenge).await.is_error(404, "agent_not_found", VERIFY);
    app.post(&app.seller, REGISTER, &json!({ "pubkey": ada.pubkey })).await.made();
    app.prove(&app.seller, &ada, &challenge).await.made();
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_and_agents_of_an_account_are_bounded() {
    let app = TestApp::new().await;
    for secret in 1..=5 {
        app.post(&app.seller, REGISTER, &json!({ "pubkey": Identity::new(secret).pubkey })).await.made();
    }
    let more = json!({ "pubkey": Identity::new(6).pubkey });
    app.post(&app.seller, REGISTER, &more).await.is_error(409, "too_many_agents", REGISTER);
    let first = app.challenge(&app.seller, &Identity::new(1)).await;
    for _ in 0..30 {
        app.clock.advance(Duration::from_millis(1));
        app.challenge(&app.seller, &Identity::new(1)).await;
    }
    app.prove(&app.seller, &Identity::new(1), &first).await.is_error(400, "invalid_challenge", VERIFY);
    let rows = app.store.read(|connection| -> Result<u64, crate::storage::StoreError> {
        Ok(connection.query_row("SELECT count(*) FROM agent_challenges", [], |row| row.get(0))?)
    });
    assert_eq!(rows.await.unwrap(), 20);
    app.clock.advance(DAY);
    app.get(&app.buyer, &format!("{CHALLENGE}?pubkey={}", "0".repeat(64))).await.made();
    let rows = app.store.read(|connection| -> Result<u64, crate::storage::StoreError> {
        Ok(connection.query_row("SELECT count(*) FROM agent_challenges", [], |row| row.get(0))?)
    });
    assert_eq!(rows.await.unwrap(), 1);
}
