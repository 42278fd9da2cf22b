//! What is signed, judged by an independent library.

use axum::http::Method;
use nostr::nips::nip06::FromMnemonic;
use nostr::{Event, JsonUtil, Keys, Kind};
use serde_json::{Value, json};

use super::test_app::{ATTESTATIONS, CAPABILITIES, DAY, Identity, REQUESTS, TestApp, WORDS};

/// Reads an event, recomputes its id, and verifies its signature.
#[track_caller]
fn judged(event: &Value) -> Event {
    let event = Event::from_json(event.to_string()).unwrap();
    assert!(event.verify_id() && event.verify_signature());
    event.verify().unwrap();
    event
}

/// The values behind a tag's name.
fn tags(event: &Event, name: &str) -> Vec<Vec<String>> {
    let named = event.tags.iter().map(|tag| tag.as_slice()).filter(|tag| tag[0] == name);
    named.map(|tag| tag[1..].to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_the_one_that_nip_06_derives() {
    let app = TestApp::new().await;
    let derived = Keys::from_mnemonic(WORDS, None).unwrap().public_key().to_hex();
    assert_eq!(app.listings.publisher().pubkey().to_string(), derived);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_says_what_clients_read() {
    let app = TestApp::new().await;
    let (ada, bob) = (Identity::new(1), Identity::new(2));
    app.agent(&app.seller, &ada, "Ada").await;
    app.agent(&app.buyer, &bob, "Bob").await;
    let content = "Übersetzt \"alles\" \\ mit\n\tZeilen, \u{7f}kein Unfug: 😀".replace('\u{7f}', "");
    let listing = app.offer(&json!({ "content": content, "hashtags": ["#NLP", "fast"] })).await;
    let capability = judged(&app.events(38_400).await[0]);
    assert_eq!(capability.id.to_hex(), listing["eventId"].as_str().unwrap());
    assert_eq!(
        (capability.content.as_str(), capability.created_at.as_secs()),
        (content.as_str(), 1_800_000_000)
    );
    let server = capability.pubkey.to_hex();
    let endpoint = listing["l402Endpoint"].as_str().unwrap();
    for (name, expected) in [
        ("s", json!([["ai"], ["translation"]])),
        ("price", json!([["7", "sats", "per-request"]])),
        ("l402", json!([[endpoint]])),
        ("t", json!([["nlp"], ["fast"]])),
        ("p", json!([[ada.pubkey, "", "provider"]])),
        ("negotiable", json!([["false"]])),
        ("status", json!([])),
    ] {
        assert_eq!(json!(tags(&capability, name)), expected, "{name}");
    }
    assert!(tags(&capability, "d")[0][0].starts_with("translate-"));

    let parameters = json!({ "text": "Guten Tag", "tries": 2 }).to_string();
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 9, "parameters": parameters });
    let asked = app.post(&app.buyer, REQUESTS, &body).await.made();
    let request = judged(&app.events(38_401).await[0]);
    assert_eq!(request.id.to_hex(), asked["requestEventId"].as_str().unwrap());
    for (name, expected) in [
        ("e", json!([[listing["eventId"]]])),
        ("p", json!([[ada.pubkey]])),
        ("budget", json!([["9"]])),
        ("param", json!([["text", "Guten Tag"], ["tries", "2"]])),
    ] {
        assert_eq!(json!(tags(&request, name)), expected, "{name}");
    }
    let agreement = judged(&app.events(38_402).await[0]);
    assert_eq!(agreement.id.to_hex(), asked["agreementEventId"].as_str().unwrap());
    for (name, expected) in [
        ("d", json!([[tags(&request, "d")[0][0]]])),
        ("e", json!([[asked["requestEventId"], "", "request"], [listing["eventId"], "", "capability"]])),
        ("p", json!([[ada.pubkey, "", "provider"], [bob.pubkey, "", "requester"]])),
        ("price", json!([["7"]])),
        ("l402", json!([[endpoint]])),
        ("status", json!([["active"]])),
        ("expiration", json!([["1800086400"]])),
        ("payment_hash", json!([])),
    ] {
        assert_eq!(json!(tags(&agreement, name)), expected, "{name}");
    }
    app.buy(&listing["l402Endpoint"]).await;
    let completed = judged(&app.events(38_402).await[0]);
    assert!(completed.created_at > agreement.created_at, "relays keep the later one");
    assert_eq!(tags(&completed, "d"), tags(&agreement, "d"));
    assert_eq!(json!(tags(&completed, "status")), json!([["completed"]]));
    assert_eq!(tags(&completed, "payment_hash")[0][0].len(), 64);
    assert_eq!(tags(&completed, "expiration").len(), 0);

    let said = json!({
        "subjectPubkey": ada.pubkey, "agreementId": asked["agreementEventId"], "rating": 4, "content": "Gut",
        "proof": "ab", "attestationId": "att-x-1",
    });
    let made = app.post(&app.buyer, ATTESTATIONS, &said).await.made();
    let attestation = judged(&app.events(38_403).await[0]);
    assert_eq!(attestation.id.to_hex(), made["eventId"].as_str().unwrap());
    for (name, expected) in [
        ("p", json!([[ada.pubkey, "", "subject"], [bob.pubkey, "", "reviewer"]])),
        ("e", json!([[asked["agreementEventId"], "", "agreement"]])),
        ("rating", json!([["4"]])),
        ("proof", json!([["ab"]])),
        ("L", json!([["nostr.agent.attestation"]])),
    ] {
        assert_eq!(json!(tags(&attestation, name)), expected, "{name}");
    }
    assert!(tags(&attestation, "d")[0][0].starts_with("att-x-1-"));
    assert_eq!(attestation.pubkey.to_hex(), server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_told_in_place_of_what_was() {
    let app = TestApp::new().await;
    let listing = app.offer(&json!({})).await;
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 1, "parameters": "text" });
    app.post(&app.buyer, REQUESTS, &body).await.made();
    let request = judged(&app.events(38_401).await[0]);
    assert_eq!(json!(tags(&request, "param")), json!([["parameters", "text"]]));
    assert_eq!(json!(tags(&judged(&app.events(38_402).await[0]), "status")), json!([["proposed"]]));
    app.clock.advance(DAY);
    app.expire().await;
    let agreements = app.events(38_402).await;
    assert_eq!(agreements.len(), 1);
    assert_eq!(json!(tags(&judged(&agreements[0]), "status")), json!([["expired"]]));
    // Nobody waits for events here, so nothing is left of what was taken back.
    let path = format!("{CAPABILITIES}/{}", listing["eventId"].as_str().unwrap());
    app.ask(Method::DELETE, &app.seller, &path, None, &[]).await.made();
    for kind in [38_400, Kind::EventDeletion.as_u16()] {
        assert_eq!(app.events(kind).await.len(), 0, "{kind}");
    }
}
