//! What LDK's stored state shows of the HTLCs of outbound payments.
//!
//! Every commitment transaction of a channel passes through our key-value store before it is signed, and its HTLCs
//! stand in it with amount and payment hash. From there comes what no event of ldk-node tells: how much really left a
//! channel for a payment. LDK pays the recipient more than was asked where a channel on the way takes no less, and
//! does not count that as a fee.
//!
//! The forms of an HTLC are LDK 0.2's (`HTLCOutputInCommitment` as a TLV stream in updates, as plain fields in whole
//! monitors). A form that changes makes [`Htlcs::left`] answer nothing, and the tests on real nodes fail.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bitcoin::hashes::{Hash, sha256};

use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;

/// Payments remembered at most; the oldest is forgotten first.
const REMEMBERED: usize = 20_000;

/// Bytes of a hash or a preimage.
const HASH: usize = 32;

/// Of a payment, what one channel carries or carried.
#[derive(Clone, Debug)]
struct Part {
    channel: String,
    msat: u64,
    /// The number of the last write in which it stood.
    seen: u64,
}

#[derive(Default)]
struct Seen {
    parts: HashMap<PaymentHash, Vec<Part>>,
    order: VecDeque<PaymentHash>,
    writes: u64,
    /// Whole monitors written since the start, by name.
    whole: HashMap<String, u64>,
    /// How often the manager was written since the start.
    managers: u64,
    /// How often it had been when the node was asked to send.
    asked: HashMap<PaymentHash, u64>,
}

/// HTLCs as they were written.
#[derive(Default)]
pub(super) struct Htlcs(Mutex<Seen>);

impl Htlcs {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the HTLCs of an update of a channel's monitor.
    pub(super) fn note_update(&self, channel: &str, update: &[u8]) {
        let found = by_payment(htlcs_of(update));
        let mut seen = self.seen();
        seen.writes += 1;
        let now = seen.writes;
        for (hash, msat) in found {
            seen.note(hash, channel, msat, now);
        }
    }

    /// Notes that a whole monitor was written.
    pub(super) fn note_whole(&self, channel: &str) {
        let mut seen = self.seen();
        let count = seen.whole.entry(channel.to_owned()).or_default();
        *count += 1;
    }

    /// How many times the whole monitors that are meant were written since the start.
    pub(super) fn times_whole(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        self.seen().whole.iter().filter(|(name, _)| is_meant(name)).map(|(_, count)| count).sum()
    }

    /// Notes that the manager was written.
    pub(super) fn note_manager(&self) {
        self.seen().managers += 1;
    }

    /// Notes that the node is asked to send.
    pub(super) fn note_asked(&self, hash: PaymentHash) {
        let mut seen = self.seen();
        let managers = seen.managers;
        seen.asked.insert(hash, managers);
    }

    /// Whether the manager in the store is newer than the last request of this start to send: the write after a
    /// request may have begun before it, the next one has not.
    pub(super) fn is_manager_newer_than_sending(&self, hash: PaymentHash) -> bool {
        let seen = self.seen();
        seen.asked.get(&hash).is_none_or(|then| seen.managers > then.saturating_add(2))
    }

    /// What left the channels for a payment that arrived and that cost `at_least` so much, fees included. Of several
    /// tries, those seen last: what failed was gone before.
    pub(super) fn left(&self, hash: PaymentHash, at_least: Msat) -> Option<Msat> {
        let mut parts = self.seen().parts.get(&hash)?.clone();
        parts.sort_by_key(|part| std::cmp::Reverse(part.seen));
        let mut sum = 0_u64;
        for part in parts {
            if sum >= at_least.get() {
                break;
            }
            sum = sum.checked_add(part.msat)?;
        }
        Msat::new(sum).filter(|sum| *sum >= at_least)
    }

    /// Forgets a payment that has ended.
    pub(super) fn forget(&self, hash: PaymentHash) {
        let mut seen = self.seen();
        seen.parts.remove(&hash);
        seen.asked.remove(&hash);
    }
}

impl Seen {
    fn note(&mut self, hash: PaymentHash, channel: &str, msat: u64, now: u64) {
        if !self.parts.contains_key(&hash) {
            self.order.push_back(hash);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.parts.remove(&oldest);
            }
        }
        let parts = self.parts.entry(hash).or_default();
        match parts.iter_mut().find(|part| part.channel == channel) {
            Some(part) => (part.msat, part.seen) = (msat, now),
            None => parts.push(Part { channel: channel.to_owned(), msat, seen: now }),
        }
    }
}

/// An HTLC as it stands in LDK's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Htlc {
    offered: bool,
    msat: u64,
    hash: PaymentHash,
}

/// Of each payment, what one commitment transaction carries. An update may have both sides' transactions, in which
/// the same HTLC is offered and received.
fn by_payment(htlcs: impl Iterator<Item = Htlc>) -> HashMap<PaymentHash, u64> {
    let mut sums: HashMap<(PaymentHash, bool), u64> = HashMap::new();
    for htlc in htlcs {
        let sum = sums.entry((htlc.hash, htlc.offered)).or_default();
        *sum = sum.saturating_add(htlc.msat);
    }
    let mut most: HashMap<PaymentHash, u64> = HashMap::new();
    for ((hash, _), sum) in sums {
        let largest = most.entry(hash).or_default();
        *largest = sum.max(*largest);
    }
    most
}

/// The HTLCs of an update: TLV streams of offered (0), amount (2), expiry (4) and payment hash (6).
fn htlcs_of(update: &[u8]) -> impl Iterator<Item = Htlc> + '_ {
    const BEFORE_HASH: usize = 3 + 10 + 6 + 2;
    update.windows(BEFORE_HASH + HASH).filter_map(|window| {
        let (fields, hash) = window.split_at_checked(BEFORE_HASH)?;
        let [0, 1, offered @ (0 | 1), 2, 8, a, b, c, d, e, f, g, h, 4, 4, _, _, _, _, 6, 32] = *fields else {
            return None;
        };
        Some(Htlc {
            offered: offered == 1,
            msat: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            hash: PaymentHash(hash.try_into().ok()?),
        })
    })
}

/// What of a payment over `amount` stands in a stored row, an update or a whole monitor; of several commitment
/// transactions the most that one carries, so of tries after each other the largest.
pub(super) fn carried(row: &[u8], hash: PaymentHash, amount: Msat) -> Option<Msat> {
    const BEFORE_HASH: usize = 1 + 8 + 4;
    let in_updates = htlcs_of(row).filter(|htlc| htlc.hash == hash).map(|htlc| htlc.msat);
    let in_monitors = row.windows(BEFORE_HASH + HASH).filter_map(|window| {
        let (fields, found) = window.split_at_checked(BEFORE_HASH)?;
        // A hash in a TLV stream has its type and length before it.
        let [0 | 1, a, b, c, d, e, f, g, h, _, _, _, last] = *fields else { return None };
        (found == hash.0 && last != 32).then(|| u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    });
    // What else stands before the hash somewhere is no amount.
    let most = amount.get().saturating_mul(2);
    in_monitors.chain(in_updates).filter(|msat| *msat <= most).max().and_then(Msat::new)
}

/// The preimages that stand in a row, of those whose hashes are asked for. LDK keeps a preimage in a channel's
/// monitor from the moment it learns it, whoever told: the peer, or a transaction that spends the HTLC. Whatever form
/// it stands in, what hashes to the payment hash is the preimage.
pub(super) fn preimages<'a>(row: &'a [u8], wanted: &'a [PaymentHash]) -> impl Iterator<Item = Preimage> + 'a {
    row.windows(HASH).rev().filter_map(|window| {
        let hash = PaymentHash(sha256::Hash::hash(window).to_byte_array());
        wanted.contains(&hash).then(|| window.try_into().ok().map(Preimage)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use lightning::ln::chan_utils::HTLCOutputInCommitment;
    use lightning::types::payment::PaymentHash as LdkHash;
    use lightning::util::ser::Writeable;

    use super::*;

    fn htlc(hash: u8, msat: u64, offered: bool) -> Vec<u8> {
        let htlc = HTLCOutputInCommitment {
            offered,
            amount_msat: msat,
            cltv_expiry: 800_000,
            payment_hash: LdkHash([hash; 32]),
            transaction_output_index: Some(3),
        };
        htlc.encode()
    }

    fn hash(byte: u8) -> PaymentHash {
        PaymentHash([byte; 32])
    }

    fn msat(msat: u64) -> Msat {
        Msat::new(msat).unwrap()
    }

    #[test]
    fn amounts_of_an_update_are_read_as_ldk_writes_them() {
        let update = [vec![9; 40], htlc(1, 354_000, false), htlc(2, 7, true), vec![0; 3]].concat();
        let found: Vec<_> = htlcs_of(&update).collect();
        assert_eq!(
            found,
            [
                Htlc { offered: false, msat: 354_000, hash: hash(1) },
                Htlc { offered: true, msat: 7, hash: hash(2) }
            ]
        );
    }

    #[test]
    fn parts_add_up_and_both_sides_of_one_htlc_count_once() {
        let htlcs = Htlcs::default();
        let update = [htlc(1, 600, false), htlc(1, 400, false), htlc(1, 600, true)].concat();
        htlcs.note_update("a", &update);
        assert_eq!(htlcs.left(hash(1), msat(900)), Some(msat(1_000)));
        htlcs.note_update("b", &htlc(1, 500, false));
        assert_eq!(htlcs.left(hash(1), msat(1_200)), Some(msat(1_500)), "two channels");
        assert_eq!(htlcs.left(hash(1), msat(1_501)), None, "less than is known to have left");
        htlcs.forget(hash(1));
        assert_eq!(htlcs.left(hash(1), msat(1)), None);
    }

    #[test]
    fn a_try_that_failed_before_is_not_counted() {
        let htlcs = Htlcs::default();
        htlcs.note_update("a", &htlc(1, 1_010, false));
        htlcs.note_update("b", &htlc(1, 1_005, false));
        assert_eq!(htlcs.left(hash(1), msat(1_000)), Some(msat(1_005)));
        htlcs.note_update("b", &htlc(1, 1_002, false));
        assert_eq!(htlcs.left(hash(1), msat(1_000)), Some(msat(1_002)), "another route behind the same peer");
    }

    #[test]
    fn a_preimage_is_found_wherever_it_stands() {
        let preimage = Preimage([7; 32]);
        let row = [vec![1; 99], preimage.0.to_vec(), vec![2; 55]].concat();
        let wanted = [hash(3), preimage.payment_hash()];
        assert_eq!(preimages(&row, &wanted).collect::<Vec<_>>(), [preimage]);
        assert_eq!(preimages(&row, &[hash(3)]).count(), 0);
        assert_eq!(preimages(&[], &wanted).count(), 0);
    }

    #[test]
    fn an_amount_is_read_from_a_whole_monitor_too() {
        let plain = [vec![1], 502_500_u64.to_be_bytes().to_vec(), vec![0; 4], vec![5; 32]].concat();
        let row = [vec![200; 30], plain, vec![3; 3]].concat();
        assert_eq!(carried(&row, hash(5), msat(500_000)), Some(msat(502_500)));
        assert_eq!(carried(&htlc(5, 8, false), hash(5), msat(7)), Some(msat(8)));
        assert_eq!(carried(&row, hash(6), msat(500_000)), None);
    }
}
