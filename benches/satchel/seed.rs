//! Fills the database of a stopped satchel with gifts, through satchel's own library: the same functions, rows and
//! checks as in the running program, only without the network between them.
//!
//! What a real history leaves behind is a little different. A redeemed gift's invoices had records in ldk-node's own
//! list of payments, but satchel makes it forget them an hour after they ended, so redeemed gifts get none here; unpaid
//! ones have theirs for as long as their invoice can be paid, and an hour more. Their invoices are signed by a key made
//! up for the purpose and not by the node's, which changes nothing in their size or in how they are read; and they all
//! carry the present time, so that none of them is old enough to be tidied away during the measurement.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ldk_node::bitcoin::hashes::{Hash, sha256};
use ldk_node::bitcoin::secp256k1::{All, PublicKey, Secp256k1, SecretKey};
use ldk_node::bitcoin::{Network, Txid};
use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::routing::gossip::RoutingFees;
use ldk_node::lightning::routing::router::{RouteHint, RouteHintHop};
use ldk_node::lightning::util::ser::Writeable;
use ldk_node::lightning_invoice::{Bolt11Invoice, Currency, InvoiceBuilder, PaymentSecret};
use ldk_node::lightning_types::payment::{PaymentHash as NodeHash, PaymentPreimage};
use ldk_node::payment::{PaymentDetails, PaymentDirection, PaymentKind, PaymentStatus};
use satchel::config::data_dir::{PassphraseSources, read_seed};
use satchel::core::ids::{PaymentHash, Preimage, random_bytes, to_hex};
use satchel::core::money::Msat;
use satchel::core::time::Clock;
use satchel::ledger::{Family, Ledger, LedgerError, Listener, Listeners, Notify, Settings, charges, payouts};
use satchel::lightning::{
    Balances, ChannelRoom, CoinDispatch, CoinFate, CoinOrder, CoinRecord, Dispatch, Holdings, InvoiceError,
    InvoiceRequest, Lightning, NodeEvent, Offer, OfferDispatch, OfferKey, OfferOrder, OfferRecord,
    OfferRequest, Outbound, PaymentRecord, Refusal, SendingRoom, Spent, Standing, Waiting,
};
use satchel::services::gifts::OrderId;
use satchel::services::gifts::store::{NewGift, insert};
use satchel::storage::kv::{KvChange, KvKey};
use satchel::storage::{DatabaseKey, Store, Tx};
use satchel::vouchers::{self, NewVoucher, Redeemer, Vouchers};

/// What each gift is worth: so little that all of them are covered by one channel.
const SAT: u64 = 50;
/// Gifts written in one transaction.
const CHUNK: usize = 500;
/// How long the invoices can be paid.
const EXPIRY: Duration = Duration::from_secs(3_600);
/// Where ldk-node keeps its list of payments.
const PAYMENTS: &str = "payments";

/// How far a gift's life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ordered, its invoice can be paid.
    Unpaid,
    /// Paid for, can be redeemed.
    Open,
    /// Paid out.
    Redeemed,
}

/// Adds gifts to the database at `path`; gives their ids. Blocks.
///
/// # Errors
/// The database is in use or refuses a row.
pub(crate) fn seed(path: &Path, kind: Kind, count: usize) -> Result<Vec<String>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let key = DatabaseKey::of_seed(
        &read_seed(folder, &PassphraseSources::default()).context("can't read satchel's seed")?,
        None,
    )?;
    let store = Store::open(path, &key).context("can't open satchel's database")?;
    let vouchers: Arc<dyn Listener> = Arc::new(Vouchers::new([]));
    let ledger = Ledger {
        store: store.clone(),
        lightning: Arc::new(NoNode),
        clock: Clock::system(),
        wake: Arc::new(Notify::default()),
        listeners: Listeners::new([(Family::Gifts, vouchers)]),
        settings: Settings::default(),
    };
    let signer = Signer::new()?;
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        let mut gifts = Vec::new();
        for _ in 0..CHUNK.min(count - ids.len()) {
            gifts.push(Gift { id: OrderId::random()?, ours: signer.sign()?, theirs: signer.sign()? });
        }
        ids.extend(gifts.iter().map(|gift| gift.id.to_string()));
        let in_transaction = ledger.clone();
        if kind == Kind::Unpaid {
            for gift in &gifts {
                store.kv_change_queued(gift.ours.row(), KvChange::Put(gift.ours.record()))?;
            }
        }
        store
            .write_blocking(move |tx| {
                gifts.iter().try_for_each(|gift| write(tx, &in_transaction, kind, gift))
            })
            .context("can't write gifts")?;
    }
    Ok(ids)
}

struct Gift {
    id: OrderId,
    ours: Signed,
    theirs: Signed,
}

fn write(tx: &Tx<'_>, ledger: &Ledger, kind: Kind, gift: &Gift) -> Result<(), LedgerError> {
    let now = ledger.clock.now();
    let amount = Msat::from_sat(SAT).ok_or_else(|| LedgerError::Broken("an amount".into()))?;
    let ours = &gift.ours.invoice;
    let charge = charges::open(tx, Family::Gifts, ours, Some(amount), now)?;
    let voucher = NewVoucher { family: Family::Gifts, charge, amount, expires_at: None, return_to: None };
    let id = vouchers::issue(tx, &voucher, now)?;
    let names = NewGift {
        id,
        order_id: gift.id,
        sender_name: Some("Ada"),
        sender_message: Some("Have a coffee"),
        code: None,
        notify: None,
        notify_secret: None,
        manage_key: None,
        fee: Msat::ZERO,
    };
    insert(tx, &names)?;
    if kind == Kind::Unpaid {
        return Ok(());
    }
    charges::receive(tx, &ledger.listeners, charges::hash_of(ours), None, amount, now)?;
    if kind == Kind::Open {
        return Ok(());
    }
    let theirs = &gift.theirs;
    let claim = vouchers::redeem(tx, ledger, &[id], Redeemer::Recipient, &theirs.invoice, Msat::ZERO)?;
    claim.map_err(|refused| LedgerError::Broken(format!("a gift was not redeemed: {refused}")))?;
    let hash = charges::hash_of(&theirs.invoice);
    let preimage = Some(Preimage(theirs.preimage));
    let arrival = payouts::Arrival { hash, preimage, fee: Msat::ZERO, left: None };
    payouts::mark_paid(tx, &ledger.listeners, &arrival, now).map(drop)
}

/// Signs invoices as a node would.
struct Signer {
    curve: Secp256k1<All>,
    key: SecretKey,
    hint: RouteHint,
}

/// An invoice and what opens it.
struct Signed {
    invoice: Bolt11Invoice,
    preimage: [u8; 32],
}

impl Signer {
    fn new() -> Result<Self> {
        let curve = Secp256k1::new();
        let key = SecretKey::from_slice(&random_bytes::<32>()?).context("an unusable key")?;
        let hop = RouteHintHop {
            src_node_id: PublicKey::from_secret_key(&curve, &key),
            short_channel_id: 1,
            fees: RoutingFees { base_msat: 1_000, proportional_millionths: 1 },
            cltv_expiry_delta: 72,
            htlc_minimum_msat: None,
            htlc_maximum_msat: None,
        };
        Ok(Self { curve, key, hint: RouteHint(vec![hop]) })
    }

    fn sign(&self) -> Result<Signed> {
        let preimage = random_bytes::<32>()?;
        let invoice = InvoiceBuilder::new(Currency::Regtest)
            .description(format!("Lightning Gift for {SAT} sats"))
            .amount_milli_satoshis(SAT * 1_000)
            .payment_hash(sha256::Hash::hash(&preimage))
            .payment_secret(PaymentSecret(random_bytes::<32>()?))
            .duration_since_epoch(since_epoch()?)
            .expiry_time(EXPIRY)
            .min_final_cltv_expiry_delta(24)
            .basic_mpp()
            .private_route(self.hint.clone())
            .build_signed(|message| self.curve.sign_ecdsa_recoverable(message, &self.key))
            .context("an invoice can't be signed")?;
        Ok(Signed { invoice, preimage })
    }
}

impl Signed {
    /// Where ldk-node keeps its record.
    fn row(&self) -> KvKey {
        let key = to_hex(self.invoice.payment_hash().as_byte_array());
        KvKey { primary: PAYMENTS.into(), secondary: String::new(), key }
    }

    /// The record as ldk-node writes it when it makes an invoice.
    fn record(&self) -> Vec<u8> {
        let hash = self.invoice.payment_hash().to_byte_array();
        PaymentDetails {
            id: PaymentId(hash),
            kind: PaymentKind::Bolt11 {
                hash: NodeHash(hash),
                preimage: Some(PaymentPreimage(self.preimage)),
                secret: Some(*self.invoice.payment_secret()),
            },
            amount_msat: Some(SAT * 1_000),
            fee_paid_msat: None,
            direction: PaymentDirection::Inbound,
            status: PaymentStatus::Pending,
            latest_update_timestamp: since_epoch().map_or(0, |time| time.as_secs()),
        }
        .encode()
    }
}

fn since_epoch() -> Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")
}

/// The ledger is asked to write only; nothing here may reach a network.
struct NoNode;

impl Lightning for NoNode {
    fn network(&self) -> Network {
        Network::Regtest
    }

    fn node_id(&self) -> Option<PublicKey> {
        None
    }

    fn is_running(&self) -> bool {
        false
    }

    fn create_invoice(&self, _request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        Err(InvoiceError::NotRunning)
    }

    fn create_offer(&self, _request: &OfferRequest) -> Result<Offer, InvoiceError> {
        Err(InvoiceError::NotRunning)
    }

    fn claim(&self, _hash: PaymentHash, _amount: Msat, _preimage: Preimage) -> Result<(), String> {
        Ok(())
    }

    fn refuse(&self, _hash: PaymentHash) -> Result<(), String> {
        Ok(())
    }

    fn waiting(&self) -> Vec<Waiting> {
        Vec::new()
    }

    fn pay(&self, _invoice: &Bolt11Invoice, _amount: Msat, _max_fee: Msat) -> Dispatch {
        Dispatch::NotSent(Refusal::NotRunning)
    }

    fn pay_to_offer(&self, _order: &OfferOrder) -> OfferDispatch {
        OfferDispatch::NotSent { why: "nothing is sent here".into(), retry: false }
    }

    fn offer_record(&self, _key: OfferKey<'_>) -> Option<OfferRecord> {
        None
    }

    fn forget_unsent_offers(&self, _note: &str) -> Result<(), String> {
        Ok(())
    }

    fn has_trace_of(&self, _key: OfferKey<'_>) -> Result<bool, &'static str> {
        Ok(false)
    }

    fn forget(&self, _hash: satchel::core::ids::PaymentHash) -> Result<(), String> {
        Ok(())
    }

    fn standings(&self, payments: &[Outbound]) -> Vec<Standing> {
        vec![Standing::Unclear("there is no node"); payments.len()]
    }

    fn left(&self, _hash: satchel::core::ids::PaymentHash, _at_least: Msat) -> Option<Msat> {
        None
    }

    fn record(&self, _hash: satchel::core::ids::PaymentHash) -> Option<PaymentRecord> {
        None
    }

    fn succeeded_since(&self, _since: u64) -> Vec<PaymentRecord> {
        Vec::new()
    }

    fn sending_room(&self) -> Vec<SendingRoom> {
        Vec::new()
    }

    fn channel_rooms(&self) -> Vec<ChannelRoom> {
        Vec::new()
    }

    fn channels_settled(&self) -> bool {
        false
    }

    fn block_height(&self) -> u32 {
        0
    }

    fn next_event(&self, _wait: Duration) -> Option<NodeEvent> {
        None
    }

    fn event_handled(&self) {}

    fn send_coins(&self, _order: &CoinOrder) -> CoinDispatch {
        CoinDispatch::NotSent("nothing is sent here".into())
    }

    fn coin_fee_rate(&self) -> Result<u64, String> {
        Err("nothing is sent here".into())
    }

    fn wallet_coins(&self) -> Result<Vec<u64>, String> {
        Ok(Vec::new())
    }

    fn coin_fate(&self, _order: &CoinOrder, _txid: Option<Txid>) -> Result<CoinFate, String> {
        Ok(CoinFate::Unseen)
    }

    fn coin_record(&self, _order: &CoinOrder, _txid: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        Ok(None)
    }

    fn balances(&self) -> Balances {
        Balances::default()
    }
    fn holdings(&self) -> Result<Holdings, String> {
        Err("there is no node".into())
    }

    fn spent_by(&self, _txid: Txid) -> Result<Option<Vec<Spent>>, String> {
        Ok(None)
    }
}
