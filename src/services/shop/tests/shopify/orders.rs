//! Orders, written once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::setup::{claim, one};
use super::super::shopify_server::Trouble;
use super::{MUG, Pair, two};
use crate::admin::StoreAdmin;
use crate::storage::StoreError;

/// The rows of orders on their way, all columns as one text.
fn rows(pair: &Pair) -> String {
    let read = pair.world.ledger.store.read_blocking(|connection| -> Result<_, StoreError> {
        let mut statement = connection.prepare("SELECT * FROM shopify_orders")?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut text = String::new();
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                text.push_str(&format!("{:?} ", row.get_ref(column)?));
            }
        }
        Ok(text)
    });
    read.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn claimed_order_is_written_once_with_all_that_the_seller_needs() {
    let pair = Pair::with_a_mug().await;
    let asked = pair.world.checkout("mugs", &two(MUG), &[("x-buyer-location", "US-CA-94107")]).await.asked();
    pair.world.pay(&asked);
    let bought = pair.world.bought("mugs", &two(MUG), &asked).await;
    pair.send().await;
    assert!(pair.server.orders().is_empty(), "nobody knows yet where it goes");
    let claimed = pair.claim(&bought).await;
    assert_eq!(claimed["shopifyOrderNumber"], "#1001");
    pair.send().await;
    pair.send_after(3_600).await;
    let orders = pair.server.orders();
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    let input = &order["input"];
    let id = bought["orderId"].as_str().unwrap();
    assert_eq!((&input["sourceIdentifier"], &input["tags"]), (&json!(id), &json!(["satchel", id])));
    assert_eq!((&input["financialStatus"], &input["currency"]), (&json!("PAID"), &json!("USD")));
    let line = &input["lineItems"][0];
    assert_eq!(
        (&line["variantId"], &line["quantity"]),
        (&json!(format!("gid://shopify/ProductVariant/{MUG}")), &json!(2))
    );
    assert_eq!(line["priceSet"]["shopMoney"], json!({ "amount": "20", "currencyCode": "USD" }));
    assert_eq!(input["shippingLines"][0]["priceSet"]["shopMoney"]["amount"], "5");
    assert_eq!(input["taxLines"][0]["priceSet"]["shopMoney"]["amount"], "2.9");
    assert_eq!(input["transactions"][0]["amountSet"]["shopMoney"]["amount"], "47.9");
    assert_eq!(input["transactions"][0]["kind"], "SALE");
    let attributes: Vec<_> =
        input["customAttributes"].as_array().unwrap().iter().map(|at| &at["value"]).collect();
    assert_eq!(attributes, [&json!(id), &json!("95800"), &asked["paymentHash"]]);
    assert_eq!(input["email"], "ada@example.com");
    let expected = json!({
        "firstName": "Ada", "lastName": "Lovelace", "address1": "1 Main St", "address2": null,
        "city": "San Francisco", "provinceCode": "CA", "zip": "94107", "countryCode": "US",
    });
    assert_eq!(input["shippingAddress"], expected);
    assert_eq!(pair.server.stock(MUG), 8);
    // From now on it has Shopify's name, whatever happens there.
    assert_eq!(pair.look(&bought).await["shopifyOrderNumber"], "#S5001");
    pair.server.shop().orders[0]["name"] = json!("#S9");
    pair.world.shop.follow_shopify(&pair.shop).await.unwrap();
    assert_eq!(pair.look(&bought).await["shopifyOrderNumber"], "#S5001");
    let shown = pair.shown().await;
    assert_eq!((&shown["orders_written"], &shown["orders_waiting"]), (&json!(1), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_make_no_second_order() {
    for trouble in
        [Trouble::Lost, Trouble::Truncated, Trouble::DoneThen500, Trouble::Late(Duration::from_secs(5))]
    {
        for behind in [false, true] {
            let pair = Pair::with_a_mug().await;
            pair.server.shop().search_is_behind = behind;
            let bought = pair.buy(MUG).await;
            pair.claim(&bought).await;
            pair.server.next(trouble.clone());
            pair.send().await;
            // Nothing is sent again while the request may be under way.
            pair.send_after(1).await;
            assert_eq!(pair.server.orders().len(), 1, "{trouble:?}");
            assert_eq!(pair.shown().await["orders_waiting"], 1, "{trouble:?}");
            pair.send_after(2).await;
            pair.send_after(3_600).await;
            assert_eq!(pair.server.orders().len(), 1, "{trouble:?}");
            assert_eq!(pair.look(&bought).await["shopifyOrderNumber"], "#S5001", "{trouble:?}");
            let creates = pair.server.shop().asked.iter().filter(|name| *name == "orderCreate").count();
            assert_eq!(creates, 1, "{trouble:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_that_never_arrived_is_written_later() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    // Certain that nothing was done, and not certain.
    for trouble in [Trouble::Status(403), Trouble::Status(502)] {
        pair.server.trouble(Some(trouble.clone()));
        for _ in 0..5 {
            pair.send_after(100).await;
        }
        assert!(pair.server.orders().is_empty());
        let shown = pair.shown().await;
        assert_eq!(shown["failing_orders"][0]["orderId"], bought["orderId"], "{shown}");
        pair.server.trouble(None);
    }
    pair.send_after(4_000).await;
    assert_eq!(pair.server.orders().len(), 1);
    let shown = pair.shown().await;
    assert_eq!((&shown["failing_orders"], &shown["orders_written"]), (&json!([]), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_less_and_less_often() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.server.trouble(Some(Trouble::Status(403)));
    let mut tries = Vec::new();
    for second in 0..120 {
        let count = |pair: &Pair| pair.server.shop().troubles.len();
        // One for each request; what is left was not asked for.
        pair.server.shop().troubles = (0..10).map(|_| Trouble::Status(403)).collect();
        pair.send_after(1).await;
        if count(&pair) < 10 {
            tries.push(second);
        }
    }
    assert!((4..=8).contains(&tries.len()), "{tries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_order_is_written_without_what_is_refused() {
    let pair = Pair::with_a_mug().await;
    pair.server.shop().refuse_variants = true;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.send().await;
    let orders = pair.server.orders();
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    let (line, note) = (&order["input"]["lineItems"][0], order["input"]["note"].as_str().unwrap());
    assert_eq!((&line["title"], &line["variantId"]), (&json!("mug (Blue)"), &Value::Null));
    assert!(note.contains("ada@example.com") && note.contains("1 Main St"), "{note}");
    // A variant that is not there any more is a line without one, and nothing is refused.
    pair.server.shop().refuse_variants = false;
    let bought = pair.buy(MUG).await;
    pair.server.shop().products.clear();
    pair.server.shop().variants.clear();
    pair.sync().await;
    pair.claim(&bought).await;
    pair.send().await;
    assert_eq!(pair.server.orders().len(), 2);
    assert_eq!(pair.server.shop().order_inputs.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_buyer_is_kept_beside_the_buyer() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    // No word here may stand in the hexadecimal of a payment hash or an id ("ada" did).
    let private = ["ada@", "lovelace", "main st", "\"94107\"", "san francisco"];
    let is_clean = |text: &str| {
        let text = text.to_lowercase();
        private.iter().all(|word| !text.contains(word))
    };
    // Shopify quotes what it was sent, in each way in which it can refuse.
    for said in [
        r#"{"data":{"orderCreate":{"order":null,"userErrors":[{"field":["order","email"],"message":"ada@example.com is invalid"}]}}}"#,
        r#"{"errors":[{"message":"Variable $order (1 Main St) is invalid","extensions":{"code":"INVALID_VARIABLE"}}]}"#,
        r#"{"errors":[{"message":"Lovelace","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#,
    ] {
        pair.server.shop().troubles = (0..2).map(|_| Trouble::Text(said.into())).collect();
        pair.send_after(3_600).await;
        assert!(is_clean(&rows(&pair)), "{}", rows(&pair));
        let shown = pair.shown().await.to_string();
        assert!(is_clean(&shown) && shown.contains("failing_orders"), "{shown}");
        pair.server.shop().troubles.clear();
    }
    // Forgotten meanwhile: it is written without.
    StoreAdmin::forget(&pair.world.shop, bought["orderId"].as_str().unwrap().into()).await.unwrap();
    for _ in 0..3 {
        pair.send_after(3_600).await;
    }
    let orders = pair.server.orders();
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    assert!(is_clean(&order["input"].to_string()), "{order}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_order_is_cancelled_there_or_never_written() {
    let pair = Pair::with_a_mug().await;
    // Before it is written.
    let first = pair.buy(MUG).await;
    pair.claim(&first).await;
    pair.cancel(&first).await;
    pair.send_after(3_600).await;
    assert!(pair.server.orders().is_empty());
    // After; the first attempt and the answer of the second are lost.
    let second = pair.buy(MUG).await;
    pair.claim(&second).await;
    pair.send().await;
    pair.cancel(&second).await;
    pair.server.trouble(Some(Trouble::Status(503)));
    pair.send().await;
    assert!(pair.server.orders()[0]["cancelledAt"].is_null());
    assert_eq!(pair.shown().await["orders_waiting"], 1);
    pair.server.trouble(None);
    pair.server.next(Trouble::Lost);
    pair.send_after(3_600).await;
    pair.send_after(3_600).await;
    assert!(pair.server.orders()[0]["cancelledAt"].is_string());
    assert_eq!(pair.server.stock(MUG), 10, "restocked once");
    assert_eq!(pair.shown().await["orders_waiting"], 0);
    // While nobody knows whether it is there.
    for there in [true, false] {
        let third = pair.buy(MUG).await;
        pair.claim(&third).await;
        let before = pair.server.orders().len();
        pair.server.next(if there { Trouble::Lost } else { Trouble::Status(502) });
        pair.send().await;
        pair.cancel(&third).await;
        pair.send_after(3_600).await;
        pair.send_after(3_600).await;
        let orders = pair.server.orders();
        assert_eq!(orders.len(), before + usize::from(there), "{there}");
        assert!(orders.iter().all(|order| order["cancelledAt"].is_string()), "{there}: {orders:?}");
        assert_eq!(pair.shown().await["orders_waiting"], 0, "{there}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_rounds_write_each_order_once() {
    let pair = Arc::new(Pair::with_a_mug().await);
    for _ in 0..5 {
        let bought = pair.buy(MUG).await;
        pair.claim(&bought).await;
    }
    let rounds = (0..8).map(|_| {
        let pair = Arc::clone(&pair);
        tokio::spawn(async move { pair.send().await })
    });
    for round in rounds.collect::<Vec<_>>() {
        round.await.unwrap();
    }
    assert_eq!(pair.server.orders().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_other_stores_stay_here() {
    let pair = Pair::with_a_mug().await;
    pair.world.create("cups", &super::mugs()).await;
    let cup = pair.world.product("cups", "cup", "5.00", Some(2)).await;
    let asked = pair.world.ask("cups", cup).await;
    pair.world.pay(&asked);
    let bought = pair.world.bought("cups", &one(cup), &asked).await;
    pair.world.post("/api/shopify/cups/claim", &claim(&bought["claimToken"])).await.ok();
    pair.send_after(3_600).await;
    assert!(pair.server.orders().is_empty());
    assert_eq!(rows(&pair), "");
}
