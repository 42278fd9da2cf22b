//! Codes: who gets in, and how long a stranger may guess.

use std::time::Duration;

use serde_json::json;

use crate::http::client::{Asker, asked_by};

use super::test_app::{OK, TestApp, keys};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_code_a_gift_shows_little() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "verifyCode": 1234, "senderName": "Eve"})).await;
    for path in
        [format!("/gift/{id}"), format!("/gift/{id}?verifyCode="), format!("/gift/{id}?verifyCode=9999")]
    {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, OK);
        assert_eq!(
            keys(&answer.text),
            ["amount", "chargeStatus", "spent", "orderId", "verifyCodeRequired", "order_id", "state"]
        );
        assert_eq!(answer.json()["state"], "open");
        assert_eq!(answer.json()["verifyCodeRequired"], true);
    }
    let open = app.get(&format!("/gift/{id}?verifyCode=1234")).await.ok();
    assert_eq!((&open["verifyCode"], &open["senderName"]), (&json!(1234), &json!("Eve")));
    assert!(open.get("verifyCodeRequired").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_with_leading_zeros_works_everywhere() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "verifyCode": "0042"})).await;
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    let (_, url) = bech32::decode(created["lnurl"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(url).unwrap().ends_with("?verifyCode=0042"));
    for given in ["0042", "42", "042"] {
        let open = app.get(&format!("/gift/{id}?verifyCode={given}")).await.ok();
        assert_eq!(open["verifyCode"], "0042");
        assert_eq!(open["lnurl"], created["lnurl"], "the unlocked gift's lnurl carries the code");
    }
    let body = json!({"invoice": app.invoice(1000), "verifyCode": "0042"});
    app.post(&format!("/redeem/{id}"), &body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_wrong_codes_lock_the_gift_everywhere_and_through_a_restart() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "verifyCode": 1234})).await;
    let invoice = app.invoice(1000);
    // Guesses count together wherever they are made; right ones in between don't take them back.
    for number in 0..3 {
        app.get(&format!("/gift/{id}?verifyCode={}", 2000 + number)).await.ok();
        let body = json!({"invoice": invoice, "verifyCode": 3000 + number});
        app.post(&format!("/redeem/{id}"), &body).await.is_error(400, "BAD_VERIFY_CODE");
        app.get(&format!("/lnurl/{id}?verifyCode={}", 4000 + number)).await.is_lnurl_error("BAD_VERIFY_CODE");
        assert!(app.get(&format!("/gift/{id}?verifyCode=1234")).await.text.contains("lnurl"));
    }
    app.get(&format!("/gift/{id}?verifyCode=none")).await.ok();
    let app = app.restarted();
    // Right and wrong are refused alike.
    for code in ["1234", "5000"] {
        let answer = app.get(&format!("/gift/{id}?verifyCode={code}")).await;
        answer.is_error(429, "VERIFY_CODE_LOCKED");
        assert_eq!(answer.headers["retry-after"], "900");
        let body = json!({"invoice": invoice, "verifyCode": code});
        app.post(&format!("/redeem/{id}"), &body).await.is_error(429, "VERIFY_CODE_LOCKED");
        app.get(&format!("/lnurl/{id}?verifyCode={code}")).await.is_lnurl_error("VERIFY_CODE_LOCKED");
        app.get(&format!("/live/gift/{id}?verifyCode={code}")).await.is_error(429, "VERIFY_CODE_LOCKED");
    }
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["verifyCodeRequired"], true);
    app.clock.advance(Duration::from_secs(900));
    let body = json!({"invoice": invoice, "verifyCode": 1234});
    app.post(&format!("/redeem/{id}"), &body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_are_still_ten() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "verifyCode": 1234})).await;
    let paths: Vec<_> = (5000..5200).map(|code| format!("/gift/{id}?verifyCode={code}")).collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| app.get(path))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == OK).count(), 10);
    app.get(&format!("/gift/{id}?verifyCode=1234")).await.is_error(429, "VERIFY_CODE_LOCKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_for_a_gift_without_one_changes_nothing() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    for _ in 0..20 {
        let open = app.get(&format!("/gift/{id}?verifyCode=1234")).await.ok();
        assert!(open.get("verifyCode").is_none());
    }
}

/// Somebody's network.
fn from(a: u8, b: u8, c: u8) -> Asker {
    Asker::Stranger([a, b, c, 9].into())
}

#[tokio::test(flavor = "multi_thread")]
async fn recipient_gets_in_while_who_guessed_is_locked_out() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "verifyCode": 1234})).await;
    let path = format!("/gift/{id}?verifyCode=");
    asked_by(from(8, 8, 8), async {
        for code in 5000..5010 {
            app.get(&format!("{path}{code}")).await.ok();
        }
        app.get(&format!("{path}1234")).await.is_error(429, "VERIFY_CODE_LOCKED");
        app.get(&format!("/lnurl/{id}?verifyCode=1234")).await.is_lnurl_error("VERIFY_CODE_LOCKED");
    })
    .await;
    // The neighbour's network is the same, the recipient's is not.
    let neighbour = Asker::Stranger([8, 8, 8, 200].into());
    let locked = asked_by(neighbour, app.get(&format!("{path}1234"))).await;
    locked.is_error(429, "VERIFY_CODE_LOCKED");
    asked_by(from(9, 9, 9), async {
        assert!(app.get(&format!("{path}1234")).await.ok().get("lnurl").is_some());
        assert!(app.get(&format!("/lnurl/{id}?verifyCode=1234")).await.ok().get("k1").is_some());
        let body = json!({"invoice": app.invoice(1000), "verifyCode": 1234});
        app.post(&format!("/redeem/{id}"), &body).await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn botnet_has_two_hundred_codes_a_day_and_the_recipient_gets_in_between() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "verifyCode": 1234})).await;
    let path = format!("/gift/{id}?verifyCode=");
    let start = app.clock.now();
    let (mut told, mut networks) = (0, 0_u32);
    // Twelve hours; every five minutes twenty fresh networks guess three times each.
    while app.clock.now() < start + 12 * 3_600_000 {
        for _ in 0..20 {
            networks += 1;
            let [_, a, b, c] = networks.to_be_bytes();
            for code in 0..3 {
                let code = 2000 + (networks * 3 + code) % 8000;
                let path = format!("{path}{code}");
                told += u32::from(asked_by(from(20 + a, b, c), app.get(&path)).await.status == OK);
            }
        }
        app.clock.advance(Duration::from_secs(300));
    }
    assert!((140..=220).contains(&told), "{told} of {} guesses", networks * 3);
    // Of whose region nobody guessed gets in at once, who has a guesser's neighbour an hour later.
    asked_by(from(9, 9, 9), async {
        assert!(app.get(&format!("{path}1234")).await.ok().get("lnurl").is_some());
    })
    .await;
    let neighbour = from(20, 3, 255);
    asked_by(neighbour, app.get(&format!("{path}1234"))).await.is_error(429, "VERIFY_CODE_LOCKED");
    app.clock.advance(Duration::from_secs(3_600));
    asked_by(neighbour, async {
        assert!(app.get(&format!("{path}1234")).await.ok().get("lnurl").is_some());
    })
    .await;
    let rows = "SELECT count(*) FROM gift_guesses";
    let count = app.ledger.store.read_blocking(|connection| {
        let count: u32 = connection.query_row(rows, [], |row| row.get(0))?;
        Ok::<_, crate::storage::StoreError>(count)
    });
    assert!(count.unwrap() <= 220);
}
