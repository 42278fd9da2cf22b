//! What ldk-node's wallet has and what became of its transactions, by what it has stored.
//!
//! ldk-node lists neither its coins nor what a transaction spends. Both follow from what it stores: the wallet's graph
//! of transactions, in which they stand as they do everywhere; the public descriptors of its addresses; and its list of
//! payments, which says which transactions are in a block.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::consensus::deserialize_partial;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{CompressedPublicKey, OutPoint, ScriptBuf, Transaction, Txid};
use ldk_node::payment::{ConfirmationStatus, PaymentKind, PaymentStatus};
use lightning::util::persist::KVStoreSync;

use super::LdkNode;
use super::coins::GRAPH;
use crate::lightning::{CoinFate, CoinOrder};

/// Where ldk-node keeps the public descriptors of its addresses, for others and for change.
const DESCRIPTORS: [&str; 2] = ["descriptor", "change_descriptor"];

/// Addresses after the last one used that are looked for.
const GAP: usize = 1_000;

/// The scripts of the wallet's addresses, as far as they were needed.
#[derive(Default)]
pub(super) struct Scripts(Mutex<[Vec<ScriptBuf>; 2]>);

impl LdkNode {
    pub(super) fn list_coins(&self) -> Result<Vec<u64>, String> {
        let transactions = self.wallet_graph()?;
        let ours = self.our_scripts(&transactions)?;
        // Coins that a transaction outside of a block spends may come back.
        let buried: HashSet<Txid> = self.in_blocks().into_keys().collect();
        let spent: HashSet<OutPoint> = transactions
            .iter()
            .filter(|(txid, _)| buried.contains(*txid))
            .flat_map(|(_, transaction)| transaction.input.iter().map(|input| input.previous_output))
            .collect();
        let mut coins = Vec::new();
        for (txid, transaction) in &transactions {
            for (vout, output) in (0_u32..).zip(&transaction.output) {
                let coin = OutPoint { txid: *txid, vout };
                if ours.contains(&output.script_pubkey) && !spent.contains(&coin) {
                    coins.push(output.value.to_sat());
                }
            }
        }
        // Fewer than there are would make a transaction look cheaper than it may be.
        let balance = self.node.list_balances().total_onchain_balance_sats;
        let sum = coins.iter().fold(0_u64, |sum, coin| sum.saturating_add(*coin));
        if sum < balance {
            return Err(format!("of {balance} sat in the wallet, coins with {sum} sat were found"));
        }
        Ok(coins)
    }

    pub(super) fn fate(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<CoinFate, String> {
        let Some(record) = self.spent(order, txid)? else { return Ok(CoinFate::Unseen) };
        let Some(txid) = record.txid else { return Ok(CoinFate::Unreadable) };
        let in_blocks = self.in_blocks();
        if record.is_final || in_blocks.contains_key(&txid) {
            return Ok(CoinFate::CanConfirm);
        }
        Ok(fate_in(&self.wallet_graph()?, &in_blocks, order, txid))
    }

    /// The transactions of the wallet's list that are in a block, and whether they are six deep.
    fn in_blocks(&self) -> HashMap<Txid, bool> {
        let onchain = self.node.list_payments_with_filter(|details| {
            matches!(details.kind, PaymentKind::Onchain { status: ConfirmationStatus::Confirmed { .. }, .. })
        });
        let named = |details: &ldk_node::payment::PaymentDetails| match details.kind {
            PaymentKind::Onchain { txid, .. } => Some((txid, details.status == PaymentStatus::Succeeded)),
            _ => None,
        };
        onchain.iter().filter_map(named).collect()
    }

    fn wallet_graph(&self) -> Result<HashMap<Txid, Transaction>, String> {
        let (primary, secondary, key) = GRAPH;
        match KVStoreSync::read(self.kv.as_ref(), primary, secondary, key) {
            Ok(graph) => Ok(transactions_in(&graph)),
            Err(error) if error.kind() == lightning::io::ErrorKind::NotFound => Ok(HashMap::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The scripts of the wallet's addresses: those used, and some after them.
    fn our_scripts(&self, transactions: &HashMap<Txid, Transaction>) -> Result<HashSet<ScriptBuf>, String> {
        let outputs = transactions.values().flat_map(|transaction| &transaction.output);
        let used: HashSet<_> = outputs.map(|output| &output.script_pubkey).collect();
        let mut known = self.scripts.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, name) in known.iter_mut().zip(DESCRIPTORS) {
            let (primary, secondary, _) = GRAPH;
            let stored = KVStoreSync::read(self.kv.as_ref(), primary, secondary, name)
                .map_err(|error| error.to_string())?;
            let parent = keychain(&String::from_utf8_lossy(&stored))
                .ok_or_else(|| format!("the wallet's {name} can't be read"))?;
            let secp = Secp256k1::verification_only();
            let last = known.iter().rposition(|script| used.contains(script)).map_or(0, |last| last + 1);
            let mut wanted = last.saturating_add(GAP);
            while known.len() < wanted {
                let index = u32::try_from(known.len()).map_err(|error| error.to_string())?;
                let index = ChildNumber::from_normal_idx(index).map_err(|error| error.to_string())?;
                let child = parent.ckd_pub(&secp, index).map_err(|error| error.to_string())?;
                let script = ScriptBuf::new_p2wpkh(&CompressedPublicKey(child.public_key).wpubkey_hash());
                if used.contains(&script) {
                    wanted = wanted.max(known.len().saturating_add(GAP));
                }
                known.push(script);
            }
        }
        Ok(known.iter().flatten().cloned().collect())
    }
}

/// The key whose children are the addresses of a descriptor like `wpkh([…/84'/0'/0']xpub…/0/*)#…`.
fn keychain(descriptor: &str) -> Option<Xpub> {
    let at = descriptor.find("pub")?.checked_sub(1)?;
    let rest = descriptor.get(at..)?;
    let (key, path) = rest.split_once('/')?;
    let chain: u32 = path.split_once("/*")?.0.parse().ok()?;
    let key: Xpub = key.parse().ok()?;
    key.ckd_pub(&Secp256k1::verification_only(), ChildNumber::from_normal_idx(chain).ok()?).ok()
}

/// All transactions that stand in ldk-node's graph.
fn transactions_in(graph: &[u8]) -> HashMap<Txid, Transaction> {
    let read = |start: usize| {
        let rest = graph.get(start..)?;
        // Versions 1 to 3, the only ones there are; little-endian.
        let (1..=3, [0, 0, 0]) = (*rest.first()?, rest.get(1..4)?) else { return None };
        let (transaction, _) = deserialize_partial::<Transaction>(rest).ok()?;
        (!transaction.input.is_empty()).then(|| (transaction.compute_txid(), transaction))
    };
    (0..graph.len()).filter_map(read).collect()
}

/// What can become of a transaction that is in no block.
fn fate_in(
    transactions: &HashMap<Txid, Transaction>,
    in_blocks: &HashMap<Txid, bool>,
    order: &CoinOrder,
    txid: Txid,
) -> CoinFate {
    let Some(ours) = transactions.get(&txid) else { return CoinFate::Unreadable };
    let spends: HashSet<OutPoint> = ours.input.iter().map(|input| input.previous_output).collect();
    let mut found: Option<(Txid, bool)> = None;
    for (by, is_final) in in_blocks.iter().filter(|(by, _)| **by != txid) {
        let Some(other) = transactions.get(by) else { continue };
        if !other.input.iter().any(|input| spends.contains(&input.previous_output)) {
            continue;
        }
        // The same payment, made anew.
        if other.output.iter().any(|output| order.is_done_by(output)) {
            return CoinFate::CanConfirm;
        }
        if found.is_none_or(|(_, deep)| !deep) {
            found = Some((*by, *is_final));
        }
    }
    found.map_or(CoinFate::CanConfirm, |(by, is_final)| CoinFate::Replaced { by, is_final })
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::consensus::serialize;
    use bitcoin::hashes::Hash;
    use bitcoin::transaction::Version;
    use bitcoin::{Address, Amount, Network, Sequence, TxIn, TxOut, Witness};

    use super::*;

    fn spending(coins: &[u32], tag: u8) -> Transaction {
        let input = |vout: &u32| TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array([1; 32]), vout: *vout },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::from_slice(&[[tag; 72].as_slice(), [2; 33].as_slice()]),
        };
        let output =
            TxOut { value: Amount::from_sat(5_000), script_pubkey: order(tag).address.script_pubkey() };
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: coins.iter().map(input).collect(),
            output: vec![output],
        }
    }

    fn order(tag: u8) -> CoinOrder {
        let script = ScriptBuf::from_bytes([vec![0x00, 0x14], vec![tag; 20]].concat());
        let address = Address::from_script(&script, Network::Regtest).unwrap();
        CoinOrder { address, amount_sat: 5_000, fee_rate: None, everything: false }
    }

    #[test]
    fn transaction_whose_coin_another_in_a_block_spends_is_replaced() {
        let (ours, other, apart) = (spending(&[1, 2], 7), spending(&[2, 3], 8), spending(&[4], 9));
        let graph =
            [&[9, 0][..], &serialize(&ours), &[0, 1], &serialize(&other), &serialize(&apart)].concat();
        let transactions = transactions_in(&graph);
        assert_eq!(transactions.len(), 3);
        let fate = |in_blocks: &[(Txid, bool)]| {
            fate_in(&transactions, &in_blocks.iter().copied().collect(), &order(7), ours.compute_txid())
        };
        assert_eq!(fate(&[]), CoinFate::CanConfirm, "the other one may lose");
        assert_eq!(fate(&[(apart.compute_txid(), true)]), CoinFate::CanConfirm);
        let by = other.compute_txid();
        assert_eq!(fate(&[(by, false)]), CoinFate::Replaced { by, is_final: false });
        assert_eq!(fate(&[(by, true)]), CoinFate::Replaced { by, is_final: true });
        let unknown = fate_in(&transactions, &HashMap::new(), &order(7), Txid::from_byte_array([3; 32]));
        assert_eq!(unknown, CoinFate::Unreadable);
    }

    #[test]
    fn replacement_that_pays_the_same_has_paid() {
        let (ours, again) = (spending(&[1], 7), spending(&[1, 2], 7));
        let transactions = transactions_in(&[serialize(&ours), serialize(&again)].concat());
        let in_blocks = HashMap::from([(again.compute_txid(), true)]);
        assert_eq!(fate_in(&transactions, &in_blocks, &order(7), ours.compute_txid()), CoinFate::CanConfirm);
    }

    #[test]
    fn key_of_a_descriptor_is_that_of_its_chain() {
        let seed: [u8; 64] = [7; 64];
        let secp = Secp256k1::new();
        let master = bitcoin::bip32::Xpriv::new_master(Network::Bitcoin, &seed).unwrap();
        let path: bitcoin::bip32::DerivationPath = "84'/0'/0'".parse().unwrap();
        let account = Xpub::from_priv(&secp, &master.derive_priv(&secp, &path).unwrap());
        let text = format!("\u{1}\0wpkh([d34db33f/84'/0'/0']{account}/1/*)#abcdefgh");
        let path: bitcoin::bip32::DerivationPath = "84'/0'/0'/1".parse().unwrap();
        let wanted = Xpub::from_priv(&secp, &master.derive_priv(&secp, &path).unwrap());
        assert_eq!(keychain(&text).unwrap(), wanted);
        assert!(keychain("wpkh(nothing)").is_none());
    }
}
