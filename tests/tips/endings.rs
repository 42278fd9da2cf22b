//! What nobody withdraws, what can't be paid out, and what nobody asked for goes back.

use std::time::Duration;

use regtest::{InvoiceRequest, Wallet};
use serde_json::json;

use crate::common::tips::{
    Address, Person, done, fund, id, ids, in_secs, invoice, refusal, scan, shown, status, wait,
};
use crate::common::{RECOVERY, SOON, Scene, scene::account, until};

/// Longer than a short-lived tip lives.
const OVER: Duration = Duration::from_secs(30);

/// A tip that is over in a moment; its invoice is paid in time.
async fn short(scene: &Scene, tipper: &Person, sat: u64, secs: u64) -> String {
    id(&tipper.give(scene, sat, json!({ "expiry": in_secs(secs) })).await).to_owned()
}

/// The tipper takes it to an invoice.
async fn refund_to_invoice(scene: &Scene, tipper: &Person, tip: &str, sat: u64) {
    let back = invoice(scene, tip, 0, InvoiceRequest::sat(sat)).await;
    done(&tipper.withdraw("tipper", &back.invoice, Some(tip)).await);
    assert_eq!(status(scene, tip).await, "REFUNDED");
    scene.received_once(tip).await;
}

pub async fn unclaimed(scene: &Scene, tipper: &Person) {
    let tip = short(scene, tipper, 1_100, 5).await;
    let early = invoice(scene, &tip, 0, InvoiceRequest::sat(1_100)).await;
    let refused = tipper.withdraw("tipper", &early.invoice, Some(&tip)).await;
    assert_eq!(refusal(&refused), (409, "NOTHING_TO_WITHDRAW"));
    wait(scene, &tip, "RECLAIMED", OVER).await;
    let guest = Person::guest(scene).await;
    assert_eq!(refusal(&guest.claim(&tip).await), (409, "TIP_EXPIRED"));
    refund_to_invoice(scene, tipper, &tip, 1_100).await;
    // Codes for whoever has the link end with the tip.
    let skipped = tipper.give(scene, 1_200, json!({ "expiry": in_secs(5), "onboardingFlow": "SKIP" })).await;
    let lnurl = Person::nobody(scene).link("anonymous", 1_200, Some(id(&skipped))).await;
    wait(scene, id(&skipped), "RECLAIMED", OVER).await;
    assert!(scene.wallet(1).lnurl_withdraw(&lnurl, None).await.is_err());
    refund_to_invoice(scene, tipper, id(&skipped), 1_200).await;
}

pub async fn claimed(scene: &Scene, tipper: &Person) {
    let tip = short(scene, tipper, 1_300, 6).await;
    let guest = Person::guest(scene).await;
    done(&guest.claim(&tip).await);
    let lnurl = guest.link("tippee", 1_300, None).await;
    wait(scene, &tip, "RECLAIMED", OVER).await;
    let late = invoice(scene, &tip, 1, InvoiceRequest::sat(1_300)).await;
    let refused = guest.withdraw("tippee", &late.invoice, None).await;
    assert_eq!(refusal(&refused), (409, "NOTHING_TO_WITHDRAW"));
    assert!(scene.wallet(1).lnurl_withdraw(&lnurl, None).await.is_err());
    scan(scene, &tip, 0, &tipper.link("tipper", 1_300, Some(&tip)).await).await;
    wait(scene, &tip, "REFUNDED", SOON).await;
    scene.received_once(&tip).await;
}

/// A payout that was begun in time counts, however long it takes; one that fails after the end brings the tip
/// back.
pub async fn half_withdrawn(scene: &Scene, tipper: &Person) {
    let wallet = scene.wallet(1);
    for arrives in [true, false] {
        let tip = short(scene, tipper, 1_400, 6).await;
        let guest = Person::guest(scene).await;
        done(&guest.claim(&tip).await);
        let hold = invoice(scene, &tip, 1, InvoiceRequest::sat(1_400).hold()).await;
        let withdrawing = guest.withdraw("tippee", &hold.invoice, None);
        let meanwhile = async {
            wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
            tokio::time::sleep(Duration::from_secs(8)).await;
            let now = shown(scene, &tip).await;
            assert_eq!((&now["status"], &now["withdrawalPending"]), (&json!("CLAIMED"), &json!(true)));
            assert_eq!(refusal(&tipper.reclaim(&tip, true).await).0, 409);
            decide(wallet, &hold.payment_hash, arrives).await;
        };
        let answer = tokio::join!(withdrawing, meanwhile).0;
        if arrives {
            done(&answer);
            assert_eq!(status(scene, &tip).await, "WITHDRAWN");
            scene.received_once(&tip).await;
        } else {
            assert_eq!(refusal(&answer), (409, "WITHDRAWAL_FAILED"));
            assert_eq!(status(scene, &tip).await, "RECLAIMED");
            refund_to_invoice(scene, tipper, &tip, 1_400).await;
        }
    }
}

async fn decide(wallet: &Wallet, payment_hash: &str, arrives: bool) {
    if arrives {
        wallet.claim(payment_hash).await.unwrap();
    } else {
        wallet.fail(payment_hash).await.unwrap();
    }
}

/// Of three tips in one payout, which fails: all three are as before.
pub async fn fails_and_again(scene: &Scene, tipper: &Person) {
    let group = tipper.give(scene, 1_000, json!({ "quantity": 3 })).await;
    let (tips, guest) = (ids(&group), Person::guest(scene).await);
    for tip in &tips {
        done(&guest.claim(tip).await);
    }
    let hold = invoice(scene, id(&group), 1, InvoiceRequest::sat(3_000).hold()).await;
    let meanwhile = async {
        scene.wallet(1).wait_held(&hold.payment_hash, SOON).await.unwrap();
        let other = invoice(scene, id(&group), 1, InvoiceRequest::sat(3_000)).await;
        let refused = guest.withdraw("tippee", &other.invoice, None).await;
        assert_eq!(refusal(&refused).0, 409);
        scene.wallet(1).fail(&hold.payment_hash).await.unwrap();
    };
    let answer = tokio::join!(guest.withdraw("tippee", &hold.invoice, None), meanwhile).0;
    assert_eq!(refusal(&answer), (409, "WITHDRAWAL_FAILED"));
    for tip in &tips {
        let now = shown(scene, tip).await;
        assert_eq!((&now["status"], now.get("withdrawalPending")), (&json!("CLAIMED"), None));
    }
    assert_eq!(scene.times_received(id(&group)).await, 0);
    // A code outlives the failure too.
    scan(scene, id(&group), 1, &guest.link("tippee", 3_000, None).await).await;
    for tip in &tips {
        wait(scene, tip, "WITHDRAWN", SOON).await;
    }
    scene.received_once(id(&group)).await;
}

/// Money for a deleted tip, whole with its fee, is its tipper's.
pub async fn paid_for_nothing(scene: &Scene, tipper: &Person) {
    let tip = tipper.create(1_000, json!({})).await;
    let path = format!("/api/tipper/tips/{}", id(&tip));
    let http = reqwest::Client::new();
    let nobody = http.delete(format!("{}{path}", scene.api.url)).send().await.unwrap();
    assert_eq!(nobody.status().as_u16(), 401);
    done_deleting(tipper, &path).await;
    assert_eq!(status(scene, id(&tip)).await, "DELETED");
    let invoice = tip["invoice"].as_str().unwrap();
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    wait(scene, id(&tip), "RECLAIMED", SOON).await;
    refund_to_invoice(scene, tipper, id(&tip), 1_011).await;

    let group = tipper.create(1_000, json!({ "quantity": 3 })).await;
    done_deleting(tipper, &format!("/api/tipGroups/{}", id(&group))).await;
    let invoice = group["invoice"].as_str().unwrap();
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    for tip in ids(&group) {
        wait(scene, &tip, "RECLAIMED", SOON).await;
    }
    scan(scene, id(&group), 0, &tipper.link("tipper", 3_033, None).await).await;
    for tip in ids(&group) {
        wait(scene, &tip, "REFUNDED", SOON).await;
    }
    scene.received_once(id(&group)).await;
}

async fn done_deleting(tipper: &Person, path: &str) {
    let deleted = tipper.delete(path).await.ok();
    assert_eq!(deleted["deleted"], ":(");
}

/// A tip withdrawn into another tip's invoice never leaves this node, and the other's fee is earned.
pub async fn into_another_tip(scene: &Scene, tipper: &Person) {
    let from = tipper.give(scene, 1_011, json!({})).await;
    let into = tipper.create(1_000, json!({})).await;
    let guest = Person::guest(scene).await;
    done(&guest.claim(id(&from)).await);
    let before = scene.books_agree().await;
    done(&guest.withdraw("tippee", into["invoice"].as_str().unwrap(), None).await);
    assert_eq!(status(scene, id(&from)).await, "WITHDRAWN");
    assert_eq!(status(scene, id(&into)).await, "UNSEEN");
    let after = scene.books_agree().await;
    let change = |name| account(&after, name) - account(&before, name);
    assert_eq!((change("lightning"), change("holders"), change("fees_earned")), (0, 11_000, -11_000));
    done(&tipper.reclaim(id(&into), false).await);
    refund_to_invoice(scene, tipper, id(&into), 1_000).await;
}

/// The address refuses; the tip stays RECLAIMED and goes when it gives.
pub async fn refund_refused(scene: &Scene, tipper: &Person) {
    let address = Address::of(scene, 0).await;
    address.refuses();
    let tip = tipper.give(scene, 1_500, json!({})).await;
    done(&tipper.reclaim(id(&tip), false).await);
    tipper.set_address(Some(&address.name)).await;
    let path = format!("/api/users/{}/refundToLightningAddress", tipper.id().await);
    assert_eq!(tipper.post(&path, json!({})).await.status, 422);
    assert_eq!(Person::guest(scene).await.post(&path, json!({})).await.status, 403);
    assert_eq!(status(scene, id(&tip)).await, "RECLAIMED");
    address.gives();
    done(&tipper.post(&path, json!({})).await);
    wait(scene, id(&tip), "REFUNDED", SOON).await;
    address.note(scene, id(&tip));
    scene.received_once(id(&tip)).await;
    assert_eq!(refusal(&tipper.post(&path, json!({})).await), (409, "NOTHING_TO_WITHDRAW"));
    tipper.set_address(None).await;
}

/// The payout to the address fails: all its tips are RECLAIMED again, and the next one carries them all.
pub async fn refund_fails(scene: &Scene, tipper: &Person) {
    let address = Address::of(scene, 0).await;
    address.holds();
    let group = tipper.give(scene, 1_000, json!({ "quantity": 4 })).await;
    let reclaim = format!("/api/tipGroups/{}/reclaim", id(&group));
    done(&tipper.post(&reclaim, json!({})).await);
    // Tried at once, since there is something to give back.
    tipper.set_address(Some(&address.name)).await;
    let hash = until("the address is asked", SOON, || async { address.given().first().cloned() }).await;
    assert_eq!(scene.wallet(0).wait_held(&hash, SOON).await.unwrap(), 4_000_000);
    let path = format!("/api/users/{}/refundToLightningAddress", tipper.id().await);
    assert_eq!(refusal(&tipper.post(&path, json!({})).await), (409, "NOTHING_TO_WITHDRAW"));
    address.gives();
    scene.wallet(0).fail(&hash).await.unwrap();
    until("the refund can be begun again", RECOVERY, || async {
        (tipper.post(&path, json!({})).await.status == 204).then_some(())
    })
    .await;
    for tip in ids(&group) {
        wait(scene, &tip, "REFUNDED", SOON).await;
    }
    address.note(scene, id(&group));
    scene.received_once(id(&group)).await;
    tipper.set_address(None).await;
}

/// Nobody asks for anything: what is over goes to the tipper's address.
pub async fn refund_by_itself(scene: &Scene, tipper: &Person) {
    let address = Address::of(scene, 0).await;
    tipper.set_address(Some(&address.name)).await;
    let tip = short(scene, tipper, 1_600, 4).await;
    wait(scene, &tip, "REFUNDED", OVER).await;
    address.note(scene, &tip);
    scene.received_once(&tip).await;
    // Of two that are over together, whatever the payouts carry, each comes back once.
    let order = json!({ "quantity": 2, "expiry": in_secs(5) });
    let group = tipper.create(1_700, order).await;
    fund(scene, &group).await;
    for tip in ids(&group) {
        wait(scene, &tip, "REFUNDED", OVER).await;
    }
    address.note(scene, id(&group));
    scene.received_once(id(&group)).await;
    tipper.set_address(None).await;
}
