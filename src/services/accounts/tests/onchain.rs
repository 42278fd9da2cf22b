//! Withdrawals to addresses, and what the miners get.

use std::time::Duration;

use serde_json::json;

use super::house::{House, rules, sat, to};
use crate::services::accounts::Rules;

const ADDRESSES: [&str; 3] = [
    "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x",
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
];

fn bury(house: &House) {
    house.dispatch();
    house.sim.bury_coins();
    house.dispatch();
    house.dispatch();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_goes_to_an_address_less_what_miners_may_get() {
    let house = House::new().await;
    house.earn(sat(10_000));
    let made = house.withdraw(&to(ADDRESSES[0])).await.ok();
    let amount = made["amountSat"].as_u64().unwrap();
    let reserve = made["reserveMsat"].as_u64().unwrap() / 1_000;
    assert_eq!((amount + reserve, &made["type"]), (10_000, &json!("onchain")));
    assert_eq!(house.has(), (0, 10_000_000));
    assert_eq!(house.withdraw(&to(ADDRESSES[0])).await.status, 409, "nothing is left");
    bury(&house);
    let shown = house.shown(&made).await;
    let fee = shown["feeSat"].as_u64().unwrap();
    assert_eq!((&shown["status"], fee), (&json!("completed"), 140));
    assert_eq!(house.has(), ((reserve - fee) * 1_000, 0));
    assert_eq!(house.sim.coins_sent(), [(ADDRESSES[0].to_owned(), amount)]);
    assert_eq!(house.booked("fees_charged"), -140_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_address_withdraws_once() {
    let house = House::new().await;
    house.earn(sat(10_000));
    let body = json!({ "target": ADDRESSES[1], "amountSat": 2_000 });
    let first = house.withdraw(&body).await;
    let again = house.withdraw(&body).await;
    assert_eq!((first.status, again.status), (201, 200));
    house.withdraw(&json!({ "target": ADDRESSES[1], "amountSat": 3_000 })).await.refused(409, "ADDRESS_USED");
    bury(&house);
    assert_eq!(house.sim.coins_sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_above_the_limit_is_refused_before_anything_is_taken() {
    let house = House::new().await;
    house.earn(sat(100_000));
    house.sim.set_fee_rate(10_000);
    house
        .withdraw(&json!({ "target": ADDRESSES[0], "amountSat": 50_000 }))
        .await
        .refused(503, "ONCHAIN_FEE_TOO_HIGH");
    assert_eq!(house.has(), (100_000_000, 0));
    house.sim.set_fee_rate(5_000);
    house.withdraw(&json!({ "target": ADDRESSES[0], "amountSat": 50_000 })).await.ok();
    // Too little, more than the wallet has.
    house
        .withdraw(&json!({ "target": ADDRESSES[1], "amountSat": 999 }))
        .await
        .refused(400, "AMOUNT_TOO_SMALL");
    house.sim.set_no_coins(true);
    house
        .withdraw(&json!({ "target": ADDRESSES[1], "amountSat": 1_000 }))
        .await
        .refused(503, "INSUFFICIENT_ONCHAIN_FUNDS");
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_bears_no_more_than_the_hour_allows() {
    let house = House::with(Rules { account_pays_miners: false, ..rules() }, None).await;
    house.earn(sat(100_000));
    // Reckoned at 449 each: two for one account in an hour.
    for address in &ADDRESSES[..2] {
        let made = house.withdraw(&json!({ "target": address, "amountSat": 2_000 })).await.ok();
        assert_eq!(made["reserveMsat"], 0);
    }
    let third = json!({ "target": ADDRESSES[2], "amountSat": 2_000 });
    house.withdraw(&third).await.refused(503, "ONCHAIN_FEE_LIMIT");
    house.clock.advance(Duration::from_secs(3_601));
    house.withdraw(&third).await.ok();
    assert_eq!(house.has(), (94_000_000, 6_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wallet_never_sent_returns() {
    let house = House::new().await;
    house.earn(sat(10_000));
    let made = house.withdraw(&json!({ "target": ADDRESSES[0], "amountSat": 5_000 })).await.ok();
    house.sim.set_no_coins(true);
    house.dispatch();
    house.clock.advance(Duration::from_secs(601));
    house.dispatch();
    assert_eq!(house.shown(&made).await["status"], "failed");
    assert_eq!(house.has(), (10_000_000, 0));
}
