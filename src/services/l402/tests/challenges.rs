//! Making challenges: once for the same question, a limit for each, and nothing left of what nobody pays.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{Answer, CHALLENGES, DEMO, HOUR, PING, Setup, TestApp, payment};
use crate::core::ids::PaymentHash;
use crate::core::time::millis;
use crate::ledger::{charges, recovery};
use crate::storage::StoreError;
use crate::vouchers::{Vouchers, upkeep};

impl TestApp {
    async fn with_key(&self, who: &str, key: &str, body: &Value) -> Answer {
        self.ask(Method::POST, who, CHALLENGES, Some(body), &[("x-idempotency-key", key)]).await
    }

    async fn rows(&self, table: &'static str) -> i64 {
        let count = move |connection: &rusqlite::Connection| -> Result<i64, StoreError> {
            Ok(connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
        };
        self.ledger.store.read(count).await.unwrap()
    }

    /// The node knows these invoices and no others, once it has had time to forget.
    async fn knows_only(&self, hashes: &[PaymentHash]) {
        let expected: HashSet<_> = hashes.iter().copied().collect();
        for _ in 0..200 {
            if self.node.known() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.node.known(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_within_a_minute_is_the_same_challenge() {
    let app = TestApp::new().await;
    let first = app.challenge("/a", 5).await;
    assert_eq!(app.challenge("/a", 5).await, first);
    assert_ne!(app.challenge("/a", 6).await["paymentHash"], first["paymentHash"]);
    assert_ne!(app.challenge("/b", 5).await["paymentHash"], first["paymentHash"]);
    let body = json!({ "resource": "/a", "priceSats": 5 });
    let rival = app.post(&app.rival, CHALLENGES, &body).await.ok();
    assert_ne!(rival["paymentHash"], first["paymentHash"], "another account");
    app.clock.advance(Duration::from_secs(59));
    assert_eq!(app.challenge("/a", 5).await, first);
    app.clock.advance(Duration::from_secs(1));
    let second = app.challenge("/a", 5).await;
    assert_ne!(second["paymentHash"], first["paymentHash"]);
    app.pay(second["invoice"].as_str().unwrap());
    assert_ne!(app.challenge("/a", 5).await["paymentHash"], second["paymentHash"], "it was paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_as_paid_is_not_asked_for_again() {
    let app = TestApp::new().await;
    let first = app.get("", PING).await.offer();
    // The payer has the preimage; that it was paid for has not come to the database yet.
    let hash = first["payment_hash"].as_str().unwrap().parse().unwrap();
    let token = format!("L402 {}:{}", first["macaroon"].as_str().unwrap(), app.preimage(hash));
    assert_eq!(app.show(PING, &token).await.status, 200);
    let next = app.get("", PING).await.offer();
    assert_ne!(next["payment_hash"], first["payment_hash"]);
    assert_eq!(app.get("", PING).await.offer(), next, "while nobody has paid for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_has_its_own_challenge() {
    let app = TestApp::new().await;
    let hash = async |address: &str| app.from(address, DEMO).await.offer()["payment_hash"].clone();
    let first = hash("192.0.2.1").await;
    assert_eq!(hash("192.0.2.1").await, first);
    assert_ne!(hash("192.0.2.2").await, first);
    assert_ne!(app.get("", PING).await.offer()["payment_hash"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_challenge_until_its_invoice_ends() {
    let app = TestApp::new().await;
    let body = json!({ "resource": "/a", "priceSats": 5 });
    let first = app.with_key(&app.shop, "k", &body).await.ok();
    assert_eq!(app.with_key(&app.shop, "k", &body).await.ok(), first);
    app.clock.advance(Duration::from_secs(599));
    assert_eq!(app.with_key(&app.shop, "k", &body).await.ok(), first);
    app.pay(first["invoice"].as_str().unwrap());
    assert_eq!(app.with_key(&app.shop, "k", &body).await.ok(), first, "paid or not");
    for other in [
        json!({ "resource": "/a", "priceSats": 6 }),
        json!({ "resource": "/b", "priceSats": 5 }),
        json!({ "resource": "/a", "priceSats": 5, "description": "else" }),
    ] {
        let answer = app.with_key(&app.shop, "k", &other).await;
        answer.is_error(409, "idempotency_key_reuse", CHALLENGES);
    }
    let hash = |answer: Value| answer["paymentHash"].clone();
    assert_ne!(hash(app.with_key(&app.shop, "l", &body).await.ok()), hash(first.clone()));
    assert_ne!(hash(app.with_key(&app.rival, "k", &body).await.ok()), hash(first.clone()));
    assert_ne!(hash(app.challenge("/a", 5).await), hash(first.clone()), "nobody gets a keyed one by chance");
    app.clock.advance(Duration::from_secs(1));
    assert_ne!(hash(app.with_key(&app.shop, "k", &body).await.ok()), hash(first));
    let elsewhere = [("idempotency-key", "m")];
    let alias = async || app.ask(Method::POST, &app.shop, CHALLENGES, Some(&body), &elsewhere).await.ok();
    assert_eq!(alias().await, alias().await);
    assert_eq!(alias().await, app.with_key(&app.shop, "m", &body).await.ok(), "by its other name");
    let long = "k".repeat(300);
    let cut = app.with_key(&app.shop, &long, &body).await.ok();
    assert_eq!(app.with_key(&app.shop, &long[..256], &body).await.ok(), cut);
    app.with_key(&app.shop, " ", &body).await.is_error(400, "invalid_idempotency_key", CHALLENGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_with_a_key_all_get_the_same() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let tries = (0..20).map(|_| {
        let app = std::sync::Arc::clone(&app);
        tokio::spawn(async move {
            let body = json!({ "resource": "/a", "priceSats": 5 });
            app.with_key(&app.shop, "k", &body).await.ok()["paymentHash"].clone()
        })
    });
    let mut hashes = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        hashes.push(one.await.unwrap());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    assert_eq!(app.rows("l402_challenges").await, 1);
    assert_eq!(app.rows("charges").await, 1);
    let only = hashes[0].as_str().unwrap().parse().unwrap();
    app.knows_only(&[only]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_all_get_the_same_and_the_node_keeps_no_other_invoice() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let tries = (0..20).map(|_| {
        let app = std::sync::Arc::clone(&app);
        tokio::spawn(async move { app.get("", DEMO).await.offer()["payment_hash"].clone() })
    });
    let mut hashes = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        hashes.push(one.await.unwrap());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    let only = hashes[0].as_str().unwrap().parse().unwrap();
    app.knows_only(&[only]).await;
    assert!(app.node.words.lock().unwrap().len() > 1, "there was a race");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_could_not_be_written_down_is_forgotten() {
    let app = TestApp::new().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON l402_challenges BEGIN SELECT RAISE(ABORT, 'full'); END";
    app.ledger.store.write(move |tx| tx.execute_batch(full).map_err(StoreError::from)).await.unwrap();
    app.get("", DEMO).await.is_error(500, "internal_error", DEMO);
    assert_eq!(app.node.words.lock().unwrap().len(), 1, "it was made");
    app.knows_only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_requests_are_gone_three_hours_after_their_invoices() {
    let app = TestApp::new().await;
    let vouchers = Vouchers::new([]);
    let round = async || {
        tokio::task::block_in_place(|| recovery::forget_old(&app.ledger).unwrap());
        upkeep::expire_due(&app.ledger, &vouchers).await.unwrap();
        (app.rows("l402_challenges").await, app.rows("charges").await, app.node.known().len())
    };
    let asked = app.get("", DEMO).await;
    app.get("", PING).await.offer();
    app.challenge("/weather", 7).await;
    app.clock.advance(Duration::from_secs(600) + HOUR * 2);
    assert_eq!(round().await, (3, 3, 3));
    // As late as LDK takes it: it is credited, and the payment buys one request, if not the token.
    let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
    assert_eq!(app.books(), (0, 10));
    assert_eq!(app.show(DEMO, &payment(&asked.payment(), &preimage)).await.status, 200);
    app.clock.advance(HOUR);
    assert_eq!(round().await, (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invoice_is_in_the_books_before_it_is_shown() {
    let app = TestApp::new().await;
    let made = app.challenge("/a", 5).await;
    let hash = made["paymentHash"].as_str().unwrap().parse().unwrap();
    let read = move |connection: &rusqlite::Connection| charges::by_hash(connection, hash);
    let charge = app.ledger.store.read(read).await.unwrap().unwrap();
    assert_eq!(charge.invoice, made["invoice"].as_str().unwrap());
    assert_eq!(charge.amount, crate::core::money::Msat::from_sat(5));
    assert_eq!(charge.expires_at, super::test_app::NOON + 600_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_pays_is_forgotten_and_what_was_paid_stays() {
    let app = TestApp::new().await;
    app.challenge("/never", 5).await;
    let paid = app.challenge("/paid", 5).await;
    app.pay(paid["invoice"].as_str().unwrap());
    app.clock.advance(HOUR);
    let (listeners, now) = (app.ledger.listeners.clone(), app.clock.now());
    let tidied = app.ledger.store.write(move |tx| {
        charges::expire(tx, now, 100)?;
        charges::forget_unpaid(tx, &listeners, now - millis(Duration::from_secs(60)), 100)
    });
    assert_eq!(tidied.await.unwrap(), 2);
    assert_eq!((app.rows("l402_challenges").await, app.rows("charges").await), (1, 1));
    let list = app.get(&app.shop, CHALLENGES).await.ok();
    assert_eq!(
        (list["total"].as_u64(), list["challenges"][0]["resource"].as_str()),
        (Some(1), Some("/paid"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_new_challenges_and_all_have_so_many() {
    let app = TestApp::with(Setup { per_client: 2, budget: 4, ..Setup::default() }).await;
    let ask = async |address: &str, path: &str| app.from(address, path).await;
    assert_eq!(ask("192.0.2.1", DEMO).await.status, 402);
    assert_eq!(ask("192.0.2.1", PING).await.status, 402);
    for _ in 0..5 {
        assert_eq!(ask("192.0.2.1", PING).await.status, 402, "the one that it has");
    }
    let premium = "/api/l402/premium-data";
    let refused = ask("192.0.2.1", premium).await;
    refused.is_error(429, "rate_limit_exceeded", premium);
    assert_eq!(refused.json()["details"]["limit"], 2);
    assert_eq!(ask("192.0.2.2", DEMO).await.status, 402);
    assert_eq!(ask("192.0.2.3", DEMO).await.status, 402);
    ask("192.0.2.4", DEMO).await.is_error(429, "rate_limit_exceeded", DEMO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_s_life_and_its_invoice_s_belong_together() {
    let mut setup = Setup::default();
    setup.rules.lifetime = Duration::from_secs(120);
    let app = TestApp::with(setup).await;
    let made = app.challenge("/a", 5).await;
    assert_eq!(made["expiresAt"], "2027-01-15T08:01:00Z", "half of its life");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_by_account_and_by_status() {
    let app = TestApp::new().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(app.challenge(&format!("/{number}"), 5).await);
        if number == 1 {
            app.clock.advance(Duration::from_secs(600));
        }
    }
    app.pay(made[1]["invoice"].as_str().unwrap());
    app.pay(made[4]["invoice"].as_str().unwrap());
    let list = async |query: &str| {
        let list = app.get(&app.shop, &format!("{CHALLENGES}{query}")).await.ok();
        let rows = list["challenges"].as_array().unwrap().iter();
        let names: Vec<_> = rows.map(|row| row["resource"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), list["total"].as_u64().unwrap())
    };
    assert_eq!(list("").await, ("/4 /3 /2 /1 /0".into(), 5));
    assert_eq!(list("?status=paid").await, ("/4 /1".into(), 2));
    assert_eq!(list("?status=UNPAID").await, ("/3 /2".into(), 2));
    assert_eq!(list("?status=expired").await, ("/0".into(), 1));
    assert_eq!(list("?limit=2").await, ("/4 /3".into(), 5));
    assert_eq!(list("?limit=2&offset=2").await, ("/2 /1".into(), 5));
    assert_eq!(list("?limit=&offset=&status=").await.1, 5, "as if they were not there");
    assert_eq!(list("?offset=9").await, (String::new(), 5));
    let rivals = app.get(&app.rival, CHALLENGES).await.ok();
    assert_eq!(rivals["total"], 0);
}
