//! Coins out of ldk-node's wallet.
//!
//! ldk-node signs a transaction, hands it to its chain source once, and forgets it: the wallet learns of it like
//! everybody else, from the chain source's mempool or a block. Until then it would spend the same coins again, and
//! after a crash nothing tells whether it was sent. What tells, from the moment it was seen, is the wallet's graph
//! of transactions in our own store. Its format is ldk-node's, but transactions stand in it as they do everywhere,
//! so they can be found by what they pay.

use std::time::{Duration, Instant};

use bitcoin::consensus::{deserialize_partial, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, FeeRate, Transaction, Txid};
use ldk_node::payment::PaymentStatus;
use lightning::ln::channelmanager::PaymentId;
use lightning::util::persist::KVStoreSync;

use super::LdkNode;
use crate::core::money::Msat;
use crate::lightning::{CoinDispatch, CoinOrder, CoinRecord, Lightning};

/// Where ldk-node keeps the transactions of its wallet.
pub(super) const GRAPH: (&str, &str, &str) = ("bdk_wallet", "", "tx_graph");

/// How far before an output its transaction may begin: the largest that a node relays.
const LONGEST_TRANSACTION: usize = 400_000;

impl LdkNode {
    pub(super) fn spend(&self, order: &CoinOrder) -> CoinDispatch {
        if !self.is_running() {
            return CoinDispatch::NotSent("the node is not running".into());
        }
        // A wallet that has not seen the last spend would spend the same coins again.
        let mut turn = match self.coins_turn(Duration::ZERO) {
            Ok(turn) => turn,
            Err(error) => return CoinDispatch::NotSent(error.to_string()),
        };
        let (payment, rate) = (self.node.onchain_payment(), order.fee_rate.map(FeeRate::from_sat_per_kwu));
        let sent = if order.everything {
            payment.send_all_to_address(&order.address, true, rate)
        } else {
            payment.send_to_address(&order.address, order.amount_sat, rate)
        };
        match sent {
            Ok(txid) => {
                *turn = Some((txid, Instant::now()));
                CoinDispatch::Sent(txid)
            }
            // Whatever it says, it says before the transaction leaves the wallet.
            Err(error) => CoinDispatch::NotSent(error.to_string()),
        }
    }

    pub(super) fn spent(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        let listed = txid.and_then(|txid| Some((txid, self.listed(txid)?)));
        if let Some((txid, (is_final, fee))) = listed.filter(|_| !order.everything) {
            let amount_sat = Some(order.amount_sat);
            return Ok(Some(CoinRecord { txid: Some(txid), is_final, amount_sat, fee }));
        }
        let (primary, secondary, key) = GRAPH;
        let graph = match KVStoreSync::read(self.kv.as_ref(), primary, secondary, key) {
            Ok(graph) => graph,
            Err(error) if error.kind() == lightning::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let found = find(&graph, order);
        let known = found.flatten();
        let seen = found.is_some() || listed.is_some();
        Ok(seen.then(|| {
            let txid = known.map(|(txid, _)| txid).or(txid);
            let (is_final, fee) = txid.and_then(|txid| self.listed(txid)).unwrap_or_default();
            CoinRecord { txid, is_final, amount_sat: known.map(|(_, amount)| amount.to_sat()), fee }
        }))
    }

    /// Whether the wallet holds a transaction for final, and what it paid the miners; `None` if it has not listed it.
    fn listed(&self, txid: Txid) -> Option<(bool, Option<Msat>)> {
        let listed = self.node.payment(&PaymentId(txid.to_byte_array()))?;
        let fee = listed.fee_paid_msat.and_then(Msat::new);
        Some((listed.status == PaymentStatus::Succeeded, fee))
    }
}

/// Whether a transaction in `graph` does what is ordered, and which it is and with how much, if it can be read.
fn find(graph: &[u8], order: &CoinOrder) -> Option<Option<(Txid, Amount)>> {
    // In an output the script, with its length, follows the amount.
    let wanted = serialize(&order.address.script_pubkey());
    let amount = order.amount_sat.to_le_bytes();
    let mut unread = None;
    for at in positions(graph, &wanted) {
        let Some(start) = at.checked_sub(amount.len()) else { continue };
        if !order.everything && graph.get(start..at) != Some(amount.as_slice()) {
            continue;
        }
        match transaction_around(graph, start, order) {
            Some(found) => return Some(Some(found)),
            // Without the amount, the script alone proves nothing: it may be that of an output which was spent.
            None if order.everything => {}
            None => unread = Some(None),
        }
    }
    unread
}

fn positions<'a>(haystack: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    haystack
        .windows(needle.len().max(1))
        .enumerate()
        .filter(move |(_, window)| *window == needle)
        .map(|(at, _)| at)
}

/// The transaction that has such an output at this place: the nearest that begins before it and reads well.
fn transaction_around(graph: &[u8], at: usize, order: &CoinOrder) -> Option<(Txid, Amount)> {
    let earliest = at.saturating_sub(LONGEST_TRANSACTION);
    (earliest..at).rev().find_map(|start| {
        let rest = graph.get(start..)?;
        // Versions 1 and 2, the only ones there are; little-endian.
        let (1 | 2, [0, 0, 0]) = (*rest.first()?, rest.get(1..4)?) else { return None };
        let (transaction, length) = deserialize_partial::<Transaction>(rest).ok()?;
        let output = transaction.output.iter().find(|output| order.is_done_by(output))?;
        (start.saturating_add(length) > at).then(|| (transaction.compute_txid(), output.value))
    })
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::transaction::Version;
    use bitcoin::{Address, Network, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};

    use super::*;

    fn paying(output: &TxOut, salt: u8) -> Transaction {
        let spend = |vout| TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array([salt; 32]), vout },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::from_slice(&[[salt; 72].as_slice(), [2; 33].as_slice()]),
        };
        let change =
            TxOut { value: Amount::from_sat(77_000), script_pubkey: ScriptBuf::from_bytes(vec![0x51]) };
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![spend(1), spend(2)],
            output: vec![change, output.clone()],
        }
    }

    fn order(amount_sat: u64, tag: u8) -> CoinOrder {
        let script = ScriptBuf::from_bytes([vec![0x00, 0x14], vec![tag; 20]].concat());
        let address = Address::from_script(&script, Network::Regtest).unwrap();
        CoinOrder { address, amount_sat, fee_rate: None, everything: false }
    }

    fn output(order: &CoinOrder) -> TxOut {
        TxOut { value: Amount::from_sat(order.amount_sat), script_pubkey: order.address.script_pubkey() }
    }

    #[test]
    fn a_transaction_is_found_by_what_it_pays() {
        let (ours, other) = (order(12_345, 7), order(12_345, 8));
        let (wanted, beside) = (paying(&output(&ours), 1), paying(&output(&other), 2));
        let graph =
            [vec![1, 0, 0, 0, 9], serialize(&beside), vec![2, 0], serialize(&wanted), vec![3; 40]].concat();
        let paid =
            |transaction: &Transaction| Some(Some((transaction.compute_txid(), Amount::from_sat(12_345))));
        assert_eq!(find(&graph, &ours), paid(&wanted));
        assert_eq!(find(&graph, &other), paid(&beside));
        assert_eq!(find(&graph, &order(12_346, 7)), None, "another amount");
        assert_eq!(find(&graph, &order(12_345, 9)), None, "another address");
        assert_eq!(find(&[], &ours), None);
        let everything = |order: CoinOrder| CoinOrder { everything: true, ..order };
        assert_eq!(find(&graph, &everything(order(1, 7))), paid(&wanted), "whatever the amount");
        assert_eq!(find(&graph, &everything(order(1, 9))), None);
    }

    #[test]
    fn what_pays_is_seen_even_where_it_cannot_be_read() {
        let ours = order(12_345, 7);
        let whole = serialize(&paying(&output(&ours), 1));
        let torn = whole.get(10..).unwrap();
        assert_eq!(find(torn, &ours), Some(None));
    }
}
