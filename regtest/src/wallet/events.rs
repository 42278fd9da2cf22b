//! The one consumer of a node's events, and those who wait for a payment's end.
//!
//! ldk-node hands out the same event until it is told that it was handled, and wakes one waiter only, so there must
//! never be a second consumer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ldk_node::config::{ChannelConfig, MaxDustHTLCExposure};
use ldk_node::{Event, Node};
use tokio::sync::{broadcast, oneshot};

use super::holds::{HoldState, Holds};
use crate::{ports, runtime};

/// How an outgoing payment ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Paid { preimage: Option<String>, fee_msat: u64 },
    Failed { reason: String },
}

/// Receipts that a listener may be behind before it misses some.
const RECEIPTS_KEPT: usize = 8_192;

/// Ends of outgoing payments, by payment hash; and news of what came in.
pub(super) struct Outcomes {
    inner: Mutex<Inner>,
    received: broadcast::Sender<String>,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self { inner: Mutex::default(), received: broadcast::channel(RECEIPTS_KEPT).0 }
    }
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<[u8; 32], Vec<oneshot::Sender<Outcome>>>,
    ended: HashMap<[u8; 32], Outcome>,
}

impl Outcomes {
    /// To be called before the payment is sent, so that its end can't be missed. An earlier failure is forgotten.
    pub(super) fn expect(&self, hash: [u8; 32]) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if matches!(inner.ended.get(&hash), Some(Outcome::Failed { .. })) {
            inner.ended.remove(&hash);
        }
        inner.waiting.entry(hash).or_default().push(sender);
        receiver
    }

    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Outcome> {
        self.lock().ended.get(hash).cloned()
    }

    fn end(&self, hash: [u8; 32], outcome: &Outcome) {
        let mut inner = self.lock();
        for waiter in inner.waiting.remove(&hash).unwrap_or_default() {
            // A waiter that gave up is no harm.
            let _ = waiter.send(outcome.clone());
        }
        // A success is final, whatever is reported later.
        if !matches!(inner.ended.get(&hash), Some(Outcome::Paid { .. })) {
            inner.ended.insert(hash, outcome.clone());
        }
    }

    /// Payment hashes in hex of what comes in from now on.
    pub(super) fn received(&self) -> broadcast::Receiver<String> {
        self.received.subscribe()
    }

    /// Lets all who wait go with an error: the node stops.
    pub(super) fn abandon(&self) {
        self.lock().waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of every channel of a wallet: the default limit of dust would let only a few small payments pass at once.
pub(super) fn channel_config() -> ChannelConfig {
    ChannelConfig {
        max_dust_htlc_exposure: MaxDustHTLCExposure::FixedLimit { limit_msat: 5_000_000_000 },
        ..ChannelConfig::default()
    }
}

/// Handles events until the task is aborted.
pub(super) async fn consume(node: Arc<Node>, outcomes: Arc<Outcomes>, holds: Arc<Holds>) {
    loop {
        let event = node.next_event_async().await;
        let (done, apply_outcomes, apply_holds) =
            (Arc::clone(&node), Arc::clone(&outcomes), Arc::clone(&holds));
        let handled = runtime::blocking(move || {
            apply(&done, event, &apply_outcomes, &apply_holds);
            done.event_handled()
        })
        .await;
        match handled {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a wallet couldn't mark an event as handled"),
            Err(error) => tracing::error!(%error, "a wallet's event handler ended early"),
        }
    }
}

fn apply(node: &Node, event: Event, outcomes: &Outcomes, holds: &Holds) {
    match event {
        Event::PaymentSuccessful { payment_hash, payment_preimage, fee_paid_msat, .. } => outcomes.end(
            payment_hash.0,
            &Outcome::Paid {
                preimage: payment_preimage.map(|preimage| ports::hex(&preimage.0)),
                fee_msat: fee_paid_msat.unwrap_or(0),
            },
        ),
        Event::PaymentFailed { payment_hash: Some(hash), reason, .. } => {
            let reason = reason.map_or_else(|| "unknown reason".to_owned(), |reason| format!("{reason:?}"));
            outcomes.end(hash.0, &Outcome::Failed { reason });
        }
        Event::PaymentReceived { payment_hash, .. } => {
            // Nobody may be listening.
            let _ = outcomes.received.send(ports::hex(&payment_hash.0));
        }
        Event::PaymentClaimable { payment_hash, claimable_amount_msat, .. } => {
            let hash = ports::hex(&payment_hash.0);
            let state = HoldState::Held { amount_msat: claimable_amount_msat };
            if let Err(error) = holds.set_state(&hash, state) {
                tracing::error!(%error, "a wallet couldn't write down a held payment");
            }
        }
        Event::ChannelPending { user_channel_id, counterparty_node_id, .. } => {
            if let Err(error) =
                node.update_channel_config(&user_channel_id, counterparty_node_id, channel_config())
            {
                tracing::warn!(%error, "a wallet couldn't lift the dust limit of a channel");
            }
        }
        Event::ChannelClosed { channel_id, reason, .. } => {
            let reason = reason.map_or_else(|| "unknown reason".to_owned(), |reason| reason.to_string());
            tracing::warn!(channel = %channel_id, reason, "a wallet's channel was closed");
        }
        _ => {}
    }
}
