//! Requests, agreements, sales, and what is said of them.

use serde_json::{Value, json};

use super::test_app::{ATTESTATIONS, CAPABILITIES, DAY, Identity, REQUESTS, TestApp};
use axum::http::Method;

async fn request(app: &TestApp, listing: &Value, budget: u64) -> Value {
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": budget, "parameters": null });
    app.post(&app.buyer, REQUESTS, &body).await.made()
}

/// The states of what a side sees, newest first.
async fn states(app: &TestApp, key: &str, role: &str) -> Vec<String> {
    let list = app.get(key, &format!("{REQUESTS}?role={role}")).await.made();
    list["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap().to_owned()).collect()
}

async fn agent(app: &TestApp, identity: &Identity) -> (u64, u64, u64) {
    let agent = app.get("", &format!("/api/agents/{}", identity.pubkey)).await.made();
    let number = |name: &str| agent[name].as_u64().unwrap();
    (number("totalRequests"), number("totalRevenueSats"), number("activeAgreements"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_completes_the_oldest_agreement_of_its_proxy() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    app.agent(&app.seller, &ada, "Ada").await;
    let (listing, other) = (app.offer(&json!({})).await, app.offer(&json!({})).await);
    let first = request(&app, &listing, 7).await;
    assert_eq!((&first["status"], &first["l402Endpoint"]), (&json!("active"), &listing["l402Endpoint"]));
    request(&app, &listing, 100).await;
    assert_eq!(request(&app, &listing, 6).await["status"], "offered");
    assert_eq!(agent(&app, &ada).await, (0, 0, 2));
    app.buy(&other["l402Endpoint"]).await;
    assert_eq!(states(&app, &app.seller, "provider").await, ["offered", "active", "active"]);
    app.buy(&listing["l402Endpoint"]).await;
    assert_eq!(states(&app, &app.buyer, "requester").await, ["offered", "active", "completed"]);
    assert_eq!(agent(&app, &ada).await, (2, 14, 1));
    let stats = app.get("", &format!("/api/agents/{}/stats", ada.pubkey)).await.made();
    assert_eq!((&stats["averageRevenuePerRequest"], &stats["totalRevenueSats"]), (&json!(7.0), &json!(14)));
    app.buy(&listing["l402Endpoint"]).await;
    app.buy(&listing["l402Endpoint"]).await;
    assert_eq!(states(&app, &app.buyer, "requester").await, ["offered", "completed", "completed"]);
    assert_eq!(agent(&app, &ada).await, (4, 28, 0));
    let list = app.get(&app.buyer, &format!("{REQUESTS}?role=requester&limit=1&offset=2")).await.made();
    assert_eq!((&list["total"], &list["items"][0]["requestEventId"]), (&json!(3), &first["requestEventId"]));
    assert_eq!(list["items"][0]["paymentHash"].as_str().unwrap().len(), 64);
    assert_eq!(list["items"][0]["completedAt"], "2027-01-15T08:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_paid_in_a_day_is_over_and_a_late_challenge_still_counts() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    app.agent(&app.seller, &ada, "Ada").await;
    let listing = app.offer(&json!({})).await;
    let made = request(&app, &listing, 7).await;
    request(&app, &listing, 1).await;
    app.clock.advance(DAY);
    // Over at once, also before it is told.
    assert_eq!(states(&app, &app.seller, "provider").await, ["expired", "expired"]);
    assert_eq!(agent(&app, &ada).await.2, 0);
    app.expire().await;
    assert_eq!(states(&app, &app.seller, "provider").await, ["expired", "expired"]);
    app.buy(&listing["l402Endpoint"]).await;
    assert_eq!(states(&app, &app.seller, "provider").await, ["expired", "expired"]);
    assert_eq!(agent(&app, &ada).await, (1, 7, 0));
    let resource = format!("asa:{}:x", made["agreementEventId"].as_str().unwrap());
    let body = json!({ "resource": resource, "priceSats": 7 });
    let challenge = app.post(&app.seller, "/api/l402/challenges", &body).await.made();
    app.pay(&challenge["invoice"]);
    assert_eq!(states(&app, &app.seller, "provider").await, ["expired", "completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_challenge_agrees_and_its_payment_completes_that_very_agreement() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    app.agent(&app.seller, &ada, "Ada").await;
    let listing = app.offer(&json!({ "targetUrl": null })).await;
    assert_eq!(listing["l402Endpoint"], Value::Null);
    let (first, second) = (request(&app, &listing, 50).await, request(&app, &listing, 50).await);
    assert_eq!(first["status"], "offered", "nothing sells it by itself");
    let challenge = async |key: &str, event: &Value| {
        let resource = format!("asa:{}:{}", event.as_str().unwrap(), &"ab".repeat(8));
        let body = json!({ "resource": resource, "priceSats": 40 });
        app.post(key, "/api/l402/challenges", &body).await.made()
    };
    // A stranger's challenge under that name is nothing to the agreement, nor is its payment.
    let strange = challenge(&app.buyer, &second["requestEventId"]).await;
    app.pay(&strange["invoice"]);
    assert_eq!(states(&app, &app.seller, "provider").await, ["offered", "offered"]);
    let own = challenge(&app.seller, &second["requestEventId"]).await;
    assert_eq!(states(&app, &app.seller, "provider").await, ["active", "offered"]);
    app.pay(&own["invoice"]);
    assert_eq!(states(&app, &app.seller, "provider").await, ["completed", "offered"]);
    assert_eq!(agent(&app, &ada).await, (1, 40, 0));
    let item = &app.get(&app.seller, REQUESTS).await.made()["items"][0];
    assert_eq!((&item["priceSats"], &item["budgetSats"]), (&json!(40), &json!(50)));
    // An agreement that was made on relays alone counts for the agent.
    let alone = challenge(&app.seller, &json!("cd".repeat(32))).await;
    app.pay(&alone["invoice"]);
    assert_eq!(agent(&app, &ada).await, (2, 80, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_can_not_be_asked_for_and_what_was_open_ends() {
    let app = TestApp::new().await;
    let listing = app.offer(&json!({})).await;
    request(&app, &listing, 7).await;
    let path = format!("/api/agents/capabilities/{}", listing["eventId"].as_str().unwrap());
    app.ask(Method::DELETE, &app.seller, &path, None, &[]).await.made();
    assert_eq!(states(&app, &app.buyer, "requester").await, ["expired"]);
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7 });
    app.post(&app.buyer, REQUESTS, &body).await.is_error(404, "capability_not_found", REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_nothing_is_removed_after_a_month_and_what_was_paid_stays() {
    let app = TestApp::new().await;
    let (listing, gone) = (app.offer(&json!({})).await, app.offer(&json!({})).await);
    let paid = request(&app, &listing, 7).await;
    request(&app, &gone, 7).await;
    app.buy(&listing["l402Endpoint"]).await;
    for listing in [&listing, &gone] {
        let path = format!("/api/agents/capabilities/{}", listing["eventId"].as_str().unwrap());
        app.ask(Method::DELETE, &app.seller, &path, None, &[]).await.made();
    }
    app.expire().await;
    let prune = async || {
        let (listings, now) = (app.listings.clone(), app.clock.now());
        app.store.write(move |tx| listings.prune(tx, now)).await.unwrap();
        let rows = app.store.read(|connection| -> Result<u64, crate::storage::StoreError> {
            Ok(connection.query_row("SELECT count(*) FROM agent_capabilities", [], |row| row.get(0))?)
        });
        rows.await.unwrap()
    };
    assert_eq!((prune().await, app.events(38_401).await.len()), (2, 2));
    app.clock.advance(DAY * 31);
    assert_eq!((prune().await, app.events(38_401).await.len()), (1, 1));
    let left = app.get(&app.seller, REQUESTS).await.made();
    assert_eq!((&left["total"], &left["items"][0]["requestEventId"]), (&json!(1), &paid["requestEventId"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_requests_of_an_account_are_bounded() {
    let app = TestApp::new().await;
    let listing = app.offer(&json!({})).await;
    for _ in 0..5 {
        request(&app, &listing, 7).await;
    }
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7 });
    app.post(&app.buyer, REQUESTS, &body).await.is_error(409, "too_many_requests_open", REQUESTS);
    app.buy(&listing["l402Endpoint"]).await;
    app.post(&app.buyer, REQUESTS, &body).await.made();
    let key = [("idempotency-key", "k")];
    app.buy(&listing["l402Endpoint"]).await;
    let ask = async || app.ask(Method::POST, &app.buyer, REQUESTS, Some(&body), &key).await.made();
    assert_eq!(ask().await, ask().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rating_by_whoever_bought_is_verified_and_others_are_not() {
    let app = TestApp::new().await;
    let (ada, bob) = (Identity::new(1), Identity::new(2));
    app.agent(&app.seller, &ada, "Ada").await;
    app.agent(&app.buyer, &bob, "Bob").await;
    let listing = app.offer(&json!({})).await;
    let (paid, unpaid) = (request(&app, &listing, 7).await, request(&app, &listing, 7).await);
    app.buy(&listing["l402Endpoint"]).await;
    let rate = async |key: &str, subject: &str, agreement: &Value, rating: u64| {
        let body = json!({
            "subjectPubkey": subject, "agreementId": agreement, "rating": rating, "content": "Good",
            "proof": null, "attestationId": format!("att-{}-{rating}", &agreement.as_str().unwrap()[..8]),
        });
        app.post(key, ATTESTATIONS, &body).await
    };
    let good = rate(&app.buyer, &ada.pubkey, &paid["agreementEventId"], 5).await;
    assert_eq!((good.status, &good.made()["verified"]), (201, &json!(true)));
    let again = rate(&app.buyer, &ada.pubkey, &paid["agreementEventId"], 5).await;
    assert_eq!((again.status, &again.made()["eventId"]), (200, &good.made()["eventId"]));
    let other = rate(&app.buyer, &ada.pubkey, &paid["agreementEventId"], 4).await;
    other.is_error(409, "already_attested", ATTESTATIONS);
    let unverified = rate(&app.buyer, &ada.pubkey, &unpaid["requestEventId"], 2).await;
    assert_eq!(unverified.made()["verified"], false);
    let own = rate(&app.seller, &ada.pubkey, &paid["agreementEventId"], 5).await;
    own.is_error(409, "own_agent", ATTESTATIONS);
    let path = format!("{ATTESTATIONS}?pubkey={}", ada.pubkey);
    let said = app.get("", &path).await.made();
    assert_eq!((&said["total"], &said["averageRating"]), (&json!(2), &json!(3.5)));
    let item = &said["items"][1];
    assert_eq!((&item["pubkey"], &item["verified"]), (&json!(bob.pubkey), &json!(true)));
    assert_eq!(item["createdAt"], 1_800_000_000);
    assert_eq!(app.get("", &format!("{path}&limit=1")).await.made()["items"].as_array().unwrap().len(), 1);
    let nobody = app.get("", &format!("{ATTESTATIONS}?pubkey={}", bob.pubkey)).await.made();
    assert_eq!(nobody, json!({ "items": [], "total": 0, "averageRating": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_capability_gives_no_requests_back() {
    let app = TestApp::new().await;
    for made in 0..8 {
        let listing = app.offer(&json!({})).await;
        assert_eq!(request(&app, &listing, 7).await["status"], "active", "{made}");
        let path = format!("{CAPABILITIES}/{}", listing["eventId"].as_str().unwrap());
        app.ask(Method::DELETE, &app.seller, &path, None, &[]).await.made();
    }
    let listing = app.offer(&json!({})).await;
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7 });
    app.post(&app.buyer, REQUESTS, &body).await.is_error(429, "rate_limit_exceeded", REQUESTS);
    // Of others nothing is counted, and an hour later it is another hour.
    app.post(&app.seller, REQUESTS, &body).await.made();
    app.clock.advance(std::time::Duration::from_secs(3_601));
    app.post(&app.buyer, REQUESTS, &body).await.made();
}
