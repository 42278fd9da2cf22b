//! Catalogue and stock.

use serde_json::{Value, json};

use super::super::setup::one;
use super::super::shopify_server::Trouble;
use super::{MUG, Pair, ask, two};
use crate::admin::StoreAdmin;
use crate::storage::StoreError;

/// Title, price, stock and whether it is sold, by variant.
fn variants(products: &Value) -> Vec<(i64, String, String, Option<i64>, bool)> {
    let products = products.as_array().unwrap().iter();
    products
        .flat_map(|product| {
            let sold = product["active"] == true;
            product["variants"].as_array().unwrap().iter().map(move |variant| {
                let text = |name: &str| variant[name].as_str().unwrap().to_owned();
                let active = sold && variant["active"] == true;
                (
                    variant["id"].as_i64().unwrap(),
                    text("title"),
                    text("price"),
                    variant["stock"].as_i64(),
                    active,
                )
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_of_many_pages_is_read_with_shopify_s_ids() {
    let pair = Pair::new().await;
    for n in 0..60 {
        let id = 44_000_000_000_000 + 10 * n;
        let handle = format!("mug-{n}");
        pair.server.product(
            7_000_000_000_000 + n,
            &handle,
            &[(id + 1, "Blue", "20.00", n), (id + 2, "Red", "21.50", 0), (id + 3, "Old", "9", 3)],
        );
    }
    pair.sync().await;
    let found = variants(&pair.products().await);
    assert_eq!(found.len(), 180);
    assert_eq!(found[3], (44_000_000_000_011, "Blue".into(), "20".into(), Some(1), true));
    let page = pair.world.get("/api/shopify/mugs/catalog").await.ok();
    let first = &page["products"][0];
    assert_eq!(
        (&first["productId"], &first["description"]),
        (&json!(7_000_000_000_000_i64), &json!("A mug-0"))
    );
    assert_eq!(first["imageUrl"], "https://cdn.example/a.jpg");
    let available: Vec<_> =
        first["variants"].as_array().unwrap().iter().map(|variant| &variant["available"]).collect();
    assert_eq!(available, [&json!(false), &json!(false), &json!(true)]);
    let shown = pair.shown().await;
    assert_eq!((&shown["error"], &shown["problem_count"]), (&Value::Null, &json!(0)));
    assert!(shown["synced_at"].is_string());
    // A second reading finds nothing different.
    let again = pair.world.shop.sync_shopify(&pair.shop).await.unwrap();
    assert_eq!((again.products, again.variants, again.changed, again.removed), (60, 180, 0, 0));
    // What is added by hand has small ids.
    let id = pair.world.product("mugs", "by-hand", "1.00", None).await;
    assert!(id < 100_000_000, "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_at_shopify_changes_here_and_ids_stay() {
    let pair = Pair::new().await;
    pair.server.product(7_000_000_000_001, "mug", &[(MUG, "Blue", "20.00", 5), (MUG + 1, "Red", "20.00", 5)]);
    pair.server.product(7_000_000_000_002, "cup", &[(MUG + 2, "Default Title", "5.00", 5)]);
    pair.sync().await;
    // Titles are swapped, prices and stock change, a variant comes and a product goes.
    pair.server.change_variant(MUG, &json!({ "title": "Red", "price": "22.00" }));
    pair.server.change_variant(MUG + 1, &json!({ "title": "Blue", "inventoryQuantity": 9 }));
    pair.server.product(7_000_000_000_003, "hat", &[(MUG + 3, "L", "30.00", 1)]);
    pair.server.shop().products.retain(|product| product["handle"] != "cup");
    let synced = pair.world.shop.sync_shopify(&pair.shop).await.unwrap();
    assert_eq!((synced.changed, synced.removed, synced.problem_count), (2, 1, 0));
    let expected = [
        (MUG, "Red".into(), "22".into(), Some(5), true),
        (MUG + 1, "Blue".into(), "20".into(), Some(9), true),
        (MUG + 2, "Default Title".into(), "5".into(), Some(5), false),
        (MUG + 3, "L".into(), "30".into(), Some(1), true),
    ];
    assert_eq!(variants(&pair.products().await), expected);
    // A variant goes; what was sold of it stays in its orders. It comes back with another id and the same title.
    let bought = pair.buy(MUG + 1).await;
    pair.server.shop().variants.retain(|variant| variant["title"] != "Blue");
    pair.sync().await;
    assert!(!variants(&pair.products().await)[1].4);
    assert_eq!(pair.look(&bought).await["items"][0]["variantTitle"], "Blue");
    pair.world.checkout("mugs", &one(MUG + 1), &[]).await.refused(400, "UNKNOWN_VARIANT");
    let mut anew = pair.server.shop().variants[0].clone();
    anew["legacyResourceId"] = json!((MUG + 9).to_string());
    anew["title"] = json!("Blue");
    pair.server.shop().variants.push(anew);
    pair.sync().await;
    assert_eq!(variants(&pair.products().await)[1].1, "Blue");
    // A new product has the handle of one that is gone: it takes its place.
    pair.server.product(7_000_000_000_009, "cup", &[(MUG + 20, "Default Title", "6.00", 2)]);
    pair.sync().await;
    assert_eq!(
        variants(&pair.products().await)[2],
        (MUG + 2, "Default Title".into(), "6".into(), Some(2), true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn products_that_were_imported_before_become_shopify_s() {
    let pair = Pair::new().await;
    let blue = pair.world.product("mugs", "mug", "20.00", Some(5)).await;
    let other = pair.world.product("mugs", "own", "1.00", Some(1)).await;
    pair.server.product(7_000_000_000_001, "mug", &[(MUG, "Blue", "25.00", 4), (MUG + 1, "Red", "25.00", 4)]);
    pair.sync().await;
    let found = variants(&pair.products().await);
    let expected = [
        (blue, "Blue".into(), "25".into(), Some(4), true),
        (MUG + 1, "Red".into(), "25".into(), Some(4), true),
        // What is not Shopify's is left alone.
        (other, "Blue".into(), "1".into(), Some(1), true),
    ];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_taken_or_absurd_are_replaced() {
    let pair = Pair::new().await;
    pair.world.create("cups", &super::mugs()).await;
    let taken = pair.world.product("cups", "cup", "1.00", Some(1)).await;
    pair.server.product(5, "mug", &[(taken, "Blue", "20.00", 4), (i64::MAX, "Red", "20.00", 4)]);
    pair.sync().await;
    let found = variants(&pair.products().await);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|variant| variant.0 != taken && variant.0 < 100_000_000), "{found:?}");
    pair.sync().await;
    assert_eq!(variants(&pair.products().await), found);
    let more = pair.world.product("cups", "more", "1.00", Some(1)).await;
    assert!(more < 100_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn products_that_make_no_sense_are_left_as_they_were_and_told() {
    let pair = Pair::with_a_mug().await;
    let before = pair.products().await;
    for lie in [
        json!({ "price": "-5.00", "title": "x" }),
        json!({ "inventoryQuantity": i64::MAX, "title": "x" }),
        json!({ "price": "free<script>\u{0}\u{202e}", "title": "x" }),
        json!({ "inventoryItem": [], "title": "x" }),
    ] {
        let kept = pair.server.shop().variants.clone();
        pair.server.change_variant(MUG, &lie);
        let synced = pair.world.shop.sync_shopify(&pair.shop).await.unwrap();
        assert_eq!((synced.problem_count, synced.changed, synced.removed), (1, 0, 0), "{lie}");
        assert_eq!(pair.products().await, before, "{lie}");
        let told = pair.shown().await["problems"][0].as_str().unwrap().to_owned();
        assert!(told.starts_with("product 7700000000001 is left as it was"), "{told}");
        assert!(!told.contains(['\u{0}', '\u{202e}']), "{told}");
        pair.server.shop().variants = kept;
    }
    pair.sync().await;
    assert_eq!(pair.shown().await["problem_count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_stays_when_it_can_t_be_read_whole() {
    let pair = Pair::with_a_mug().await;
    let before = pair.products().await;
    pair.server.change_variant(MUG, &json!({ "price": "1.00" }));
    for (trouble, why) in [
        (Trouble::Status(503), "HTTP status 503"),
        (Trouble::Status(404), "HTTP status 404"),
        (Trouble::Truncated, "not whole JSON"),
        (Trouble::Lost, "broke off"),
        (Trouble::Text("<html>maintenance</html>".into()), "not whole JSON"),
        (Trouble::Text("{\"data\":null}".into()), "no data"),
        (Trouble::Text("{\"data\":{\"shop\":{}}}".into()), "makes no sense"),
        (Trouble::Text("{\"data\":{\"shop\":{\"currencyCode\":\"USD\"},\"products\":7}}".into()), "is none"),
        (Trouble::Text("x".repeat(9_000_000)), "too large"),
        (
            Trouble::Text(
                r#"{"errors":[{"message":"no\u0000t you","extensions":{"code":"ACCESS_DENIED"}}]}"#.into(),
            ),
            "does not allow it: no t you",
        ),
        (Trouble::Text(r#"{"errors":[{"message":"oops"}],"data":{}}"#.into()), "reports an error: oops"),
    ] {
        pair.server.trouble(Some(trouble.clone()));
        let told = pair.refused().await;
        assert!(told.contains(why), "{trouble:?}: {told}");
        assert_eq!(pair.shown().await["error"], told.as_str());
        assert_eq!(pair.products().await, before, "{trouble:?}");
    }
    pair.server.trouble(None);
    pair.server.shop().circles = true;
    assert!(pair.refused().await.contains("round in circles"));
    pair.server.shop().circles = false;
    // In the middle of it.
    pair.server.shop().troubles = [2, 1, 0].map(|_| Trouble::Truncated).into();
    assert!(pair.refused().await.contains("not whole JSON"));
    assert_eq!(pair.products().await, before);
    // Buyers notice nothing.
    ask(&pair, MUG).await;
    pair.sync().await;
    assert_eq!(pair.shown().await["error"], Value::Null);
    assert_eq!(variants(&pair.products().await)[0].2, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_currency_is_refused() {
    let pair = Pair::with_a_mug().await;
    pair.server.shop().currency = "EUR";
    let told = pair.refused().await;
    assert!(
        told.contains("prices are in EUR, the store's in USD") && told.contains("--currency EUR"),
        "{told}"
    );
    let refused = StoreAdmin::sync(&pair.world.shop, "mugs".into()).await.unwrap_err();
    assert!(refused.to_string().contains("EUR"), "{refused}");
    assert_eq!(variants(&pair.products().await)[0].2, "20");
    let none = StoreAdmin::sync(&pair.world.shop, "cups".into()).await.unwrap_err();
    assert!(none.to_string().contains("[[shop.shopify]]"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_since_is_not_given_back_by_a_reading() {
    let pair = Pair::with_a_mug().await;
    // Paid, not claimed: Shopify knows nothing of it.
    let first = pair.buy(MUG).await;
    pair.sync().await;
    assert_eq!(pair.world.stock(MUG).await, Some(9));
    // Claimed, not written.
    pair.claim(&first).await;
    pair.sync().await;
    assert_eq!((pair.world.stock(MUG).await, pair.server.stock(MUG)), (Some(9), 10));
    // Written in the same millisecond: it may be in the reading or not, so it counts twice until the next one.
    pair.send().await;
    assert_eq!(pair.server.stock(MUG), 9);
    pair.sync().await;
    assert_eq!(pair.world.stock(MUG).await, Some(8));
    pair.world.clock.advance(std::time::Duration::from_secs(1));
    pair.sync().await;
    assert_eq!(pair.world.stock(MUG).await, Some(9));
    // Sold there.
    pair.server.change_variant(MUG, &json!({ "inventoryQuantity": 3 }));
    pair.sync().await;
    assert_eq!(pair.world.stock(MUG).await, Some(3));
    // Three buyers ask for two each, of three, and pay one after the other.
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(pair.world.checkout("mugs", &two(MUG), &[]).await.asked());
    }
    let mut sold = 0;
    for asked in all {
        pair.world.pay(&asked);
        let bought = pair.world.bought("mugs", &two(MUG), &asked).await;
        sold += i32::from(bought["status"] == "AwaitingDetails");
        pair.sync().await;
    }
    assert_eq!((sold, pair.world.stock(MUG).await), (1, Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_orders_give_their_pieces_back_on_both_sides() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.send().await;
    pair.cancel(&bought).await;
    // Not yet cancelled there: fewer pieces, never more.
    pair.sync().await;
    assert_eq!(pair.world.stock(MUG).await, Some(9));
    pair.send().await;
    pair.sync().await;
    assert_eq!((pair.server.stock(MUG), pair.world.stock(MUG).await), (10, Some(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_from_before_the_shop_was_connected_are_not_sold_again() {
    let pair = Pair::new().await;
    let blue = pair.world.product("mugs", "mug", "20.00", Some(5)).await;
    let [claimed, unclaimed] = [pair.buy(blue).await, pair.buy(blue).await];
    pair.claim(&claimed).await;
    // Without a shop behind the store a claim notes nothing to write.
    let none = pair.world.ledger.store.write_blocking(|tx| -> Result<usize, StoreError> {
        Ok(tx.execute("DELETE FROM shopify_orders", [])?)
    });
    assert_eq!(none.unwrap(), 1);
    pair.server.product(7_700_000_000_001, "mug", &[(MUG, "Blue", "20.00", 5)]);
    pair.sync().await;
    assert_eq!(pair.world.stock(blue).await, Some(3));
    let told = pair.shown().await["subtracted"].clone();
    assert_eq!(told, json!({ "orders": 1, "pieces": 1, "unclaimed_orders": 1, "unclaimed_pieces": 1 }));
    // One is written once it is claimed. The other is the seller's to enter, and counts until it is sent.
    pair.claim(&unclaimed).await;
    pair.send().await;
    pair.world.clock.advance(std::time::Duration::from_secs(1));
    pair.sync().await;
    assert_eq!((pair.server.stock(MUG), pair.world.stock(blue).await), (4, Some(3)));
    let ship = serde_json::from_str("{}").unwrap();
    pair.world.shop.ship(claimed["orderId"].as_str().unwrap().to_owned(), ship).await.unwrap();
    pair.server.change_variant(MUG, &json!({ "inventoryQuantity": 3 }));
    pair.sync().await;
    assert_eq!(pair.world.stock(blue).await, Some(3));
    let none = json!({ "orders": 0, "pieces": 0, "unclaimed_orders": 0, "unclaimed_pieces": 0 });
    assert_eq!(pair.shown().await["subtracted"], none);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_that_was_written_while_the_clock_was_ahead_counts_once() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    let years = std::time::Duration::from_secs(10 * 365 * 86_400);
    pair.world.clock.jump(years);
    pair.send().await;
    pair.world.clock.jump_back(years);
    pair.sync().await;
    assert_eq!((pair.server.stock(MUG), pair.world.stock(MUG).await), (9, Some(9)));
}
