//! What is sent at Shopify is sent here.

use serde_json::{Value, json};

use super::{MUG, Pair};
use crate::admin::{ShipRequest, StoreAdmin};
use crate::outbound::mail::post_office::PostOffice;

#[tokio::test(flavor = "multi_thread")]
async fn parcel_of_shopify_s_ships_the_order_once() {
    let office = PostOffice::open().await;
    let pair = Pair::with(Some(office.mailer(10)), "").await;
    pair.server.product(7_000_000_000_001, "mug", &[(MUG, "Blue", "20.00", 10)]);
    pair.sync().await;
    pair.world.seller().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    let follow = async || pair.world.shop.follow_shopify(&pair.shop).await.unwrap();
    assert_eq!(follow().await, 0, "it is not there yet");
    pair.send().await;
    assert_eq!(follow().await, 0);
    // A part of it is on its way.
    pair.server.shop().orders[0]["displayFulfillmentStatus"] = json!("PARTIALLY_FULFILLED");
    assert_eq!(follow().await, 0);
    assert_eq!(pair.look(&bought).await["status"], "Processing");
    pair.server.fulfil("#S5001", "1Z999");
    assert_eq!((follow().await, follow().await), (1, 0));
    let shown = pair.look(&bought).await;
    assert_eq!((&shown["status"], &shown["trackingNumber"]), (&json!("Shipped"), &json!("1Z999")));
    assert_eq!(
        (&shown["trackingCarrier"], &shown["trackingUrl"]),
        (&json!("UPS"), &json!("https://ups.example/1Z999"))
    );
    let told: Vec<_> = pair.world.told().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(told, ["order.paid", "order.claimed", "order.shipped"]);
    pair.world.shop.send_letters().await.unwrap();
    let letters = office.received();
    assert_eq!(letters.len(), 2);
    assert!(office.letter(2).await.text().contains("Tracking number: 1Z999"));
}

#[tokio::test(flavor = "multi_thread")]
async fn order_that_was_sent_by_hand_stays_as_it_is() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.send().await;
    let tracking = ShipRequest { number: Some("mine".into()), ..ShipRequest::default() };
    pair.world.shop.ship(bought["orderId"].as_str().unwrap().into(), tracking).await.unwrap();
    pair.server.fulfil("#S5001", "1Z999");
    assert_eq!(pair.world.shop.follow_shopify(&pair.shop).await.unwrap(), 0);
    assert_eq!(pair.look(&bought).await["trackingNumber"], "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn order_that_was_cancelled_there_is_told_to_the_seller() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.send().await;
    pair.server.shop().orders[0]["cancelledAt"] = json!("2026-11-30T12:00:00Z");
    assert_eq!(pair.world.shop.follow_shopify(&pair.shop).await.unwrap(), 0);
    let told = pair.shown().await["failing_orders"][0]["error"].as_str().unwrap().to_owned();
    assert!(told.contains("satchel store cancel"), "{told}");
    // The buyer's money is the seller's to give back; then there is nothing more to tell.
    assert_eq!(pair.look(&bought).await["status"], "Processing");
    pair.cancel(&bought).await;
    pair.send().await;
    let shown = pair.shown().await;
    assert_eq!((&shown["failing_orders"], &shown["orders_waiting"]), (&json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_orders_change_nothing() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.send().await;
    pair.server.fulfil("#S5001", "1Z999");
    let whole = pair.server.orders()[0].clone();
    for lie in [
        json!({ "legacyResourceId": "1" }),
        json!({ "displayFulfillmentStatus": 7 }),
        json!({ "fulfillments": "none" }),
    ] {
        for (name, value) in lie.as_object().unwrap() {
            pair.server.shop().orders[0][name] = value.clone();
        }
        assert_eq!(pair.world.shop.follow_shopify(&pair.shop).await.unwrap(), 0, "{lie}");
        assert_eq!(pair.look(&bought).await["trackingNumber"], Value::Null, "{lie}");
        pair.server.shop().orders[0] = whole.clone();
    }
    assert_eq!(pair.world.shop.follow_shopify(&pair.shop).await.unwrap(), 1);
}
