//! Where the money goes.

use serde_json::json;

use super::test_app::{CHALLENGES, DEMO, PING, TestApp};
use crate::admin::{L402Admin, SoldRequest};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_sells_is_earned_and_what_others_sell_is_owed() {
    let app = TestApp::new().await;
    assert_eq!(app.books(), (0, 0));
    app.buy(DEMO).await;
    app.buy(PING).await;
    assert_eq!(app.books(), (0, 11));
    let made = app.challenge("/weather", 7).await;
    app.pay(made["invoice"].as_str().unwrap());
    assert_eq!(app.books(), (7, 11));
    // The node may say it twice.
    app.pay(made["invoice"].as_str().unwrap());
    assert_eq!(app.books(), (7, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_asked_and_late_money_count_as_they_came() {
    let app = TestApp::new().await;
    let made = app.challenge("/weather", 7).await;
    let invoice = made["invoice"].as_str().unwrap().parse().unwrap();
    app.clock.advance(super::test_app::HOUR);
    app.pay_msat(&invoice, 9_000);
    assert_eq!(app.books(), (9, 0));
    let list = app.get(&app.shop, CHALLENGES).await.ok();
    assert_eq!(list["challenges"][0]["status"], "paid");
    assert_eq!(list["challenges"][0]["paidAt"], "2027-01-15T09:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_one_s_own() {
    let app = TestApp::new().await;
    let made = app.challenge("/weather", 7).await;
    app.pay(made["invoice"].as_str().unwrap());
    let bought = app.buy(DEMO).await;
    app.show(DEMO, &bought.header()).await.ok();
    let stats = "/api/stats/l402";
    let own = app.get(&app.shop, stats).await.ok();
    assert_eq!((&own["payments"], &own["revenueSats"]), (&json!(1), &json!(7)));
    assert_eq!(own["resources"].as_array().unwrap().len(), 1);
    assert_eq!(own["resources"][0]["resource"], "/weather");
    assert_eq!(app.get(&app.rival, stats).await.ok()["payments"], 0);
    let key = app.keys.create("x", &[crate::http::keys::Scope::Admin], None).await.unwrap().1;
    let all = app.get(key.expose(), stats).await.ok();
    assert_eq!((&all["payments"], &all["revenueSats"]), (&json!(2), &json!(17)));
    assert_eq!((&all["requests"], &all["paidRequests"]), (&json!(2), &json!(1)));
    let resources: Vec<_> =
        all["resources"].as_array().unwrap().iter().map(|row| row["resource"].clone()).collect();
    assert_eq!(resources, [json!(DEMO), json!("/weather")], "those that brought in most first");
    let room = |account: Option<&str>| SoldRequest { account: account.map(str::to_owned) };
    let sold = app.l402.sold(room(None)).await.unwrap();
    assert_eq!((&sold["received_sat"], &sold["requests_paid"]), (&json!(17), &json!(1)));
    assert_eq!(app.l402.sold(room(Some("shop"))).await.unwrap()["received_sat"], 7);
    assert!(app.l402.sold(room(Some("nobody"))).await.is_err());
    // Strangers are told how much was sold, and not for how much.
    for key in ["", "nobody's"] {
        let public = app.get(key, stats).await.ok();
        assert_eq!(
            (&public["challenges"], &public["paid"], &public["requests"]),
            (&json!(2), &json!(2), &json!(2))
        );
        assert_eq!((&public["revenueSats"], &public["resources"]), (&serde_json::Value::Null, &json!([])));
        assert!(public.get("feeSats").is_none());
    }
    assert_eq!((&own["challenges"], &own["paid"]), (&json!(1), &json!(1)));
    assert_eq!(app.l402.sold_below("/api/l402/").await.unwrap(), (1, 2));
    assert_eq!(app.l402.sold_below("/api/l402/content/").await.unwrap(), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_takes_a_fee_of_what_others_sell_and_none_of_their_own() {
    let mut setup = super::test_app::Setup::default();
    setup.rules.fee = crate::core::fees::FeeRule { min_sat: 1, percent: 10 };
    let app = TestApp::with(setup).await;
    let made = app.challenge("/weather", 25).await;
    assert_eq!((&made["priceSats"], &made["feeSats"]), (&json!(25), &json!(3)));
    app.pay(made["invoice"].as_str().unwrap());
    app.pay(made["invoice"].as_str().unwrap());
    assert_eq!(app.books(), (22, 3));
    app.buy(DEMO).await;
    assert_eq!(app.books(), (22, 13));
    let own = app.get(&app.shop, "/api/stats/l402").await.ok();
    assert_eq!((&own["revenueSats"], &own["feeSats"]), (&json!(25), &json!(3)));
}
