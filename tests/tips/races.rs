//! Two at once, many times: one wins, and the wallets' own records say so.

use std::collections::BTreeSet;

use regtest::InvoiceRequest;
use serde_json::{Value, json};

use crate::common::tips::{Person, done, id, ids, invoice, refusal, scan, status, wait};
use crate::common::{SOON, Scene};

async fn group(scene: &Scene, tipper: &Person, rounds: usize, more: Value) -> Vec<String> {
    let mut order = json!({ "quantity": rounds });
    for (name, value) in more.as_object().unwrap() {
        order[name] = value.clone();
    }
    ids(&tipper.give(scene, 1_000, order).await)
}

/// The tippee withdraws while the tipper takes back what was claimed.
pub async fn reclaim_or_withdrawal(scene: &Scene, tipper: &Person, rounds: usize) {
    let guest = Person::guest(scene).await;
    let (mut withdrawn, mut reclaimed) = (0, Vec::new());
    for (round, tip) in group(scene, tipper, rounds, json!({})).await.into_iter().enumerate() {
        done(&guest.claim(&tip).await);
        let target = invoice(scene, &tip, 1, InvoiceRequest::sat(1_000)).await;
        // By turns who has a little start.
        let pause = |late: bool| tokio::time::sleep(std::time::Duration::from_millis(u64::from(late)));
        let (taken, back) = tokio::join!(
            async {
                pause(round % 4 == 1).await;
                guest.withdraw("tippee", &target.invoice, Some(&tip)).await
            },
            async {
                pause(round % 4 == 3).await;
                tipper.reclaim(&tip, true).await
            },
        );
        let won = [taken.status == 204, back.status == 204];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{taken:?} {back:?}");
        if won[0] {
            withdrawn += 1;
            assert_eq!(status(scene, &tip).await, "WITHDRAWN");
            scene.received_once(&tip).await;
        } else {
            assert_eq!(taken.status, 409, "{taken:?}");
            assert_eq!(status(scene, &tip).await, "RECLAIMED");
            assert_eq!(scene.times_received(&tip).await, 0);
            reclaimed.push(tip);
        }
    }
    eprintln!("   {withdrawn} withdrawn, {} taken back", reclaimed.len());
    assert!(withdrawn > 0 && !reclaimed.is_empty(), "no race at all");
    let sum = 1_000 * u64::try_from(reclaimed.len()).unwrap();
    scan(scene, "all that was taken back", 0, &tipper.link("tipper", sum, None).await).await;
    for tip in &reclaimed {
        wait(scene, tip, "REFUNDED", SOON).await;
    }
    scene.received_once("all that was taken back").await;
    scene.books_agree().await;
}

/// Two guests claim the same tip.
pub async fn two_claims(scene: &Scene, tipper: &Person, rounds: usize) {
    let guests = [Person::guest(scene).await, Person::guest(scene).await];
    let mut won = [0_u64; 2];
    for tip in group(scene, tipper, rounds, json!({})).await {
        done(&Person::nobody(scene).post(&format!("/api/tippee/tips/{tip}/markSeen"), json!({})).await);
        let (first, second) = tokio::join!(guests[0].claim_seen(&tip), guests[1].claim_seen(&tip));
        let winner = usize::from(second.status == 204);
        let loser = if winner == 0 { &second } else { &first };
        assert_eq!(refusal(loser), (409, "TIP_CLAIMED"));
        done(if winner == 0 { &first } else { &second });
        won[winner] += 1;
        // The loser can't withdraw it.
        let wrong = invoice(scene, &tip, 1, InvoiceRequest::sat(1_000)).await;
        let refused = guests[1 - winner].withdraw("tippee", &wrong.invoice, Some(&tip)).await;
        assert_eq!(refusal(&refused), (409, "NOTHING_TO_WITHDRAW"));
    }
    eprintln!("   {won:?}");
    assert_eq!(won[0] + won[1], u64::try_from(rounds).unwrap());
    for (number, guest) in guests.iter().enumerate().filter(|(number, _)| won[*number] > 0) {
        let purse = format!("what guest {number} claimed");
        let all = invoice(scene, &purse, 1, InvoiceRequest::sat(1_000 * won[number])).await;
        done(&guest.withdraw("tippee", &all.invoice, None).await);
        scene.received_once(&purse).await;
    }
    scene.books_agree().await;
}

/// Two wallets scan the same code and hand in an invoice each.
pub async fn two_callbacks(scene: &Scene, tipper: &Person, rounds: usize) {
    for tip in group(scene, tipper, rounds, json!({ "onboardingFlow": "SKIP" })).await {
        let lnurl = Person::nobody(scene).link("anonymous", 1_000, Some(&tip)).await;
        let (_, bytes) = bech32::decode(&lnurl).unwrap();
        let url = String::from_utf8(bytes).unwrap();
        let path = url.strip_prefix(&scene.api.url).expect("our own address").to_owned();
        let offers = [scene.api.get(&path).await.ok(), scene.api.get(&path).await.ok()];
        let pay = async |wallet: usize, offer: &Value| {
            let target = invoice(scene, &tip, wallet, InvoiceRequest::sat(1_000)).await;
            let k1 = offer["k1"].as_str().unwrap();
            scene.api.get(&format!("{path}/pay?k1={k1}&pr={}", target.invoice)).await.ok()
        };
        let (one, two) = tokio::join!(pay(0, &offers[0]), pay(1, &offers[1]));
        let ok = [&one, &two].into_iter().filter(|answer| answer["status"] == "OK").count();
        assert_eq!(ok, 1, "{one} {two}");
        assert!([&one, &two].into_iter().any(|answer| answer["status"] == "ERROR"), "{one} {two}");
        wait(scene, &tip, "WITHDRAWN", SOON).await;
        scene.received_once(&tip).await;
    }
    scene.books_agree().await;
}

/// Two recipients follow one link at once; each gets one tip, and no tip has two owners.
pub async fn static_link(scene: &Scene, tipper: &Person, rounds: usize) {
    let order = json!({ "quantity": rounds * 2, "enableStaticLink": true });
    let group = tipper.give(scene, 1_000, order).await;
    let path = format!("/api/tipGroups/{}/static", id(&group));
    let mut owned = BTreeSet::new();
    for _ in 0..rounds {
        let guests = [Person::guest(scene).await, Person::guest(scene).await];
        let follow = async |guest: &Person| {
            for _ in 0..5 {
                let tip = guest.get(&path).await.ok()["tipId"].as_str().expect("a free tip").to_owned();
                let answer = guest.claim(&tip).await;
                match refusal(&answer) {
                    (204, _) => return tip,
                    (409, "TIP_CLAIMED") => {}
                    other => panic!("{other:?}"),
                }
            }
            panic!("never a free one")
        };
        let (one, two) = tokio::join!(follow(&guests[0]), follow(&guests[1]));
        assert_ne!(one, two);
        for (guest, tip) in guests.iter().zip([one, two]) {
            // The link leads them to what is theirs, and to no second one.
            assert_eq!(guest.get(&path).await.ok()["tipId"], tip.as_str());
            let other = ids(&group).into_iter().find(|other| *other != tip && !owned.contains(other));
            if let Some(other) = other {
                assert_eq!(guest.claim(&other).await.status, 409);
            }
            assert!(owned.insert(tip), "a tip has two owners");
        }
    }
    assert_eq!(owned.len(), rounds * 2);
    let visitor = Person::guest(scene).await;
    assert_eq!(visitor.get(&path).await.ok().get("tipId"), None);
    done(&tipper.post(&format!("/api/tipGroups/{}/reclaim", id(&group)), json!({ "force": true })).await);
    let sum = 1_000 * u64::try_from(rounds * 2).unwrap();
    scan(scene, id(&group), 0, &tipper.link("tipper", sum, None).await).await;
    for tip in owned {
        wait(scene, &tip, "REFUNDED", SOON).await;
    }
    scene.received_once(id(&group)).await;
    scene.books_agree().await;
}
