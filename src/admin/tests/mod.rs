//! Through the router, with a node in memory that does what it is told.

mod rooms;

use std::sync::Arc;

use axum::http::StatusCode;
use lightning_invoice::Currency;
use serde_json::{Value, json};

use self::rooms::{FakeNode, fixture, invoice, node_id};
use super::observe;
use crate::lightning::Node;
use crate::telemetry::Phase;

#[tokio::test]
async fn the_node_tells_how_it_is() {
    let fixture = fixture(true);
    fixture.health.set(Phase::Ready);
    let (status, node) = fixture.ask("GET", "node", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(node["node_id"], node_id().to_string());
    assert_eq!(
        (&node["network"], &node["running"], &node["phase"]),
        (&json!("regtest"), &json!(true), &json!("ready"))
    );
    assert_eq!((&node["balances"]["outbound_msat"], &node["channels"]), (&json!(5_000_000), &json!(0)));
    assert_eq!((&node["problem"], &node["block_height"]), (&Value::Null, &json!(101)));
}

#[tokio::test]
async fn a_node_that_does_not_run_answers_what_it_can() {
    let fixture = fixture(false);
    let (status, node) = fixture.ask("GET", "node", Value::Null).await;
    assert_eq!(
        (status, &node["problem"], &node["phase"]),
        (StatusCode::OK, &json!("no chain"), &json!("starting"))
    );
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    fixture.refused("POST", "address", Value::Null, unavailable, "unavailable", "satchel doctor").await;
}

#[tokio::test]
async fn channels_are_opened_and_closed() {
    let fixture = fixture(true);
    let mut order = json!({ "node_id": node_id(), "address": "a.b:9735", "amount_sat": 100_000 });
    let (status, answer) = fixture.ask("POST", "channels", order.clone()).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "user_channel_id": "17" })));
    {
        let opened = fixture.node.opened.lock().unwrap();
        assert_eq!((opened[0].amount_sat, opened[0].push_sat, opened[0].announced), (100_000, 0, false));
    }
    let bad = StatusCode::BAD_REQUEST;
    for (key, value, message) in [
        ("node_id", json!("02"), "66 hex digits"),
        ("address", json!("a.b"), "host:port"),
        ("address", json!("::1:9735"), "host:port"),
        ("amount_sat", json!(0), "in sat"),
        ("amount_sat", json!(-5), "amount_sat"),
        ("push_sat", json!(100_000), "less than"),
        ("announced", json!(true), "node.listen"),
        ("size", json!(1), "unknown field"),
    ] {
        let before = order[key].take();
        order[key] = value;
        fixture.refused("POST", "channels", order.clone(), bad, "bad_request", message).await;
        if before.is_null() {
            order.as_object_mut().unwrap().remove(key);
        } else {
            order[key] = before;
        }
    }
    assert_eq!(fixture.ask("POST", "channels/17/close", Value::Null).await.0, StatusCode::OK);
    let (_, closed) = fixture.ask("POST", "channels/17/close", json!({ "force": true })).await;
    assert_eq!(closed, json!({ "closing": "17", "force": true }));
    let missing = StatusCode::NOT_FOUND;
    fixture
        .refused("POST", "channels/9/close", Value::Null, missing, "not_found", "satchel channel list")
        .await;
}

#[tokio::test]
async fn peers_are_connected() {
    let fixture = fixture(true);
    let peer = json!({ "node_id": node_id(), "address": "[::1]:9735" });
    assert_eq!(fixture.ask("POST", "peers", peer.clone()).await, (StatusCode::OK, peer));
    let dead = json!({ "node_id": node_id(), "address": "dead.host:1" });
    fixture.refused("POST", "peers", dead, StatusCode::CONFLICT, "refused", "nobody there").await;
    assert_eq!(fixture.ask("GET", "peers", Value::Null).await.1["peers"][0]["connected"], json!(true));
}

#[tokio::test]
async fn only_an_invoice_that_can_be_paid_reaches_the_ledger() {
    let fixture = fixture(true);
    let good = invoice(Currency::Regtest, Some(21_000));
    let (status, payout) = fixture.ask("POST", "pay", json!({ "invoice": good, "max_fee_sat": 3 })).await;
    assert_eq!((status, &payout["amount_msat"]), (StatusCode::OK, &json!(21_000)));
    assert_eq!((&payout["max_fee_msat"], &payout["status"]), (&json!(3_000), &json!("queued")));
    let link = format!("lightning:{}", good);
    assert_eq!(fixture.ask("POST", "pay", json!({ "invoice": link })).await.0, StatusCode::OK);
    let bad = StatusCode::BAD_REQUEST;
    for (text, message) in [
        ("lnbc1".to_owned(), "not a BOLT11 invoice"),
        (invoice(Currency::Bitcoin, Some(1_000)), "this node is on regtest"),
        (invoice(Currency::Regtest, None), "no amount"),
    ] {
        fixture.refused("POST", "pay", json!({ "invoice": text }), bad, "bad_request", message).await;
    }
    let open = json!({ "invoice": invoice(Currency::Regtest, None), "amount_sat": 7 });
    assert_eq!(fixture.ask("POST", "pay", open).await.1["amount_msat"], 7_000);
    let other = json!({ "invoice": invoice(Currency::Regtest, Some(1_000)), "amount_sat": 7 });
    fixture.refused("POST", "pay", other, bad, "bad_request", "exactly 1000 msat").await;
    let name = json!({ "target": "bob@example.com", "amount_sat": 7 });
    assert_eq!(fixture.ask("POST", "pay", name).await.1["amount_msat"], 7_000);
    fixture.refused("POST", "pay", json!({}), bad, "bad_request", "either").await;
    assert_eq!(fixture.ask("GET", "payouts/p1", Value::Null).await.1["status"], "paid");
    let missing = StatusCode::NOT_FOUND;
    fixture.refused("GET", "payouts/p2", Value::Null, missing, "not_found", "no payout").await;
}

#[tokio::test]
async fn invoices_have_an_amount_or_leave_it_open() {
    let fixture = fixture(true);
    let (_, issued) = fixture.ask("POST", "invoice", json!({ "amount_sat": 5 })).await;
    assert_eq!((&issued["amount_msat"], &issued["expires_at"]), (&json!(5_000), &json!(3_600)));
    assert_eq!(fixture.ask("POST", "invoice", Value::Null).await.1["amount_msat"], Value::Null);
    let bad = StatusCode::BAD_REQUEST;
    for (body, message) in [
        (json!({ "amount_sat": 0 }), "at least 1"),
        (json!({ "amount_sat": u64::MAX }), "than there is bitcoin"),
        (json!({ "description": "ä".repeat(320) }), "639"),
        (json!({ "expiry_secs": 0 }), "expiry_secs"),
        (json!({ "amount_sat": "5" }), "amount_sat"),
    ] {
        fixture.refused("POST", "invoice", body, bad, "bad_request", message).await;
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let fixture = fixture(true);
    let (_, key) =
        fixture.ask("POST", "keys", json!({ "name": " shop ", "scopes": ["tips", "gifts", "gifts"] })).await;
    assert_eq!((&key["name"], &key["scopes"]), (&json!("shop"), &json!(["gifts", "tips"])));
    assert_eq!(fixture.ask("GET", "keys", Value::Null).await.1, json!({ "keys": [{ "id": "1" }] }));
    assert_eq!(fixture.ask("DELETE", "keys/1", Value::Null).await.1, json!({ "revoked": "1" }));
    fixture
        .refused("DELETE", "keys/2", Value::Null, StatusCode::NOT_FOUND, "not_found", "satchel key list")
        .await;
    let bad = StatusCode::BAD_REQUEST;
    fixture.refused("POST", "keys", json!({ "name": "", "scopes": ["a"] }), bad, "bad_request", "name").await;
    fixture.refused("POST", "keys", json!({ "name": "a", "scopes": [] }), bad, "bad_request", "scopes").await;
    let spaced = json!({ "name": "a", "scopes": ["a"], "account": " b" });
    fixture.refused("POST", "keys", spaced, bad, "bad_request", "account").await;
}

#[tokio::test]
async fn gifts_come_in_pages() {
    let fixture = fixture(true);
    let (_, page) = fixture.ask("GET", "gifts", Value::Null).await;
    assert_eq!(page, json!({ "gifts": [{ "limit": 50, "before": null }] }));
    let (_, page) = fixture.ask("GET", "gifts?limit=2&before=x", Value::Null).await;
    assert_eq!(page, json!({ "gifts": [{ "limit": 2, "before": "x" }] }));
    let bad = StatusCode::BAD_REQUEST;
    for query in ["limit=0", "limit=501", "limit=x", "page=2"] {
        fixture.refused("GET", &format!("gifts?{query}"), Value::Null, bad, "bad_request", "").await;
    }
    assert_eq!(fixture.ask("GET", "gifts/g", Value::Null).await.1, json!({ "id": "g" }));
    fixture.refused("GET", "gifts/h", Value::Null, StatusCode::NOT_FOUND, "not_found", "gift list").await;
}

#[tokio::test]
async fn tips_are_made_listed_and_taken_back() {
    let fixture = fixture(true);
    let (_, page) = fixture.ask("GET", "tips?limit=2&before=x", Value::Null).await;
    assert_eq!(page, json!({ "tips": [{ "limit": 2, "before": "x" }] }));
    let (bad, missing) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND);
    fixture.refused("GET", "tips?limit=501", Value::Null, bad, "bad_request", "500").await;
    assert_eq!(fixture.ask("GET", "tips/t", Value::Null).await.1, json!({ "id": "t" }));
    fixture.refused("GET", "tips/u", Value::Null, missing, "not_found", "tip list").await;
    let (_, made) = fixture.ask("POST", "tips", json!({ "amount_sat": 5, "tippee_names": ["Ada"] })).await;
    assert_eq!(made, json!({ "amount_sat": 5, "names": ["Ada"] }));
    fixture.refused("POST", "tips", json!({ "amount": 5 }), bad, "bad_request", "unknown field").await;
    let (_, taken) = fixture.ask("POST", "tips/t/reclaim", json!({ "force": true })).await;
    assert_eq!(taken, json!({ "id": "t", "reclaimed": 1 }));
    let claimed = StatusCode::CONFLICT;
    fixture.refused("POST", "tips/t/reclaim", Value::Null, claimed, "refused", "claimed").await;
    fixture.refused("POST", "tips/u/reclaim", Value::Null, missing, "not_found", "no tip").await;
}

#[tokio::test]
async fn what_was_sold_is_told_of_all_or_of_one_account() {
    let fixture = fixture(true);
    let sold = fixture.ask("GET", "l402", Value::Null).await;
    assert_eq!(sold, (StatusCode::OK, json!({ "payments": 0, "account": null })));
    let (_, sold) = fixture.ask("GET", "l402?account=shop", Value::Null).await;
    assert_eq!(sold["account"], "shop");
    fixture
        .refused("GET", "l402?who=x", Value::Null, StatusCode::BAD_REQUEST, "bad_request", "unknown field")
        .await;
}

#[tokio::test]
async fn webhooks_are_listed_and_sent_again() {
    let fixture = fixture(true);
    let (_, page) = fixture.ask("GET", "webhooks?limit=2&before=x&parked=true", Value::Null).await;
    assert_eq!(page, json!({ "webhooks": [{ "limit": 2, "before": "x", "parked": true }] }));
    let (_, page) = fixture.ask("GET", "webhooks", Value::Null).await;
    assert_eq!(page, json!({ "webhooks": [{ "limit": 50, "before": null, "parked": false }] }));
    let (bad, missing) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND);
    fixture.refused("GET", "webhooks?limit=0", Value::Null, bad, "bad_request", "500").await;
    fixture.refused("GET", "webhooks?state=x", Value::Null, bad, "bad_request", "unknown field").await;
    let (status, again) = fixture.ask("POST", "webhooks/msg_1/replay", Value::Null).await;
    assert_eq!((status, again), (StatusCode::OK, json!({ "id": "msg_1", "state": "waiting" })));
    fixture.refused("POST", "webhooks/msg_2/replay", Value::Null, missing, "not_found", "no webhook").await;
}

#[tokio::test]
async fn coins_are_listed_and_settled_by_what_was_found() {
    let fixture = fixture(true);
    assert_eq!(fixture.ask("GET", "coins", Value::Null).await.1, json!({ "coins": [{ "id": 1 }] }));
    let txid = json!({ "txid": "ab".repeat(32) });
    let (_, paid) = fixture.ask("POST", "coins/1/settle", txid.clone()).await;
    assert_eq!(paid, json!({ "id": "1", "status": "paid" }));
    let (_, failed) = fixture.ask("POST", "coins/1/settle", json!({ "not_sent": true })).await;
    assert_eq!(failed["status"], "failed");
    let (bad, missing) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND);
    for body in [json!({}), json!({ "txid": "ab".repeat(32), "not_sent": true })] {
        fixture.refused("POST", "coins/1/settle", body, bad, "bad_request", "either").await;
    }
    fixture.refused("POST", "coins/1/settle", json!({ "txid": "ab" }), bad, "bad_request", "64").await;
    for id in ["2", "x"] {
        let path = format!("coins/{id}/settle");
        fixture.refused("POST", &path, txid.clone(), missing, "not_found", "no coins").await;
    }
}

#[tokio::test]
async fn acts_are_recorded_with_how_they_ended() {
    let fixture = fixture(true);
    let order = json!({ "node_id": node_id(), "address": "a.b:9735", "amount_sat": 100_000 });
    fixture.ask("POST", "channels", order).await;
    fixture.ask("POST", "channels/18/close", json!({ "force": true })).await;
    fixture.ask("POST", "peers", json!({ "node_id": node_id(), "address": "dead:1" })).await;
    fixture.ask("DELETE", "keys/2", Value::Null).await;
    let (_, made) = fixture.ask("POST", "invoice", json!({ "amount_sat": 5 })).await;
    fixture.ask("POST", "invoice", json!({ "amount_sat": 0 })).await;
    let (_, address) = fixture.ask("POST", "address", Value::Null).await;
    let (_, log) = fixture.ask("GET", "acts", Value::Null).await;
    let log: Vec<_> = log["acts"].as_array().unwrap().iter().rev().collect();
    let told = |row: &Value| ["act", "subject", "outcome"].map(|name| row[name].as_str().unwrap().to_owned());
    assert_eq!(told(log[0]), ["channel.open", "17", "done"]);
    assert_eq!((&log[0]["details"]["amount_sat"], &log[0]["key_id"]), (&json!(100_000), &json!(1)));
    assert_eq!(told(log[1]), ["channel.close", "18", "refused"]);
    assert!(log[1]["message"].as_str().unwrap().contains("no channel"), "{}", log[1]);
    assert_eq!(told(log[2]), ["peer.connect", &node_id().to_string(), "refused"]);
    assert_eq!(told(log[3]), ["key.revoke", "2", "refused"]);
    assert_eq!(told(log[4]), ["invoice.create", made["payment_hash"].as_str().unwrap(), "done"]);
    assert_eq!(
        (told(log[5]), log[5]["details"]["amount_sat"].as_u64()),
        (["invoice.create", "", "refused"].map(str::to_owned), Some(0))
    );
    assert_eq!(told(log[6]), ["address.create", address["address"].as_str().unwrap(), "done"]);
    let (_, closed) = fixture.ask("GET", "acts?act=channel.close&limit=5", Value::Null).await;
    assert_eq!(closed["acts"].as_array().unwrap().len(), 1);
    let bad = StatusCode::BAD_REQUEST;
    for (query, message) in [("act=x", "acts are pay"), ("limit=0", "500"), ("since=soon", "a date")] {
        fixture.refused("GET", &format!("acts?{query}"), Value::Null, bad, "bad_request", message).await;
    }
}

#[tokio::test]
async fn payouts_are_listed_shown_and_settled() {
    let fixture = fixture(true);
    let (_, page) = fixture
        .ask("GET", "payouts?status=unknown&held_secs=60&since=2026-01-31&before=3_-_1", Value::Null)
        .await;
    let since = 1_769_817_600_000_i64;
    let expected = json!({ "limit": 50, "status": "unknown", "held": 60, "since": since });
    assert_eq!(page, json!({ "payouts": [expected], "next": "3_-_1" }));
    let bad = StatusCode::BAD_REQUEST;
    for (query, message) in [
        ("status=gone", "in_flight"),
        ("family=x", "gifts, tips"),
        ("limit=0", "500"),
        ("since=x", "a date"),
        ("before=p1", "next"),
    ] {
        fixture.refused("GET", &format!("payouts?{query}"), Value::Null, bad, "bad_request", message).await;
    }
    assert_eq!(fixture.ask("GET", "payouts/p1/history", Value::Null).await.1["history"], json!([]));
    let preimage = "ab".repeat(32);
    let path = "payouts/p1/settle";
    let (_, paid) = fixture.ask("POST", path, json!({ "preimage": preimage, "fee_msat": 3 })).await;
    assert_eq!((&paid["status"], &paid["fee"]), (&json!("paid"), &json!(3)));
    let failed = json!({ "failed": true, "i_have_proof": true });
    assert_eq!(fixture.ask("POST", path, failed).await.1["status"], "failed");
    let refused = StatusCode::CONFLICT;
    fixture.refused("POST", path, json!({ "failed": true }), refused, "refused", "under way").await;
    let both = json!({ "preimage": preimage, "failed": true });
    for body in [json!({}), both, json!({ "failed": true, "fee_msat": 1 })] {
        fixture.refused("POST", path, body, bad, "bad_request", "either").await;
    }
    fixture.refused("POST", path, json!({ "preimage": "ab" }), bad, "bad_request", "64 hex").await;
}

#[tokio::test]
async fn money_in_suspense_is_listed_and_given_to_one() {
    let fixture = fixture(true);
    let (_, page) = fixture.ask("GET", "suspense?after=3&limit=2", Value::Null).await;
    assert_eq!(page, json!({ "suspense": [{ "after": 3, "limit": 2 }] }));
    let path = "suspense/7/settle";
    let pay = invoice(Currency::Regtest, Some(1_000));
    for (body, to) in [
        (json!({ "operator": true }), "operator"),
        (json!({ "account": "shop" }), "shop"),
        (json!({ "pay": pay }), "invoice"),
    ] {
        assert_eq!(fixture.ask("POST", path, body).await.1, json!({ "id": 7, "to": to }));
    }
    let bad = StatusCode::BAD_REQUEST;
    for body in [json!({}), json!({ "operator": true, "account": "shop" })] {
        fixture.refused("POST", path, body, bad, "bad_request", "one of").await;
    }
    fixture.refused("POST", path, json!({ "pay": "x" }), bad, "bad_request", "BOLT11").await;
    let missing = StatusCode::NOT_FOUND;
    let operator = json!({ "operator": true });
    fixture.refused("POST", "suspense/x/settle", operator, missing, "not_found", "suspense list").await;
}

#[tokio::test]
async fn tables_come_in_parts() {
    let fixture = fixture(true);
    for (path, kind) in
        [("gifts", "Gifts"), ("tips", "Tips"), ("l402", "L402"), ("payouts", "Payouts"), ("ledger", "Ledger")]
    {
        let path = format!("{path}/export?from=1970-01-02&after=0-5");
        let (_, part) = fixture.ask("GET", &path, Value::Null).await;
        assert_eq!(part, json!({ "kind": kind, "from": 86_400_000, "next": "0-5" }));
    }
    let bad = StatusCode::BAD_REQUEST;
    for (query, message) in [("from=x", "from must be"), ("after=5", "next"), ("account=x", "unknown field")]
    {
        let path = format!("ledger/export?{query}");
        fixture.refused("GET", &path, Value::Null, bad, "bad_request", message).await;
    }
}

#[tokio::test]
async fn coins_are_sent_to_addresses_of_this_network() {
    let fixture = fixture(true);
    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let (_, sent) = fixture
        .ask("POST", "send", json!({ "address": address, "amount_sat": 5_000, "sat_per_vb": 3 }))
        .await;
    assert_eq!(sent, json!({ "id": 1, "amount": 5_000, "rate": 3 }));
    let (_, all) = fixture.ask("POST", "send", json!({ "address": address, "all": true })).await;
    assert_eq!(all["amount"], Value::Null);
    assert_eq!(fixture.ask("GET", "coins/1", Value::Null).await.1["status"], "sent");
    let bad = StatusCode::BAD_REQUEST;
    for (body, message) in [
        (json!({ "address": address }), "either"),
        (json!({ "address": address, "amount_sat": 0 }), "either"),
        (json!({ "address": address, "amount_sat": 5, "all": true }), "either"),
        (json!({ "address": "x", "all": true }), "not a bitcoin address"),
        (json!({ "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "all": true }), "regtest"),
    ] {
        fixture.refused("POST", "send", body, bad, "bad_request", message).await;
    }
}

#[tokio::test]
async fn the_rest_is_told_in_the_same_shape() {
    let fixture = fixture(true);
    assert_eq!(fixture.ask("GET", "audit", Value::Null).await.1, json!({ "clean": true }));
    assert_eq!(fixture.ask("POST", "sync", Value::Null).await.1["block_height"], 101);
    let missing = StatusCode::NOT_FOUND;
    fixture.refused("GET", "nothing", Value::Null, missing, "not_found", "no such path").await;
    let other = StatusCode::METHOD_NOT_ALLOWED;
    fixture.refused("DELETE", "node", Value::Null, other, "method_not_allowed", "method").await;
}

#[tokio::test]
async fn the_numbers_of_the_node_can_be_scraped() {
    crate::telemetry::metrics::install().unwrap();
    let node = Arc::new(FakeNode { running: true, ..FakeNode::default() });
    observe(&Node::new(node, tokio::runtime::Handle::current())).await.unwrap();
    let page = crate::telemetry::metrics::render();
    for line in ["satchel_chain_height 101", "satchel_node_running 1", "satchel_channels{state=\"usable\"} 0"]
    {
        assert!(page.contains(line), "no `{line}` in\n{page}");
    }
}
