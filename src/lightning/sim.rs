//! A node in memory, with every misbehaviour that a real one has been seen to have, for property tests.
//!
//! It keeps two truths apart: what really happened to money (HTLCs, [`Sim::delivered`]), and what the
//! node remembers (records, events, HTLCs still waiting inside it), which a crash may change.

mod chain;
mod coins;
mod fake;
mod holdings;
mod incoming;
mod offers;
mod paid_offers;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::{Network, Txid};
use lightning_invoice::{Bolt11Invoice, Currency, InvoiceBuilder, PaymentSecret};

use super::{
    Balances, ChannelRoom, CoinDispatch, CoinFate, CoinOrder, CoinRecord, Direction, Dispatch, Holdings,
    InvoiceError, InvoiceRequest, Lightning, NodeEvent, Offer, OfferDispatch, OfferKey, OfferOrder,
    OfferRecord, OfferRequest, Outbound, PaymentRecord, RecordStatus, Refusal, SendingRoom, Spent, Standing,
    Waiting,
};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::Clock;
use crate::lightning::invoice::hash_of;
use chain::OnChain;
use coins::Spend;
pub use fake::FakeNode;
use incoming::Incoming;
use paid_offers::ToOffer;

/// Where an HTLC is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Accepted by the node, waiting for the channel's turn; a crash may forget it.
    Waiting,
    /// On the channel: a monitor knows it, no crash forgets it.
    Committed,
}

#[derive(Clone, Debug)]
struct Htlc {
    hash: PaymentHash,
    /// What the recipient gets, which may be more than they asked for.
    amount: Msat,
    /// The most that routing may still cost.
    fee_limit: Msat,
    place: Place,
}

/// What the next call of `pay`, or of `claim`, does to the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trap {
    /// Nothing.
    #[default]
    None,
    /// It dies before anything was sent.
    DieBefore,
    /// It dies after sending, before the caller hears of it.
    DieAfter,
    /// It sends, but says that it could not write.
    SayPersistenceFailed,
    /// It dies when it claims, before anything is claimed.
    DieBeforeClaim,
    /// It dies when it has claimed, before the caller hears of it.
    DieAfterClaim,
}

#[derive(Default)]
struct State {
    next_seed: u64,
    incoming: Vec<Incoming>,
    parts: u32,
    orphaned: Vec<PaymentHash>,
    claimed: HashMap<PaymentHash, Vec<Msat>>,
    claims_fail: bool,
    whispers: bool,
    htlcs: Vec<Htlc>,
    records: HashMap<PaymentHash, PaymentRecord>,
    events: VecDeque<NodeEvent>,
    hidden: VecDeque<NodeEvent>,
    past_events: Vec<NodeEvent>,
    delivered: HashMap<PaymentHash, Msat>,
    left: HashMap<PaymentHash, Msat>,
    preimages: HashMap<PaymentHash, Preimage>,
    committed: HashSet<PaymentHash>,
    on_chain: Vec<OnChain>,
    minimum: Msat,
    no_route: bool,
    route_costs: Msat,
    limits: Vec<Msat>,
    room: Option<Msat>,
    spends: Vec<Spend>,
    no_coins: bool,
    fee_rate: Option<u64>,
    to_offers: Vec<ToOffer>,
    unsent_offers: Vec<String>,
    coins: Vec<u64>,
    hook: Option<Hook>,
    stopped: bool,
    commit_at_once: bool,
    trap: Trap,
    height: u32,
    told: holdings::Told,
}

/// Something that happens while the node is asked.
type Hook = Box<dyn FnOnce() + Send>;

/// The node.
pub struct Sim {
    state: Mutex<State>,
    clock: Clock,
}

/// The panic that stands for a crash.
pub const CRASH: &str = "the process dies here";

/// What the wallet has, unless it has nothing.
const COINS_SAT: u64 = 100_000_000;

impl Sim {
    /// A node without any history.
    pub fn new(clock: Clock) -> Self {
        Self { state: Mutex::new(State { height: 100, ..State::default() }), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.give_back_parts(self.clock.now());
        state
    }

    /// An invoice of somebody else, or of our own when the node is asked: signed for real.
    pub fn invoice(&self, amount: Msat, expiry: Duration) -> (Bolt11Invoice, Preimage) {
        let seed = {
            let mut state = self.state();
            state.next_seed += 1;
            state.next_seed
        };
        let preimage = Preimage(sha256::Hash::hash(&seed.to_be_bytes()).to_byte_array());
        self.state().preimages.insert(preimage.payment_hash(), preimage);
        (self.sign(preimage.payment_hash(), amount, expiry, [0x42; 32]), preimage)
    }

    /// An invoice of a stranger that asks for another's payment hash.
    pub fn invoice_with_hash_of(&self, other: &Bolt11Invoice, amount: Msat) -> Bolt11Invoice {
        self.sign(hash_of(other), amount, Duration::from_secs(3_600), [0x66; 32])
    }

    fn sign(&self, hash: PaymentHash, amount: Msat, expiry: Duration, key: [u8; 32]) -> Bolt11Invoice {
        let key = SecretKey::from_slice(&key).unwrap();
        InvoiceBuilder::new(Currency::Regtest)
            .description("sim".into())
            .payment_hash(sha256::Hash::from_byte_array(hash.0))
            .payment_secret(PaymentSecret([7; 32]))
            .amount_milli_satoshis(amount.get())
            .duration_since_epoch(Duration::from_millis(u64::try_from(self.clock.now()).unwrap()))
            .min_final_cltv_expiry_delta(144)
            .expiry_time(expiry)
            .build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &key))
            .unwrap()
    }

    /// From now on the node's record of this invoice of its own has the preimage, as ldk-node's has.
    pub fn knows_preimage_of(&self, invoice: &Bolt11Invoice) {
        let hash = hash_of(invoice);
        let amount = invoice.amount_milli_satoshis().and_then(Msat::new).unwrap_or(Msat::ZERO);
        let record = self.new_record(hash, Direction::Inbound, RecordStatus::Pending, amount);
        let mut state = self.state();
        let preimage = state.preimages.get(&hash).copied();
        state.records.insert(hash, PaymentRecord { preimage, ..record });
    }

    /// Of how many payments the node has a record.
    pub fn known(&self) -> usize {
        self.state().records.len()
    }

    /// What really reached each recipient.
    pub fn delivered(&self) -> HashMap<PaymentHash, Msat> {
        self.state().delivered.clone()
    }

    /// Hashes with money under way, in the order sent.
    pub fn under_way(&self) -> Vec<PaymentHash> {
        self.state().htlcs.iter().map(|htlc| htlc.hash).collect()
    }

    /// Somebody pays one of our invoices.
    pub fn receive(&self, invoice: &Bolt11Invoice, amount: Msat) {
        let hash = hash_of(invoice);
        let mut state = self.state();
        state.events.push_back(NodeEvent::Received { hash, offer: None, amount });
        let record = self.new_record(hash, Direction::Inbound, RecordStatus::Succeeded, amount);
        state.records.insert(hash, record);
    }

    fn new_record(
        &self,
        hash: PaymentHash,
        direction: Direction,
        status: RecordStatus,
        amount: Msat,
    ) -> PaymentRecord {
        PaymentRecord {
            hash,
            offer: None,
            direction,
            status,
            amount: Some(amount),
            fee: None,
            preimage: None,
            updated_at: u64::try_from(self.clock.now() / 1_000).unwrap(),
        }
    }

    /// Ends an HTLC the way the recipient decides.
    pub fn resolve(&self, hash: PaymentHash, arrives: bool, fee: Msat) {
        let mut state = self.state();
        let Some(at) = state.htlcs.iter().position(|htlc| htlc.hash == hash) else {
            return;
        };
        let htlc = state.htlcs.remove(at);
        let fee = fee.min(htlc.fee_limit);
        let status = if arrives {
            state.deliver(&htlc, fee);
            RecordStatus::Succeeded
        } else {
            RecordStatus::Failed
        };
        if let Some(record) = state.records.get_mut(&hash) {
            record.status = status;
            record.fee = arrives.then_some(fee);
        }
        let payment_id = state.end_offer(hash, arrives, fee);
        let preimage = state.preimages.get(&hash).copied();
        state.events.push_back(if arrives {
            NodeEvent::Sent { hash, payment_id, preimage, fee }
        } else {
            NodeEvent::Failed { hash: Some(hash), payment_id, reason: "the recipient refused".into() }
        });
    }

    /// An HTLC fails, and the node has forgotten it before it tells.
    pub fn fail_untold(&self, hash: PaymentHash) {
        let before = self.state().events.len();
        self.resolve(hash, false, Msat::ZERO);
        let mut state = self.state();
        let untold: Vec<_> = state.events.drain(before..).collect();
        state.hidden.extend(untold);
    }

    /// The node tells what it had not told yet.
    pub fn tell_all(&self) {
        let mut state = self.state();
        let told: Vec<_> = state.hidden.drain(..).collect();
        state.events.extend(told);
    }

    /// The channel's turn has come for everything that waited.
    pub fn commit_all(&self) {
        let mut state = self.state();
        for htlc in &mut state.htlcs {
            htlc.place = Place::Committed;
        }
        let hashes: Vec<_> = state.htlcs.iter().map(|htlc| htlc.hash).collect();
        state.committed.extend(hashes);
    }

    /// From now on the last channel on every way takes no less than this: whoever is owed less gets as much.
    pub fn set_minimum(&self, least: Msat) {
        self.state().minimum = least;
    }

    /// Whether new HTLCs are on the channel at once.
    pub fn set_commit_at_once(&self, at_once: bool) {
        self.state().commit_at_once = at_once;
    }

    /// The most that each payment asked for might cost, in order.
    pub fn limits(&self) -> Vec<Msat> {
        self.state().limits.clone()
    }

    /// The most that the channel takes of one payment from now on.
    pub fn set_room(&self, most: Msat) {
        self.state().room = Some(most);
    }

    /// From now on every route costs so much, and a payment that may cost less finds none.
    pub fn set_route_costs(&self, fee: Msat) {
        self.state().route_costs = fee;
    }

    /// Whether there is a route to anybody.
    pub fn set_no_route(&self, no_route: bool) {
        self.state().no_route = no_route;
    }

    /// What happens while the node is asked for the next payment to an offer, or for coins.
    pub fn set_hook(&self, hook: impl FnOnce() + Send + 'static) {
        self.state().hook = Some(Box::new(hook));
    }

    fn run_hook(&self) {
        let hook = self.state().hook.take();
        if let Some(hook) = hook {
            hook();
        }
    }

    /// Sets the trap for the next `pay`.
    pub fn set_trap(&self, trap: Trap) {
        self.state().trap = trap;
    }

    /// Lets blocks pass. Whatever is older than any time lock has come back or arrived before.
    pub fn mine(&self, blocks: u32) {
        let overdue = self.under_way();
        if blocks > 1_100 {
            for hash in overdue {
                self.resolve(hash, false, Msat::ZERO);
            }
        }
        let mut state = self.state();
        state.height += blocks;
        state.give_back_late();
        state.bury();
    }

    /// The process died and comes back: what waited inside the node is forgotten, and so are as many of the
    /// newest records of payments begun (a record of an end is in the file before the event that tells of
    /// it); events that were handled may be told again.
    pub fn restart(&self, records_lost: usize, events_again: usize) {
        self.tell_all();
        let mut state = self.state();
        state.trap = Trap::None;
        state.wait_for_parts_anew(self.clock.now());
        state.htlcs.retain(|htlc| htlc.place == Place::Committed);
        state.ask_offers_again();
        let mut newest: Vec<_> = state
            .records
            .values()
            .filter(|record| record.status == RecordStatus::Pending)
            .map(|record| (record.updated_at, record.hash))
            .collect();
        newest.sort_by_key(|record| std::cmp::Reverse(record.0));
        for (_, hash) in newest.into_iter().take(records_lost) {
            state.records.remove(&hash);
        }
        // LDK forgets a payment that ended only after its event was handled, and keeps telling of it until
        // then; it never tells again of a hash that is under way anew.
        let live: Vec<_> = state.htlcs.iter().map(|htlc| htlc.hash).collect();
        let again: Vec<_> = state.past_events.iter().rev().take(events_again).cloned().collect();
        for event in again {
            let about_live =
                matches!(&event, NodeEvent::Failed { hash: Some(hash), .. } if live.contains(hash));
            if !about_live {
                state.events.push_back(event);
            }
        }
    }

    fn add_htlc(&self, state: &mut State, hash: PaymentHash, amount: Msat, fee_limit: Msat) {
        let place = if state.commit_at_once { Place::Committed } else { Place::Waiting };
        if place == Place::Committed {
            state.committed.insert(hash);
        }
        state.htlcs.push(Htlc { hash, amount, fee_limit, place });
    }
}

impl Lightning for Sim {
    fn network(&self) -> Network {
        Network::Regtest
    }

    fn node_id(&self) -> Option<PublicKey> {
        None
    }

    fn is_running(&self) -> bool {
        !self.state().stopped
    }

    fn create_invoice(&self, request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        let amount = request.amount.unwrap_or(Msat::ZERO);
        let Some(hash) = request.hold else {
            return Ok(self.invoice(amount, request.expiry).0);
        };
        let pending = self.new_record(hash, Direction::Inbound, RecordStatus::Pending, amount);
        self.state().records.insert(hash, pending);
        Ok(self.sign(hash, amount, request.expiry, [0x42; 32]))
    }

    fn create_offer(&self, _: &OfferRequest) -> Result<Offer, InvoiceError> {
        Ok(self.offer())
    }

    fn claim(&self, hash: PaymentHash, _: Msat, preimage: Preimage) -> Result<(), String> {
        self.claim_held(hash, preimage)
    }

    fn refuse(&self, hash: PaymentHash) -> Result<(), String> {
        self.refuse_held(hash)
    }

    fn waiting(&self) -> Vec<Waiting> {
        self.lying_there()
    }

    fn pay(&self, invoice: &Bolt11Invoice, amount: Msat, max_fee: Msat) -> Dispatch {
        let hash = hash_of(invoice);
        let amount = invoice.amount_milli_satoshis().map_or(amount, |msat| Msat::new(msat).unwrap());
        let mut state = self.state();
        let trap = std::mem::take(&mut state.trap);
        assert!(trap != Trap::DieBefore, "{CRASH}");
        let known = state.records.get(&hash).is_some_and(|record| record.status != RecordStatus::Failed);
        if known {
            return Dispatch::Known;
        }
        // As in LDK, these come before the look for a duplicate, so they prove nothing about earlier calls.
        let now = Duration::from_millis(u64::try_from(self.clock.now()).unwrap());
        let sent = amount.max(state.minimum);
        let costs = state.route_costs.checked_add(sent.saturating_sub(amount)).unwrap();
        if state.no_route || max_fee < costs || invoice.would_expire(now) {
            let failed = self.new_record(hash, Direction::Outbound, RecordStatus::Failed, amount);
            state.records.insert(hash, failed);
            return Dispatch::NotSent(Refusal::NoRoute);
        }
        let has_htlc = state.htlcs.iter().any(|htlc| htlc.hash == hash) || state.is_remembered_on_chain(hash);
        // LDK remembers for a while what arrived, but forgets what failed before it tells of it.
        let untold = state
            .events
            .iter()
            .any(|event| matches!(event, NodeEvent::Sent { hash: told, .. } if *told == hash));
        if has_htlc || untold {
            return Dispatch::Known;
        }
        self.add_htlc(&mut state, hash, sent, max_fee.saturating_sub(sent.saturating_sub(amount)));
        state.limits.push(max_fee);
        if trap == Trap::DieAfter {
            drop(state);
            panic!("{CRASH}");
        }
        if trap == Trap::SayPersistenceFailed {
            return Dispatch::Ambiguous("could not write".into());
        }
        let pending = self.new_record(hash, Direction::Outbound, RecordStatus::Pending, amount);
        state.records.insert(hash, pending);
        Dispatch::Sent
    }

    fn pay_to_offer(&self, order: &OfferOrder) -> OfferDispatch {
        self.send_to_offer(order)
    }

    fn offer_record(&self, key: OfferKey<'_>) -> Option<OfferRecord> {
        self.sent_to_offer(key)
    }

    fn forget_unsent_offers(&self, note: &str) -> Result<(), String> {
        self.state().unsent_offers.retain(|unsent| unsent != note);
        Ok(())
    }

    fn has_trace_of(&self, key: OfferKey<'_>) -> Result<bool, &'static str> {
        Ok(self.traced(key))
    }

    fn forget(&self, hash: PaymentHash) -> Result<(), String> {
        let mut state = self.state();
        state.records.remove(&hash);
        state.forget_offer(hash.0);
        Ok(())
    }

    fn standings(&self, payments: &[Outbound]) -> Vec<Standing> {
        payments.iter().map(|payment| self.prove(payment)).collect()
    }

    fn left(&self, hash: PaymentHash, at_least: Msat) -> Option<Msat> {
        self.state().left.get(&hash).copied().filter(|left| *left >= at_least)
    }

    fn record(&self, hash: PaymentHash) -> Option<PaymentRecord> {
        self.state().records.get(&hash).cloned()
    }

    fn succeeded_since(&self, since: u64) -> Vec<PaymentRecord> {
        let wanted =
            |record: &&PaymentRecord| record.status == RecordStatus::Succeeded && record.updated_at >= since;
        self.state().records.values().filter(wanted).cloned().collect()
    }

    fn sending_room(&self) -> Vec<SendingRoom> {
        let max = self.state().room.unwrap_or_else(|| Msat::from_sat(10_000_000).unwrap());
        vec![SendingRoom { min: Msat::new(1).unwrap(), max }]
    }

    fn channel_rooms(&self) -> Vec<ChannelRoom> {
        let most = self.sending_room().first().map_or(0, |room| room.max.get());
        vec![ChannelRoom {
            usable: true,
            outbound_msat: most,
            in_flight_max_msat: most,
            now_max_msat: most,
            ..ChannelRoom::default()
        }]
    }

    fn channels_settled(&self) -> bool {
        true
    }

    fn block_height(&self) -> u32 {
        self.state().height
    }

    fn next_event(&self, _wait: Duration) -> Option<NodeEvent> {
        let state = self.state();
        let mut event = state.events.front().cloned()?;
        if let NodeEvent::Received { hash, offer, .. } = &mut event {
            *offer = state.records.get(hash).and_then(|record| record.offer);
        }
        Some(event)
    }

    fn event_handled(&self) {
        let mut state = self.state();
        if let Some(event) = state.events.pop_front() {
            state.past_events.push(event);
        }
    }

    fn send_coins(&self, order: &CoinOrder) -> CoinDispatch {
        self.spend(order)
    }

    fn coin_fee_rate(&self) -> Result<u64, String> {
        Ok(self.state().fee_rate.unwrap_or(250))
    }

    fn wallet_coins(&self) -> Result<Vec<u64>, String> {
        let coins = self.state().coins.clone();
        Ok(if coins.is_empty() { vec![COINS_SAT] } else { coins })
    }

    fn coin_fate(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<CoinFate, String> {
        Ok(self.fate(order, txid))
    }

    fn coin_record(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        Ok(self.spent(order, txid))
    }

    fn balances(&self) -> Balances {
        let onchain_sat = if self.state().no_coins { 0 } else { COINS_SAT };
        Balances { onchain_sat, onchain_spendable_sat: onchain_sat, ..Balances::default() }
    }

    fn holdings(&self) -> Result<Holdings, String> {
        self.told_holdings()
    }

    fn spent_by(&self, txid: Txid) -> Result<Option<Vec<Spent>>, String> {
        Ok(self.told_inputs(txid))
    }
}
