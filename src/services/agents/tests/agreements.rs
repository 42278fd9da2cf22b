//! Requests, agreements, sales, and what is said of them.

use serde_json::{Value, json};

use super::house::{ATTESTATIONS, CAPABILITIES, DAY, House, Identity, REQUESTS};
use axum::http::Method;

async fn request(house: &House, listing: &Value, budget: u64) -> Value {
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": budget, "parameters": null });
    house.post(&house.buyer, REQUESTS, &body).await.made()
}

/// The states of what a side sees, newest first.
async fn states(house: &House, key: &str, role: &str) -> Vec<String> {
    let list = house.get(key, &format!("{REQUESTS}?role={role}")).await.made();
    list["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap().to_owned()).collect()
}

async fn agent(house: &House, identity: &Identity) -> (u64, u64, u64) {
    let agent = house.get("", &format!("/api/agents/{}", identity.pubkey)).await.made();
    let number = |name: &str| agent[name].as_u64().unwrap();
    (number("totalRequests"), number("totalRevenueSats"), number("activeAgreements"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_completes_the_oldest_agreement_of_its_proxy() {
    let house = House::new().await;
    let ada = Identity::new(1);
    house.agent(&house.seller, &ada, "Ada").await;
    let (listing, other) = (house.offer(&json!({})).await, house.offer(&json!({})).await);
    let first = request(&house, &listing, 7).await;
    assert_eq!((&first["status"], &first["l402Endpoint"]), (&json!("active"), &listing["l402Endpoint"]));
    request(&house, &listing, 100).await;
    assert_eq!(request(&house, &listing, 6).await["status"], "offered");
    assert_eq!(agent(&house, &ada).await, (0, 0, 2));
    house.buy(&other["l402Endpoint"]).await;
    assert_eq!(states(&house, &house.seller, "provider").await, ["offered", "active", "active"]);
    house.buy(&listing["l402Endpoint"]).await;
    assert_eq!(states(&house, &house.buyer, "requester").await, ["offered", "active", "completed"]);
    assert_eq!(agent(&house, &ada).await, (2, 14, 1));
    let stats = house.get("", &format!("/api/agents/{}/stats", ada.pubkey)).await.made();
    assert_eq!((&stats["averageRevenuePerRequest"], &stats["totalRevenueSats"]), (&json!(7.0), &json!(14)));
    house.buy(&listing["l402Endpoint"]).await;
    house.buy(&listing["l402Endpoint"]).await;
    assert_eq!(states(&house, &house.buyer, "requester").await, ["offered", "completed", "completed"]);
    assert_eq!(agent(&house, &ada).await, (4, 28, 0));
    let list = house.get(&house.buyer, &format!("{REQUESTS}?role=requester&limit=1&offset=2")).await.made();
    assert_eq!((&list["total"], &list["items"][0]["requestEventId"]), (&json!(3), &first["requestEventId"]));
    assert_eq!(list["items"][0]["paymentHash"].as_str().unwrap().len(), 64);
    assert_eq!(list["items"][0]["completedAt"], "2027-01-15T08:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_paid_in_a_day_is_over_and_a_late_challenge_still_counts() {
    let house = House::new().await;
    let ada = Identity::new(1);
    house.agent(&house.seller, &ada, "Ada").await;
    let listing = house.offer(&json!({})).await;
    let made = request(&house, &listing, 7).await;
    request(&house, &listing, 1).await;
    house.clock.advance(DAY);
    // Over at once, also before it is told.
    assert_eq!(states(&house, &house.seller, "provider").await, ["expired", "expired"]);
    assert_eq!(agent(&house, &ada).await.2, 0);
    house.expire().await;
    assert_eq!(states(&house, &house.seller, "provider").await, ["expired", "expired"]);
    house.buy(&listing["l402Endpoint"]).await;
    assert_eq!(states(&house, &house.seller, "provider").await, ["expired", "expired"]);
    assert_eq!(agent(&house, &ada).await, (1, 7, 0));
    let resource = format!("asa:{}:x", made["agreementEventId"].as_str().unwrap());
    let body = json!({ "resource": resource, "priceSats": 7 });
    let challenge = house.post(&house.seller, "/api/l402/challenges", &body).await.made();
    house.pay(&challenge["invoice"]);
    assert_eq!(states(&house, &house.seller, "provider").await, ["expired", "completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_challenge_agrees_and_its_payment_completes_that_very_agreement() {
    let house = House::new().await;
    let ada = Identity::new(1);
    house.agent(&house.seller, &ada, "Ada").await;
    let listing = house.offer(&json!({ "targetUrl": null })).await;
    assert_eq!(listing["l402Endpoint"], Value::Null);
    let (first, second) = (request(&house, &listing, 50).await, request(&house, &listing, 50).await);
    assert_eq!(first["status"], "offered", "nothing sells it by itself");
    let challenge = async |key: &str, event: &Value| {
        let resource = format!("asa:{}:{}", event.as_str().unwrap(), &"ab".repeat(8));
        let body = json!({ "resource": resource, "priceSats": 40 });
        house.post(key, "/api/l402/challenges", &body).await.made()
    };
    // A stranger's challenge under that name is nothing to the agreement, nor is its payment.
    let strange = challenge(&house.buyer, &second["requestEventId"]).await;
    house.pay(&strange["invoice"]);
    assert_eq!(states(&house, &house.seller, "provider").await, ["offered", "offered"]);
    let own = challenge(&house.seller, &second["requestEventId"]).await;
    assert_eq!(states(&house, &house.seller, "provider").await, ["active", "offered"]);
    house.pay(&own["invoice"]);
    assert_eq!(states(&house, &house.seller, "provider").await, ["completed", "offered"]);
    assert_eq!(agent(&house, &ada).await, (1, 40, 0));
    let item = &house.get(&house.seller, REQUESTS).await.made()["items"][0];
    assert_eq!((&item["priceSats"], &item["budgetSats"]), (&json!(40), &json!(50)));
    // An agreement that was made on relays alone counts for the agent.
    let alone = challenge(&house.seller, &json!("cd".repeat(32))).await;
    house.pay(&alone["invoice"]);
    assert_eq!(agent(&house, &ada).await, (2, 80, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_can_not_be_asked_for_and_what_was_open_ends() {
    let house = House::new().await;
    let listing = house.offer(&json!({})).await;
    request(&house, &listing, 7).await;
    let path = format!("/api/agents/capabilities/{}", listing["eventId"].as_str().unwrap());
    house.ask(Method::DELETE, &house.seller, &path, None, &[]).await.made();
    assert_eq!(states(&house, &house.buyer, "requester").await, ["expired"]);
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7 });
    house.post(&house.buyer, REQUESTS, &body).await.is_error(404, "capability_not_found", REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_nothing_is_removed_after_a_month_and_what_was_paid_stays() {
    let house = House::new().await;
    let (listing, gone) = (house.offer(&json!({})).await, house.offer(&json!({})).await);
    let paid = request(&house, &listing, 7).await;
    request(&house, &gone, 7).await;
    house.buy(&listing["l402Endpoint"]).await;
    for listing in [&listing, &gone] {
        let path = format!("/api/agents/capabilities/{}", listing["eventId"].as_str().unwrap());
        house.ask(Method::DELETE, &house.seller, &path, None, &[]).await.made();
    }
    house.expire().await;
    let prune = async || {
        let (listings, now) = (house.listings.clone(), house.clock.now());
        house.store.write(move |tx| listings.prune(tx, now)).await.unwrap();
        let rows = house.store.read(|connection| -> Result<u64, crate::storage::StoreError> {
            Ok(connection.query_row("SELECT count(*) FROM agent_capabilities", [], |row| row.get(0))?)
        });
        rows.await.unwrap()
    };
    assert_eq!((prune().await, house.events(38_401).await.len()), (2, 2));
    house.clock.advance(DAY * 31);
    assert_eq!((prune().await, house.events(38_401).await.len()), (1, 1));
    let left = house.get(&house.seller, REQUESTS).await.made();
    assert_eq!((&left["total"], &left["items"][0]["requestEventId"]), (&json!(1), &paid["requestEventId"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_requests_of_an_account_are_bounded() {
    let house = House::new().await;
    let listing = house.offer(&json!({})).await;
    for _ in 0..5 {
        request(&house, &listing, 7).await;
    }
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7 });
    house.post(&house.buyer, REQUESTS, &body).await.is_error(409, "too_many_requests_open", REQUESTS);
    house.buy(&listing["l402Endpoint"]).await;
    house.post(&house.buyer, REQUESTS, &body).await.made();
    let key = [("idempotency-key", "k")];
    house.buy(&listing["l402Endpoint"]).await;
    let ask = async || house.ask(Method::POST, &house.buyer, REQUESTS, Some(&body), &key).await.made();
    assert_eq!(ask().await, ask().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rating_by_whoever_bought_is_verified_and_others_are_not() {
    let house = House::new().await;
    let (ada, bob) = (Identity::new(1), Identity::new(2));
    house.agent(&house.seller, &ada, "Ada").await;
    house.agent(&house.buyer, &bob, "Bob").await;
    let listing = house.offer(&json!({})).await;
    let (paid, unpaid) = (request(&house, &listing, 7).await, request(&house, &listing, 7).await);
    house.buy(&listing["l402Endpoint"]).await;
    let rate = async |key: &str, subject: &str, agreement: &Value, rating: u64| {
        let body = json!({
            "subjectPubkey": subject, "agreementId": agreement, "rating": rating, "content": "Good",
            "proof": null, "attestationId": format!("att-{}-{rating}", &agreement.as_str().unwrap()[..8]),
        });
        house.post(key, ATTESTATIONS, &body).await
    };
    let good = rate(&house.buyer, &ada.pubkey, &paid["agreementEventId"], 5).await;
    assert_eq!((good.status, &good.made()["verified"]), (201, &json!(true)));
    let again = rate(&house.buyer, &ada.pubkey, &paid["agreementEventId"], 5).await;
    assert_eq!((again.status, &again.made()["eventId"]), (200, &good.made()["eventId"]));
    let other = rate(&house.buyer, &ada.pubkey, &paid["agreementEventId"], 4).await;
    other.is_error(409, "already_attested", ATTESTATIONS);
    let unverified = rate(&house.buyer, &ada.pubkey, &unpaid["requestEventId"], 2).await;
    assert_eq!(unverified.made()["verified"], false);
    let own = rate(&house.seller, &ada.pubkey, &paid["agreementEventId"], 5).await;
    own.is_error(409, "own_agent", ATTESTATIONS);
    let path = format!("{ATTESTATIONS}?pubkey={}", ada.pubkey);
    let said = house.get("", &path).await.made();
    assert_eq!((&said["total"], &said["averageRating"]), (&json!(2), &json!(3.5)));
    let item = &said["items"][1];
    assert_eq!((&item["pubkey"], &item["verified"]), (&json!(bob.pubkey), &json!(true)));
    assert_eq!(item["createdAt"], 1_800_000_000);
    assert_eq!(house.get("", &format!("{path}&limit=1")).await.made()["items"].as_array().unwrap().len(), 1);
    let nobody = house.get("", &format!("{ATTESTATIONS}?pubkey={}", bob.pubkey)).await.made();
    assert_eq!(nobody, json!({ "items": [], "total": 0, "averageRating": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_capability_gives_no_requests_back() {
    let house = House::new().await;
    for made in 0..8 {
        let listing = house.offer(&json!({})).await;
        assert_eq!(request(&house, &listing, 7).await["status"], "active", "{made}");
        let path = format!("{CAPABILITIES}/{}", listing["eventId"].as_str().unwrap());
        house.ask(Method::DELETE, &house.seller, &path, None, &[]).await.made();
    }
    let listing = house.offer(&json!({})).await;
    let body = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7 });
    house.post(&house.buyer, REQUESTS, &body).await.is_error(429, "rate_limit_exceeded", REQUESTS);
    // Of others nothing is counted, and an hour later it is another hour.
    house.post(&house.seller, REQUESTS, &body).await.made();
    house.clock.advance(std::time::Duration::from_secs(3_601));
    house.post(&house.buyer, REQUESTS, &body).await.made();
}
