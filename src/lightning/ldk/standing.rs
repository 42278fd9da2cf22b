//! [`Standing`] of outbound payments on ldk-node: its monitors as they are stored, its balances, its channels.
//!
//! A payment's hash stands in the monitor of every channel that ever had an HTLC of it, as long as that monitor is
//! kept, which is for good: LDK archives monitors and never deletes them. So the rows that contain the hash name the
//! channels. What a closed one has decided is seen in `list_balances`: it shows the channel's balance until the
//! closing transaction is in a block, and names each undecided HTLC by its payment hash until what spends it is
//! decided. From the first look at which neither is there, six blocks must pass.

use std::collections::{HashMap, HashSet};
use std::sync::{MutexGuard, PoisonError};

use bitcoin::hashes::{Hash, sha256};
use ldk_node::LightningBalance;

use super::{LdkNode, htlcs};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::lightning::{Lightning, OfferKey, Outbound, Standing};
use crate::storage::kv::{KvKey, KvRow};

/// Where LDK keeps monitors, their updates, and the monitors of channels that were resolved long ago.
const MONITORS: &str = "monitors";
const UPDATES: &str = "monitor_updates";
const ARCHIVED: &str = "archived_monitors";

/// LDK's manager: pending payments, HTLCs that wait for their channel's turn, events that were not told.
const MANAGER: (&str, &str, &str) = ("", "", "manager");

/// Blocks after which what the chain says stays.
const BURIED: u32 = 6;

/// Rows of which it is remembered that no preimage was in them.
const SEARCHED_AT_MOST: usize = 1_000;

/// A channel, by LDK's id in hex.
type ChannelId = String;

/// What was seen of closed channels since the start. Kept in memory only.
#[derive(Default)]
pub(super) struct Burials {
    /// The height of the first look at which a channel's closing (`None`), or an HTLC's output in it, was not
    /// undecided any more, and how often the channel's whole monitor had been written then.
    since: HashMap<(ChannelId, Option<PaymentHash>), (u32, u64)>,
    /// Rows in which no preimage was found: their fingerprint, with what was looked for.
    searched: HashMap<String, [u8; 32]>,
}

/// One look at the node.
struct Look {
    height: u32,
    open: HashSet<ChannelId>,
    /// Channels whose closing transaction is in no block.
    unconfirmed: HashSet<ChannelId>,
    /// Undecided HTLCs.
    named: HashSet<(ChannelId, PaymentHash)>,
}

impl LdkNode {
    fn burials(&self) -> MutexGuard<'_, Burials> {
        self.burials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn prove(&self, payments: &[Outbound]) -> Vec<Standing> {
        // Before the chain was seen, what has closed meanwhile looks open.
        if !self.is_running() || !self.has_seen_the_chain() {
            let unclear = Standing::Unclear("the node has not seen the chain since its start");
            return vec![unclear; payments.len()];
        }
        let look = self.look();
        let rows: Vec<_> = payments.iter().map(|payment| self.rows_about(&look, payment)).collect();
        let receipts = self.receipts(payments, &rows);
        let standing = |(payment, rows): (&Outbound, &Option<Vec<KvRow>>)| match rows {
            None => Standing::Unclear("the channels' state can't be read"),
            Some(rows) => self.standing(&look, payment, rows, receipts.get(&payment.hash).copied()),
        };
        payments.iter().zip(&rows).map(standing).collect()
    }

    /// The rows that have a payment's hash. After a report of its failure those of closed channels are enough, which are
    /// few: reports are frequent, and all rows of a busy node are long.
    fn rows_about(&self, look: &Look, payment: &Outbound) -> Option<Vec<KvRow>> {
        let found = if payment.reported_failed {
            self.kv.monitor_names().and_then(|mut names| {
                names.retain(|name| channel_named(name).is_none_or(|channel| !look.open.contains(&channel)));
                self.kv.rows_of_monitors_with(&names, payment.hash)
            })
        } else {
            self.kv.rows_with(&[MONITORS, UPDATES, ARCHIVED], payment.hash)
        };
        found.inspect_err(|error| tracing::warn!(%error, "the channels' state can't be read")).ok()
    }

    fn look(&self) -> Look {
        // The height first: what is seen is then at least as new.
        let height = self.node.status().current_best_block.height;
        let balances = self.node.list_balances().lightning_balances;
        // Channels last: one that closes in between counts as closing, with a balance that is still there.
        let channels = self.node.list_channels();
        let open = channels.iter().map(|channel| channel.channel_id.to_string()).collect();
        let (mut unconfirmed, mut named) = (HashSet::new(), HashSet::new());
        for balance in balances {
            match balance {
                LightningBalance::ClaimableOnChannelClose { channel_id, .. } => {
                    unconfirmed.insert(channel_id.to_string());
                }
                LightningBalance::MaybeTimeoutClaimableHTLC { channel_id, payment_hash, .. } => {
                    named.insert((channel_id.to_string(), PaymentHash(payment_hash.0)));
                }
                _ => {}
            }
        }
        Look { height, open, unconfirmed, named }
    }

    fn standing(
        &self,
        look: &Look,
        payment: &Outbound,
        rows: &[KvRow],
        receipt: Option<Preimage>,
    ) -> Standing {
        if let Some(preimage) = receipt {
            return Standing::Arrived { preimage, left: left(rows, payment) };
        }
        let channels: HashSet<ChannelId> = rows.iter().filter_map(|row| channel_of(&row.at)).collect();
        let archived = |channel: &ChannelId| {
            rows.iter().any(|row| row.at.primary == ARCHIVED && channel_of(&row.at).as_ref() == Some(channel))
        };
        // Each is looked at, so that each one's six blocks are counted from now.
        let mut closing = false;
        for channel in channels.iter().filter(|channel| !look.open.contains(*channel)) {
            closing |= !archived(channel) && !self.is_buried(look, channel, payment);
        }
        if closing {
            return Standing::Closing;
        }
        // Of open channels the node's report says all.
        if payment.reported_failed {
            return Standing::Gone;
        }
        // An HTLC that the node names is there, whatever of its state is written down.
        if channels.iter().any(|channel| look.named.contains(&(channel.clone(), payment.hash))) {
            return Standing::UnderWay;
        }
        match self.manager_knows(payment.hash) {
            Ok(true) => Standing::Unclear("the node has not finished with it"),
            Ok(false) if channels.is_empty() => Standing::NeverSent,
            Ok(false) => Standing::Gone,
            Err(why) => Standing::Unclear(why),
        }
    }

    /// Whether LDK's manager has anything to do with a payment: an HTLC in an open channel, one that waits for its
    /// channel's turn, an event that was not told. A manager that knows less of a channel than its monitor does has
    /// that channel closed when it is read, so of open channels it knows all.
    fn manager_knows(&self, hash: PaymentHash) -> Result<bool, &'static str> {
        let (primary, secondary, key) = MANAGER;
        let at = KvKey { primary: primary.into(), secondary: secondary.into(), key: key.into() };
        if !self.kv.htlcs().is_manager_newer_than_sending(hash) {
            return Err("the node has not written its state down since it was asked");
        }
        self.kv.row_has(at, hash).map_err(|error| {
            tracing::warn!(%error, "the node's state can't be read");
            "the node's state can't be read"
        })
    }

    /// Whether the manager or any monitor has the id or the note of a payment to an offer. Both stand as they are in
    /// what LDK writes: the id in every pending payment and in the source of every HTLC, the note in the invoice request
    /// that waits for its answer, and in the invoice, which goes along with every HTLC.
    pub(super) fn trace_of(&self, key: OfferKey<'_>) -> Result<bool, &'static str> {
        if !self.is_running() || !self.has_seen_the_chain() {
            return Err("the node has not seen the chain since its start");
        }
        let name = match key {
            OfferKey::Note(note) => note.as_bytes().to_vec(),
            OfferKey::Payment(id) => id.to_vec(),
        };
        let (primary, secondary, key) = MANAGER;
        let at = KvKey { primary: primary.into(), secondary: secondary.into(), key: key.into() };
        // The manager first: what it hands over to a channel meanwhile stands in a monitor then.
        let traced = self
            .kv
            .row_has_bytes(at, name.clone())
            .and_then(|manager| Ok(manager || self.kv.any_row_has(&[MONITORS, UPDATES, ARCHIVED], name)?));
        traced.map_err(|error| {
            tracing::warn!(%error, "the node's state can't be read");
            "the node's state can't be read"
        })
    }

    /// Whether the chain has decided, six deep, what became of a payment's HTLC in a channel that has closed.
    fn is_buried(&self, look: &Look, channel: &ChannelId, payment: &Outbound) -> bool {
        let hash = payment.hash;
        let mut burials = self.burials();
        let closing_undecided = look.unconfirmed.contains(channel);
        let output_undecided =
            look.named.iter().any(|(at, named)| at == channel && (payment.is_id || *named == hash));
        let written = self.kv.htlcs().times_whole(|name| channel_named(name).as_ref() == Some(channel));
        let mut decided = |of: Option<PaymentHash>, undecided: bool| {
            let at = (channel.clone(), of);
            if undecided {
                burials.since.remove(&at);
                return false;
            }
            let (since, then) = *burials.since.entry(at).or_insert((look.height, written));
            // LDK writes the monitor of a closed channel every few blocks: what it has learned since the HTLC was
            // named last is in the row only after that.
            look.height >= since.saturating_add(BURIED) && written > then
        };
        let closing_decided = decided(None, closing_undecided);
        decided(Some(hash), closing_undecided || output_undecided) && closing_decided
    }

    /// Preimages of these payments that stand in their channels' rows. Each row is searched once as long as it is
    /// what it was, and as the same is looked for.
    fn receipts(&self, payments: &[Outbound], rows: &[Option<Vec<KvRow>>]) -> HashMap<PaymentHash, Preimage> {
        let mut by_row: HashMap<String, (&KvRow, Vec<PaymentHash>)> = HashMap::new();
        for (payment, rows) in payments.iter().zip(rows) {
            for row in rows.iter().flatten() {
                let name = format!("{}/{}/{}", row.at.primary, row.at.secondary, row.at.key);
                by_row.entry(name).or_insert((row, Vec::new())).1.push(payment.hash);
            }
        }
        let mut found = HashMap::new();
        let mut burials = self.burials();
        if burials.searched.len() > SEARCHED_AT_MOST {
            burials.searched.clear();
        }
        for (name, (row, mut wanted)) in by_row {
            wanted.sort_unstable_by_key(|hash| hash.0);
            let fingerprint = fingerprint(&row.value, &wanted);
            if burials.searched.get(&name) == Some(&fingerprint) {
                continue;
            }
            let receipts: Vec<_> = htlcs::preimages(&row.value, &wanted).collect();
            if receipts.is_empty() {
                burials.searched.insert(name, fingerprint);
            }
            found.extend(receipts.into_iter().map(|preimage| (preimage.payment_hash(), preimage)));
        }
        found
    }
}

fn fingerprint(row: &[u8], wanted: &[PaymentHash]) -> [u8; 32] {
    let mut all = sha256::Hash::hash(row).to_byte_array().to_vec();
    all.extend(wanted.iter().flat_map(|hash| hash.0));
    sha256::Hash::hash(&all).to_byte_array()
}

/// What left the channels for a payment, by their rows: of each channel the most that it carried.
fn left(rows: &[KvRow], payment: &Outbound) -> Option<Msat> {
    let mut by_channel: HashMap<ChannelId, Msat> = HashMap::new();
    for row in rows {
        if let (Some(channel), Some(msat)) =
            (channel_of(&row.at), htlcs::carried(&row.value, payment.hash, payment.amount))
        {
            let most = by_channel.entry(channel).or_default();
            *most = msat.max(*most);
        }
    }
    let sum = by_channel.into_values().try_fold(Msat::ZERO, Msat::checked_add);
    sum.filter(|sum| *sum >= payment.amount)
}

/// The channel that a row of LDK's is about. Monitors are named by the output that funds the channel, from which its
/// id is made, or by its id.
fn channel_of(at: &KvKey) -> Option<ChannelId> {
    channel_named(if at.primary == UPDATES { &at.secondary } else { &at.key })
}

fn channel_named(name: &str) -> Option<ChannelId> {
    match name.split_once('_') {
        None => Some(name.to_owned()),
        Some((txid, index)) => {
            let txid: bitcoin::Txid = txid.parse().ok()?;
            let index: u16 = index.parse().ok()?;
            Some(
                lightning::ln::types::ChannelId::v1_from_funding_txid(
                    txid.as_raw_hash().as_byte_array(),
                    index,
                )
                .to_string(),
            )
        }
    }
}
