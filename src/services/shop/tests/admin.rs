//! What the operator does with stores.

use serde_json::{Value, json};

use super::setup::{World, mugs};
use crate::admin::{AdminError, OrdersRequest, ProductRequest, StoreAdmin, StoreRequest, VariantChange};

fn store(asked: &Value) -> StoreRequest {
    serde_json::from_str(&asked.to_string()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_made_changed_and_listed() {
    let world = World::new().await;
    let shown = world.shop.show("mugs".into()).await.unwrap();
    assert_eq!((&shown["account"], &shown["free_from"]), (&json!("mugs"), &json!("100")));
    assert_eq!(shown["taxes"], json!([{ "country": "US", "state": "CA", "percent": "7.25" }]));
    let taken = world.shop.create("mugs".into(), store(&mugs())).await;
    assert!(matches!(taken, Err(AdminError::Refused(_))), "{taken:?}");
    for (slug, asked) in [
        ("UPPER", json!({})),
        ("-x", json!({})),
        ("", json!({})),
        ("x", json!({ "currency": "BTC" })),
        ("x", json!({ "currency": "XYZ" })),
        ("x", json!({ "country": "Narnia" })),
        ("x", json!({ "sold_out": "shrug" })),
        ("x", json!({ "name": "a\nb" })),
        ("x", json!({ "shipping": [{ "country": "US", "price": "1.999" }] })),
        ("x", json!({ "taxes": [{ "country": "US", "percent": "101" }] })),
    ] {
        let refused = world.shop.create(slug.into(), store(&asked)).await;
        assert!(matches!(refused, Err(AdminError::BadRequest(_))), "{slug} {asked}: {refused:?}");
    }
    let changed = json!({ "name": "New", "shipping": [{ "country": "US", "state": "HI" }] });
    let shown = world.shop.change("mugs".into(), store(&changed)).await.unwrap();
    assert_eq!((&shown["name"], shown["shipping"].as_array().unwrap().len()), (&json!("New"), 1));
    let moved = world.shop.change("mugs".into(), store(&json!({ "currency": "EUR" }))).await;
    assert!(matches!(moved, Err(AdminError::BadRequest(_))));
    assert!(matches!(world.shop.show("nothing".into()).await, Err(AdminError::NotFound(_))));
    assert_eq!(StoreAdmin::list(&world.shop, String::new()).await.unwrap()["stores"][0]["slug"], "mugs");
}

#[tokio::test(flavor = "multi_thread")]
async fn products_keep_their_ids_and_bad_ones_change_nothing() {
    let world = World::new().await;
    let first = world.product("mugs", "mug", "20.00", Some(5)).await;
    assert_eq!(world.product("mugs", "mug", "21.00", Some(4)).await, first);
    // A variant that is not named any more is not sold any more.
    let ids = world
        .put(
            "mugs",
            &json!({ "handle": "mug", "title": "Mug", "variants": [{ "title": "Red", "price": "9" }] }),
        )
        .await;
    assert_eq!(ids.len(), 2);
    let shown = world.get("/api/shopify/mugs/catalog").await.ok();
    assert_eq!(shown["products"][0]["variants"].as_array().unwrap().len(), 1);
    let good = json!({ "handle": "good", "title": "Good", "variants": [{ "price": "1" }] });
    for bad in [
        json!({ "handle": "", "title": "x", "variants": [{ "price": "1" }] }),
        json!({ "handle": "x", "title": "", "variants": [{ "price": "1" }] }),
        json!({ "handle": "x", "title": "a\u{7}", "variants": [{ "price": "1" }] }),
        json!({ "handle": "x", "title": "x", "variants": [] }),
        json!({ "handle": "x", "title": "x", "variants": [{ "price": "1" }, { "price": "2" }] }),
        json!({ "handle": "x", "title": "x", "variants": [{ "price": "1.234" }] }),
        json!({ "handle": "x", "title": "x", "images": ["javascript:alert(1)"], "variants": [{ "price": "1" }] }),
    ] {
        let read = |value: &Value| serde_json::from_str::<ProductRequest>(&value.to_string()).unwrap();
        let refused = StoreAdmin::put(&world.shop, "mugs".into(), vec![read(&good), read(&bad)]).await;
        assert!(matches!(refused, Err(AdminError::BadRequest(_))), "{bad}: {refused:?}");
    }
    let shown = world.get("/api/shopify/mugs/catalog").await.ok();
    assert_eq!(shown["products"].as_array().unwrap().len(), 1);
    let change =
        VariantChange { stock: Some(3), price: Some("8.50".parse().unwrap()), ..VariantChange::default() };
    let changed = world.shop.variant("mugs".into(), ids[1], change).await.unwrap();
    assert_eq!((&changed["stock"], &changed["price"]), (&json!(3), &json!("8.5")));
    let missing = world.shop.variant("mugs".into(), 999, VariantChange::default()).await;
    assert!(matches!(missing, Err(AdminError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_listed_by_status() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(5)).await;
    world.ask("mugs", mug).await;
    let bought = world.buy("mugs", mug).await;
    let list = async |status: Option<&str>| {
        let asked = OrdersRequest { status: status.map(str::to_owned), before: None };
        world.shop.orders("mugs".into(), asked).await.map(|page| page["orders"].as_array().unwrap().len())
    };
    assert_eq!(list(None).await.unwrap(), 1);
    assert_eq!(list(Some("awaiting_payment")).await.unwrap(), 1);
    assert_eq!(list(Some("Shipped")).await.unwrap(), 0);
    assert!(matches!(list(Some("x")).await, Err(AdminError::BadRequest(_))));
    let shown = StoreAdmin::order(&world.shop, bought["orderId"].as_str().unwrap().into()).await.unwrap();
    assert_eq!(shown["status"], "AwaitingDetails");
}
