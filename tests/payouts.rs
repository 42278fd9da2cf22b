//! Gifts on a real network: each is paid out once, whoever asks how often, or stays what it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{RECOVERY, SOON, Scene, case, until};
use futures_util::future::join_all;
use regtest::{ChainSource, InvoiceRequest, Wallet, WalletError};
use serde_json::{Value, json};

/// Above what any channel of the network can send at once: a tenth of it.
const TOO_LARGE_SAT: u64 = 5_000_000;

/// Longer than satchel waits after its start before it asks its node about old payouts.
const PAST_THE_SECOND_LOOK: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_is_paid_out_once_or_stays() {
    let scene = Scene::start("[gifts]\nmax_sat = 10000000\n[solvency]\nwhen_short = \"warn\"").await;
    case("by invoice", by_invoice(&scene)).await;
    case("by LNURL, with a code", by_lnurl(&scene)).await;
    case("made by LNURL-pay", made_by_lnurl_pay(&scene)).await;
    case("two hundred invoices at once", two_hundred_invoices(&scene)).await;
    case("one invoice fifty times at once", one_invoice_fifty_times(&scene)).await;
    case("into another gift of this node", into_another_gift(&scene)).await;
    case("into an invoice of this node that is over", into_an_invoice_that_is_over(&scene)).await;
    case("a batch", a_batch(&scene)).await;
    case("larger than any channel", larger_than_any_channel(&scene)).await;
    case("to someone without inbound capacity", without_inbound_capacity(&scene)).await;
    case("after its time", after_its_time(&scene)).await;
    case("held over two restarts, failed, held again, claimed", held(&scene)).await;
    case("decided while satchel is away", decided_while_away(&scene)).await;
    assert_eq!(scene.channels_closed().await, 0);
    scene.close().await;
}

async fn by_invoice(scene: &Scene) {
    let (api, before) = (&scene.api, scene.payouts().await);
    let gift = api.create(5_000).await;
    let status = |id: &str| format!("/status/{id}");
    assert_eq!(api.get(&status(&gift.charge_id)).await.ok(), json!({"status": "unpaid"}));
    let invoice = scene.invoice_for(&gift, 1).await;
    let early = api.redeem(&gift.order_id, &invoice.invoice).await;
    assert_eq!(early.refusal(), (400, "GIFT_INVOICE_UNPAID"));

    scene.fund(&gift, 0).await;
    for id in [&gift.charge_id, &gift.order_id] {
        assert_eq!(api.get(&status(id)).await.ok(), json!({"status": "paid"}));
    }
    let other = scene.wallet(1).invoice(InvoiceRequest::sat(4_999)).await.unwrap();
    let wrong = api.redeem(&gift.order_id, &other.invoice).await;
    assert_eq!(wrong.refusal(), (400, "BAD_INVOICE_AMOUNT"));
    assert_eq!(api.gift(&gift.order_id).await["spent"], false);

    let id = api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
    let spent = api.wait_spent(&gift.order_id, json!(true), SOON).await;
    assert_eq!(spent["withdrawalInfo"]["withdrawalId"], id);
    assert_eq!(spent["withdrawalInfo"]["withdrawalInvoice"], invoice.invoice);
    scene.received_once(&gift.order_id).await;
    let confirmed = json!({"reference": invoice.invoice, "status": "confirmed"});
    assert_eq!(api.withdrawal(&id).await, confirmed);
    assert_eq!(api.post(&format!("/redeemStatus/{id}"), json!({})).await.ok(), confirmed);
    assert_eq!(api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id(), id);
    let late = scene.invoice_for(&gift, 0).await;
    assert_eq!(api.redeem(&gift.order_id, &late.invoice).await.refusal(), (400, "GIFT_SPENT"));
    assert_eq!(scene.payouts().await, before + 1);
}

async fn by_lnurl(scene: &Scene) {
    let (api, wallet) = (&scene.api, scene.wallet(1));
    let gift = api.create_with(json!({"amount": 2_500, "verifyCode": "0042"})).await;
    let early = wallet.lnurl_withdraw(&gift.lnurl, None).await.unwrap_err();
    assert!(early.to_string().contains("GIFT_INVOICE_UNPAID"), "{early}");
    scene.fund(&gift, 0).await;
    let taken = wallet.lnurl_withdraw(&gift.lnurl, None).await.unwrap();
    scene.note_asked(1, &gift.order_id, &taken.payment_hash);
    api.wait_spent(&gift.order_id, json!(true), SOON).await;
    scene.received_once(&gift.order_id).await;
    let late = wallet.lnurl_withdraw(&gift.lnurl, None).await.unwrap_err();
    assert!(matches!(&late, WalletError::Failed(reason) if reason == "GIFT_SPENT"), "{late}");
}

async fn made_by_lnurl_pay(scene: &Scene) {
    let (api, payer) = (&scene.api, scene.wallet(0));
    let paid = payer.lnurl_pay(&format!("{}/lnurl?senderName=Ann", api.url), 3_000, None).await.unwrap();
    let action = paid.success_action.expect("a way to the gift");
    let order_id = action["url"].as_str().and_then(|url| url.rsplit('/').next()).unwrap();
    api.wait_funded(order_id).await;
    let gift = api.gift(order_id).await;
    assert_eq!((&gift["amount"], &gift["senderName"]), (&json!(3_000), &json!("Ann")));
    scene.note_funding(0, gift["chargeInfo"]["chargeInvoice"].as_str().unwrap());
    let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(3_000)).await.unwrap();
    scene.note_asked(1, order_id, &invoice.payment_hash);
    api.redeem(order_id, &invoice.invoice).await.withdrawal_id();
    api.wait_spent(order_id, json!(true), SOON).await;
    scene.received_once(order_id).await;
}

async fn two_hundred_invoices(scene: &Scene) {
    let (api, before) = (&scene.api, scene.payouts().await);
    let gift = scene.funded_gift(1_000, 0).await;
    let mut invoices = Vec::new();
    for index in 0..200 {
        invoices.push(scene.invoice_for(&gift, index % 2).await);
    }
    let answers = join_all(invoices.iter().map(|invoice| api.redeem(&gift.order_id, &invoice.invoice))).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert!(matches!(refused.refusal(), (400, "GIFT_REDEEM_PENDING" | "GIFT_SPENT")), "{refused:?}");
    }
    api.wait_spent(&gift.order_id, json!(true), SOON).await;
    scene.received_once(&gift.order_id).await;
    assert_eq!(scene.payouts().await, before + 1);
}

async fn one_invoice_fifty_times(scene: &Scene) {
    let (api, before) = (&scene.api, scene.payouts().await);
    let gift = scene.funded_gift(1_000, 0).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    let answers = join_all((0..50).map(|_| api.redeem(&gift.order_id, &invoice.invoice))).await;
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.withdrawal_id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    api.wait_spent(&gift.order_id, json!(true), SOON).await;
    scene.received_once(&gift.order_id).await;
    assert_eq!(scene.payouts().await, before + 1);
}

async fn into_another_gift(scene: &Scene) {
    let api = &scene.api;
    let from = scene.funded_gift(7_000, 0).await;
    let into = api.create(7_000).await;
    let before = scene.books_agree().await;
    let id = api.redeem(&from.order_id, &into.payreq).await.withdrawal_id();
    // Both are true the moment the answer is given: it was one transaction.
    let (spent, funded) = (api.gift(&from.order_id).await, api.gift(&into.order_id).await);
    assert_eq!((&spent["spent"], &spent["withdrawalInfo"]["fee"]), (&json!(true), &json!("0")));
    assert_eq!((&funded["chargeStatus"], &funded["spent"]), (&json!("paid"), &json!(false)));
    assert_eq!(api.withdrawal(&id).await, json!({"reference": into.payreq, "status": "confirmed"}));
    assert_eq!(events(&api.managed(&from).await), ["created", "paid", "claiming", "redeemed"]);
    assert_eq!(events(&api.managed(&into).await), ["created", "paid"]);
    let after = scene.books_agree().await;
    for name in ["lightning", "holders", "routing_paid", "in_flight", "clearing"] {
        let balance = |audit| common::scene::account(audit, name);
        assert_eq!(balance(&after), balance(&before), "{name}");
    }
    assert_eq!(api.redeem(&from.order_id, &into.payreq).await.withdrawal_id(), id);
    // Somebody pays the invoice all the same: that isn't lost, and it isn't a second gift.
    scene.fund(&into, 0).await;
    let audit = scene.books_agree().await;
    assert_eq!(common::scene::account(&audit, "suspense"), -7_000_000);
    assert!(audit["warnings"].to_string().contains("suspense"), "{audit}");

    let invoice = scene.invoice_for(&into, 1).await;
    api.redeem(&into.order_id, &invoice.invoice).await.withdrawal_id();
    api.wait_spent(&into.order_id, json!(true), SOON).await;
    scene.received_once(&into.order_id).await;
    assert_eq!(events(&api.managed(&into).await), ["created", "paid", "claiming", "redeemed"]);
}

async fn into_an_invoice_that_is_over(scene: &Scene) {
    let api = &scene.api;
    let gift = scene.funded_gift(6_000, 0).await;
    let paid = scene.funded_gift(6_000, 0).await;
    let request = json!({"amount_sat": 6_000, "expiry_secs": 1});
    let expired = scene.network.satchel.admin_post("/admin/v1/invoice", request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for invoice in [&paid.payreq, &gift.payreq, expired["invoice"].as_str().unwrap()] {
        let refused = api.redeem(&gift.order_id, invoice).await;
        assert_eq!(refused.refusal(), (400, "BAD_INVOICE"));
        assert_eq!(api.gift(&gift.order_id).await["spent"], false);
    }
    for gift in [gift, paid] {
        let invoice = scene.invoice_for(&gift, 1).await;
        api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
        api.wait_spent(&gift.order_id, json!(true), SOON).await;
        scene.received_once(&gift.order_id).await;
    }
}

async fn a_batch(scene: &Scene) {
    let (api, before) = (&scene.api, scene.payouts().await);
    let body = api.post("/create", json!({"amount": 1_500, "quantity": 25})).await.ok();
    let first = common::Gift::read(&body);
    let orders: Vec<String> = body["gifts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gift| gift["orderId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((orders.len(), &orders[0]), (25, &first.order_id));
    scene.fund(&first, 0).await;
    let redeeming = orders.iter().map(|order_id| async move {
        let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(1_500)).await.unwrap();
        scene.note_asked(1, order_id, &invoice.payment_hash);
        api.redeem(order_id, &invoice.invoice).await.withdrawal_id();
        api.wait_spent(order_id, json!(true), SOON).await;
        scene.received_once(order_id).await;
        let again = scene.wallet(1).invoice(InvoiceRequest::sat(1_500)).await.unwrap();
        scene.note_asked(1, order_id, &again.payment_hash);
        assert_eq!(api.redeem(order_id, &again.invoice).await.refusal(), (400, "GIFT_SPENT"));
    });
    join_all(redeeming).await;
    assert_eq!(scene.payouts().await, before + 25);
}

async fn larger_than_any_channel(scene: &Scene) {
    let api = &scene.api;
    let gift = scene.funded_gift(TOO_LARGE_SAT, 0).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    fails_clearly(scene, &gift.order_id, &invoice.invoice).await;
    assert_eq!(scene.times_received(&gift.order_id).await, 0);
    // It stays redeemable: into gifts of this node, which need no channel.
    let other = api.create(TOO_LARGE_SAT).await;
    api.redeem(&gift.order_id, &other.payreq).await.withdrawal_id();
    assert_eq!(api.gift(&gift.order_id).await["spent"], true);
    assert_eq!(api.gift(&other.order_id).await["chargeStatus"], "paid");
}

async fn without_inbound_capacity(scene: &Scene) {
    let api = &scene.api;
    let folder = tempfile::tempdir().unwrap();
    let chain = ChainSource::from(&*scene.network.bitcoind);
    let poor = Wallet::start_in("a wallet without channels", folder.path(), chain).await.unwrap();
    let gift = scene.funded_gift(1_200, 0).await;
    let invoice = poor.invoice(InvoiceRequest::sat(1_200)).await.unwrap();
    fails_clearly(scene, &gift.order_id, &invoice.invoice).await;
    poor.stop().await.unwrap();

    let invoice = scene.invoice_for(&gift, 1).await;
    api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
    let spent = api.wait_spent(&gift.order_id, json!(true), SOON).await;
    assert_eq!(spent["withdrawalInfo"]["error"], Value::Null);
    scene.received_once(&gift.order_id).await;
    assert_eq!(
        events(&api.managed(&gift).await),
        ["created", "paid", "claiming", "payout_failed", "claiming", "redeemed"]
    );
}

/// Redeems, and sees the payout given up with words that help.
async fn fails_clearly(scene: &Scene, order_id: &str, invoice: &str) {
    let api = &scene.api;
    let id = api.redeem(order_id, invoice).await.withdrawal_id();
    let failed = until("the payout is given up", RECOVERY, || async {
        Some(api.gift(order_id).await).filter(|gift| gift["spent"] == false)
    })
    .await;
    let error = failed["withdrawalInfo"]["error"].as_str().expect("an error");
    assert!(error.contains("capacity"), "{error}");
    assert_eq!(api.withdrawal(&id).await["status"], "failed");
    // One payment hash is tried once, for ever.
    assert_eq!(api.redeem(order_id, invoice).await.refusal(), (400, "BAD_INVOICE"));
}

async fn after_its_time(scene: &Scene) {
    let api = &scene.api;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let gift = api.create_with(json!({"amount": 4_000, "expiresAt": now + 5})).await;
    scene.fund(&gift, 0).await;
    until("the gift is over", SOON, || async {
        (api.managed(&gift).await["state"] == "expired").then_some(())
    })
    .await;
    let invoice = scene.invoice_for(&gift, 1).await;
    assert_eq!(api.redeem(&gift.order_id, &invoice.invoice).await.refusal(), (400, "GIFT_EXPIRED"));
    let refused = scene.wallet(1).lnurl_withdraw(&gift.lnurl, None).await.unwrap_err();
    assert!(refused.to_string().contains("GIFT_EXPIRED"), "{refused}");

    let back = scene.invoice_for(&gift, 0).await;
    let path = format!("/gift/{}/refund", gift.order_id);
    let stranger = api.post(&path, json!({"key": "0".repeat(64), "invoice": back.invoice})).await;
    assert_eq!(stranger.refusal(), (404, "GIFT_NOT_FOUND"));
    let request = json!({"key": gift.manage_key, "invoice": back.invoice});
    api.post(&path, request.clone()).await.withdrawal_id();
    until("the gift is returned", SOON, || async {
        (api.managed(&gift).await["state"] == "returned").then_some(())
    })
    .await;
    scene.received_once(&gift.order_id).await;
    let seen = events(&api.managed(&gift).await);
    assert_eq!(seen, ["created", "paid", "expired", "returning", "returned"]);
    let again = scene.invoice_for(&gift, 1).await;
    assert_eq!(api.redeem(&gift.order_id, &again.invoice).await.refusal(), (400, "GIFT_SPENT"));
}

async fn held(scene: &Scene) {
    let (api, satchel, wallet) = (&scene.api, &scene.network.satchel, scene.wallet(1));
    let gift = scene.funded_gift(8_000, 0).await;
    let hold = scene.hold_for(&gift, 1).await;
    let id = api.redeem(&gift.order_id, &hold.invoice).await.withdrawal_id();
    assert_eq!(wallet.wait_held(&hold.payment_hash, SOON).await.unwrap(), 8_000_000);
    still_pending(scene, &gift.order_id, &hold.invoice, &id).await;

    assert!(satchel.stop().await.unwrap().success());
    satchel.start().await.unwrap();
    still_pending(scene, &gift.order_id, &hold.invoice, &id).await;
    scene.network.wait_usable().await.unwrap();
    tokio::time::sleep(PAST_THE_SECOND_LOOK).await;
    still_pending(scene, &gift.order_id, &hold.invoice, &id).await;

    scene.kill_at_rest().await;
    satchel.start().await.unwrap();
    still_pending(scene, &gift.order_id, &hold.invoice, &id).await;
    scene.network.wait_usable().await.unwrap();
    tokio::time::sleep(PAST_THE_SECOND_LOOK).await;
    still_pending(scene, &gift.order_id, &hold.invoice, &id).await;

    wallet.fail(&hold.payment_hash).await.unwrap();
    let open = api.wait_spent(&gift.order_id, json!(false), RECOVERY).await;
    assert!(open["withdrawalInfo"]["error"].is_string(), "{open}");
    assert_eq!(api.withdrawal(&id).await["status"], "failed");

    let hold = scene.hold_for(&gift, 1).await;
    let second = api.redeem(&gift.order_id, &hold.invoice).await.withdrawal_id();
    assert_ne!(second, id);
    wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
    still_pending(scene, &gift.order_id, &hold.invoice, &second).await;
    wallet.claim(&hold.payment_hash).await.unwrap();
    api.wait_spent(&gift.order_id, json!(true), RECOVERY).await;
    assert_eq!(api.withdrawal(&second).await["status"], "confirmed");
    assert_eq!(api.withdrawal(&id).await["status"], "failed");
    scene.received_once(&gift.order_id).await;
}

/// Neither another invoice nor the same one changes anything while a payment is held.
async fn still_pending(scene: &Scene, order_id: &str, invoice: &str, id: &str) {
    let api = &scene.api;
    let gift = api.gift(order_id).await;
    assert_eq!((&gift["spent"], &gift["withdrawalInfo"]["withdrawalId"]), (&json!("pending"), &json!(id)));
    assert_eq!(api.withdrawal(id).await["status"], "initial");
    assert_eq!(api.redeem(order_id, invoice).await.withdrawal_id(), id);
    let sat = gift["amount"].as_u64().unwrap();
    let other = scene.wallet(0).invoice(InvoiceRequest::sat(sat)).await.unwrap();
    scene.note_asked(0, order_id, &other.payment_hash);
    assert_eq!(api.redeem(order_id, &other.invoice).await.refusal(), (400, "GIFT_REDEEM_PENDING"));
}

async fn decided_while_away(scene: &Scene) {
    let (api, satchel, wallet) = (&scene.api, &scene.network.satchel, scene.wallet(1));
    let (taken, given_back) = (scene.funded_gift(8_100, 0).await, scene.funded_gift(8_200, 0).await);
    let (claimed, failed) = (scene.hold_for(&taken, 1).await, scene.hold_for(&given_back, 1).await);
    for (gift, hold) in [(&taken, &claimed), (&given_back, &failed)] {
        api.redeem(&gift.order_id, &hold.invoice).await.withdrawal_id();
        wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
    }
    scene.kill_at_rest().await;
    wallet.claim(&claimed.payment_hash).await.unwrap();
    wallet.fail(&failed.payment_hash).await.unwrap();
    satchel.start().await.unwrap();
    api.wait_spent(&taken.order_id, json!(true), RECOVERY).await;
    scene.received_once(&taken.order_id).await;
    api.wait_spent(&given_back.order_id, json!(false), RECOVERY).await;
    let invoice = scene.invoice_for(&given_back, 1).await;
    api.redeem(&given_back.order_id, &invoice.invoice).await.withdrawal_id();
    api.wait_spent(&given_back.order_id, json!(true), RECOVERY).await;
    scene.received_once(&given_back.order_id).await;
}

/// What happened to a gift, in order.
fn events(managed: &Value) -> Vec<String> {
    let history = managed["history"].as_array().unwrap();
    history.iter().map(|entry| entry["event"].as_str().unwrap().to_owned()).collect()
}
