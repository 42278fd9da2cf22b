//! Route hints of our invoices: as few as carry the amount.
//!
//! LDK puts one hint for each peer into an invoice, up to three, and ldk-node has no setting for it. Each makes the
//! invoice about ninety characters longer, and small devices have small buffers. So the hints that aren't needed are
//! taken out and the invoice is signed again with the node's key, which changes neither its payment hash nor its
//! secret. Where our node is announced, LDK leaves all of them out by itself.

use bitcoin::Network;
use bitcoin::bip32::Xpriv;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use ldk_node::ChannelDetails;
use lightning::sign::KeysManager;
use lightning_invoice::{Bolt11Invoice, RawTaggedField, RouteHint, TaggedField};

use crate::lightning::capacity::COMMITMENT_WEIGHT;

/// The node's own key, made from the seed as ldk-node makes it, which is the same in all networks.
pub(super) fn node_key(seed: &[u8; 64]) -> Option<SecretKey> {
    let master = Xpriv::new_master(Network::Bitcoin, seed).ok()?;
    Some(KeysManager::new(&master.private_key.secret_bytes(), 0, 0, true).get_node_secret_key())
}

/// Signs invoices anew. Never printed.
pub(super) struct Signer {
    key: SecretKey,
    node_id: PublicKey,
}

impl Signer {
    /// With the node's own key; `None` if the seed doesn't make this node.
    pub(super) fn new(seed: &[u8; 64], node_id: PublicKey) -> Option<Self> {
        let key = node_key(seed)?;
        (key.public_key(&Secp256k1::signing_only()) == node_id).then_some(Self { key, node_id })
    }

    /// The same invoice with only the hints that its amount needs. Whatever goes wrong, the invoice as it was.
    pub(super) fn slim(&self, invoice: Bolt11Invoice, channels: &[ChannelDetails]) -> Bolt11Invoice {
        // What a payer chooses may need all of them.
        if invoice.amount_milli_satoshis().is_none() {
            return invoice;
        }
        let hints = invoice.route_hints();
        let rooms: Vec<_> = hints.iter().map(|hint| room_of(hint, channels)).collect();
        let needed = needed(&rooms, invoice.amount_milli_satoshis());
        if needed.len() >= hints.len() {
            return invoice;
        }
        self.with_hints(&invoice, &needed).unwrap_or(invoice)
    }

    fn with_hints(&self, invoice: &Bolt11Invoice, needed: &[usize]) -> Option<Bolt11Invoice> {
        let (mut raw, ..) = invoice.clone().into_signed_raw().into_parts();
        let mut number = 0_usize;
        raw.data.tagged_fields.retain(|field| {
            if !matches!(field, RawTaggedField::KnownSemantics(TaggedField::PrivateRoute(_))) {
                return true;
            }
            let wanted = needed.contains(&number);
            number = number.saturating_add(1);
            wanted
        });
        let signed = raw.sign(|hash| {
            Ok::<_, std::convert::Infallible>(
                Secp256k1::signing_only().sign_ecdsa_recoverable(hash, &self.key),
            )
        });
        let slim = Bolt11Invoice::from_signed(signed.ok()?).ok()?;
        let same = slim.recover_payee_pub_key() == self.node_id
            && slim.payment_hash() == invoice.payment_hash()
            && slim.payment_secret() == invoice.payment_secret();
        same.then_some(slim)
    }
}

/// What can come in through the channel of a hint, in msat; nothing if we don't know the channel.
fn room_of(hint: &RouteHint, channels: &[ChannelDetails]) -> u64 {
    let Some(hop) = hint.0.last() else { return 0 };
    let scid = Some(hop.short_channel_id);
    let found = channels.iter().filter(|channel| channel.is_usable);
    let mut found =
        found.filter(|channel| channel.inbound_scid_alias == scid || channel.short_channel_id == scid);
    found.next().map_or(0, |channel| {
        // Who opened the channel keeps the commitment fee back, with room for it to double.
        let rate = u64::from(channel.feerate_sat_per_1000_weight);
        let kept =
            if channel.is_outbound { 0 } else { rate.saturating_mul(COMMITMENT_WEIGHT).saturating_mul(2) };
        let limit = channel.inbound_htlc_maximum_msat.unwrap_or(u64::MAX);
        channel.inbound_capacity_msat.saturating_sub(kept).min(limit)
    })
}

/// Which of the hints, by their number, carry the amount: the largest first, and no more than needed. An amount that
/// the payer chooses gets the largest.
fn needed(rooms: &[u64], amount_msat: Option<u64>) -> Vec<usize> {
    let mut by_room: Vec<usize> = (0..rooms.len()).collect();
    by_room.sort_by_key(|number| std::cmp::Reverse(rooms.get(*number).copied()));
    let (mut sum, mut found) = (0_u64, Vec::new());
    for number in by_room {
        found.push(number);
        sum = sum.saturating_add(rooms.get(number).copied().unwrap_or(0));
        if sum >= amount_msat.unwrap_or(1) {
            return found;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_as_few_as_carry_the_amount() {
        for (rooms, amount, expected) in [
            (&[5, 9, 7][..], Some(9), &[1][..]),
            (&[5, 9, 7], Some(10), &[1, 2]),
            (&[5, 9, 7], Some(17), &[1, 2, 0]),
            (&[5, 9, 7], Some(99), &[1, 2, 0]),
            (&[5, 9, 7], None, &[1]),
            (&[0, 0], None, &[0, 1]),
            (&[], Some(1), &[]),
        ] {
            assert_eq!(needed(rooms, amount), expected, "{rooms:?} {amount:?}");
        }
    }

    #[test]
    fn slim_invoice_is_the_same_but_for_its_hints() {
        use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret, RouteHintHop, RoutingFees};
        let seed = [7; 64];
        let master = Xpriv::new_master(Network::Regtest, &seed).unwrap();
        let key = KeysManager::new(&master.private_key.secret_bytes(), 9, 9, true).get_node_secret_key();
        let node_id = key.public_key(&Secp256k1::new());
        let signer = Signer::new(&seed, node_id).unwrap();
        let hop = |scid| {
            RouteHint(vec![RouteHintHop {
                src_node_id: node_id,
                short_channel_id: scid,
                fees: RoutingFees { base_msat: 1, proportional_millionths: 2 },
                cltv_expiry_delta: 40,
                htlc_minimum_msat: None,
                htlc_maximum_msat: None,
            }])
        };
        let mut builder = InvoiceBuilder::new(Currency::Regtest)
            .description("three".into())
            .payment_hash(bitcoin::hashes::Hash::hash(&[1]))
            .payment_secret(PaymentSecret([2; 32]))
            .duration_since_epoch(std::time::Duration::from_secs(1_800_000_000))
            .min_final_cltv_expiry_delta(80)
            .basic_mpp()
            .amount_milli_satoshis(1_000_000);
        for scid in [1, 2, 3] {
            builder = builder.private_route(hop(scid));
        }
        let whole = builder.build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &key)).unwrap();
        let slim = signer.with_hints(&whole, &[1]).unwrap();
        assert_eq!(slim.route_hints(), [hop(2)]);
        assert_eq!(
            (slim.payment_hash(), slim.payment_secret()),
            (whole.payment_hash(), whole.payment_secret())
        );
        assert_eq!((slim.timestamp(), slim.expires_at()), (whole.timestamp(), whole.expires_at()));
        assert_eq!(
            (slim.description().to_string(), slim.features()),
            (whole.description().to_string(), whole.features())
        );
        assert_eq!(slim.to_string().parse::<Bolt11Invoice>().unwrap(), slim);
        assert!(slim.to_string().len() + 150 < whole.to_string().len());
        assert!(Signer::new(&[8; 64], node_id).is_none(), "another node's key");
    }
}
