//! Gifts and tips that are paid to an offer of a real wallet, or to a name that stands for one: once, whoever asks how
//! often, and wherever satchel dies.

use futures_util::future::join_all;
use regtest::Network;
use serde_json::{Value, json};

use super::common::names::NameServer;
use super::common::tips::{Person, done, id, refusal, status, wait};
use super::common::{Gift, SOON, Scene, case, until};

struct World {
    scene: Scene,
    names: NameServer,
    tipper: Person,
}

impl World {
    async fn start() -> Self {
        let names = NameServer::start().await;
        let config = format!(
            "[payouts]\nsend_window_secs = 60\n[withdrawals]\ndns_unsigned = true\ndns_over_https = [\"{}\"]\n",
            names.url
        );
        let scene = Scene::of(Network::builder().wallets(1).extra_config(config.parse().unwrap())).await;
        let tipper = Person::tipper(&scene).await;
        Self { scene, names, tipper }
    }

    async fn offer(&self) -> String {
        self.scene.wallet(0).offer().await.unwrap()
    }

    /// The wallet has got exactly these by an offer, in msat, and the books agree.
    async fn came(&self, purse: &str, offer: &str, wanted: &[u64]) {
        let came = until("it is with the recipient", SOON, || async {
            let came = self.scene.wallet(0).received_by(offer).await.unwrap();
            (came.len() >= wanted.len()).then_some(came)
        })
        .await;
        assert_eq!(came.iter().map(|(_, msat)| *msat).collect::<Vec<_>>(), wanted);
        for (hash, _) in came {
            self.scene.note_asked(0, purse, &hash);
        }
        self.scene.books_agree().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gifts_and_tips_are_paid_to_an_offer_once() {
    let world = World::start().await;
    case("a gift, asked for twenty times at once", gift(&world)).await;
    case("a gift to a name", gift_to_a_name(&world)).await;
    case("a gift back to its sender", gift_back(&world)).await;
    case("tips that were claimed", claimed_tips(&world)).await;
    case("a tip by its link, to a name", tip_by_link(&world)).await;
    case("tips back to their tipper", tips_back(&world)).await;
    case("an offer that nobody answers for", unanswered(&world)).await;
    case("the operator's lists", lists(&world)).await;
    assert_eq!(world.scene.channels_closed().await, 0);
    world.scene.close().await;
}

async fn gift(world: &World) {
    let (scene, api) = (&world.scene, &world.scene.api);
    let gift = scene.funded_gift(5_000, 0).await;
    let offer = world.offer().await;
    let answers = join_all((0..20).map(|_| api.redeem(&gift.order_id, &offer))).await;
    let ids: Vec<_> = answers.into_iter().map(super::common::api::Answer::withdrawal_id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let shown = api.wait_spent(&gift.order_id, json!(true), SOON).await;
    assert_eq!(shown["withdrawalInfo"]["withdrawalInvoice"], json!(offer));
    assert_eq!(api.withdrawal(&ids[0]).await, json!({"reference": offer, "status": "confirmed"}));
    assert_eq!(api.redeem(&gift.order_id, &offer).await.withdrawal_id(), ids[0]);
    let other = world.offer().await;
    assert_eq!(api.redeem(&gift.order_id, &other).await.refusal(), (400, "GIFT_SPENT"));
    world.came(&gift.order_id, &offer, &[5_000_000]).await;
    // The same offer, another gift.
    let second = scene.funded_gift(700, 0).await;
    api.redeem(&second.order_id, &offer).await.withdrawal_id();
    api.wait_spent(&second.order_id, json!(true), SOON).await;
    let came = scene.wallet(0).received_by(&offer).await.unwrap();
    for (hash, _) in &came {
        scene.note_asked(0, &second.order_id, hash);
    }
    let mut amounts: Vec<_> = came.into_iter().map(|(_, msat)| msat).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [700_000, 5_000_000]);
    scene.books_agree().await;
}

async fn gift_to_a_name(world: &World) {
    let api = &world.scene.api;
    let gift = world.scene.funded_gift(2_000, 0).await;
    let offer = world.offer().await;
    world.names.set(&format!("bitcoin:?lno={offer}"));
    assert_eq!(api.redeem(&gift.order_id, "₿carol@example.com").await.refusal(), (400, "ADDRESS_INVALID"));
    api.redeem(&gift.order_id, "bob@example.com").await.withdrawal_id();
    api.wait_spent(&gift.order_id, json!(true), SOON).await;
    world.came(&gift.order_id, &offer, &[2_000_000]).await;
}

async fn gift_back(world: &World) {
    let api = &world.scene.api;
    let gift = world.scene.funded_gift(1_500, 0).await;
    let offer = world.offer().await;
    let body = json!({"key": gift.manage_key, "invoice": offer});
    api.post(&format!("/gift/{}/refund", gift.order_id), body).await.withdrawal_id();
    until("it is returned", SOON, || async {
        (api.managed(&gift).await["state"] == "returned").then_some(())
    })
    .await;
    world.came(&gift.order_id, &offer, &[1_500_000]).await;
    assert_eq!(api.redeem(&gift.order_id, &offer).await.refusal(), (400, "GIFT_SPENT"));
}

async fn claimed_tips(world: &World) {
    let World { scene, tipper, .. } = world;
    let guest = Person::guest(scene).await;
    let mut tips = Vec::new();
    for sat in [1_000, 300] {
        let tip = tipper.give(scene, sat, json!({})).await;
        done(&guest.claim(id(&tip)).await);
        tips.push(tip);
    }
    let offer = world.offer().await;
    let answers = join_all((0..10).map(|_| guest.withdraw("tippee", &offer, None))).await;
    // Who came when all had arrived hears that there is nothing any more.
    for answer in &answers {
        assert!(matches!(refusal(answer), (204, _) | (409, "NOTHING_TO_WITHDRAW")), "{}", answer.body);
    }
    assert!(answers.iter().any(|answer| answer.status == 204));
    for tip in &tips {
        wait(scene, id(tip), "WITHDRAWN", SOON).await;
    }
    world.came(id(&tips[0]), &offer, &[1_300_000]).await;
}

async fn tip_by_link(world: &World) {
    let World { scene, tipper, .. } = world;
    let tip = tipper.give(scene, 800, json!({ "onboardingFlow": "SKIP" })).await;
    let offer = world.offer().await;
    world.names.set(&format!("bitcoin:?lno={offer}"));
    let nobody = Person::nobody(scene);
    done(&nobody.withdraw("anonymous", "₿bob@example.com", Some(id(&tip))).await);
    done(&nobody.withdraw("anonymous", &offer, Some(id(&tip))).await);
    assert_eq!(status(scene, id(&tip)).await, "WITHDRAWN");
    world.came(id(&tip), &offer, &[800_000]).await;
}

async fn tips_back(world: &World) {
    let World { scene, tipper, .. } = world;
    let tip = tipper.give(scene, 900, json!({})).await;
    done(&tipper.reclaim(id(&tip), false).await);
    let offer = world.offer().await;
    done(&tipper.withdraw("tipper", &offer, None).await);
    wait(scene, id(&tip), "REFUNDED", SOON).await;
    world.came(id(&tip), &offer, &[900_000]).await;
}

/// An offer of nobody's: no route to who made it. The gift is open again, and goes to a wallet's.
async fn unanswered(world: &World) {
    let (scene, api) = (&world.scene, &world.scene.api);
    let gift = scene.funded_gift(1_100, 0).await;
    let nobodys = "lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrc2q36x2um5zcss9mk8y3wkklfvevcrsz\
        lmu23kfrxh49px20665dqwmn4p72pksese";
    let id = api.redeem(&gift.order_id, nobodys).await.withdrawal_id();
    let other = world.offer().await;
    assert_eq!(api.redeem(&gift.order_id, &other).await.refusal(), (400, "GIFT_REDEEM_PENDING"));
    let failed = until("it has failed", super::IN_DOUBT, || async {
        let told = api.withdrawal(&id).await;
        assert_ne!(told["status"], "confirmed");
        (told["status"] == "failed").then_some(told)
    })
    .await;
    assert!(failed["error"].is_string(), "{failed}");
    api.redeem(&gift.order_id, &other).await.withdrawal_id();
    api.wait_spent(&gift.order_id, json!(true), SOON).await;
    world.came(&gift.order_id, &other, &[1_100_000]).await;
}

async fn lists(world: &World) {
    let satchel = &world.scene.network.satchel;
    let gift = world.scene.funded_gift(1_200, 0).await;
    let offer = world.offer().await;
    let withdrawal = world.scene.api.redeem(&gift.order_id, &offer).await.withdrawal_id();
    world.scene.api.wait_spent(&gift.order_id, json!(true), SOON).await;
    world.came(&gift.order_id, &offer, &[1_200_000]).await;
    let has = |list: &Value| list.as_array().unwrap().iter().any(|one| one["id"] == withdrawal.as_str());
    let listed = satchel.command_json("payout", &["list"]).await.unwrap();
    assert!(has(&listed["payouts"]), "{listed}");
    let shown = satchel.command_json("payout", &["show", &withdrawal]).await.unwrap();
    assert_eq!((&shown["family"], &shown["status"]), (&json!("gifts"), &json!("paid")), "{shown}");
    let shown = satchel.command_json("gift", &["show", &gift.order_id]).await.unwrap();
    assert!(has(&shown["payouts"]), "{shown}");
    for (table, mark) in [("gifts", "redeemed"), ("tips", "redeemed"), ("payouts", withdrawal.as_str())] {
        let file = satchel.data_dir().join(format!("{table}.csv"));
        let name = file.display().to_string();
        satchel.command_json("export", &[table, "--output", &name]).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(mark), "{table}: {text}");
        // Each that ended has the hash of its payout.
        for line in text.lines().filter(|line| table != "payouts" && line.contains(",redeemed,")) {
            let hashes = line.split(',').filter(|cell| cell.len() == 64).count();
            assert_eq!(hashes, 2, "{table}: {line}");
        }
    }
}

/// Points on the way, and how many times each is passed before.
#[cfg(feature = "failpoints")]
const OFFER: &[(&str, u32)] = &[
    ("offer_payout.before_queue_commit", 0),
    ("offer_payout.before_send", 0),
    ("offer_payout.after_send", 0),
    ("offer_payout.after_sent_commit", 0),
    ("offer_payout.before_paid", 0),
    ("event.before_handled", 0),
    ("event.after_handled", 0),
    ("store.before_commit", 0),
    ("store.before_commit", 1),
    ("store.after_commit", 0),
    ("store.after_commit", 2),
];

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_point_of_a_payout_to_an_offer_pays_it_once() {
    let world = World::start().await;
    for (point, skip) in OFFER.iter().chain(&[("gift.after_redeem", 0)]) {
        let name = format!("gift, {point} after {skip}");
        case(&name, dying_gift(&world, point, *skip, Way::Offer)).await;
    }
    for point in ["offer_payout.after_send", "offer_payout.before_paid"] {
        case(&format!("gift back, {point}"), dying_gift(&world, point, 0, Way::Back)).await;
    }
    for point in ["gift.address_asked", "offer_payout.before_send"] {
        case(&format!("gift to a name, {point}"), dying_gift(&world, point, 0, Way::Name)).await;
    }
    for point in [
        "tip.after_withdraw",
        "offer_payout.before_send",
        "offer_payout.after_send",
        "offer_payout.before_paid",
    ] {
        case(&format!("tip, {point}"), dying_tip(&world, point)).await;
    }
    eprintln!("channels closed: {}", world.scene.channels_closed().await);
    world.scene.comes_to_rest().await;
    world.scene.close().await;
}

#[cfg(feature = "failpoints")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Offer,
    Name,
    Back,
}

#[cfg(feature = "failpoints")]
async fn dying_gift(world: &World, point: &str, skip: u32, way: Way) {
    use super::common::doomed::Doomed;

    let (scene, api) = (&world.scene, &world.scene.api);
    let gift: Gift = scene.funded_gift(5_000, 0).await;
    let offer = world.offer().await;
    world.names.set(&format!("bitcoin:?lno={offer}"));
    let target = if way == Way::Name { "bob@example.com" } else { offer.as_str() };
    let (path, last) = match way {
        Way::Back => (format!("/gift/{}/refund", gift.order_id), "returned"),
        Way::Offer | Way::Name => (format!("/redeem/{}", gift.order_id), "redeemed"),
    };
    let body = json!({"key": gift.manage_key, "invoice": target});
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let _answered_or_not = api.send(reqwest::Method::POST, &path, Some(&body)).await;
    doomed.dies_and_rises().await;
    let on_chain = scene.replace_lost_channels().await > 0;
    scene.network.wait_usable().await.unwrap();
    let end = std::time::Instant::now() + super::IN_DOUBT;
    loop {
        let now = api.managed(&gift).await["state"].clone();
        match now.as_str().unwrap() {
            state if state == last => break,
            "open" => {
                assert!(scene.wallet(0).received_by(&offer).await.unwrap().is_empty(), "paid, and open");
                let answer = api.post(&path, body.clone()).await;
                match answer.refusal() {
                    (200, _) | (400, "GIFT_REDEEM_PENDING" | "GIFT_SPENT") | (503, _) => {}
                    other => panic!("an open gift answers {other:?}"),
                }
            }
            // What was under way in a closed channel is decided on the chain.
            _ if on_chain => drop(scene.network.mine(6).await.unwrap()),
            _ => {}
        }
        assert!(std::time::Instant::now() < end, "stuck: {now}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // Once more, which pays nothing.
    let again = api.post(&path, body.clone()).await;
    assert!(matches!(again.refusal(), (200, _) | (400, "GIFT_SPENT")), "{:?}", again.refusal());
    world.came(&gift.order_id, &offer, &[5_000_000]).await;
}

#[cfg(feature = "failpoints")]
async fn dying_tip(world: &World, point: &str) {
    use super::common::doomed::Doomed;
    use super::common::tips::withdrawal;

    let World { scene, tipper, .. } = world;
    let tip = tipper.give(scene, 3_000, json!({ "onboardingFlow": "SKIP" })).await;
    let offer = world.offer().await;
    let body = withdrawal("anonymous", &offer, Some(id(&tip)));
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    let nobody = Person::nobody(scene);
    let (_answered_or_not, ()) =
        tokio::join!(nobody.try_post("/api/invoices", body.clone()), doomed.dies_and_rises());
    let on_chain = scene.replace_lost_channels().await > 0;
    scene.network.wait_usable().await.unwrap();
    let end = std::time::Instant::now() + super::IN_DOUBT;
    while status(scene, id(&tip)).await != "WITHDRAWN" {
        assert!(std::time::Instant::now() < end, "stuck");
        if on_chain {
            scene.network.mine(6).await.unwrap();
        }
        // The same offer is the same withdrawal while it is under way, and a new one where it failed.
        let answer = nobody.try_post("/api/invoices", body.clone()).await;
        if let Ok(answer) = answer {
            assert!(
                matches!(refusal(&answer), (202 | 204, _) | (409, "WITHDRAWAL_FAILED") | (503, _)),
                "{}",
                answer.body
            );
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    done(&nobody.try_post("/api/invoices", body).await.unwrap());
    world.came(id(&tip), &offer, &[3_000_000]).await;
}
