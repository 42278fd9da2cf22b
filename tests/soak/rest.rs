//! A rest: no load, no kill. Blocks come until every close is buried, everything comes to its end, and then the payers'
//! and recipients' own records, satchel's word and its ledger are compared.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use regtest::wallet::PaymentStatus;

use super::common::choices::Choices;
use super::common::scene::account;
use super::services::{DUST_LIMIT_SAT, Item, Kind, Said};
use super::world::{World, add, read};

/// How long everything may take to come to its end.
const SETTLING: Duration = Duration::from_secs(300);

/// Longer than satchel waits after a start before it looks at what was under way.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the books may take to agree.
const COMPARING: Duration = Duration::from_secs(90);

/// Items looked at at a time.
const AT_ONCE: usize = 12;

/// Blocks that bury a close.
const BURIAL: u32 = 8;

/// Blocks at a time: for each LDK broadcasts once more whatever it claims, and ldk-node's queue has room for fifty.
const STEP: u32 = 4;

/// What is found about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Paid out once, or never paid for.
    Done,
    /// It can be paid out.
    Open,
    /// Not settled yet; what is said.
    Undecided(String),
    /// Its recipients have it more than once, or once and it is open.
    Twice(String),
    /// Received as dust in a channel that closed: nobody has it.
    Burnt,
    /// Paid as dust in a channel that closed: the payer has lost it, or satchel.
    PriceBurnt,
}

/// What the wallets' own records say of all items, in msat.
#[derive(Default)]
struct Sums {
    paid: u64,
    received: u64,
}

/// What the ledger may differ by from the wallets' records, in msat: what was found wrong or burnt before.
pub struct Books {
    known_difference: i64,
    known_of_earnings: i64,
}

impl Books {
    pub fn new(kept_msat: i64) -> Self {
        Self { known_difference: kept_msat, known_of_earnings: kept_msat }
    }

    /// Rests. With `all`, also whatever an earlier rest found settled is looked at again.
    pub async fn rest(&mut self, world: &Arc<World>, all: bool, seed: u64) {
        world.replace_channels().await;
        world.everybody_ends().await;
        if world.closed_since_rest() {
            world.mine(BURIAL).await;
        }
        if all {
            let settled = std::mem::take(&mut *world.settled.lock().unwrap());
            world.live.lock().unwrap().extend(settled);
        }
        let burnt = read(&world.counts.burnt_sat);
        self.settle(world, all, &mut Choices::of(seed, 4)).await;
        let burnt_msat = i64::try_from((read(&world.counts.burnt_sat) - burnt) * 1_000).unwrap();
        self.compare(world, burnt_msat).await;
        self.compare_earnings(world, burnt_msat).await;
        world.rested();
    }

    async fn settle(&mut self, world: &Arc<World>, all: bool, choices: &mut Choices) {
        let begun = Instant::now();
        loop {
            // A channel can close later than at the start: its peer may refuse to go on with it.
            world.replace_channels().await;
            let items: Vec<_> = world.live.lock().unwrap().clone();
            let looked = futures_util::stream::iter(items)
                .map(|item| async move { (look(world, &item).await, item) })
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<_>>()
                .await;
            let over = begun.elapsed() > SETTLING;
            let (mut keep, mut redeem, mut undecided) = (Vec::new(), Vec::new(), 0);
            for (found, item) in looked {
                match found {
                    Found::Done => world.settled.lock().unwrap().push(item),
                    Found::Twice(text) => {
                        world.fault(&world.counts.twice, text);
                        item.burnt.fetch_add(1, Ordering::Relaxed);
                        keep.push(item);
                    }
                    Found::Burnt => {
                        add(&world.counts.burnt, 1);
                        add(&world.counts.burnt_sat, item.sat);
                        item.burnt.fetch_add(1, Ordering::Relaxed);
                        keep.push(item);
                    }
                    Found::PriceBurnt => {
                        add(&world.counts.burnt, 1);
                        add(&world.counts.burnt_sat, item.price_sat);
                        item.price_burnt.store(true, Ordering::Relaxed);
                        keep.push(item);
                    }
                    // Some stay open until the end.
                    Found::Open if all || choices.below(4) > 0 => redeem.push(item),
                    Found::Open => world.settled.lock().unwrap().push(item),
                    Found::Undecided(text) if over => {
                        let lost = text.contains("LOST");
                        let counter = if lost { &world.counts.lost } else { &world.counts.stuck };
                        world.fault(counter, text);
                    }
                    Found::Undecided(_) => {
                        undecided += 1;
                        if item.kind == Kind::Earning && begun.elapsed() > PATIENCE {
                            world.settle_in_doubt(&item).await;
                        }
                        keep.push(item);
                    }
                }
            }
            let settled = keep.is_empty() && redeem.is_empty();
            keep.extend(redeem.iter().map(Arc::clone));
            *world.live.lock().unwrap() = keep;
            if settled || over {
                return;
            }
            world.going.store(true, Ordering::Relaxed);
            let seeds: Vec<_> = redeem.into_iter().map(|item| (item, choices.next())).collect();
            futures_util::stream::iter(seeds)
                .for_each_concurrent(AT_ONCE, |(item, seed)| async move {
                    world.pay_out_through(&item, &mut Choices::of(seed, 5)).await;
                })
                .await;
            world.going.store(false, Ordering::Relaxed);
            if undecided > 0 && (world.closed_since_rest() || begun.elapsed() > PATIENCE) {
                world.mine(STEP).await;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    /// Compares the ledger with the wallets' own records, to the msat; `burnt_msat` may be missing. And sees that
    /// satchel's own comparison with its node says the same.
    async fn compare(&mut self, world: &Arc<World>, burnt_msat: i64) {
        let (end, sums) = (Instant::now() + COMPARING, sums(world, None).await);
        let wallets = i64::try_from(sums.paid).unwrap() - i64::try_from(sums.received).unwrap();
        loop {
            let audit = match world.scene.network.satchel.command_json("audit", &[]).await {
                Ok(audit) => audit,
                Err(error) => return world.fault(&world.counts.books, format!("the audit fails: {error:#}")),
            };
            let difference = account(&audit, "lightning") - wallets - self.known_difference;
            let under_way = account(&audit, "in_flight");
            let agree = under_way == 0 && (difference == 0 || (0..=burnt_msat).contains(&difference));
            let node = audit["node"]["state"] == "equal" && audit["clean"] == true;
            if agree && node || Instant::now() > end {
                self.known_difference += difference;
                if !agree {
                    let text = format!(
                        "wallets paid {} and received {} msat; the ledger differs by {difference}, {under_way} under way",
                        sums.paid, sums.received
                    );
                    world.fault(&world.counts.books, text);
                }
                if !node {
                    let text =
                        format!("the audit: {}, {}, {}", audit["problems"], audit["warnings"], audit["node"]);
                    world.fault(&world.counts.books, text);
                }
                return;
            }
            if world.closed_since_rest() {
                world.mine(STEP).await;
            }
            tokio::time::sleep(Duration::from_millis(1_000)).await;
        }
    }
}

impl Books {
    /// Compares what the withdrawing shop has with what was paid to it and withdrawn.
    async fn compare_earnings(&mut self, world: &Arc<World>, burnt_msat: i64) {
        let sums = sums(world, Some(Kind::Earning)).await;
        let wallets = i64::try_from(sums.paid).unwrap() - i64::try_from(sums.received).unwrap();
        let Some((balance, pending)) = world.services.earnings().await else {
            return world.fault(&world.counts.books, "an account tells no balance".to_owned());
        };
        let difference = i64::try_from(balance).unwrap() - wallets - self.known_of_earnings;
        self.known_of_earnings += difference;
        if pending != 0 || !(0..=burnt_msat).contains(&difference) {
            let text = format!(
                "an account was paid {} and withdrew {} msat, {pending} pending; its balance differs by {difference}",
                sums.paid, sums.received
            );
            world.fault(&world.counts.books, text);
        }
    }
}

/// All that wallets paid for items of these kinds and received for them, by their own records.
async fn sums(world: &Arc<World>, only: Option<Kind>) -> Sums {
    let mut items = world.settled.lock().unwrap().clone();
    items.extend(world.live.lock().unwrap().iter().map(Arc::clone));
    items.retain(|item| only.is_none_or(|only| item.kind == only));
    let each = futures_util::stream::iter(items)
        .map(|item| async move {
            let paid = succeeded(world, item.payer, &item.payment_hash).await;
            let mut received = 0;
            let asked = item.asked.lock().unwrap().clone();
            for one in asked {
                received += world.host.received(&one).await.into_iter().sum::<u64>();
            }
            (paid.unwrap_or(0), received)
        })
        .buffer_unordered(AT_ONCE);
    each.fold(Sums::default(), |sums, (paid, received)| {
        std::future::ready(Sums { paid: sums.paid + paid, received: sums.received + received })
    })
    .await
}

async fn succeeded(world: &World, wallet: usize, payment_hash: &str) -> Option<u64> {
    let (status, msat) = world.record(wallet, payment_hash).await;
    (status == PaymentStatus::Succeeded).then_some(msat)
}

/// Compares what satchel says of an item with its payer's and recipients' own records.
async fn look(world: &World, item: &Item) -> Found {
    // Satchel first: what it says is then older than what the wallets say.
    let Some(said) = world.services.said(item).await else {
        return Found::Undecided("satchel doesn't answer".to_owned());
    };
    let (paid, _) = world.record(item.payer, &item.payment_hash).await;
    let (mut received, mut may_be_dust) = (0, false);
    let asked = item.asked.lock().unwrap().clone();
    for one in &asked {
        let times = u64::try_from(world.host.received(one).await.len()).unwrap();
        received += times;
        may_be_dust |= times > 0 && item.sat < DUST_LIMIT_SAT && world.closes(one.wallet) > one.closes;
    }
    let received = received - item.burnt.load(Ordering::Relaxed).min(received);
    let text = || {
        format!(
            "{:?} {} of {} sat: its payer's payment {paid:?}, satchel says {said:?}, received {received} of {} times asked",
            item.kind,
            item.id,
            item.sat,
            asked.len()
        )
    };
    // Satchel took what its payer's channel could not carry to the chain.
    let paid_as_dust = item.price_sat < DUST_LIMIT_SAT
        && world.closes(item.payer) > item.payer_closes
        && paid == PaymentStatus::Failed
        && said != Said::Unfunded;
    if paid_as_dust && !item.price_burnt.load(Ordering::Relaxed) {
        return Found::PriceBurnt;
    }
    let paid = if paid_as_dust { PaymentStatus::Succeeded } else { paid };
    match (said, paid, received) {
        (Said::PaidOut, PaymentStatus::Succeeded, 1) | (Said::Unfunded, PaymentStatus::Failed, 0) => {
            Found::Done
        }
        (Said::Open, PaymentStatus::Succeeded, 0) => Found::Open,
        (Said::Open, _, 1..) | (_, _, 2..) if may_be_dust => Found::Burnt,
        (Said::Open, _, 1..) | (_, _, 2..) => Found::Twice(text()),
        (Said::Unfunded, PaymentStatus::Succeeded, _) | (Said::PaidOut, PaymentStatus::Succeeded, 0) => {
            Found::Undecided(format!("LOST: {}", text()))
        }
        _ => Found::Undecided(text()),
    }
}
