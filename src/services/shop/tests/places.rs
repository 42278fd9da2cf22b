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
