//! Money that goes back to buyers.

use std::time::Duration;

use serde_json::{Value, json};

use super::setup::{World, claim, one};
use crate::admin::StoreAdmin;
use crate::core::money::Msat;

/// What a mug costs with shipping and tax, in sat.
const PRICE: u64 = 52_900;

/// Two buyers of the last mug have paid; the store's setting says refund. The second one's answer.
async fn sold_out(world: &World) -> Value {
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let (first, second) = (world.ask("mugs", mug).await, world.ask("mugs", mug).await);
    world.pay(&first);
    world.pay(&second);
    assert_eq!(world.bought("mugs", &one(mug), &first).await["status"], "AwaitingDetails");
    world.bought("mugs", &one(mug), &second).await
}

fn body(world: &World, bought: &Value, sat: u64) -> (Value, lightning_invoice::Bolt11Invoice) {
    let (invoice, _) = world.sim.invoice(Msat::from_sat(sat).unwrap(), Duration::from_secs(3_600));
    (json!({ "claimToken": bought["claimToken"], "invoice": invoice.to_string() }), invoice)
}

fn path(bought: &Value) -> String {
    format!("/api/shopify/mugs/orders/{}/refund", bought["orderId"].as_str().unwrap())
}

async fn status(world: &World, bought: &Value) -> Value {
    let (id, token) = (bought["orderId"].as_str().unwrap(), bought["claimToken"].as_str().unwrap());
    world.get(&format!("/api/shopify/mugs/orders/{id}?claimToken={token}")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn sold_out_order_says_so_and_is_refunded_once() {
    let world = World::new().await;
    world.seller().await;
    let bought = sold_out(&world).await;
    assert_eq!(bought["status"], "RefundDue");
    assert!(bought["message"].as_str().unwrap().contains("52900 sat back"), "{bought}");
    // It can't be withdrawn by the seller meanwhile, nor claimed by the buyer.
    assert_eq!((world.has("mugs"), world.booked("withheld")), (PRICE, -52_900));
    world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await.refused(409, "NOT_CLAIMABLE");
    let (wrong, _) = body(&world, &bought, PRICE - 1);
    world.post(&path(&bought), &wrong).await.refused(400, "INVALID_INVOICE");
    let (refund, invoice) = body(&world, &bought, PRICE);
    let mut stranger = refund.clone();
    stranger["claimToken"] = json!("AAAAAAAAAAAAAAAAAAAA");
    world.post(&path(&bought), &stranger).await.refused(404, "ORDER_NOT_FOUND");
    assert_eq!(world.post(&path(&bought), &refund).await.ok()["status"], "Refunding");
    assert_eq!(world.post(&path(&bought), &refund).await.ok()["status"], "Refunding");
    let (second, _) = body(&world, &bought, PRICE);
    world.post(&path(&bought), &second).await.refused(409, "NO_REFUND_DUE");
    world.dispatch(&invoice, true);
    let shown = status(&world, &bought).await;
    assert_eq!((&shown["status"], &shown["refund"]["amountSats"]), (&json!("Refunded"), &json!(PRICE)));
    assert_eq!(world.post(&path(&bought), &refund).await.ok()["status"], "Refunded");
    assert_eq!((world.has("mugs"), world.booked("withheld")), (PRICE, 0));
    let kinds: Vec<_> = world.told().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["order.paid", "order.paid", "order.refunded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_refund_is_due_again() {
    let world = World::new().await;
    let bought = sold_out(&world).await;
    let (refund, invoice) = body(&world, &bought, PRICE);
    world.post(&path(&bought), &refund).await.ok();
    world.dispatch(&invoice, false);
    let shown = status(&world, &bought).await;
    assert_eq!(shown["status"], "RefundDue");
    assert!(shown["refund"]["failureReason"].is_string(), "{shown}");
    assert_eq!((world.has("mugs"), world.booked("withheld")), (PRICE, -52_900));
    world.post(&path(&bought), &refund).await.refused(409, "INVOICE_USED");
    let (again, invoice) = body(&world, &bought, PRICE);
    world.post(&path(&bought), &again).await.ok();
    world.dispatch(&invoice, true);
    assert_eq!(status(&world, &bought).await["status"], "Refunded");
    assert_eq!(world.has("mugs"), PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_beyond_the_price_goes_back_too() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let (first, second) = (world.ask("mugs", mug).await, world.ask("mugs", mug).await);
    world.pay(&first);
    world.pay_msat(&super::setup::invoice(&second), (PRICE + 7) * 1_000 + 500);
    let bought = world.bought("mugs", &one(mug), &second).await;
    assert_eq!(bought["paidSats"], PRICE + 7);
    let (refund, invoice) = body(&world, &bought, PRICE + 7);
    world.post(&path(&bought), &refund).await.ok();
    world.dispatch(&invoice, true);
    assert_eq!(status(&world, &bought).await["status"], "Refunded");
    assert_eq!(world.has("mugs"), PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn seller_gives_an_order_up_and_its_pieces_are_back() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let bought = world.buy("mugs", mug).await;
    let id = bought["orderId"].as_str().unwrap().to_owned();
    world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await.ok();
    assert_eq!(world.stock(mug).await, Some(0));
    assert_eq!(world.shop.cancel(id.clone()).await.unwrap()["status"], "RefundDue");
    assert!(world.shop.cancel(id).await.is_err());
    assert_eq!((world.stock(mug).await, world.has("mugs")), (Some(1), 0));
    let (refund, invoice) = body(&world, &bought, PRICE);
    world.post(&path(&bought), &refund).await.ok();
    world.dispatch(&invoice, true);
    assert_eq!(status(&world, &bought).await["status"], "Refunded");
    assert_eq!(world.has("mugs"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_s_fee_is_taken_of_what_is_sold_and_of_nothing_else() {
    let mut config = super::setup::config();
    config.shop.fee_percent = 10;
    let world = World::with(&config, None).await;
    world.create("mugs", &super::setup::mugs()).await;
    let bought = sold_out(&world).await;
    assert_eq!(bought["status"], "RefundDue");
    assert_eq!((world.has("mugs"), world.booked("fees_earned")), (PRICE - 5_290, -5_290));
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_goes_back_with_a_cancellation_where_the_setting_says_so() {
    for returns in [false, true] {
        let mut config = super::setup::config();
        config.shop.fee_percent = 2;
        config.shop.return_fee = returns;
        let world = World::with(&config, None).await;
        world.create("mugs", &super::setup::mugs()).await;
        let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
        let fee = PRICE.div_ceil(50);
        // A sale that stays, so that there is enough in the account either way.
        world.buy("mugs", mug).await;
        let bought = world.buy("mugs", mug).await;
        assert_eq!(world.has("mugs"), 2 * (PRICE - fee));
        let id = bought["orderId"].as_str().unwrap().to_owned();
        world.shop.cancel(id.clone()).await.unwrap();
        let kept = if returns { 0 } else { fee };
        assert_eq!(world.has("mugs"), PRICE - fee - kept, "{returns}");
        assert_eq!(world.booked("fees_earned"), -i64::try_from(fee + kept).unwrap(), "{returns}");
        assert!(world.shop.cancel(id).await.is_err());
        let (refund, invoice) = body(&world, &bought, PRICE);
        world.post(&path(&bought), &refund).await.ok();
        world.dispatch(&invoice, true);
        assert_eq!(status(&world, &bought).await["status"], "Refunded");
        assert_eq!(world.has("mugs"), PRICE - fee - kept, "{returns}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn account_without_the_fee_can_still_cancel_where_it_goes_back() {
    for returns in [false, true] {
        let mut config = super::setup::config();
        config.shop.fee_percent = 2;
        config.shop.return_fee = returns;
        let world = World::with(&config, None).await;
        world.create("mugs", &super::setup::mugs()).await;
        let mug = world.product("mugs", "mug", "20.00", Some(9)).await;
        let bought = world.buy("mugs", mug).await;
        let before = world.has("mugs");
        let done = world.shop.cancel(bought["orderId"].as_str().unwrap().to_owned()).await;
        assert_eq!(done.is_ok(), returns, "{done:?}");
        assert_eq!(world.has("mugs"), if returns { 0 } else { before });
        assert_eq!(
            status(&world, &bought).await["status"],
            if returns { "RefundDue" } else { "AwaitingDetails" }
        );
    }
}
