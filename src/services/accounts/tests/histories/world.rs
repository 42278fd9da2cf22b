//! The world of a history: that of vouchers, with accounts that earn and withdraw, and an operator who pays.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::{Address, Network, ScriptBuf, WScriptHash};
use lightning::offers::offer::OfferBuilder;
use lightning_invoice::Bolt11Invoice;
use rusqlite::params;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{ACCOUNTS, Step, sat};
use crate::core::ids::{AccountId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::http::events::EventLog;
use crate::http::idempotency::Reply;
use crate::http::live::{Hub, HubSettings};
use crate::ledger::coins::{self, CoinStatus};
use crate::ledger::payouts::{self, Order};
use crate::ledger::{Family, LedgerError, Listener, charges, offer_payouts};
use crate::lightning::Node;
use crate::lightning::sim::{FakeNode, Trap};
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::lnurl::pay::Addresses;
use crate::services::accounts::tests::test_app::rules;
use crate::services::accounts::{Accounts, By, NewWithdrawal, Notifier, Parts, Rules};
use crate::storage::Store;
use crate::vouchers::property;

/// What all histories share, since it is slow to make.
pub(super) struct Shared {
    runtime: Runtime,
    addresses: Addresses,
    offer: String,
}

impl Shared {
    pub(super) fn new() -> Self {
        let key = SecretKey::from_slice(&[0x31; 32]).unwrap();
        let key = PublicKey::from_secret_key(&Secp256k1::new(), &key);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let addresses = Addresses {
            client: Guard::new(GuardSettings::default()).client(Duration::from_secs(2)).unwrap(),
            network: Network::Regtest,
            clock: Clock::manual(0),
            comment: String::new(),
        };
        let offer = OfferBuilder::new(key).chain(Network::Regtest).build().unwrap().to_string();
        Self { runtime, addresses, offer }
    }
}

/// Where a withdrawal goes.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Invoice(PaymentHash),
    Offer,
    Address(String),
}

pub(super) struct World<'a> {
    shared: &'a Shared,
    pub(super) world: property::World,
    pub(super) accounts: Accounts,
    coins: coins::Worker,
    /// Withdrawals by their public id.
    pub(super) made: Vec<(String, Way)>,
    /// What the operator paid.
    pub(super) paid: Vec<PaymentHash>,
    pub(super) offers_paid: Vec<String>,
    addresses: u64,
    starts: u32,
}

impl<'a> World<'a> {
    pub(super) fn new(shared: &'a Shared, store: Store, account_pays_routing: bool) -> Self {
        let log = EventLog::new(store.clone(), Hub::new(HubSettings::default()));
        let notifier = Notifier::new(log.clone());
        let ears = notifier.clone();
        let world = property::World::with(store, |clock| {
            let l402 = crate::services::l402::Notifier::new(log, clock.clone());
            vec![
                (Family::Accounts, Arc::new(ears) as Arc<dyn Listener>),
                (Family::L402, Arc::new(l402) as Arc<dyn Listener>),
            ]
        });
        let node = Arc::new(FakeNode::new(Arc::clone(&world.sim)));
        let accounts = Accounts::new(Parts {
            ledger: world.ledger.clone(),
            node: Node::new(node, shared.runtime.handle().clone()),
            rules: Rules { account_pays_routing, ..rules() },
            notifier,
            addresses: shared.addresses.clone(),
            dns: None,
        });
        let starts = world.starts;
        Self {
            shared,
            world,
            accounts,
            coins: coins::Worker::default(),
            made: Vec::new(),
            paid: Vec::new(),
            offers_paid: Vec::new(),
            addresses: 0,
            starts,
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        match step {
            Step::Voucher(step) => self.world.take(step),
            Step::Earn { account, sat } => self.earn(*account, *sat),
            Step::ToInvoice { account, sat: amount } => {
                let (invoice, _) = self.world.sim.invoice(sat((*amount).into()), Duration::from_secs(3_600));
                let way = Way::Invoice(charges::hash_of(&invoice));
                self.withdraw(*account, &invoice.to_string(), *amount, way);
            }
            Step::ToOffer { account, sat } => self.withdraw(*account, &self.shared.offer, *sat, Way::Offer),
            Step::ToAddress { account, sat } => {
                self.addresses += 1;
                let hash = WScriptHash::hash(&self.addresses.to_be_bytes());
                let script = ScriptBuf::new_p2wsh(&hash);
                let address = Address::from_script(&script, Network::Regtest).unwrap().to_string();
                self.withdraw(*account, &address.clone(), *sat, Way::Address(address));
            }
            Step::Pay { sat: amount } => {
                let (invoice, _) = self.world.sim.invoice(sat((*amount).into()), Duration::from_secs(3_600));
                self.pay(&invoice);
            }
            Step::PayOffer { sat } => self.pay_offer(*sat),
            Step::Coins => self.send_coins(),
            Step::CoinsThenDie { after } => {
                self.world.sim.set_trap(if *after { Trap::DieAfter } else { Trap::DieBefore });
                self.until_death(Self::send_coins);
            }
            Step::SeeCoins => self.world.sim.see_coins(),
            Step::BuryCoins => self.world.sim.bury_coins(),
            Step::ReplaceCoins { which } => self.world.sim.replace_coins((*which).into(), true),
            Step::Wallet { empty } => self.world.sim.set_no_coins(*empty),
            Step::GiveUpOffer => self.give_up_offer(),
        }
        self.start_too();
    }

    /// Where the process was started again, our workers were too.
    fn start_too(&mut self) {
        if self.starts != self.world.starts {
            self.starts = self.world.starts;
            self.coins = coins::Worker::default();
        }
    }

    fn until_death(&mut self, action: impl FnOnce(&mut Self)) {
        let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| action(self))).is_ok();
        self.world.sim.set_trap(Trap::None);
        if !survived {
            self.world.die(0, 0);
        }
    }

    /// Breaks the rule that nothing is given up that may have been sent.
    fn give_up_offer(&self) {
        let ledger = &self.world.ledger;
        offer_payouts::mark_unknown(ledger).unwrap();
        for (id, way) in &self.made {
            let (note, is_offer) = (id.clone(), matches!(way, Way::Offer));
            let found =
                ledger.store.read_blocking(move |read| offer_payouts::by_public_id(read, &note)).unwrap();
            if let Some(payout) = found.filter(|_| is_offer) {
                let (listeners, now) = (ledger.listeners.clone(), self.world.clock.now());
                let settled = ledger.store.write_blocking(move |tx| {
                    offer_payouts::settle(tx, &listeners, payout.id, offer_payouts::Found::NotSent, now)
                });
                settled.unwrap();
            }
        }
    }

    fn send_coins(&mut self) {
        self.coins.step(&self.world.ledger).unwrap();
    }

    fn earn(&mut self, account: u8, amount: u16) {
        let (account, amount) = (account_of(account), sat(amount.into()));
        let (invoice, _) = self.world.sim.invoice(amount, Duration::from_secs(3_600));
        let (asked, now) = (invoice.clone(), self.world.clock.now());
        let opened = self.world.ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
            let charge = charges::open(tx, Family::L402, &asked, Some(amount), now)?;
            tx.execute(
                "INSERT INTO l402_challenges (charge_id, payment_hash, account_id, resource, price_sat, token_id, valid_until,
                     asked_by, created_at, expires_at) VALUES (?1, ?2, ?3, 'r', 1, zeroblob(32), 0, zeroblob(32), ?4, ?4)",
                params![charge, charges::hash_of(&asked), account, now],
            )?;
            Ok(())
        });
        opened.unwrap();
        self.world.received += amount.get();
        self.world.sim.receive(&invoice, amount);
    }

    fn withdraw(&mut self, account: u8, target: &str, amount: u16, way: Way) {
        let new = NewWithdrawal { target: target.to_owned(), amount: Some(sat(amount.into())) };
        let asked = self.accounts.withdraw(account_of(account), By::Operator, new, None);
        // Refused, for instance because there is less.
        let Ok(Reply::New(_, body)) = self.shared.runtime.block_on(asked) else { return };
        let shown: Value = serde_json::from_slice(&body).unwrap();
        self.made.push((shown["withdrawalId"].as_str().unwrap().to_owned(), way));
    }

    fn pay(&mut self, invoice: &Bolt11Invoice) {
        let (ledger, asked) = (self.world.ledger.clone(), invoice.clone());
        let queued = self.world.ledger.store.write_blocking(move |tx| {
            let amount = Msat::new(asked.amount_milli_satoshis().unwrap()).unwrap();
            let order = Order { family: Family::Operator, invoice: &asked, amount, max_fee: sat(10) };
            payouts::queue(tx, &ledger, &order, |_| Ok(()))
        });
        queued.unwrap();
        self.paid.push(charges::hash_of(invoice));
    }

    fn pay_offer(&mut self, amount: u16) {
        let (ledger, offer) = (self.world.ledger.clone(), self.shared.offer.clone());
        let public_id = uuid::Uuid::new_v4().to_string();
        let note = public_id.clone();
        let queued = self.world.ledger.store.write_blocking(move |tx| {
            let wanted = offer_payouts::Wanted {
                family: Family::Operator,
                offer: &offer,
                amount: sat(amount.into()),
                max_fee: sat(10),
                public_id: &note,
                source: None,
                routing_account: None,
            };
            offer_payouts::queue(tx, &ledger, &wanted)
        });
        queued.unwrap();
        self.offers_paid.push(public_id);
    }

    /// The node and the wallet become honest, and everything is driven to its end.
    pub(super) fn settle(&mut self) {
        self.world.become_honest();
        self.world.sim.set_no_coins(false);
        for round in 0..60 {
            self.world.drive(round);
            self.world.drive_offers(round);
            self.send_coins();
            self.world.sim.bury_coins();
            if round > 5 {
                self.look_into_coins();
            }
        }
        self.world.expire();
    }

    /// A person settles coins that never got into the wallet's sight, or can't confirm, where that is accepted.
    fn look_into_coins(&self) {
        let ledger = &self.world.ledger;
        let open = ledger.store.read_blocking(coins::open).unwrap();
        for send in open.into_iter().filter(|send| send.status != CoinStatus::Queued) {
            let found = coins::Found::NotSent;
            if coins::may_settle(ledger, &send, &found, false).unwrap().is_none() {
                let (listeners, now) = (ledger.listeners.clone(), ledger.clock.now());
                let settled = ledger
                    .store
                    .write_blocking(move |tx| coins::settle(tx, &listeners, send.id, &found, now));
                settled.unwrap().unwrap();
            }
        }
    }

    /// A withdrawal as its owner sees it.
    pub(super) fn shown(&self, id: &str) -> Value {
        for number in 0..ACCOUNTS {
            let asked = self.accounts.withdrawal_json(account_of(number), id);
            if let Ok(body) = self.shared.runtime.block_on(asked) {
                return serde_json::from_slice(&body).unwrap();
            }
        }
        json!(null)
    }
}

/// One of the accounts.
pub(super) fn account_of(number: u8) -> AccountId {
    AccountId(i64::from(number % ACCOUNTS) + 1)
}
