//! Many buyers at once.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::setup::{World, one};

/// 200 orders for the last 10 pieces, all paid; how many of each status.
async fn rush(when: &str) -> (World, Vec<Value>) {
    let world = Arc::new(World::new().await);
    world.set("mugs", &json!({ "sold_out": when })).await;
    let mug = world.product("mugs", "mug", "1.00", Some(10)).await;
    let asking = (0..200).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.ask("mugs", mug).await })
    });
    let mut asked = Vec::new();
    for order in asking.collect::<Vec<_>>() {
        asked.push(order.await.unwrap());
    }
    let paying = asked.iter().cloned().map(|order| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            world.pay(&order);
            world.bought("mugs", &one(mug), &order).await
        })
    });
    let mut bought = Vec::new();
    for order in paying.collect::<Vec<_>>() {
        bought.push(order.await.unwrap());
    }
    let world = Arc::into_inner(world).unwrap();
    let ids: HashSet<_> = bought.iter().map(|order| order["orderId"].to_string()).collect();
    assert_eq!(ids.len(), 200);
    let left = world.stock(mug).await;
    assert_eq!(left, Some(if when == "refund" { 0 } else { -190 }));
    (world, bought)
}

fn count(bought: &[Value], status: &str) -> usize {
    bought.iter().filter(|order| order["status"] == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_buyers_of_ten_pieces_get_ten() {
    let (world, bought) = rush("refund").await;
    assert_eq!((count(&bought, "AwaitingDetails"), count(&bought, "RefundDue")), (10, 190));
    // A dollar, 5 dollars of shipping and 7.25 % of the one: 6.07 dollars. The rest is withheld for its buyers.
    assert_eq!(world.has("mugs"), 10 * 12_140);
    assert_eq!(world.booked("withheld"), -190 * 12_140);
    let shown = world.get("/api/shopify/mugs/catalog").await.ok();
    assert_eq!(shown["products"][0]["variants"][0]["available"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn back_orders_keep_everybody_s_money() {
    let (world, bought) = rush("backorder").await;
    assert_eq!(count(&bought, "AwaitingDetails"), 200);
    let waits = |order: &&Value| order["message"].as_str().unwrap().contains("back order");
    assert_eq!(bought.iter().filter(waits).count(), 190);
    assert_eq!(world.has("mugs"), 200 * 12_140);
}
