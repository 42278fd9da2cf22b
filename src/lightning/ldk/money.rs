//! [`Lightning`] on ldk-node.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Network, Txid};
use ldk_node::payment::{PaymentDetails, PaymentStatus};
use ldk_node::{Event, LightningBalance};
use lightning::chain::channelmonitor::HTLC_FAIL_BACK_BUFFER;
use lightning::ln::channelmanager::PaymentId;
use lightning::offers::offer::Offer as LdkOffer;
use lightning::routing::router::RouteParametersConfig;
use lightning::types::payment::{PaymentHash as LdkHash, PaymentPreimage};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescription, Description, Sha256};

use super::{LdkNode, convert, kv, rooms};
use crate::core::ids::{OfferId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::lightning::capacity::in_parts;
use crate::lightning::{
    Balances, ChannelRoom, CoinDispatch, CoinFate, CoinOrder, CoinRecord, Dispatch, Holdings,
    InvoiceDescription, InvoiceError, InvoiceRequest, LONGEST_LOCK_BLOCKS, Lightning, NodeEvent, Offer,
    OfferDispatch, OfferKey, OfferOrder, OfferRecord, OfferRequest, Outbound, PaymentRecord, RecordStatus,
    Refusal, SendingRoom, Spent, Standing, Waiting,
};

/// What routes may cost and how long they may lock what is sent.
fn limits(max_fee: Msat) -> RouteParametersConfig {
    RouteParametersConfig {
        max_total_routing_fee_msat: Some(max_fee.get()),
        max_total_cltv_expiry_delta: LONGEST_LOCK_BLOCKS,
        ..RouteParametersConfig::default()
    }
}

impl Lightning for LdkNode {
    fn network(&self) -> Network {
        self.settings.network
    }

    fn node_id(&self) -> Option<PublicKey> {
        Some(self.node.node_id())
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    fn create_invoice(&self, request: &InvoiceRequest) -> Result<Bolt11Invoice, InvoiceError> {
        if !self.is_running() {
            return Err(InvoiceError::NotRunning);
        }
        let description = match &request.description {
            InvoiceDescription::Text(text) => Bolt11InvoiceDescription::Direct(
                Description::new(text.clone())
                    .map_err(|_| InvoiceError::Refused("the description is longer than 639 bytes".into()))?,
            ),
            InvoiceDescription::Hash(hash) => {
                Bolt11InvoiceDescription::Hash(Sha256(bitcoin::hashes::sha256::Hash::from_byte_array(*hash)))
            }
        };
        let expiry = u32::try_from(request.expiry.as_secs()).unwrap_or(u32::MAX);
        let payments = self.node.bolt11_payment();
        let hold = request.hold.map(|hash| LdkHash(hash.0));
        let created = match (request.amount, hold) {
            (Some(amount), None) => payments.receive(amount.get(), &description, expiry),
            (None, None) => payments.receive_variable_amount(&description, expiry),
            (Some(amount), Some(hash)) => payments.receive_for_hash(amount.get(), &description, expiry, hash),
            (None, Some(hash)) => payments.receive_variable_amount_for_hash(&description, expiry, hash),
        };
        let invoice = created.map_err(|error| InvoiceError::Refused(error.to_string()))?;
        Ok(match &self.signer {
            Some(signer) => signer.slim(invoice, &self.node.list_channels()),
            None => invoice,
        })
    }

    fn create_offer(&self, request: &OfferRequest) -> Result<Offer, InvoiceError> {
        if !self.is_running() {
            return Err(InvoiceError::NotRunning);
        }
        let expiry = u32::try_from(request.expiry.as_secs()).unwrap_or(u32::MAX);
        let (amount, words) = (request.amount.get(), request.description.as_str());
        let created = self.node.bolt12_payment().receive(amount, words, Some(expiry), None);
        let offer = created.map_err(|error| InvoiceError::Refused(error.to_string()))?;
        Ok(Offer { id: OfferId(offer.id().0), text: offer.to_string() })
    }

    fn claim(&self, hash: PaymentHash, amount: Msat, preimage: Preimage) -> Result<(), String> {
        if !self.is_running() {
            return Err("the node is not running".into());
        }
        // LDK gives a payment back at its deadline by the blocks it knows. With old ones it would take one
        // whose payer may have it back already.
        if !self.has_seen_the_chain() {
            return Err("the node has not seen the chain since its start".into());
        }
        let (hash, preimage) = (LdkHash(hash.0), PaymentPreimage(preimage.0));
        let claimed = self.node.bolt11_payment().claim_for_hash(hash, amount.get(), preimage);
        claimed.map_err(|error| error.to_string())
    }

    fn refuse(&self, hash: PaymentHash) -> Result<(), String> {
        // Nothing of it is held any more, and the record of a success must not become one of a failure.
        if self.record(hash).is_some_and(|record| record.status == RecordStatus::Succeeded) {
            return Ok(());
        }
        let refused = self.node.bolt11_payment().fail_for_hash(LdkHash(hash.0));
        refused.map_err(|error| error.to_string())
    }

    fn waiting(&self) -> Vec<Waiting> {
        let mut found = HashMap::<PaymentHash, (u64, u32)>::new();
        for balance in self.node.list_balances().lightning_balances {
            let LightningBalance::MaybePreimageClaimableHTLC {
                amount_satoshis,
                expiry_height,
                payment_hash,
                ..
            } = balance
            else {
                continue;
            };
            // Of each further part less than a sat was cut off.
            found
                .entry(PaymentHash(payment_hash.0))
                .and_modify(|(sat, first)| {
                    *sat = sat.saturating_add(amount_satoshis).saturating_add(1);
                    *first = expiry_height.min(*first);
                })
                .or_insert((amount_satoshis, expiry_height));
        }
        let waiting = found.into_iter().filter_map(|(hash, (sat, expiry))| {
            let deadline = expiry.saturating_sub(HTLC_FAIL_BACK_BUFFER);
            Some(Waiting { hash, amount: Msat::from_sat(sat)?, deadline })
        });
        waiting.collect()
    }

    fn pay(&self, invoice: &Bolt11Invoice, amount: Msat, max_fee: Msat) -> Dispatch {
        if !self.is_running() {
            return Dispatch::NotSent(Refusal::NotRunning);
        }
        self.kv.htlcs().note_asked(PaymentHash(invoice.payment_hash().to_byte_array()));
        let (payments, limits) = (self.node.bolt11_payment(), Some(limits(max_fee)));
        let sent = match invoice.amount_milli_satoshis() {
            Some(_) => payments.send(invoice, limits),
            None => payments.send_using_amount(invoice, amount.get(), limits),
        };
        match sent {
            Ok(_) => Dispatch::Sent,
            Err(error) => convert::dispatch_of(error, invoice.is_expired()),
        }
    }

    fn pay_to_offer(&self, order: &OfferOrder) -> OfferDispatch {
        if !self.is_running() {
            return OfferDispatch::NotSent { why: "the node is not running".into(), retry: true };
        }
        let Ok(offer) = order.offer.parse::<LdkOffer>() else {
            return OfferDispatch::NotSent { why: "the stored offer can't be read".into(), retry: false };
        };
        let (note, limits) = (Some(order.note.clone()), Some(limits(order.max_fee)));
        let payments = self.node.bolt12_payment();
        match payments.send_using_amount(&offer, order.amount.get(), None, note, limits) {
            Ok(PaymentId(id)) => OfferDispatch::Sent(id),
            Err(error) => convert::offer_dispatch_of(error),
        }
    }

    fn offer_record(&self, key: OfferKey<'_>) -> Option<OfferRecord> {
        match key {
            OfferKey::Payment(id) => {
                self.node.payment(&PaymentId(id)).as_ref().and_then(convert::offer_record)
            }
            OfferKey::Note(wanted) => {
                // A call that sent nothing leaves a failed record with the same note and another id.
                let noted = |details: &&PaymentDetails| {
                    details.status != PaymentStatus::Failed && convert::has_note(details, wanted)
                };
                self.node.list_payments_with_filter(noted).iter().find_map(convert::offer_record)
            }
        }
    }

    fn forget_unsent_offers(&self, note: &str) -> Result<(), String> {
        let unsent = |details: &&PaymentDetails| {
            details.status == PaymentStatus::Failed && convert::has_note(details, note)
        };
        for details in self.node.list_payments_with_filter(unsent) {
            self.node.remove_payment(&details.id).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn has_trace_of(&self, key: OfferKey<'_>) -> Result<bool, &'static str> {
        self.trace_of(key)
    }

    fn forget(&self, hash: PaymentHash) -> Result<(), String> {
        self.kv.htlcs().forget(hash);
        self.node.remove_payment(&PaymentId(hash.0)).map_err(|error| error.to_string())
    }

    fn standings(&self, payments: &[Outbound]) -> Vec<Standing> {
        self.prove(payments)
    }

    fn left(&self, hash: PaymentHash, at_least: Msat) -> Option<Msat> {
        self.kv.htlcs().left(hash, at_least)
    }

    fn record(&self, hash: PaymentHash) -> Option<PaymentRecord> {
        self.node.payment(&PaymentId(hash.0)).as_ref().and_then(convert::record)
    }

    fn succeeded_since(&self, since: u64) -> Vec<PaymentRecord> {
        // The list is in memory and can be long: only what is wanted is copied out of it.
        let recent = self.node.list_payments_with_filter(|details| {
            details.status == PaymentStatus::Succeeded && details.latest_update_timestamp >= since
        });
        recent.iter().filter_map(convert::record).collect()
    }

    fn sending_room(&self) -> Vec<SendingRoom> {
        let channels = self.node.list_channels();
        let usable = channels.iter().filter(|channel| channel.is_usable);
        usable
            .map(|channel| SendingRoom {
                min: Msat::new(channel.next_outbound_htlc_minimum_msat).unwrap_or(Msat::ZERO),
                max: Msat::new(channel.next_outbound_htlc_limit_msat).unwrap_or(Msat::ZERO),
            })
            .collect()
    }

    fn channel_rooms(&self) -> Vec<ChannelRoom> {
        let pending = rooms::pending(&self.node.list_balances().lightning_balances);
        let channels = self.node.list_channels();
        let ready = channels.iter().filter(|channel| channel.is_channel_ready);
        ready.map(|channel| rooms::room(channel, &pending)).collect()
    }

    fn channels_settled(&self) -> bool {
        self.node.list_channels().iter().all(|channel| channel.is_usable || !channel.is_channel_ready)
    }

    fn knows_the_chain(&self) -> bool {
        self.is_running() && self.has_seen_the_chain()
    }

    fn block_height(&self) -> u32 {
        self.node.status().current_best_block.height
    }

    fn next_event(&self, wait: Duration) -> Option<NodeEvent> {
        let next = match self.node.next_event() {
            Some(event) => Some(event),
            None if wait.is_zero() => None,
            None => self
                .runtime
                .block_on(async { tokio::time::timeout(wait, self.node.next_event_async()).await.ok() }),
        }?;
        if let Event::ChannelPending { channel_id, .. } | Event::ChannelReady { channel_id, .. } = &next {
            let channels = self.node.list_channels();
            if let Some(channel) = channels.iter().find(|channel| channel.channel_id == *channel_id) {
                self.lift_dust_limit(channel);
            }
        }
        let mut event = convert::event(next);
        if let NodeEvent::Received { hash, offer, .. } = &mut event {
            // ldk-node's event doesn't say; its record, which is written before, does.
            *offer = self.record(*hash).and_then(|record| record.offer);
        }
        Some(event)
    }

    fn event_handled(&self) {
        // Lost in a crash, or not written at all, the event comes again after the next start, and changes nothing then.
        if let Err(error) = kv::without_waiting(|| self.node.event_handled()) {
            tracing::error!(%error, "the node could not write down that an event was handled");
        }
    }

    fn send_coins(&self, order: &CoinOrder) -> CoinDispatch {
        self.spend(order)
    }

    fn coin_fee_rate(&self) -> Result<u64, String> {
        self.fee_rate()
    }

    fn wallet_coins(&self) -> Result<Vec<u64>, String> {
        self.list_coins()
    }

    fn coin_fate(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<CoinFate, String> {
        self.fate(order, txid)
    }

    fn coin_record(&self, order: &CoinOrder, txid: Option<Txid>) -> Result<Option<CoinRecord>, String> {
        self.spent(order, txid)
    }

    fn balances(&self) -> Balances {
        let sums = self.node.list_balances();
        let channels = self.node.list_channels();
        let usable = || channels.iter().filter(|channel| channel.is_usable);
        Balances {
            lightning_msat: sums.total_lightning_balance_sats.saturating_mul(1_000),
            outbound_msat: usable().map(|channel| channel.outbound_capacity_msat).sum(),
            inbound_msat: usable().map(|channel| channel.inbound_capacity_msat).sum(),
            inbound_max_msat: in_parts(usable().map(|channel| {
                let limit = channel.inbound_htlc_maximum_msat.unwrap_or(u64::MAX);
                channel.inbound_capacity_msat.min(limit)
            })),
            onchain_sat: sums.total_onchain_balance_sats,
            onchain_spendable_sat: sums.spendable_onchain_balance_sats,
            onchain_reserve_sat: sums.total_anchor_channels_reserve_sats,
        }
    }

    fn holdings(&self) -> Result<Holdings, String> {
        self.read_holdings()
    }

    fn spent_by(&self, txid: Txid) -> Result<Option<Vec<Spent>>, String> {
        self.inputs_of(txid)
    }
}
