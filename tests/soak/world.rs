//! The network under load: what is alive, what was counted, killing and starting, channels and blocks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regtest::wallet::PaymentStatus;
use regtest::{InvoiceRequest, Network, WalletError};
use tokio::task::JoinSet;

use super::common::choices::Choices;
use super::common::{self, Scene};
use super::services::{Item, Kind, Reply, Services};
use super::targets::{Asked, Host, To};

/// Tries of a payer, or of somebody who asks for a payout, while satchel dies and rises.
const TRIES: u32 = 12;

/// What the withdrawing shop has besides what it withdraws: reserves for routing fees are taken from it.
const RESERVE_SAT: u64 = 100_000;

/// One start in so many is cut off by another kill.
const KILLED_AT_START: u64 = 8;

/// What was counted over all networks, and what was wrong.
#[derive(Default)]
pub struct Counts {
    pub networks: AtomicU64,
    pub items: AtomicU64,
    pub paid: AtomicU64,
    pub failed: AtomicU64,
    /// Payouts that hadn't ended at the end.
    pub open: AtomicU64,
    pub unanswered: AtomicU64,
    pub kills: AtomicU64,
    pub accepted: AtomicU64,
    pub stale_starts: AtomicU64,
    /// Starts at which LDK panicked.
    pub panics: AtomicU64,
    pub channels_closed: AtomicU64,
    pub twice: AtomicU64,
    pub lost: AtomicU64,
    pub stuck: AtomicU64,
    /// Rests at which the books didn't agree.
    pub books: AtomicU64,
    pub burnt: AtomicU64,
    pub burnt_sat: AtomicU64,
    /// Withdrawals to offers of which nobody could tell, settled by the recipient's record: paid, and not sent.
    pub settled_paid: AtomicU64,
    pub settled_not_sent: AtomicU64,
    /// Withdrawals asked for by target.
    pub to_offers: AtomicU64,
    pub to_addresses: AtomicU64,
    pub rests: AtomicU64,
    pub blocks: AtomicU64,
    pub faults: Mutex<Vec<String>>,
    pub started: Began,
}

/// When the soak began.
pub struct Began(Instant);

impl Default for Began {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Began {
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Everything that the parts of the soak share.
pub struct World {
    pub scene: Scene,
    pub services: Services,
    pub host: Arc<Host>,
    pub counts: Arc<Counts>,
    /// Items that the next rest looks at.
    pub live: Mutex<Vec<Arc<Item>>>,
    /// Items that an earlier rest found settled.
    pub settled: Mutex<Vec<Arc<Item>>>,
    /// Whoever pays and asks; a rest waits for them.
    pub people: tokio::sync::Mutex<JoinSet<()>>,
    /// Whether lanes go on.
    pub going: AtomicBool,
    /// What the withdrawing shop keeps, in msat.
    pub kept_msat: i64,
    /// How often each wallet's channel was closed.
    closes: [AtomicU64; 2],
    closed_since_rest: AtomicBool,
}

pub fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

pub fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl World {
    pub async fn start(counts: Arc<Counts>, wallets: usize) -> Self {
        // Named by whoever runs an hour's soak, so that a build meanwhile doesn't change the binary.
        let binary = std::env::var_os("SATCHEL_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_satchel").into());
        let scene = Scene::with(Network::builder().wallets(wallets).satchel_bin(binary)).await;
        let services = Services::of(&scene).await;
        let host = Host::start(&scene.network.wallets).await;
        let reserve = services.create(Kind::Earning, RESERVE_SAT, 0, 0).await.unwrap();
        scene.wallet(0).pay(&reserve.invoice).await.unwrap();
        let kept_msat = i64::try_from(RESERVE_SAT * 1_000).unwrap();
        Self {
            scene,
            services,
            host,
            counts,
            live: Mutex::default(),
            settled: Mutex::default(),
            people: tokio::sync::Mutex::default(),
            going: AtomicBool::new(false),
            kept_msat,
            closes: [AtomicU64::new(0), AtomicU64::new(0)],
            closed_since_rest: AtomicBool::new(false),
        }
    }

    /// Writes down that something is wrong.
    pub fn fault(&self, counter: &AtomicU64, text: String) {
        add(counter, 1);
        eprintln!("   FAULT: {text}");
        self.counts.faults.lock().unwrap().push(text);
    }

    pub fn goes_on(&self) -> bool {
        self.going.load(Ordering::Relaxed)
    }

    pub fn closes(&self, wallet: usize) -> u64 {
        read(&self.closes[wallet])
    }

    pub fn closed_since_rest(&self) -> bool {
        self.closed_since_rest.load(Ordering::Relaxed)
    }

    pub fn rested(&self) {
        self.closed_since_rest.store(false, Ordering::Relaxed);
        add(&self.counts.rests, 1);
    }

    pub async fn mine(&self, blocks: u32) {
        self.scene.network.mine(blocks).await.unwrap();
        add(&self.counts.blocks, u64::from(blocks));
    }

    /// A new item, alive from now on.
    pub async fn create(&self, kind: Kind, sat: u64, payer: usize) -> Option<Arc<Item>> {
        let item = Arc::new(self.services.create(kind, sat, payer, self.closes(payer)).await?);
        self.live.lock().unwrap().push(Arc::clone(&item));
        Some(item)
    }

    /// Pays for an item; `false` if its payer gave up.
    pub async fn pay(&self, item: &Item, choices: &mut Choices) -> bool {
        for _ in 0..TRIES {
            match self.scene.wallet(item.payer).pay(&item.invoice).await {
                Ok(_) => return true,
                Err(WalletError::Failed(_)) => tokio::time::sleep(choices.millis(100, 600)).await,
                Err(error) => panic!("a wallet can't pay: {error}"),
            }
            if !self.goes_on() {
                return false;
            }
        }
        false
    }

    /// One of the wallets.
    pub fn wallet(&self, choices: &mut Choices) -> usize {
        let wallets = u64::try_from(self.scene.network.wallets.len()).unwrap();
        usize::try_from(choices.below(wallets)).unwrap()
    }

    /// A fresh target for an item: an invoice, or for a withdrawal also an offer or a lightning address.
    pub async fn target(&self, item: &Item, choices: &mut Choices) -> Asked {
        let wallet = self.wallet(choices);
        let way = if item.kind == Kind::Earning { choices.below(3) } else { 0 };
        let before = item.asked.lock().unwrap().len();
        let once = format!("{} {before}", item.id);
        let (text, to) = match way {
            0 => {
                let made = self.scene.wallet(wallet).invoice(InvoiceRequest::sat(item.sat)).await.unwrap();
                (made.invoice, To::Invoice(made.payment_hash))
            }
            // With other peers, none of which is announced, satchel could not be reached for an offer's invoice.
            1 if self.scene.network.wallets.len() == 1 => {
                add(&self.counts.to_offers, 1);
                (self.scene.wallet(wallet).offer().await.unwrap(), To::Offer)
            }
            _ => {
                let number = self.counts.to_addresses.fetch_add(1, Ordering::Relaxed);
                let name = format!("w{wallet}x{number}");
                (self.host.address(&name), To::Address(name))
            }
        };
        let asked = Asked { wallet, text, to, closes: self.closes(wallet), once };
        item.asked.lock().unwrap().push(asked.clone());
        asked
    }

    pub async fn pay_out(&self, item: &Item, asked: &Asked) -> Reply {
        let reply = self.services.pay_out(item, asked).await;
        add(&self.counts.accepted, u64::from(reply == Reply::Accepted));
        reply
    }

    /// Ends a withdrawal of which satchel says that nobody can tell, as an operator would who asks the recipient.
    pub async fn settle_in_doubt(&self, item: &Item) {
        let Some(Some(withdrawal)) = self.services.withdrawal(item).await else { return };
        if withdrawal["inDoubt"] != true {
            return;
        }
        let last = item.asked.lock().unwrap().last().cloned().expect("it was asked for");
        let arrived = !self.host.received(&last).await.is_empty();
        let word = if arrived { "--paid" } else { "--not-sent" };
        let id = withdrawal["withdrawalId"].as_str().unwrap();
        // It is refused while something may be under way.
        match self.scene.network.satchel.command_json("account", &["settle", id, word]).await {
            Ok(_) => {
                let counter = if arrived { &self.counts.settled_paid } else { &self.counts.settled_not_sent };
                add(counter, 1);
            }
            Err(error) => eprintln!("   {id} can't be settled with {word} yet: {error:#}"),
        }
    }

    /// Asks for an item until somebody's request was accepted.
    pub async fn pay_out_through(&self, item: &Item, choices: &mut Choices) {
        let mut asked = self.target(item, choices).await;
        for _ in 0..TRIES {
            match self.pay_out(item, &asked).await {
                Reply::Accepted | Reply::Taken => return,
                Reply::FreshInvoice => asked = self.target(item, choices).await,
                Reply::Later | Reply::None => tokio::time::sleep(choices.millis(100, 500)).await,
            }
            if !self.goes_on() {
                return;
            }
        }
    }

    /// A wallet's own record of a payment: how it ended, and over how many msat.
    pub async fn record(&self, wallet: usize, payment_hash: &str) -> (PaymentStatus, u64) {
        match self.scene.wallet(wallet).payment(payment_hash).await {
            Ok(payment) => (payment.status, payment.amount_msat.unwrap_or(0)),
            Err(WalletError::NotFound(_)) => (PaymentStatus::Failed, 0),
            Err(error) => panic!("wallet {wallet}: {error}"),
        }
    }

    /// Kills satchel, and starts it: sometimes kills it again meanwhile.
    pub async fn kill_and_start(&self, choices: &mut Choices) {
        let satchel = &self.scene.network.satchel;
        satchel.kill().await.unwrap();
        add(&self.counts.kills, 1);
        tokio::time::sleep(choices.millis(1, 300)).await;
        if choices.below(KILLED_AT_START) == 0 {
            satchel.spawn_with(&[]).await.unwrap();
            tokio::time::sleep(choices.millis(50, 800)).await;
            // LDK may have panicked over what it found.
            if satchel.kill().await.is_ok() {
                add(&self.counts.kills, 1);
            }
        }
        self.rise().await;
        self.replace_channels().await;
    }

    async fn rise(&self) {
        let panics = common::rises(&self.scene.network.satchel).await;
        add(&self.counts.panics, u64::try_from(panics).unwrap());
    }

    /// Opens a channel to each wallet that has none.
    pub async fn replace_channels(&self) {
        let satchel = &self.scene.network.satchel;
        if !satchel.is_running() {
            self.rise().await;
        }
        let without = self.scene.wallets_without_channel().await;
        for wallet in &without {
            add(&self.closes[*wallet], 1);
        }
        if without.is_empty() {
            return;
        }
        add(&self.counts.stale_starts, 1);
        add(&self.counts.channels_closed, u64::try_from(without.len()).unwrap());
        self.closed_since_rest.store(true, Ordering::Relaxed);
        self.scene.replace_lost_channels().await;
        self.scene.network.wait_usable().await.unwrap();
    }

    /// Waits until all people have ended what they are at. What hangs in a closed channel ends with blocks.
    pub async fn everybody_ends(&self) {
        let mut people = self.people.lock().await;
        let begun = Instant::now();
        while !people.is_empty() {
            match tokio::time::timeout(Duration::from_millis(500), people.join_next()).await {
                Ok(Some(ended)) => ended.unwrap(),
                Ok(None) => break,
                Err(_) if self.closed_since_rest() => self.mine(4).await,
                Err(_) => assert!(begun.elapsed() < Duration::from_secs(240), "{} never end", people.len()),
            }
        }
    }
}
