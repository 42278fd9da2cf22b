//! Claims, and what becomes of orders after them.

use serde_json::json;

use super::setup::{World, claim};
use crate::admin::{ShipRequest, StoreAdmin};
use crate::storage::StoreError;

#[tokio::test(flavor = "multi_thread")]
async fn order_is_claimed_once_sent_and_forgotten() {
    let world = World::new().await;
    let key = world.seller().await;
    let mug = world.product("mugs", "mug", "20.00", Some(2)).await;
    let bought = world.buy("mugs", mug).await;
    let (token, id) = (&bought["claimToken"], bought["orderId"].as_str().unwrap().to_owned());
    let claimed = world.post("/api/shopify/mugs/claim", &claim(token)).await.ok();
    assert_eq!(claimed["status"], "Processing");
    assert_eq!(claimed["shopifyOrderNumber"], "#1001");
    world.post("/api/shopify/mugs/claim", &claim(token)).await.refused(409, "ALREADY_CLAIMED");
    let tracking = ShipRequest {
        number: Some("1Z999".into()),
        carrier: Some("UPS".into()),
        url: Some("https://ups.example/1Z999".into()),
    };
    world.shop.ship(id.clone(), tracking).await.unwrap();
    let path = format!("/api/shopify/mugs/orders/{id}");
    let shown = world.get(&format!("{path}?claimToken={}", token.as_str().unwrap())).await.ok();
    assert_eq!(shown["status"], "Shipped");
    assert_eq!(
        (&shown["trackingNumber"], &shown["trackingCarrier"], &shown["trackingUrl"]),
        (&json!("1Z999"), &json!("UPS"), &json!("https://ups.example/1Z999"))
    );
    assert!(shown.get("email").is_none() && shown.get("shippingAddress").is_none());
    // The seller sees who bought it, and another account nothing.
    let seen = world.send("GET", &path, "", &[("x-api-key", &key)]).await.ok();
    assert_eq!(
        (&seen["email"], &seen["shippingAddress"]["city"]),
        (&json!("ada@example.com"), &json!("San Francisco"))
    );
    let rival = world.keys.create("r", &[crate::http::keys::Scope::Payments], Some("rival")).await.unwrap();
    let answer = world.send("GET", &path, "", &[("x-api-key", rival.1.expose())]).await;
    answer.refused(404, "ORDER_NOT_FOUND");
    world.get(&path).await.refused(404, "ORDER_NOT_FOUND");
    // Told without personal data, in order.
    let told = world.told();
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["order.paid", "order.claimed", "order.shipped"]);
    for (kind, news) in &told {
        assert_eq!((&news["event"], &news["data"]["orderId"]), (&json!(kind), &json!(id)));
        let text = news.to_string();
        assert!(!text.contains("ada@") && !text.contains("Lovelace") && !text.contains("Main St"), "{text}");
        assert!(!text.contains(token.as_str().unwrap()));
    }
    assert_eq!(told[2].1["data"]["trackingNumber"], "1Z999");
    // Forgotten: nothing of the buyer is anywhere in the database.
    assert_eq!(StoreAdmin::forget(&world.shop, id.clone()).await.unwrap()["forgotten"], true);
    let seen = world.send("GET", &path, "", &[("x-api-key", &key)]).await.ok();
    assert!(seen.get("email").is_none());
    assert_eq!(StoreAdmin::forget(&world.shop, id).await.unwrap()["forgotten"], false);
    assert_eq!(mentions(&world, "Lovelace"), Vec::<String>::new());
}

/// Tables with this text anywhere in them.
fn mentions(world: &World, text: &'static str) -> Vec<String> {
    let read = world.ledger.store.read_blocking(move |connection| -> Result<_, StoreError> {
        let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let tables = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut found = Vec::new();
        for table in tables {
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let has = |at| match row.get_ref(at).unwrap() {
                    rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                        String::from_utf8_lossy(bytes).contains(text)
                    }
                    _ => false,
                };
                if (0..columns).any(has) {
                    found.push(table.clone());
                }
            }
        }
        Ok(found)
    });
    read.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_claims_are_refused() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
    let asked = world.ask("mugs", mug).await;
    let path = "/api/shopify/mugs/claim";
    for token in [json!(""), json!("A".repeat(21)), json!(7), json!(null)] {
        world.post(path, &claim(&token)).await.refused(400, "INVALID_CLAIM_TOKEN");
    }
    world.post(path, &claim(&json!("AAAAAAAAAAAAAAAAAAAA"))).await.refused(404, "CLAIM_NOT_FOUND");
    world.post(path, &claim(&json!("'; DROP TABLE--"))).await.refused(404, "CLAIM_NOT_FOUND");
    // The token of an order that is not paid is none.
    let read = world.ledger.store.read(|connection| -> Result<String, StoreError> {
        Ok(connection.query_row("SELECT unseal(claim_token) FROM shop_orders", [], |row| row.get(0))?)
    });
    let token = json!(read.await.unwrap());
    world.post(path, &claim(&token)).await.refused(404, "CLAIM_NOT_FOUND");
    world.pay(&asked);
    let changed = |pointer: &str, value: serde_json::Value| {
        let mut body = claim(&token);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (pointer, value, code) in [
        ("/email", json!("nobody"), "INVALID_EMAIL"),
        ("/email", json!("a@b\r\nBcc: c@example.com"), "INVALID_EMAIL"),
        ("/shippingAddress", json!("here"), "INVALID_ADDRESS"),
        ("/shippingAddress/city", json!("San\u{0}Francisco"), "INVALID_ADDRESS"),
        ("/shippingAddress/lastName", json!(""), "INVALID_ADDRESS"),
        ("/shippingAddress/country", json!("DE"), "ADDRESS_MISMATCH"),
    ] {
        world.post(path, &changed(pointer, value)).await.refused(400, code);
    }
    world.create("cups", &super::setup::mugs()).await;
    world.post("/api/shopify/cups/claim", &claim(&token)).await.refused(404, "CLAIM_NOT_FOUND");
    world.post("/api/shopify/nothing/claim", &claim(&token)).await.refused(404, "STORE_NOT_FOUND");
    // Markup is an address like any other, and the same answer comes for the same key.
    let body = changed("/shippingAddress/firstName", json!("<b>Ada</b>"));
    let once = [("idempotency-key", "c1")];
    let first = world.send("POST", path, &body.to_string(), &once).await.ok();
    assert_eq!(world.send("POST", path, &body.to_string(), &once).await.ok(), first);
    world.post(path, &claim(&token)).await.refused(409, "ALREADY_CLAIMED");
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_claims_take_one() {
    let world = std::sync::Arc::new(World::new().await);
    let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
    let bought = world.buy("mugs", mug).await;
    let token = bought["claimToken"].clone();
    let claims = (0..20).map(|_| {
        let (world, body) = (std::sync::Arc::clone(&world), claim(&token));
        tokio::spawn(async move { world.post("/api/shopify/mugs/claim", &body).await.status })
    });
    let mut statuses = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        statuses.push(claim.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses.first(), Some(&200));
    assert!(statuses.iter().skip(1).all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unclaimed_orders_can_t_be_sent() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
    let bought = world.buy("mugs", mug).await;
    let id = bought["orderId"].as_str().unwrap().to_owned();
    let refused = world.shop.ship(id, ShipRequest::default()).await.unwrap_err();
    assert!(refused.to_string().contains("claimed"), "{refused}");
    let unknown = world.shop.ship("shpfy_00".into(), ShipRequest::default()).await;
    assert!(unknown.is_err());
}
