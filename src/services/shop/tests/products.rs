//! What this node sells, of all kinds.

use serde_json::json;

use super::setup::{World, one};
use crate::http::keys::Scope;

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
        world.get(&format!("/api/checkout/products/{id}")).await.refused(404, "PRODUCT_NOT_FOUND");
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

#[tokio::test(flavor = "multi_thread")]
async fn session_for_a_document_is_a_payment_whose_preimage_opens_it() {
    let world = World::new().await;
    world.keys.create("operator", &[Scope::Admin], Some("default")).await.unwrap();
    let session = world.post("/api/checkout/sessions", &json!({ "productId": "doc_halvings" })).await.ok();
    assert_eq!(session["amountSats"], 3);
    assert!(session["checkoutUrl"].as_str().unwrap().contains("/checkout/inv_"), "{session}");
    world.pay(&session);
    assert_eq!(world.has("default"), 3);
    let shown = format!("L402 {}:{}", session["macaroon"].as_str().unwrap(), world.preimage(&session));
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
