//! Withdrawals to addresses, and what the miners get.

use std::time::Duration;

use serde_json::json;

use super::test_app::{TestApp, rules, sat, to};
use crate::services::accounts::Rules;

const ADDRESSES: [&str; 3] = [
    "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x",
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
];

fn bury(app: &TestApp) {
    app.dispatch();
    app.sim.bury_coins();
    app.dispatch();
    app.dispatch();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_goes_to_an_address_less_what_miners_may_get() {
    let app = TestApp::new().await;
    app.earn(sat(10_000));
    let made = app.withdraw(&to(ADDRESSES[0])).await.ok();
    let amount = made["amountSat"].as_u64().unwrap();
    let reserve = made["reserveMsat"].as_u64().unwrap() / 1_000;
    assert_eq!((amount + reserve, &made["type"]), (10_000, &json!("onchain")));
    assert_eq!(app.has(), (0, 10_000_000));
    assert_eq!(app.withdraw(&to(ADDRESSES[0])).await.status, 409, "nothing is left");
    bury(&app);
    let shown = app.shown(&made).await;
    let fee = shown["feeSat"].as_u64().unwrap();
    assert_eq!((&shown["status"], fee), (&json!("completed"), 140));
    assert_eq!(app.has(), ((reserve - fee) * 1_000, 0));
    assert_eq!(app.sim.coins_sent(), [(ADDRESSES[0].to_owned(), amount)]);
    assert_eq!(app.booked("fees_charged"), -140_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_address_withdraws_once() {
    let app = TestApp::new().await;
    app.earn(sat(10_000));
    let body = json!({ "target": ADDRESSES[1], "amountSat": 2_000 });
    let first = app.withdraw(&body).await;
    let again = app.withdraw(&body).await;
    assert_eq!((first.status, again.status), (201, 200));
    app.withdraw(&json!({ "target": ADDRESSES[1], "amountSat": 3_000 })).await.refused(409, "ADDRESS_USED");
    bury(&app);
    assert_eq!(app.sim.coins_sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_above_the_limit_is_refused_before_anything_is_taken() {
    let app = TestApp::new().await;
    app.earn(sat(100_000));
    app.sim.set_fee_rate(10_000);
    app.withdraw(&json!({ "target": ADDRESSES[0], "amountSat": 50_000 }))
        .await
        .refused(503, "ONCHAIN_FEE_TOO_HIGH");
    assert_eq!(app.has(), (100_000_000, 0));
    app.sim.set_fee_rate(5_000);
    app.withdraw(&json!({ "target": ADDRESSES[0], "amountSat": 50_000 })).await.ok();
    // Too little, more than the wallet has.
    app.withdraw(&json!({ "target": ADDRESSES[1], "amountSat": 999 })).await.refused(400, "AMOUNT_TOO_SMALL");
    app.sim.set_no_coins(true);
    app.withdraw(&json!({ "target": ADDRESSES[1], "amountSat": 1_000 }))
        .await
        .refused(503, "INSUFFICIENT_ONCHAIN_FUNDS");
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_bears_no_more_than_the_hour_allows() {
    let app = TestApp::with(Rules { account_pays_miners: false, ..rules() }, None).await;
    app.earn(sat(100_000));
    // Reckoned at 449 each: two for one account in an hour.
    for address in &ADDRESSES[..2] {
        let made = app.withdraw(&json!({ "target": address, "amountSat": 2_000 })).await.ok();
        assert_eq!(made["reserveMsat"], 0);
    }
    let third = json!({ "target": ADDRESSES[2], "amountSat": 2_000 });
    app.withdraw(&third).await.refused(503, "ONCHAIN_FEE_LIMIT");
    app.clock.advance(Duration::from_secs(3_601));
    app.withdraw(&third).await.ok();
    assert_eq!(app.has(), (94_000_000, 6_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wallet_never_sent_returns() {
    let app = TestApp::new().await;
    app.earn(sat(10_000));
    let made = app.withdraw(&json!({ "target": ADDRESSES[0], "amountSat": 5_000 })).await.ok();
    app.sim.set_no_coins(true);
    app.dispatch();
    app.clock.advance(Duration::from_secs(601));
    app.dispatch();
    assert_eq!(app.shown(&made).await["status"], "failed");
    assert_eq!(app.has(), (10_000_000, 0));
}
