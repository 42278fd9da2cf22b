//! A whole network, a book of every payment that a test makes on it, and the audit at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use regtest::wallet::{Invoice, PaymentStatus};
use regtest::{InvoiceRequest, Network, NetworkBuilder, Wallet, WalletError};
use serde_json::{Value, json};

use super::{Api, Gift, SOON, api, until};

/// LDK writes its manager a moment after each change, longer on a machine that does much else.
const AT_REST: Duration = Duration::from_secs(2);

/// What a test did, to be compared with what everybody says happened.
#[derive(Default)]
struct Book {
    /// Gifts' invoices that a wallet was told to pay: payment hash and wallet.
    funded: BTreeMap<String, usize>,
    /// Invoices of wallets that gifts were redeemed to: payment hash and wallet.
    asked: BTreeMap<String, usize>,
    /// Those of them that belong to a gift.
    of_gift: BTreeMap<String, Vec<String>>,
}

/// What a wallet's own records say of all that the book names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    paid_msat: u64,
    received_msat: u64,
}

/// The network under test.
pub struct Scene {
    pub network: Network,
    pub api: Api,
    book: Mutex<Book>,
    /// What each wallet could send at the start, in msat.
    start_msat: Vec<u64>,
    /// Wallets whose first channel LDK closed.
    lost: Mutex<BTreeSet<usize>>,
}

impl Scene {
    /// Two wallets and satchel, with settings laid over the usual ones.
    pub async fn start(config: &str) -> Self {
        Self::of(Network::builder().extra_config(config.parse().unwrap())).await
    }

    /// A network of another kind.
    pub async fn of(builder: NetworkBuilder) -> Self {
        Self::with(builder.satchel_bin(env!("CARGO_BIN_EXE_satchel"))).await
    }

    /// A network of another kind that knows which binary to run.
    pub async fn with(builder: NetworkBuilder) -> Self {
        let network = builder.start().await.unwrap();
        let api = Api::new(&network.satchel.url());
        let mut start_msat = Vec::new();
        for wallet in &network.wallets {
            start_msat.push(wallet.balance().await.unwrap().outbound_msat);
        }
        Self { network, api, book: Mutex::default(), start_msat, lost: Mutex::default() }
    }

    pub fn wallet(&self, index: usize) -> &Wallet {
        &self.network.wallets[index]
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a wallet has other channels than at the start: what it could send can't be told from its payments any
    /// more, because each channel has a reserve of its own.
    pub fn note_other_channels(&self, wallet: usize) {
        self.lost.lock().unwrap().insert(wallet);
    }

    /// Notes that a wallet may pay this invoice from now on.
    pub fn note_funding(&self, wallet: usize, invoice: &str) {
        self.note_paid(wallet, &api::payment_hash(invoice));
    }

    /// Notes a payment to satchel whose invoice the wallet fetched by itself.
    pub fn note_paid(&self, wallet: usize, payment_hash: &str) {
        self.book().funded.insert(payment_hash.to_owned(), wallet);
    }

    /// Notes that a gift may be redeemed to this invoice from now on.
    pub fn note_asked(&self, wallet: usize, order_id: &str, payment_hash: &str) {
        let mut book = self.book();
        book.asked.insert(payment_hash.to_owned(), wallet);
        book.of_gift.entry(order_id.to_owned()).or_default().push(payment_hash.to_owned());
    }

    /// Pays a gift's invoice from a wallet and waits until satchel has it.
    pub async fn fund(&self, gift: &Gift, wallet: usize) {
        self.note_funding(wallet, &gift.payreq);
        self.wallet(wallet).pay(&gift.payreq).await.unwrap();
        self.api.wait_funded(&gift.order_id).await;
    }

    /// A gift that can be redeemed.
    pub async fn funded_gift(&self, sat: u64, wallet: usize) -> Gift {
        let gift = self.api.create(sat).await;
        self.fund(&gift, wallet).await;
        gift
    }

    /// An invoice of a wallet to redeem a gift to.
    pub async fn invoice_for(&self, gift: &Gift, wallet: usize) -> Invoice {
        self.invoice_with(gift, wallet, InvoiceRequest::sat(gift.sat)).await
    }

    /// The same as a hold invoice.
    pub async fn hold_for(&self, gift: &Gift, wallet: usize) -> Invoice {
        self.invoice_with(gift, wallet, InvoiceRequest::sat(gift.sat).hold()).await
    }

    async fn invoice_with(&self, gift: &Gift, wallet: usize, request: InvoiceRequest) -> Invoice {
        let invoice = self.wallet(wallet).invoice(request).await.unwrap();
        self.note_asked(wallet, &gift.order_id, &invoice.payment_hash);
        invoice
    }

    /// Whether a wallet's own record says that this payment succeeded, and over what amount.
    async fn succeeded(&self, wallet: usize, payment_hash: &str) -> Option<u64> {
        match self.wallet(wallet).payment(payment_hash).await {
            Ok(payment) if payment.status == PaymentStatus::Succeeded => payment.amount_msat,
            Ok(_) | Err(WalletError::NotFound(_)) => None,
            Err(error) => panic!("{}: {error}", self.wallet(wallet).name()),
        }
    }

    /// How many times the wallets' own records say that a gift was paid to them.
    pub async fn times_received(&self, order_id: &str) -> usize {
        let hashes = self.book().of_gift.get(order_id).cloned().unwrap_or_default();
        let mut times = 0;
        for hash in hashes {
            let wallet = self.book().asked[&hash];
            times += usize::from(self.succeeded(wallet, &hash).await.is_some());
        }
        times
    }

    /// Waits until the wallets' own records say that a gift was paid to them, and checks that it was once.
    pub async fn received_once(&self, order_id: &str) {
        until(&format!("gift {order_id} is in a wallet"), SOON, || async {
            (self.times_received(order_id).await > 0).then_some(())
        })
        .await;
        assert_eq!(self.times_received(order_id).await, 1, "gift {order_id}");
    }

    async fn moved(&self) -> Vec<Moved> {
        let (funded, asked) = {
            let book = self.book();
            (book.funded.clone(), book.asked.clone())
        };
        let mut moved = vec![Moved::default(); self.network.wallets.len()];
        for (hash, wallet) in funded {
            moved[wallet].paid_msat += self.succeeded(wallet, &hash).await.unwrap_or(0);
        }
        for (hash, wallet) in asked {
            moved[wallet].received_msat += self.succeeded(wallet, &hash).await.unwrap_or(0);
        }
        moved
    }

    /// `satchel audit --json`, which must be clean.
    pub async fn audit(&self) -> Value {
        let audit = self.network.satchel.command_json("audit", &[]).await.unwrap();
        assert_eq!((&audit["clean"], &audit["problems"]), (&json!(true), &json!([])), "{audit}");
        audit
    }

    /// What the chain has at an address, each coin in sat.
    pub async fn coins_at(&self, address: &str) -> Vec<u64> {
        let asked = json!(["start", [format!("addr({address})")]]);
        let found = self.network.bitcoind.call("scantxoutset", asked).await.unwrap();
        // Whole coins and eight digits; a float that short loses nothing on its way back to text.
        let sat = |coin: &Value| {
            format!("{:.8}", coin["amount"].as_f64().unwrap()).replace('.', "").parse().unwrap()
        };
        found["unspents"].as_array().unwrap().iter().map(sat).collect()
    }

    /// How many payouts there are, whatever became of them.
    pub async fn payouts(&self) -> u64 {
        let audit = self.audit().await;
        audit["payouts"].as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum()
    }

    /// Kills satchel once LDK has written down what it was at, so that it finds nothing to close at the next start: for
    /// tests of what a crash at rest leaves.
    pub async fn kill_at_rest(&self) {
        tokio::time::sleep(AT_REST).await;
        self.network.satchel.kill().await.unwrap();
    }

    /// How many channels LDK closed by itself.
    pub async fn channels_closed(&self) -> u64 {
        counter(&self.audit().await, "channels_closed")
    }

    /// Opens a channel to each wallet whose channel LDK closed, as it does when it finds after a crash that a
    /// channel is further than its own state; answers how many.
    pub async fn replace_lost_channels(&self) -> usize {
        let without = self.wallets_without_channel().await;
        for index in &without {
            let wallet = self.wallet(*index);
            eprintln!("   LDK closed the channel to {}; opening another", wallet.name());
            self.lost.lock().unwrap().insert(*index);
            while !self.opens(wallet).await {
                eprintln!("   it did not open; once more");
            }
        }
        without.len()
    }

    /// Wallets whose channel LDK closed.
    pub async fn wallets_without_channel(&self) -> Vec<usize> {
        let channels = self.network.satchel.admin_get("/admin/v1/channels").await.unwrap();
        let channels = channels["channels"].as_array().unwrap();
        let mut without = Vec::new();
        for (index, wallet) in self.network.wallets.iter().enumerate() {
            let node_id = wallet.node_id().await.unwrap().to_string();
            if !channels.iter().any(|channel| channel["node_id"] == node_id) {
                without.push(index);
            }
        }
        without
    }

    /// Opens a channel to a wallet and waits until it is ready. `false` if it never will be: LDK spends coins of the
    /// same wallet to hurry a closed channel's end along, and of two spends of a coin one is lost.
    async fn opens(&self, wallet: &Wallet) -> bool {
        let satchel = &self.network.satchel;
        let half = regtest::DEFAULT_CHANNEL_SAT / 2;
        let request = json!({"node_id": wallet.node_id().await.unwrap().to_string(),
            "address": wallet.p2p().to_string(), "amount_sat": half * 2, "push_sat": half});
        // What the closed channel spent must be known before anything is spent again.
        self.network.mine(1).await.unwrap();
        satchel.admin_post("/admin/v1/sync", json!({})).await.unwrap();
        self.broadcasts_are_done().await;
        let opened = match satchel.admin_post("/admin/v1/channels", request).await {
            Ok(opened) => opened,
            // The wallet connects at the same time, and one of the two connections is given up.
            Err(error) if error.to_string().contains("Network connection closed") => return false,
            Err(error) => panic!("{error:#}"),
        };
        let id = opened["user_channel_id"].as_str().unwrap();
        for _ in 0..20 {
            // Confirms also what the closed channel left behind.
            self.network.mine(3).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let channels = satchel.admin_get("/admin/v1/channels").await.unwrap();
            let ours = channels["channels"]
                .as_array()
                .unwrap()
                .iter()
                .find(|channel| channel["user_channel_id"] == id);
            match ours {
                Some(channel) if channel["ready"] == true => return true,
                Some(_) => {}
                None => return false,
            }
        }
        let close = format!("/admin/v1/channels/{id}/close");
        satchel.admin_post(&close, json!({"force": true})).await.unwrap();
        false
    }

    /// Waits until LDK has broadcast again what it does at each block for closed channels. ldk-node's queue takes 50
    /// transactions and drops the rest, also the funding transaction of a new channel.
    async fn broadcasts_are_done(&self) {
        let failures = || {
            let log = std::fs::read_to_string(self.network.satchel.log_path()).unwrap_or_default();
            log.matches("Failed to broadcast").count()
        };
        let mut before = failures();
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = failures();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Pays while satchel dies and rises; `dying` says whether a channel was lost at it. What was under way in one
    /// is decided on the chain, which goes on until the payer knows.
    pub async fn pay_through<T>(
        &self,
        paying: impl Future<Output = T>,
        dying: impl Future<Output = bool>,
    ) -> (T, bool) {
        let (mut paying, mut dying) = (pin!(paying), pin!(dying));
        let mut paid = None;
        let lost = loop {
            tokio::select! {
                lost = &mut dying => break lost,
                outcome = &mut paying, if paid.is_none() => paid = Some(outcome),
            }
        };
        if lost {
            self.network.mine(200).await.unwrap();
        }
        loop {
            if let Some(paid) = paid {
                return (paid, lost);
            }
            tokio::select! {
                outcome = &mut paying => paid = Some(outcome),
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    if lost {
                        self.network.mine(6).await.unwrap();
                    }
                }
            }
        }
    }

    /// Compares the book with the wallets' own records, with satchel's ledger, and with the channels, all to
    /// the msat. Waits for what is still settling.
    pub async fn books_agree(&self) -> Value {
        let (mut last, mut agreed) = (String::new(), None);
        for _ in 0..SOON.as_millis() / 250 {
            match self.compare().await {
                Ok(audit) => {
                    agreed = Some(audit);
                    break;
                }
                Err(difference) => last = difference,
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        agreed.unwrap_or_else(|| panic!("the books don't agree: {last}"))
    }

    async fn compare(&self) -> Result<Value, String> {
        let moved = self.moved().await;
        let audit = self.audit().await;
        let paid: u64 = moved.iter().map(|moved| moved.paid_msat).sum();
        let received: u64 = moved.iter().map(|moved| moved.received_msat).sum();
        let expected = i64::try_from(paid).unwrap() - i64::try_from(received).unwrap();
        if account(&audit, "lightning") != expected {
            return Err(format!(
                "the wallets paid {paid} and received {received} msat; satchel says {audit}"
            ));
        }
        let lost = self.lost.lock().unwrap().clone();
        // What a closed channel held is on the chain, less fees that are nobody's mistake.
        for (index, moved) in moved.iter().enumerate().filter(|(index, _)| !lost.contains(index)) {
            let now = self.wallet(index).balance().await.unwrap().outbound_msat;
            let expected = self.start_msat[index] + moved.received_msat - moved.paid_msat;
            if now != expected {
                return Err(format!("wallet {index} could send {expected} msat by its records, but {now}"));
            }
        }
        Ok(audit)
    }

    /// Waits until the books equal the node, to the msat and to the sat. On the way there they may be not at rest, but
    /// never differ.
    pub async fn equals_the_node(&self, limit: Duration) -> Value {
        let mut last = Value::Null;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            let audit = self.audit().await;
            if audit["node"]["state"] == "equal" {
                let node = &audit["node"];
                assert_eq!(node["node"], node["booked"], "{node}");
                let lightning = account(&audit, "lightning") + account(&audit, "channels");
                assert_eq!(node["node"]["channels_msat"], lightning, "{audit}");
                assert_eq!(node["node"]["closing_msat"], account(&audit, "closing"), "{audit}");
                assert_eq!(node["node"]["wallet_msat"], account(&audit, "onchain"), "{audit}");
                return audit;
            }
            last = audit;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!("the books don't equal the node: {}", last["node"]);
    }

    /// Mines until the chain has decided about every channel that was closed; then the books must equal the node.
    pub async fn comes_to_rest(&self) -> Value {
        for _ in 0..60 {
            let audit = self.audit().await;
            if audit["node"]["state"] == "equal" {
                break;
            }
            eprintln!("   not at rest: {}", audit["node"]["why"]);
            self.network.mine(10).await.unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        self.equals_the_node(Duration::from_secs(30)).await
    }

    /// The end of a test: everybody agrees, and everything stops in order.
    pub async fn close(self) {
        let audit = self.books_agree().await;
        eprintln!(
            "   audit: owed {} msat, payouts {}, counters {}",
            audit["owed_msat"], audit["payouts"], audit["counters"]
        );
        self.network.shutdown().await.unwrap();
    }
}

/// An account's balance in an audit, in msat.
pub fn account(audit: &Value, name: &str) -> i64 {
    let accounts = audit["accounts"].as_array().unwrap();
    accounts.iter().find(|row| row["account"] == name).and_then(|row| row["msat"].as_i64()).unwrap_or(0)
}

/// A counter in an audit.
pub fn counter(audit: &Value, name: &str) -> u64 {
    let counters = audit["counters"].as_array().unwrap();
    counters.iter().find(|row| row["name"] == name).and_then(|row| row["count"].as_u64()).unwrap_or(0)
}
