//! The three ways to a wallet, one tip and twenty-five.

use futures_util::future::join_all;
use regtest::InvoiceRequest;
use serde_json::json;

use crate::common::tips::{
    Address, Person, done, id, ids, invoice, refusal, scan, shown, status, wait, withdrawal,
};
use crate::common::{SOON, Scene};

/// Claimed in a browser, withdrawn by LNURL.
pub async fn by_guest(scene: &Scene, tipper: &Person) {
    let tip = tipper.create(2_000, json!({ "note": "thanks", "tippeeName": "Ann" })).await;
    let tip_id = id(&tip);
    let guest = Person::guest(scene).await;
    assert_eq!(refusal(&guest.claim(tip_id).await), (409, "TIP_UNFUNDED"));
    crate::common::tips::fund(scene, &tip).await;
    assert_eq!(status(scene, tip_id).await, "UNSEEN");
    assert_eq!(refusal(&guest.claim_seen(tip_id).await), (409, "TIP_UNSEEN"));
    assert_eq!(Person::nobody(scene).claim(tip_id).await.status, 401);
    assert_eq!(status(scene, tip_id).await, "SEEN");
    done(&guest.claim(tip_id).await);
    let other = Person::guest(scene).await;
    assert_eq!(refusal(&other.claim(tip_id).await), (409, "TIP_CLAIMED"));
    assert_eq!(status(scene, tip_id).await, "CLAIMED");
    assert_eq!(guest.get("/api/tippee/tips").await.ok()[0]["id"], tip_id);

    let before = scene.payouts().await;
    let lnurl = guest.link("tippee", 2_000, None).await;
    scan(scene, tip_id, 1, &lnurl).await;
    wait(scene, tip_id, "WITHDRAWN", SOON).await;
    scene.received_once(tip_id).await;
    assert!(scene.wallet(0).lnurl_withdraw(&lnurl, None).await.is_err());
    let again = invoice(scene, tip_id, 0, InvoiceRequest::sat(2_000)).await;
    let refused = guest.withdraw("tippee", &again.invoice, Some(tip_id)).await;
    assert_eq!(refusal(&refused), (409, "NOTHING_TO_WITHDRAW"));
    assert_eq!(refusal(&tipper.reclaim(tip_id, true).await).0, 409);
    assert_eq!(scene.payouts().await, before + 1);
    let given = tipper.get(&format!("/api/tipper/tips/{tip_id}")).await.ok();
    assert_eq!((&given["status"], &given["fee"]), (&json!("WITHDRAWN"), &json!(21)));
}

/// Claimed by whoever a wallet says it is, withdrawn to a pasted invoice.
pub async fn by_wallet(scene: &Scene, tipper: &Person) {
    let tip = tipper.give(scene, 3_000, json!({ "onboardingFlow": "LIGHTNING" })).await;
    let owner = Person::owner(scene, 1).await;
    done(&owner.claim(id(&tip)).await);
    let wrong = invoice(scene, id(&tip), 1, InvoiceRequest::sat(2_999)).await;
    assert_eq!(owner.withdraw("tippee", &wrong.invoice, None).await.status, 409);
    let right = invoice(scene, id(&tip), 1, InvoiceRequest::sat(3_000)).await;
    // Nobody else may, and nothing that they send changes anything.
    for stranger in [Person::nobody(scene), Person::guest(scene).await] {
        assert!(stranger.withdraw("tippee", &right.invoice, Some(id(&tip))).await.status >= 400);
    }
    assert_eq!(status(scene, id(&tip)).await, "CLAIMED");
    done(&owner.withdraw("tippee", &right.invoice, None).await);
    assert_eq!(status(scene, id(&tip)).await, "WITHDRAWN");
    scene.received_once(id(&tip)).await;
    // The same request again is the same withdrawal.
    done(&owner.withdraw("tippee", &right.invoice, None).await);
    // The same wallet is the same person in another browser.
    assert_eq!(Person::owner(scene, 1).await.id().await, owner.id().await);
}

/// Withdrawn by who has the link.
pub async fn by_nobody(scene: &Scene, tipper: &Person) {
    let tip = tipper.give(scene, 1_500, json!({ "onboardingFlow": "SKIP" })).await;
    let nobody = Person::nobody(scene);
    let listed = nobody.get(&format!("/api/anonymous/tips?tipId={}", id(&tip))).await.ok();
    assert_eq!((&listed[0]["amount"], listed[0].get("invoice")), (&json!(1_500), None));
    let lnurl = nobody.link("anonymous", 1_500, Some(id(&tip))).await;
    scan(scene, id(&tip), 1, &lnurl).await;
    wait(scene, id(&tip), "WITHDRAWN", SOON).await;
    scene.received_once(id(&tip)).await;
    assert!(scene.wallet(0).lnurl_withdraw(&lnurl, None).await.is_err());
}

/// Five guests claim five each, and withdraw together what is theirs: by LNURL, to an invoice, to an address.
pub async fn group_by_guests(scene: &Scene, tipper: &Person) {
    let names: Vec<_> = (1..=25).map(|number| format!("Guest {number}")).collect();
    let order = json!({ "quantity": 25, "tippeeNames": names, "note": "for {{name}}" });
    let group = tipper.give(scene, 1_000, order).await;
    let tips = ids(&group);
    assert_eq!(tips.len(), 25);
    assert_eq!(shown(scene, &tips[6]).await["note"], "for Guest 7");
    for tip in &tips {
        assert_eq!(status(scene, tip).await, "UNSEEN");
    }
    let before = scene.payouts().await;
    let address = Address::of(scene, 1).await;
    for (number, five) in tips.chunks(5).enumerate() {
        let (guest, purse) = (Person::guest(scene).await, format!("guest {number} of {}", id(&group)));
        for tip in five {
            done(&guest.claim(tip).await);
        }
        match number % 3 {
            0 => scan(scene, &purse, 1, &guest.link("tippee", 5_000, None).await).await,
            1 => {
                let all = invoice(scene, &purse, 1, InvoiceRequest::sat(5_000)).await;
                done(&guest.withdraw("tippee", &all.invoice, None).await);
            }
            _ => {
                done(&guest.withdraw("tippee", &address.name, None).await);
                assert_eq!(address.given().len(), 1);
                address.note(scene, &purse);
            }
        }
        for tip in five {
            wait(scene, tip, "WITHDRAWN", SOON).await;
        }
        scene.received_once(&purse).await;
    }
    assert_eq!(scene.payouts().await, before + 5);
}

/// One wallet's owner claims all and withdraws one, then the others together.
pub async fn group_by_wallet(scene: &Scene, tipper: &Person) {
    let order = json!({ "quantity": 25, "onboardingFlow": "LIGHTNING" });
    let group = tipper.give(scene, 1_000, order).await;
    let (tips, owner) = (ids(&group), Person::owner(scene, 1).await);
    for tip in &tips {
        done(&owner.claim(tip).await);
    }
    let one = invoice(scene, &tips[3], 1, InvoiceRequest::sat(1_000)).await;
    done(&owner.withdraw("tippee", &one.invoice, Some(&tips[3])).await);
    assert_eq!(status(scene, &tips[3]).await, "WITHDRAWN");
    assert_eq!(status(scene, &tips[4]).await, "CLAIMED");
    let all = invoice(scene, id(&group), 1, InvoiceRequest::sat(24_000)).await;
    done(&owner.withdraw("tippee", &all.invoice, None).await);
    for tip in &tips {
        assert_eq!(status(scene, tip).await, "WITHDRAWN");
    }
    scene.received_once(&tips[3]).await;
    scene.received_once(id(&group)).await;
}

/// Everybody scans their own code at once; some paste an invoice.
pub async fn group_by_nobody(scene: &Scene, tipper: &Person) {
    let order = json!({ "quantity": 25, "onboardingFlow": "SKIP" });
    let group = tipper.give(scene, 1_000, order).await;
    let (tips, nobody) = (ids(&group), Person::nobody(scene));
    let before = scene.payouts().await;
    let takes = tips.iter().enumerate().map(|(number, tip)| {
        let nobody = &nobody;
        async move {
            if number % 5 == 0 {
                let one = invoice(scene, tip, 1, InvoiceRequest::sat(1_000)).await;
                done(&nobody.post("/api/invoices", withdrawal("anonymous", &one.invoice, Some(tip))).await);
            } else {
                scan(scene, tip, 1, &nobody.link("anonymous", 1_000, Some(tip)).await).await;
            }
            wait(scene, tip, "WITHDRAWN", SOON).await;
            scene.received_once(tip).await;
        }
    });
    join_all(takes).await;
    assert_eq!(scene.payouts().await, before + 25);
    let group = tipper.get(&format!("/api/tipGroups/{}", id(&group))).await.ok();
    assert!(group["tips"].as_array().unwrap().iter().all(|tip| tip["status"] == "WITHDRAWN"), "{group}");
}
