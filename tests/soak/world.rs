//! The network under load: what is alive, what was counted, killing and starting, channels and blocks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regtest::wallet::PaymentStatus;
use regtest::{InvoiceRequest, Network, WalletError};
use tokio::task::JoinSet;

use super::common::choices::Choices;
use super::common::{self, Scene};
use super::services::{Asked, Item, Kind, Reply, Services};

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
    pub async fn start(counts: Arc<Counts>) -> Self {
        // Named by whoever runs an hour's soak, so that a build meanwhile doesn't change the binary.
        let binary = std::env::var_os("SATCHEL_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_satchel").into());
        let scene = Scene::with(Network::builder().satchel_bin(binary)).await;
        let services = Services::of(&scene).await;
        let reserve = services.create(Kind::Earning, RESERVE_SAT, 0, 0).await.unwrap();
        scene.wallet(0).pay(&reserve.invoice).await.unwrap();
        let kept_msat = i64::try_from(RESERVE_SAT * 1_000).unwrap();
        Self {
            scene,
            services,
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

    /// A fresh invoice for an item.
    pub async fn invoice(&self, item: &Item, wallet: usize) -> String {
        let invoice = self.scene.wallet(wallet).invoice(InvoiceRequest::sat(item.sat)).await.unwrap();
        let (payment_hash, closes) = (invoice.payment_hash, self.closes(wallet));
        let invoice = invoice.invoice;
        item.asked.lock().unwrap().push(Asked { wallet, invoice: invoice.clone(), payment_hash, closes });
        invoice
    }

    pub async fn pay_out(&self, item: &Item, invoice: &str) -> Reply {
        let reply = self.services.pay_out(item, invoice).await;
        add(&self.counts.accepted, u64::from(reply == Reply::Accepted));
        reply
    }

    /// Asks for an item until somebody's request was accepted.
    pub async fn pay_out_through(&self, item: &Item, choices: &mut Choices) {
        let mut invoice = self.invoice(item, choices.wallet()).await;
        for _ in 0..TRIES {
            match self.pay_out(item, &invoice).await {
                Reply::Accepted | Reply::Taken => return,
                Reply::FreshInvoice => invoice = self.invoice(item, choices.wallet()).await,
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
