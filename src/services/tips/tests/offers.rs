//! Tips that are paid to BOLT12 offers and to names of the DNS that have one.

use std::time::Duration;

use serde_json::{Value, json};

use super::house::{House, Setup, TIPS};
use crate::admin::TipAdmin;
use crate::lightning::bolt12::tests as offers;
use crate::outbound::lnurl::fake::name_server;

fn body(flow: &str, target: &str) -> Value {
    json!({"flow": flow, "invoice": target})
}

fn arrived(house: &House) -> Vec<u64> {
    house.sim.arrived_by_offer().into_iter().map(|(_, amount)| amount.sat_floor()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn offer_gets_whatever_there_is_each_time() {
    let house = House::new().await;
    let first = house.claimed(&json!({"amount": 40})).await;
    house.claimed(&json!({"amount": 2})).await;
    let open = offers::offer(1, None);
    let ask = body("tippee", &open);
    house.withdraw(&house.friend, &ask, true).await.done();
    house.post(&house.friend, "/api/invoices", &ask).await.is_error(409, "NOTHING_TO_WITHDRAW");
    assert_eq!((arrived(&house), house.status(&first).await), (vec![42], "WITHDRAWN".into()));
    // An offer is there to be paid again.
    house.claimed(&json!({"amount": 7})).await;
    house.withdraw(&house.friend, &ask, true).await.done();
    assert_eq!(arrived(&house), [42, 7]);
    let shown = TipAdmin::show(&house.tips, first).await.unwrap().unwrap();
    assert_eq!(
        (&shown["payouts"][0]["status"], &shown["payouts"][0]["amount_msat"]),
        (&json!("paid"), &json!(42_000))
    );
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_offer_is_under_way_the_same_is_told_to_wait_and_others_are_refused() {
    let house = House::with_rules(|rules| rules.patience = Duration::from_millis(50)).await;
    let tip = house.claimed(&json!({})).await;
    let open = offers::offer(1, None);
    let named = json!({"flow": "tippee", "invoice": open, "tipId": tip});
    let first = house.post(&house.friend, "/api/invoices", &body("tippee", &open)).await;
    assert_eq!((first.status, first.json()["status"].as_str()), (202, Some("pending")));
    assert_eq!(house.status(&tip).await, "CLAIMED+");
    for ask in [body("tippee", &open), named.clone()] {
        let again = house.post(&house.friend, "/api/invoices", &ask).await;
        assert_eq!((again.status, &again.text), (202, &first.text));
        // Somebody else has nothing of it.
        house.post(&house.tipper, "/api/invoices", &ask).await.is_error(409, "NOTHING_TO_WITHDRAW");
    }
    for other in [offers::offer(2, None), house.invoice(21), "me@wallet.example".to_owned()] {
        let refused = house.post(&house.friend, "/api/invoices", &body("tippee", &other)).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
    }
    house.finish_offer(true);
    house.post(&house.friend, "/api/invoices", &named).await.done();
    house
        .post(&house.friend, "/api/invoices", &body("tippee", &open))
        .await
        .is_error(409, "NOTHING_TO_WITHDRAW");
    assert_eq!((arrived(&house), house.status(&tip).await), (vec![21], "WITHDRAWN".into()));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_offer_leaves_the_tip_and_its_code_changes() {
    let house = House::new().await;
    let tip = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    let open = offers::offer(1, Some(21_000));
    let ask = json!({"flow": "anonymous", "tipId": tip, "invoice": open});
    let link = house.link("", &json!({"flow": "anonymous", "amount": 21, "tipId": tip})).await;
    let k1 = house.get("", &link).await.ok()["k1"].clone();
    house.withdraw("", &ask, false).await.is_error(409, "WITHDRAWAL_FAILED");
    assert_ne!(house.get("", &link).await.ok()["k1"], k1);
    house.withdraw("", &ask, true).await.done();
    house.post("", "/api/invoices", &ask).await.done();
    assert_eq!((arrived(&house), house.status(&tip).await), (vec![21], "WITHDRAWN".into()));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn tipper_takes_tips_back_to_an_offer() {
    let house = House::new().await;
    let (one, two) = (house.tip(&json!({"amount": 30})).await, house.tip(&json!({"amount": 5})).await);
    for tip in [&one, &two] {
        house.reclaim(tip, false).await.done();
    }
    let open = offers::offer(1, None);
    house.withdraw(&house.tipper, &body("tipper", &open), true).await.done();
    assert_eq!(arrived(&house), [35]);
    assert_eq!((house.status(&one).await, house.status(&two).await), ("REFUNDED".into(), "REFUNDED".into()));
    let listed = house.get(&house.tipper, TIPS).await.ok();
    assert!(listed.to_string().contains("REFUNDED"));
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_fits_the_offer() {
    let house = House::new().await;
    house.claimed(&json!({})).await;
    let before = house.balances();
    for (text, status, code, why) in [
        (offers::offer(1, Some(20_000)), 409, "AMOUNT_MISMATCH", "offer"),
        (offers::of_mainnet(), 400, "INVOICE_INVALID", "another network"),
        (offers::expired(), 400, "INVOICE_INVALID", "expired"),
        (offers::with_quantity(), 400, "INVOICE_INVALID", "quantity"),
        (offers::IN_DOLLARS.to_owned(), 400, "INVOICE_INVALID", "currency"),
        ("lno1qq".to_owned(), 400, "INVOICE_INVALID", "not all of one"),
    ] {
        let refused = house.post(&house.friend, "/api/invoices", &body("tippee", &text)).await;
        refused.is_error(status, code);
        let told = refused.json()["errorMessage"].as_str().unwrap().to_owned();
        assert!(told.contains(why), "{text}: {told}");
    }
    assert_eq!(house.balances(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_leads_to_its_offer() {
    let open = offers::offer(1, None);
    let server = name_server(vec![("bob", format!("bitcoin:?lno={open}"))]).await;
    let house = House::with(Setup { dns: Some(server), ..Setup::default() }).await;
    house.claimed(&json!({"amount": 30})).await;
    house
        .post(&house.friend, "/api/invoices", &body("tippee", "₿carol@wallet.example"))
        .await
        .is_error(400, "ADDRESS_INVALID");
    house.withdraw(&house.friend, &body("tippee", "bob@wallet.example"), true).await.done();
    assert_eq!((arrived(&house), house.addresses.asked_for()), (vec![30], vec![]));
    // Not in the DNS: a lightning address.
    house.claimed(&json!({"amount": 12})).await;
    house.withdraw(&house.friend, &body("tippee", "carol@wallet.example"), true).await.done();
    assert_eq!(house.addresses.asked_for(), [12]);
    house.audit();
}
