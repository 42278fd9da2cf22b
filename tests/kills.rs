//! Random SIGKILLs under load: gifts are made, paid and redeemed by many at once while satchel is killed and
//! started again and again. Afterwards each gift is redeemed once or redeemable, and all records agree.
//!
//! `SATCHEL_KILLS` says how many (50 if not set), `SATCHEL_SEED` repeats an earlier run's choices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::api::payment_hash;
use common::choices::{Choices, seed};
use common::{Gift, Scene, case};
use regtest::wallet::PaymentStatus;
use regtest::{InvoiceRequest, WalletError};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const PAYERS: u64 = 4;
const REDEEMERS: u64 = 4;

/// Gifts that wait for a payer; more are made when some were paid.
const MOST_UNPAID: usize = 20;

/// How long everything may take to come to its end once the killing is over.
const SETTLING: Duration = Duration::from_secs(150);

/// Every HTLC of a closed channel is decided on the chain by then.
const MOST_BLOCKS: u32 = 2_200;

/// A gift under test.
#[derive(Clone)]
struct Item {
    gift: Gift,
    /// Who pays it: the same wallet also when it tries again.
    payer: usize,
    /// The last invoice that it was redeemed to without an answer.
    invoice: Option<String>,
}

/// An accepted redemption.
#[derive(Clone)]
struct Promise {
    order_id: String,
    withdrawal_id: String,
    payment_hash: String,
}

#[derive(Default)]
struct Load {
    over: AtomicBool,
    all: Mutex<Vec<Item>>,
    unpaid: Mutex<VecDeque<Item>>,
    paid: Mutex<VecDeque<Item>>,
    promises: Mutex<Vec<Promise>>,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_paid_twice() {
    let kills: u32 = std::env::var("SATCHEL_KILLS").map_or(50, |text| text.parse().unwrap());
    let seed = seed();
    eprintln!("SATCHEL_KILLS={kills} SATCHEL_SEED={seed}");
    let scene = Arc::new(Scene::start("").await);
    let load = Arc::new(Load::default());
    let mut workers = JoinSet::new();
    workers.spawn(create(Arc::clone(&scene), Arc::clone(&load), Choices::of(seed, 1)));
    workers.spawn(look(Arc::clone(&scene), Arc::clone(&load), Choices::of(seed, 2)));
    for who in 0..PAYERS {
        workers.spawn(pay(Arc::clone(&scene), Arc::clone(&load), Choices::of(seed, 100 + who)));
    }
    for who in 0..REDEEMERS {
        workers.spawn(redeem(Arc::clone(&scene), Arc::clone(&load), Choices::of(seed, 200 + who)));
    }
    case(&format!("{kills} kills"), kill(&scene, &load, kills, Choices::of(seed, 3))).await;
    load.over.store(true, Ordering::Relaxed);
    scene.network.wait_usable().await.unwrap();
    case("the workers end", async {
        // A wallet's payment that is caught in a closed channel ends on chain alone: blocks must come.
        while !workers.is_empty() {
            match tokio::time::timeout(Duration::from_millis(300), workers.join_next()).await {
                Ok(Some(ended)) => ended.unwrap(),
                Ok(None) => break,
                Err(_) => drop(scene.network.mine(2).await.unwrap()),
            }
        }
    })
    .await;
    case("everything settles", settle(&scene, &load)).await;
    case("what is open is redeemed", redeem_the_rest(&scene, &load)).await;
    let (gifts, promises) = (load.all.lock().unwrap().len(), load.promises.lock().unwrap().len());
    eprintln!(
        "{gifts} gifts, {promises} accepted redemptions, {} refused, {} requests without an answer, {} channels closed",
        load.refused.load(Ordering::Relaxed),
        load.unanswered.load(Ordering::Relaxed),
        scene.channels_closed().await
    );
    assert!(gifts > usize::try_from(kills).unwrap() && promises > 0, "too little load to prove anything");
    Arc::into_inner(scene).expect("the workers have ended").close().await;
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count_unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }
}

async fn kill(scene: &Scene, load: &Load, kills: u32, mut choices: Choices) {
    let satchel = &scene.network.satchel;
    let mut closed = 0;
    for done in 1..=kills {
        tokio::time::sleep(choices.millis(200, 5_000)).await;
        satchel.kill().await.unwrap();
        tokio::time::sleep(choices.millis(1, 300)).await;
        common::rises(satchel).await;
        closed += scene.replace_lost_channels().await;
        // What is caught in a closed channel ends on chain, and holds up whoever waits for it until then.
        scene.network.mine(6).await.unwrap();
        if done % 10 == 0 {
            let audit = scene.audit().await;
            let (all, unpaid) = (load.all.lock().unwrap().len(), load.unpaid.lock().unwrap().len());
            eprintln!(
                "   {done} kills: {all} gifts, {unpaid} unpaid, payouts {}, {closed} channels replaced",
                audit["payouts"]
            );
        }
    }
}

async fn create(scene: Arc<Scene>, load: Arc<Load>, mut choices: Choices) {
    while load.goes_on() {
        tokio::time::sleep(choices.millis(10, 150)).await;
        if load.unpaid.lock().unwrap().len() >= MOST_UNPAID {
            continue;
        }
        let amount = 500 + choices.below(10_000);
        match scene.api.try_create(&json!({"amount": amount})).await {
            Ok(answer) if answer.status == 200 => {
                let item = Item { gift: Gift::read(&answer.body), payer: choices.wallet(), invoice: None };
                load.all.lock().unwrap().push(item.clone());
                load.unpaid.lock().unwrap().push_back(item);
            }
            // Its channels aren't back yet, or it is just starting.
            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
            Err(_) => load.count_unanswered(),
        }
    }
}

/// Reads gifts at random: whatever was answered once is there for ever.
async fn look(scene: Arc<Scene>, load: Arc<Load>, mut choices: Choices) {
    while load.goes_on() {
        tokio::time::sleep(choices.millis(20, 200)).await;
        let order_id = {
            let all = load.all.lock().unwrap();
            let Some(count) = u64::try_from(all.len()).ok().filter(|count| *count > 0) else { continue };
            all[usize::try_from(choices.below(count)).unwrap()].gift.order_id.clone()
        };
        if let Ok(answer) = scene.api.send(reqwest::Method::GET, &format!("/gift/{order_id}"), None).await {
            assert_eq!(answer.status, 200, "gift {order_id}: {answer:?}");
        }
    }
}

async fn pay(scene: Arc<Scene>, load: Arc<Load>, mut choices: Choices) {
    while load.goes_on() {
        let next = load.unpaid.lock().unwrap().pop_front();
        let Some(item) = next else {
            tokio::time::sleep(choices.millis(20, 100)).await;
            continue;
        };
        scene.note_funding(item.payer, &item.gift.payreq);
        match scene.wallet(item.payer).pay(&item.gift.payreq).await {
            Ok(_) => load.paid.lock().unwrap().push_back(item),
            Err(WalletError::Failed(_)) => {
                tokio::time::sleep(choices.millis(50, 300)).await;
                load.unpaid.lock().unwrap().push_back(item);
            }
            Err(error) => panic!("a wallet can't pay: {error}"),
        }
    }
}

async fn redeem(scene: Arc<Scene>, load: Arc<Load>, mut choices: Choices) {
    while load.goes_on() {
        let next = load.paid.lock().unwrap().pop_front();
        let Some(mut item) = next else {
            tokio::time::sleep(choices.millis(20, 100)).await;
            continue;
        };
        let first = match item.invoice.take().filter(|_| choices.below(2) == 0) {
            Some(invoice) => invoice,
            None => invoice(&scene, &item.gift, choices.wallet()).await,
        };
        let answered = if choices.below(4) == 0 {
            let second = invoice(&scene, &item.gift, choices.wallet()).await;
            let (one, other) =
                tokio::join!(ask(&scene, &load, &item.gift, &first), ask(&scene, &load, &item.gift, &second));
            one || other
        } else {
            ask(&scene, &load, &item.gift, &first).await
        };
        if !answered {
            item.invoice = Some(first);
            tokio::time::sleep(choices.millis(20, 200)).await;
            load.paid.lock().unwrap().push_back(item);
        }
    }
}

async fn invoice(scene: &Scene, gift: &Gift, wallet: usize) -> String {
    let invoice = scene.wallet(wallet).invoice(InvoiceRequest::sat(gift.sat)).await.unwrap();
    scene.note_asked(wallet, &gift.order_id, &invoice.payment_hash);
    invoice.invoice
}

/// One request to redeem; `true` if somebody's redemption of the gift was accepted.
async fn ask(scene: &Scene, load: &Load, gift: &Gift, invoice: &str) -> bool {
    let answer = match scene.api.try_redeem(&gift.order_id, invoice).await {
        Ok(answer) => answer,
        Err(_) => {
            load.count_unanswered();
            return false;
        }
    };
    match answer.refusal() {
        (200, _) => {
            load.promises.lock().unwrap().push(Promise {
                order_id: gift.order_id.clone(),
                withdrawal_id: answer.withdrawal_id(),
                payment_hash: payment_hash(invoice),
            });
            true
        }
        (400, "GIFT_REDEEM_PENDING" | "GIFT_SPENT") => {
            load.refused.fetch_add(1, Ordering::Relaxed);
            true
        }
        // The payer has the receipt before satchel has written the payment down; an invoice of a failed
        // payout can't be used again.
        (400, "GIFT_INVOICE_UNPAID" | "BAD_INVOICE") | (503, _) => false,
        other => panic!("gift {} answers {other:?}", gift.order_id),
    }
}

/// Waits until every gift is redeemed or redeemable, and sees that the wallets say the same.
async fn settle(scene: &Scene, load: &Load) {
    let (items, mut blocks) = (load.all.lock().unwrap().clone(), 0);
    let end = Instant::now() + SETTLING;
    loop {
        let mut open = Vec::new();
        for item in &items {
            if let Some(what) = unsettled(scene, item).await {
                open.push(what);
            }
        }
        if open.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "{} gifts are stuck: {}", open.len(), open.join("; "));
        // What was under way in a closed channel is decided on the chain.
        if blocks < MOST_BLOCKS && scene.channels_closed().await > 0 {
            scene.network.mine(12).await.unwrap();
            blocks += 12;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let promises = load.promises.lock().unwrap().clone();
    for promise in promises {
        kept(scene, &promise).await;
    }
}

/// What is not right about a gift, yet.
async fn unsettled(scene: &Scene, item: &Item) -> Option<String> {
    let gift = scene.api.gift(&item.gift.order_id).await;
    let hash = payment_hash(&item.gift.payreq);
    let paid = match scene.wallet(item.payer).payment(&hash).await {
        Ok(payment) => payment.status,
        Err(WalletError::NotFound(_)) => PaymentStatus::Failed,
        Err(error) => panic!("{error}"),
    };
    let received = scene.times_received(&item.gift.order_id).await;
    let fine = match (paid, gift["chargeStatus"].as_str().unwrap(), &gift["spent"]) {
        (PaymentStatus::Succeeded, "paid", Value::Bool(true)) => received == 1,
        (PaymentStatus::Succeeded, "paid", Value::Bool(false))
        | (PaymentStatus::Failed, "unpaid", Value::Bool(false)) => received == 0,
        _ => false,
    };
    (!fine).then(|| format!("the payer says {paid:?}, {received} received, satchel says {gift}"))
}

/// An accepted redemption was honoured, or its failure is on record.
async fn kept(scene: &Scene, promise: &Promise) {
    let withdrawal = scene.api.withdrawal(&promise.withdrawal_id).await;
    let gift = scene.api.gift(&promise.order_id).await;
    match withdrawal["status"].as_str().unwrap() {
        "confirmed" => {
            assert_eq!(gift["spent"], true, "{gift}");
            assert_eq!(gift["withdrawalInfo"]["withdrawalId"], promise.withdrawal_id);
            assert_eq!(payment_hash(withdrawal["reference"].as_str().unwrap()), promise.payment_hash);
        }
        "failed" => assert_ne!(gift["spent"], "pending", "{gift}"),
        other => panic!("redemption {} is {other}", promise.withdrawal_id),
    }
}

/// What is redeemable can be redeemed.
async fn redeem_the_rest(scene: &Scene, load: &Load) {
    let (items, mut redeemed) = (load.all.lock().unwrap().clone(), 0);
    for item in items {
        let gift = scene.api.gift(&item.gift.order_id).await;
        if gift["chargeStatus"] != "paid" || gift["spent"] == true {
            continue;
        }
        let invoice = scene.invoice_for(&item.gift, item.payer).await;
        scene.api.redeem(&item.gift.order_id, &invoice.invoice).await.withdrawal_id();
        scene.api.wait_spent(&item.gift.order_id, json!(true), common::SOON).await;
        scene.received_once(&item.gift.order_id).await;
        redeemed += 1;
    }
    eprintln!("   {redeemed} gifts were open and were redeemed");
}
