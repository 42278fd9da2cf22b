//! What this node sells, of all kinds.

use serde_json::{Value, json};

use super::setup::{World, one};
use crate::storage::StoreError;

#[tokio::test(flavor = "multi_thread")]
async fn items_and_documents_are_listed_each_with_one_id() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let all = world.get("/api/checkout/products").await.ok();
    let ids: Vec<_> =
        all["products"].as_array().unwrap().iter().map(|product| product["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&format!("item_{mug}"), "doc_halvings", "doc_sats-and-msats", "doc_what-is-l402"]);
    assert_eq!(all["total"], 4);
    for id in ids {
        let found = world.get(&format!("/api/checkout/products/{id}")).await.ok();
        assert_eq!(found["id"], id);
    }
    let item = world.get(&format!("/api/checkout/products/item_{mug}")).await.ok();
    assert_eq!(
        (&item["priceSats"], &item["priceUsd"], &item["type"]),
        (&json!(40_000), &json!(20), &json!("item"))
    );
    for id in ["item_0", "item_01", "item_x", "doc_nothing", "proxy_", "%00"] {
        let path = format!("/api/checkout/products/{id}");
        let missing = world.get(&path).await;
        missing.refused(404, "PRODUCT_NOT_FOUND");
        assert_eq!(missing.body()["instance"], path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_for_an_item_is_an_order() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let body = json!({ "productId": format!("item_{mug}") });
    let session = world.post("/api/checkout/sessions", &body).await;
    assert_eq!(session.status, 201);
    let session = session.body();
    assert!(session["checkoutUrl"].as_str().unwrap().contains("/store/mugs/orders/shpfy_"), "{session}");
    world.pay(&session);
    let credential = format!("L402 {}:{}", session["macaroon"].as_str().unwrap(), world.preimage(&session));
    let bought = world.checkout("mugs", &one(mug), &[("authorization", &credential)]).await.ok();
    assert_eq!(bought["orderId"], session["sessionId"]);
    assert_eq!(world.stock(mug).await, Some(0));
    world.post("/api/checkout/sessions", &body).await.refused(409, "OUT_OF_STOCK");
    world.post("/api/checkout/sessions", &json!({})).await.refused(400, "MISSING_PRODUCT_ID");
    world
        .post("/api/checkout/sessions", &json!({ "productId": "doc_x" }))
        .await
        .refused(404, "PRODUCT_NOT_FOUND");
}

/// Rows that strangers have left.
fn rows(world: &World, table: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let read = world.ledger.store.read_blocking(move |connection| -> Result<_, StoreError> {
        Ok(connection.query_row(&sql, [], |row| row.get(0))?)
    });
    read.unwrap()
}

async fn page(world: &World, session: &Value) -> Value {
    let id = session["sessionId"].as_str().unwrap();
    assert!(session["checkoutUrl"].as_str().unwrap().ends_with(&format!("/checkout/{id}")), "{session}");
    serde_json::from_slice(&world.payments.checkout_json(id).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn session_for_a_document_is_paid_as_a_request_for_it_is() {
    let world = World::new().await;
    let session = world.post("/api/checkout/sessions", &json!({ "productId": "doc_halvings" })).await.ok();
    assert_eq!(session["amountSats"], 3);
    let open = page(&world, &session).await;
    assert_eq!(
        (&open["status"], &open["lightningInvoice"], &open["amountSats"]),
        (&json!("unpaid"), &session["invoice"], &json!(3))
    );
    let shown = world.pay_session(&session);
    let paid = page(&world, &session).await;
    assert_eq!((&paid["status"], &paid["amountReceivedSats"]), (&json!("paid"), &json!(3)), "{paid}");
    // Once, and nothing is a merchant's payment.
    assert_eq!(world.l402.sold_below("/api/l402/content/").await.unwrap(), (1, 1));
    assert_eq!(rows(&world, "payments"), 0);
    let answer = world.document("halvings", &shown).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.document("what-is-l402", &shown).await.status, 402);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_sold_is_read_in_pages_with_its_true_total() {
    let world = World::new().await;
    world.create("cups", &super::setup::mugs()).await;
    let mut expected = Vec::new();
    for n in 0..7 {
        let store = if n % 2 == 0 { "mugs" } else { "cups" };
        expected.push(format!("item_{}", world.product(store, &format!("p{n}"), "1.00", None).await));
    }
    expected.extend(["doc_halvings", "doc_sats-and-msats", "doc_what-is-l402"].map(ToOwned::to_owned));
    for limit in [1, 3, 7, 9, 10, 500] {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("/api/checkout/products?limit={limit}&cursor={cursor}")).await.ok();
            assert_eq!(page["total"], 10, "{limit}");
            let products = page["products"].as_array().unwrap();
            assert!(products.len() <= limit);
            ids.extend(products.iter().map(|product| product["id"].as_str().unwrap().to_owned()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(ids, expected, "{limit}");
    }
    world.set("cups", &json!({ "active": false })).await;
    assert_eq!(world.get("/api/checkout/products?limit=2").await.ok()["total"], 7);
    world.get("/api/checkout/products?limit=0").await.refused(400, "INVALID_LIMIT");
    world.get("/api/checkout/products?cursor=doc_nothing").await.refused(400, "INVALID_CURSOR");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_nobody_pays_are_forgotten() {
    let world = World::new().await;
    let open =
        async || world.post("/api/checkout/sessions", &json!({ "productId": "doc_halvings" })).await.ok();
    let (first, second) = (open().await, open().await);
    assert_ne!(first["invoice"], second["invoice"], "two buyers share an invoice");
    world.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(page(&world, &first).await["status"], "expired");
    let (listeners, now) = (world.ledger.listeners.clone(), world.clock.now());
    let written = world.ledger.store.write(move |tx| {
        crate::ledger::charges::expire(tx, now, 100)?;
        crate::ledger::charges::forget_unpaid(tx, &listeners, now, 100)
    });
    written.await.unwrap();
    for table in ["payments", "l402_challenges", "charges", "webhook_messages"] {
        assert_eq!(rows(&world, table), 0, "{table}");
    }
    let gone = world.payments.checkout_json(first["sessionId"].as_str().unwrap()).await;
    assert_eq!(gone.unwrap_err().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_page_is_found_by_its_whole_id_alone() {
    let world = World::new().await;
    let session = world.post("/api/checkout/sessions", &json!({ "productId": "doc_halvings" })).await.ok();
    let id = session["sessionId"].as_str().unwrap();
    let last = if id.ends_with('0') { '1' } else { '0' };
    let changed = format!("{}{last}", &id[..id.len() - 1]);
    for wrong in [changed.as_str(), &id[..id.len() - 1], "ses_", "ses_zz", "x"] {
        assert_eq!(world.payments.checkout_json(wrong).await.unwrap_err().status(), 404, "{wrong}");
    }
}
