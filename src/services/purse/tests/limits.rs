//! Every limit holds, says how much is left, and can't be exceeded by many requests at once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::seller::PRICE;
use super::test_app::{RESERVE, TestApp, sat, wide};
use crate::admin::{NewPurse, PurseAdmin};
use crate::http::audit_log::{Act, ActKind};
use crate::http::keys::{KeyId, Scope};

fn says(refused: &Value, needed: u64, left: u64) {
    assert_eq!((&refused["neededSat"], &refused["leftSat"]), (&json!(needed), &json!(left)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_refuses_and_says_what_is_left() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let whole = PRICE + RESERVE;
    let key = app.purse(wide(whole)).await;
    let body = json!({ "url": app.seller.url("l402"), "maxSats": PRICE - 1 });
    says(&app.fetch_once(&key, &body, "").await.refused(409, "MAX_SATS"), PRICE, PRICE - 1);
    let body = json!({ "url": app.seller.url("l402"), "maxSats": PRICE });
    app.fetch_once(&key, &body, "").await.ok();
    says(&app.fetch(&key, "l402/b").await.refused(409, "BUDGET_LIMIT"), whole, RESERVE - 1);

    let small = NewPurse { name: "small".into(), per_request_sat: Some(PRICE - 1), ..wide(500) };
    let key = app.purse(small).await;
    says(&app.fetch(&key, "l402").await.refused(409, "PER_REQUEST_LIMIT"), PRICE, PRICE - 1);
    app.pay(&key, &app.invoice(sat(PRICE))).await.refused(409, "PER_REQUEST_LIMIT");

    let daily = NewPurse { name: "daily".into(), per_day_sat: Some(whole), ..wide(500) };
    let key = app.purse(daily).await;
    app.fetch(&key, "l402").await.ok();
    says(&app.fetch(&key, "l402/b").await.refused(409, "PER_DAY_LIMIT"), whole, RESERVE - 1);
    let shown = app.shown(&key).await;
    assert_eq!((&shown["spentTodaySat"], &shown["leftTodaySat"]), (&json!(PRICE + 1), &json!(RESERVE - 1)));
    app.clock.advance(std::time::Duration::from_secs(86_400));
    app.fetch(&key, "l402/b").await.ok();

    let (balance, _) = app.has();
    let key = app.purse(wide(100_000)).await;
    let too_much = app.invoice(sat(balance / 1_000));
    let refused = app.pay(&key, &too_much).await.refused(409, "INSUFFICIENT_BALANCE");
    assert_eq!(refused["leftSat"], balance / 1_000);
    assert_eq!(app.sim.delivered().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_stay_within_every_limit() {
    let app = TestApp::with(super::test_app::rules()).await;
    app.earn(sat(300));
    let whole = PRICE + RESERVE;
    let limits = [
        (NewPurse { name: "budget".into(), ..wide(whole * 3 + 1) }, 3, "BUDGET_LIMIT"),
        (NewPurse { name: "day".into(), per_day_sat: Some(whole * 4), ..wide(5_000) }, 4, "PER_DAY_LIMIT"),
        // 300 sat less seven payments of 17: ten more.
        (NewPurse { name: "balance".into(), ..wide(5_001) }, 10, "INSUFFICIENT_BALANCE"),
    ];
    let mut made = 0;
    for (new, fits, code) in limits {
        let key = app.purse(new).await;
        let invoices: Vec<_> = (0..50).map(|_| app.invoice(sat(PRICE))).collect();
        // Nothing is sent yet, so that all of them are under way at the same time.
        let asked = invoices.iter().map(|invoice| {
            let (app, key) = (&app, &key);
            async move {
                let paid = app.pay(key, invoice);
                tokio::time::timeout(std::time::Duration::from_secs(2), paid).await.ok()
            }
        });
        let answers = join_all(asked).await;
        // Those that wait for their payment have no answer yet.
        assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), fits, "{code}");
        for refused in answers.iter().flatten() {
            refused.refused(409, code);
        }
        made += fits;
    }
    let made = u64::try_from(made).unwrap();
    assert_eq!(app.has(), ((300 - made * whole) * 1_000, made * whole * 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn key_without_a_purse_and_revoked_purses_spend_nothing() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let bare = app.keys.create("bare", &[Scope::Purse], Some("shop")).await.unwrap().1;
    app.fetch(bare.expose(), "l402").await.refused(403, "NO_PURSE");
    let other = app.keys.create("other", &[Scope::Payments], Some("shop")).await.unwrap().1;
    app.fetch(other.expose(), "l402").await.refused(403, "FORBIDDEN");
    app.fetch("satchel_0", "l402").await.refused(401, "INVALID_API_KEY");
    let key = app.purse(wide(20)).await;
    let name = wide(20).name;
    let act = || Act::new(KeyId(1), ActKind::PurseCreate);
    assert!(PurseAdmin::create(&app.purses, wide(20), act()).await.is_err(), "the name is in use");
    app.fetch(&key, "l402").await.ok();
    app.fetch(&key, "l402/b").await.refused(409, "BUDGET_LIMIT");
    let more = PurseAdmin::top_up(&app.purses, name.clone(), 10, act()).await.unwrap();
    assert_eq!(more["leftSat"], 30 - PRICE - 1);
    app.fetch(&key, "l402/b").await.ok();
    PurseAdmin::revoke(&app.purses, name.clone(), act()).await.unwrap();
    app.fetch(&key, "free").await.refused(401, "INVALID_API_KEY");
    let shown = PurseAdmin::show(&app.purses, name).await.unwrap();
    assert_eq!((&shown["purse"]["revoked"], shown["receipts"].as_array().unwrap().len()), (&json!(true), 2));
    app.purse(wide(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_that_the_channels_cannot_carry_is_refused_before_it_is_promised() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    app.node.outbound_msat.store((PRICE - 2) * 1_000, Ordering::SeqCst);
    for refused in [app.fetch(&key, "l402").await, app.pay(&key, &app.invoice(sat(PRICE))).await] {
        let refused = refused.refused(503, "NO_OUTBOUND_CAPACITY");
        assert_eq!(refused["leftSat"], PRICE - 2, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains("5 sat above their reserves"), "{refused}");
    }
    // The purse's own limits come first, and nothing was taken.
    let body = json!({ "url": app.seller.url("l402"), "maxSats": 1 });
    app.fetch_once(&key, &body, "").await.refused(409, "MAX_SATS");
    assert_eq!(app.has(), (1_000_000, 0));
    assert_eq!(app.shown(&key).await["receipts"], json!([]));
    app.node.outbound_msat.store(PRICE * 1_000, Ordering::SeqCst);
    app.fetch(&key, "l402").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_set_gives_no_second_day() {
    const DAY: Duration = Duration::from_secs(86_400);
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let daily = NewPurse { name: "daily".into(), per_day_sat: Some(PRICE + RESERVE), ..wide(500) };
    let key = app.purse(daily).await;
    app.fetch(&key, "l402").await.ok();
    for (number, jump) in [(1, 3_i32), (2, -4), (3, 1)] {
        if jump > 0 {
            app.clock.jump(DAY * jump.unsigned_abs())
        } else {
            app.clock.jump_back(DAY * jump.unsigned_abs())
        }
        app.fetch(&key, &format!("l402/{number}")).await.refused(409, "PER_DAY_LIMIT");
        assert_eq!(app.shown(&key).await["leftTodaySat"], RESERVE - 1, "{jump}");
    }
    app.clock.advance(DAY);
    app.fetch(&key, "l402/later").await.ok();
    assert_eq!(app.sim.delivered().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_was_years_wrong_holds_no_purse_up() {
    const DAY: Duration = Duration::from_secs(86_400);
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let daily = NewPurse { name: "daily".into(), per_day_sat: Some(PRICE + RESERVE), ..wide(500) };
    let key = app.purse(daily).await;
    for (number, years) in [(0, 0_u32), (1, 10), (2, 30)] {
        // It spends while the clock is ahead, and has spent its day when that is put right.
        app.clock.jump(DAY * 365 * years);
        app.fetch(&key, &format!("l402/{number}")).await.ok();
        app.clock.jump_back(DAY * 365 * years);
        app.fetch(&key, "l402/more").await.refused(409, "PER_DAY_LIMIT");
        app.clock.advance(DAY);
        assert_eq!(app.shown(&key).await["leftTodaySat"], PRICE + RESERVE, "{years}");
    }
}
