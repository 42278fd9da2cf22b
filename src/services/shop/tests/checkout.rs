//! What an order costs, what is refused, and what a credential gives.

use serde_json::json;

use super::setup::{World, one};

#[tokio::test(flavor = "multi_thread")]
async fn total_has_shipping_and_tax_of_the_buyer_s_place() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(50)).await;
    let two = json!([{ "variantId": mug, "quantity": 2 }]);
    // Goods, shipping, tax of the goods at home; a dollar is 2,000 sat.
    for (at, total, sats) in [
        ("US-CA-94107", 47.9, 95_800),
        ("US-NY-10001", 45.0, 90_000),
        ("US-HI-96801", 52.5, 105_000),
        ("", 47.9, 95_800),
    ] {
        let asked = world.checkout("mugs", &two, &[("x-buyer-location", at)]).await.asked();
        assert_eq!(
            (asked["totalUsd"].as_f64(), asked["totalSats"].as_u64()),
            (Some(total), Some(sats)),
            "{at}"
        );
    }
    // Free from 100 dollars on, at home.
    let five = json!([{ "variantId": mug, "quantity": 5 }]);
    let asked = world.checkout("mugs", &five, &[("x-buyer-location", "US-NY")]).await.asked();
    assert_eq!((&asked["bill"]["shipping"], &asked["totalUsd"]), (&json!(0), &json!(100)));
    world.checkout("mugs", &two, &[("x-buyer-location", "DE")]).await.refused(400, "SHIPPING_UNAVAILABLE");
    world.checkout("mugs", &two, &[("x-buyer-location", "Narnia")]).await.refused(400, "INVALID_LOCATION");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_carts_are_refused_in_the_family_s_shape() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(3)).await;
    let of = |quantity: i64| json!([{ "variantId": mug, "quantity": quantity }]);
    for quantity in [0, -1, 11, i64::MAX, i64::MIN] {
        world.checkout("mugs", &of(quantity), &[]).await.refused(400, "INVALID_QUANTITY");
    }
    world.checkout("mugs", &json!([]), &[]).await.refused(400, "INVALID_ITEMS");
    world.checkout("mugs", &json!([of(6)[0], of(5)[0]]), &[]).await.refused(400, "TOO_MANY_ITEMS");
    world.checkout("mugs", &one(999), &[]).await.refused(400, "UNKNOWN_VARIANT");
    world.checkout("mugs", &of(4), &[]).await.refused(409, "OUT_OF_STOCK");
    world.checkout("nothing", &of(1), &[]).await.refused(404, "STORE_NOT_FOUND");
    world.checkout("%00", &of(1), &[]).await.refused(404, "STORE_NOT_FOUND");
    world.send("POST", "/api/shopify/mugs/checkout", "{", &[]).await.refused(400, "INVALID_JSON");
    world.get("/api/shopify/nothing/catalog").await.refused(404, "STORE_NOT_FOUND");
    world.set("mugs", &json!({ "active": false })).await;
    world.checkout("mugs", &of(1), &[]).await.refused(404, "STORE_NOT_FOUND");
    world.get("/api/shopify/mugs/catalog").await.refused(404, "STORE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_gives_the_same_claim_token_every_time() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(3)).await;
    let asked = world.ask("mugs", mug).await;
    world.pay(&asked);
    let first = world.bought("mugs", &one(mug), &asked).await;
    assert_eq!(first["orderId"], asked["orderId"]);
    assert_eq!(first["status"], "AwaitingDetails");
    for _ in 0..3 {
        assert_eq!(world.bought("mugs", &one(mug), &asked).await, first);
    }
    assert_eq!(world.stock(mug).await, Some(2));
    // 20.00 and 7.25 % of it and 5.00: 26.45.
    assert_eq!(world.has("mugs"), 52_900);
    // Also once the store is closed, its price is another, and the invoice is long over.
    world.set("mugs", &json!({ "active": false })).await;
    world.product("mugs", "mug", "99.00", Some(0)).await;
    world.clock.advance(std::time::Duration::from_secs(90 * 86_400));
    let again = world.bought("mugs", &one(mug), &asked).await;
    assert_eq!(again["claimToken"], first["claimToken"]);
    assert_eq!(again["paidSats"], 52_900);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_get_nothing_but_another_order_to_pay() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(3)).await;
    let (asked, other) = (world.ask("mugs", mug).await, world.ask("mugs", mug).await);
    world.pay(&asked);
    let macaroon = asked["macaroonBase64"].as_str().unwrap();
    let foreign = world.preimage(&other);
    for credential in [
        format!("L402 {macaroon}:{}", "00".repeat(32)),
        format!("L402 {macaroon}:{foreign}"),
        format!("L402 {macaroon}:"),
        "L402 rubbish".to_owned(),
        format!("L402 {}:{}", other["macaroonBase64"].as_str().unwrap(), world.preimage(&asked)),
    ] {
        let answer = world.checkout("mugs", &one(mug), &[("authorization", &credential)]).await;
        let body = answer.asked();
        assert_ne!(body["orderId"], asked["orderId"]);
        assert!(body.get("claimToken").is_none());
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("L402 macaroon=\""));
    }
    // The proof of a payment that nobody has made is worth nothing: the other order is not paid.
    let credential = world.credential(&other);
    let answer = world.checkout("mugs", &one(mug), &[("authorization", &credential)]).await;
    answer.refused(503, "PAYMENT_SETTLING");
    assert_eq!(world.stock(mug).await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_for_another_request_is_refused() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
    let pot = world.product("mugs", "pot", "80.00", Some(9)).await;
    let asked = world.ask("mugs", mug).await;
    world.pay(&asked);
    let credential = world.credential(&asked);
    let shown = [("authorization", credential.as_str())];
    world.checkout("mugs", &one(pot), &shown).await.refused(409, "ORDER_MISMATCH");
    let two = json!([{ "variantId": mug, "quantity": 2 }]);
    world.checkout("mugs", &two, &shown).await.refused(409, "ORDER_MISMATCH");
    let elsewhere = [shown[0], ("x-buyer-location", "US-NY")];
    world.checkout("mugs", &one(mug), &elsewhere).await.refused(409, "ORDER_MISMATCH");
    let at_home = [shown[0], ("x-buyer-location", "US-CA-94107")];
    world.checkout("mugs", &one(mug), &at_home).await.ok();
    // Nor does it open another store.
    world.create("cups", &super::setup::mugs()).await;
    let cup = world.product("cups", "cup", "1.00", Some(9)).await;
    world.checkout("cups", &one(cup), &shown).await.asked();
}

#[tokio::test(flavor = "multi_thread")]
async fn price_and_rate_are_fixed_with_the_invoice() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
    let asked = world.ask("mugs", mug).await;
    world.product("mugs", "mug", "500.00", Some(9)).await;
    world.pay(&asked);
    let bought = world.bought("mugs", &one(mug), &asked).await;
    assert_eq!(bought["totalSats"], asked["totalSats"]);
    assert_eq!(bought["items"][0]["price"], 20);
    assert_eq!(world.ask("mugs", mug).await["items"][0]["price"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_key_makes_one_order() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
    let once = [("x-idempotency-key", "k1-0123456789abcdef0123")];
    let first = world.checkout("mugs", &one(mug), &once).await.asked();
    assert_eq!(world.checkout("mugs", &one(mug), &once).await.asked(), first);
    let two = json!([{ "variantId": mug, "quantity": 2 }]);
    world.checkout("mugs", &two, &once).await.refused(409, "IDEMPOTENCY_KEY_REUSE");
    for bad in ["", "k1"] {
        let answer = world.checkout("mugs", &one(mug), &[("idempotency-key", bad)]).await;
        answer.refused(400, "INVALID_IDEMPOTENCY_KEY");
    }
    assert_ne!(world.ask("mugs", mug).await["orderId"], first["orderId"]);
    // Once it can't be paid any more, the key makes another.
    world.clock.advance(std::time::Duration::from_secs(3_600));
    assert_ne!(world.checkout("mugs", &one(mug), &once).await.asked()["orderId"], first["orderId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_in_sats_and_in_euros_are_converted() {
    let world = World::new().await;
    let sats =
        json!({ "currency": "sats", "country": "SV", "shipping": [{ "country": "*", "price": "1000" }] });
    world.create("stickers", &sats).await;
    let sticker = world.product("stickers", "sticker", "2100", None).await;
    let asked = world.ask("stickers", sticker).await;
    assert_eq!((&asked["totalSats"], &asked["totalUsd"]), (&json!(3_100), &json!(1.55)));
    let euros =
        json!({ "currency": "EUR", "country": "DE", "shipping": [{ "country": "DE", "price": "4" }] });
    world.create("kleider", &euros).await;
    let shirt = world.product("kleider", "hemd", "36.00", None).await;
    let asked = world.ask("kleider", shirt).await;
    assert_eq!((&asked["totalSats"], &asked["totalUsd"]), (&json!(100_000), &json!(50)));
    assert_eq!(
        world.get("/api/shopify/kleider/catalog").await.ok()["products"][0]["variants"][0]["priceUsd"],
        45
    );
    // Without a rate nothing is sold in that currency.
    world
        .create("maple", &json!({ "currency": "CAD", "shipping": [{ "country": "*", "price": "0" }] }))
        .await;
    let syrup = world.product("maple", "syrup", "9", None).await;
    world.checkout("maple", &one(syrup), &[]).await.refused(503, "RATE_UNAVAILABLE");
    let shown = world.get("/api/shopify/maple/catalog").await.ok();
    assert_eq!(shown["products"][0]["variants"][0]["priceUsd"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn unpaid_orders_go_and_take_nothing() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let asked = world.ask("mugs", mug).await;
    let path = format!(
        "/api/shopify/mugs/orders/{}?statusToken={}",
        asked["orderId"].as_str().unwrap(),
        asked["statusToken"].as_str().unwrap()
    );
    let waiting = world.get(&path).await.ok();
    assert_eq!((&waiting["status"], &waiting["invoice"]), (&json!("AwaitingPayment"), &asked["invoice"]));
    assert_eq!(world.stock(mug).await, Some(1));
    world.clock.advance(std::time::Duration::from_secs(4 * 3_600));
    let (listeners, now) = (world.ledger.listeners.clone(), world.clock.now());
    world
        .ledger
        .store
        .write(move |tx| {
            crate::ledger::charges::expire(tx, now, 100)?;
            crate::ledger::charges::forget_unpaid(tx, &listeners, now, 100)
        })
        .await
        .unwrap();
    world.get(&path).await.refused(404, "ORDER_NOT_FOUND");
    assert_eq!(world.has("mugs"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_without_a_shown_preimage_is_followed_by_its_status_token() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let asked = world.ask("mugs", mug).await;
    world.pay(&asked);
    let (order, token) = (asked["orderId"].as_str().unwrap(), asked["statusToken"].as_str().unwrap());
    let shown = world.get(&format!("/api/shopify/mugs/orders/{order}?statusToken={token}")).await.ok();
    let bought = world.bought("mugs", &one(mug), &asked).await;
    assert_eq!(shown["claimToken"], bought["claimToken"]);
    world
        .get(&format!("/api/shopify/mugs/orders/{order}?statusToken=x"))
        .await
        .refused(404, "ORDER_NOT_FOUND");
}
