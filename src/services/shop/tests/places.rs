//! Where an order may go: to places that cost no more shipping and tax than were paid.

use serde_json::{Value, json};

use super::setup::{World, claim, one};

fn to(token: &Value, province: &str, country: &str) -> Value {
    let mut body = claim(token);
    body["shippingAddress"]["province"] = json!(province);
    body["shippingAddress"]["country"] = json!(country);
    body
}

/// Bought for a place; its claim token.
async fn bought(world: &World, mug: i64, place: &str) -> Value {
    let asked = world.checkout("mugs", &one(mug), &[("x-buyer-location", place)]).await.asked();
    world.pay(&asked);
    let credential = world.credential(&asked);
    let headers = [("authorization", credential.as_str()), ("x-buyer-location", place)];
    world.checkout("mugs", &one(mug), &headers).await.ok()["claimToken"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_goes_where_shipping_and_tax_are_no_more_than_was_paid() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", None).await;
    let path = "/api/shopify/mugs/claim";
    // No tax in Oregon: nobody gets California's for nothing.
    let token = bought(&world, mug, "US-OR-97201").await;
    let refused = world.post(path, &to(&token, "CA", "US")).await;
    refused.refused(400, "ADDRESS_MISMATCH");
    let message = refused.body()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is in US-CA") && message.contains("priced for US-OR"), "{message}");
    // Hawaii's shipping costs more, and nothing is sent to Germany.
    world.post(path, &to(&token, "Hawaii", "US")).await.refused(400, "ADDRESS_MISMATCH");
    world.post(path, &to(&token, "", "DE")).await.refused(400, "ADDRESS_MISMATCH");
    // It stays paid. Nevada comes to the same.
    assert_eq!(world.post(path, &to(&token, "Nevada", "US")).await.ok()["status"], "Processing");
    let token = bought(&world, mug, "US-CA-94107").await;
    world.post(path, &to(&token, "california", "United States")).await.ok();
    // Where it costs less it may go too: whoever paid for more is not left without their order.
    let token = bought(&world, mug, "US-CA-94107").await;
    world.post(path, &to(&token, "OR", "US")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn countries_of_one_price_are_one() {
    let world = World::new().await;
    world.set("mugs", &json!({ "shipping": [{ "country": "*", "price": "15" }] })).await;
    let mug = world.product("mugs", "mug", "20.00", None).await;
    let path = "/api/shopify/mugs/claim";
    let token = bought(&world, mug, "DE--10115").await;
    world.post(path, &to(&token, "CA", "US")).await.refused(400, "ADDRESS_MISMATCH");
    world.post(path, &to(&token, "", "France")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_goes_anywhere() {
    let world = World::new().await;
    let product =
        json!({ "handle": "file", "title": "File", "variants": [{ "price": "9", "ships": false }] });
    let file = world.put("mugs", &product).await[0];
    let path = "/api/shopify/mugs/claim";
    for (province, country) in [("CA", "US"), ("", "DE")] {
        let token = bought(&world, file, "US-OR-97201").await;
        world.post(path, &to(&token, province, country)).await.ok();
    }
    // Where nothing of it is taxed, tax is no reason.
    let product = json!({ "handle": "book", "title": "Book", "variants": [{ "price": "9", "ships": false, "taxable": false }] });
    let book = world.put("mugs", &product).await[0];
    let token = bought(&world, book, "US-CA-94107").await;
    world.post(path, &to(&token, "OR", "US")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_read_by_name_too() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", None).await;
    let asked = |place: &'static str| {
        let world = &world;
        async move {
            world.checkout("mugs", &one(mug), &[("x-buyer-location", place)]).await.asked()["bill"]["total"]
                .clone()
        }
    };
    assert_eq!(asked("US-California-94107").await, asked("US-CA-94107").await);
    assert_ne!(asked("US-CA-94107").await, asked("US-OR-97201").await);
}

/// A store that is in a state of the US, or does not say in which.
async fn with_home(state: &str) -> (World, i64) {
    let world = World::new().await;
    world.set("mugs", &json!({ "state": state })).await;
    let mug = world.product("mugs", "mug", "20.00", None).await;
    (world, mug)
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_needed_where_rates_depend_on_it() {
    let (world, mug) = with_home("CA").await;
    for place in ["US", "US--94107", "US-ZZ-94107", "United States"] {
        let refused = world.checkout("mugs", &one(mug), &[("x-buyer-location", place)]).await;
        refused.refused(400, "STATE_REQUIRED");
        let message = refused.body()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("X-Buyer-Location: US-STATE-ZIP with one of AA, AE, AK"), "{message}");
    }
    // Nor may the address leave it out, whatever was paid.
    let path = "/api/shopify/mugs/claim";
    for place in ["US-OR-97201", "US-CA-94107"] {
        let token = bought(&world, mug, place).await;
        for province in ["", "ZZ", "Nowhere in particular"] {
            let refused = world.post(path, &to(&token, province, "US")).await;
            refused.refused(400, "STATE_REQUIRED");
            let message = refused.body()["message"].as_str().unwrap().to_owned();
            assert!(message.contains("shippingAddress.province must be one of AA"), "{message}");
        }
        world.post(path, &to(&token, "OR", "US")).await.ok();
    }
    // What is neither sent nor taxed does not depend on it.
    let card = json!({ "handle": "card", "title": "Card", "variants": [{ "price": "9", "ships": false, "taxable": false }] });
    let card = world.put("mugs", &card).await[0];
    world.checkout("mugs", &one(card), &[("x-buyer-location", "US")]).await.asked();
}

#[tokio::test(flavor = "multi_thread")]
async fn buyers_who_say_nothing_are_where_the_store_is_or_pay_the_highest_rates() {
    let path = "/api/shopify/mugs/claim";
    let (world, mug) = with_home("CA").await;
    assert_eq!(world.ask("mugs", mug).await["bill"]["total"], json!(26.45));
    let (world, mug) = with_home("").await;
    let asked = world.ask("mugs", mug).await;
    // Hawaii's shipping and California's tax.
    let bill = &asked["bill"];
    assert_eq!((&bill["shipping"], &bill["tax"]), (&json!(12.5), &json!(1.45)), "{bill}");
    for province in ["Hawaii", "CA", "OR"] {
        let token = world.buy("mugs", mug).await["claimToken"].clone();
        world.post(path, &to(&token, "", "US")).await.refused(400, "STATE_REQUIRED");
        world.post(path, &to(&token, province, "US")).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_for_the_rest_of_a_country_is_charged_without_a_state() {
    let (world, mug) = with_home("").await;
    let rest = json!({
        "shipping": [{ "country": "US", "state": "*", "price": "9" }],
        "taxes": [{ "country": "US", "state": "*", "percent": "10" }, { "country": "US", "state": "OR", "percent": "0" }],
    });
    world.set("mugs", &rest).await;
    let bill = |place: &'static str| {
        let world = &world;
        async move {
            let asked = world.checkout("mugs", &one(mug), &[("x-buyer-location", place)]).await.asked();
            let bill = asked["bill"].clone();
            (bill["shipping"].as_f64().unwrap(), bill["tax"].as_f64().unwrap())
        }
    };
    for place in ["US", "US-ZZ-1"] {
        assert_eq!(bill(place).await, (9.0, 2.0), "{place}");
    }
    // Known states have their own rate, or the country's, or that of the rest.
    assert_eq!(bill("US-NV").await, (5.0, 2.0));
    assert_eq!(bill("US-CA").await, (5.0, 1.45));
    assert_eq!(bill("US-OR").await, (5.0, 0.0));
    let path = "/api/shopify/mugs/claim";
    let token = bought(&world, mug, "US-OR-97201").await;
    world.post(path, &to(&token, "", "US")).await.refused(400, "ADDRESS_MISMATCH");
    world.post(path, &to(&token, "or", "US")).await.ok();
    let token = bought(&world, mug, "US").await;
    world.post(path, &to(&token, "", "US")).await.ok();
}
