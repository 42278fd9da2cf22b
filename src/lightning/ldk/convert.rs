//! Between ldk-node's types and ours.

use ldk_node::payment::{PaymentDetails, PaymentDirection, PaymentKind, PaymentStatus};
use ldk_node::{Event, NodeError};
use lightning::ln::channelmanager::PaymentId;

use crate::core::ids::{OfferId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::lightning::{
    ChannelNews, Direction, Dispatch, NodeEvent, OfferDispatch, OfferRecord, PaymentRecord, RecordStatus,
    Refusal,
};

/// Whether a later try may succeed, because only the chain source was away. ldk-node raises these before
/// it has started anything.
pub(super) fn is_chain_trouble(error: NodeError) -> bool {
    matches!(
        error,
        NodeError::FeerateEstimationUpdateFailed
            | NodeError::FeerateEstimationUpdateTimeout
            | NodeError::ConnectionFailed
            | NodeError::TxSyncFailed
            | NodeError::TxSyncTimeout
    )
}

/// What an error of `send` proves. Everything that LDK raises after it may have built an HTLC, or because
/// it knows the hash, is ambiguous.
pub(super) fn dispatch_of(error: NodeError, expired: bool) -> Dispatch {
    match error {
        NodeError::NotRunning => Dispatch::NotSent(Refusal::NotRunning),
        NodeError::PaymentSendingFailed if expired => {
            Dispatch::NotSent(Refusal::BadInvoice("the invoice has expired".into()))
        }
        NodeError::PaymentSendingFailed => Dispatch::NotSent(Refusal::NoRoute),
        NodeError::InvalidInvoice | NodeError::InvalidAmount => {
            Dispatch::NotSent(Refusal::BadInvoice("the invoice can't be paid".into()))
        }
        NodeError::DuplicatePayment => Dispatch::Known,
        other => Dispatch::Ambiguous(other.to_string()),
    }
}

/// A payment that its hash names. One of ours to an offer has an id of its own, and a hash that its recipient chose: it
/// must not be taken for another payment of the same hash.
pub(super) fn record(details: &PaymentDetails) -> Option<PaymentRecord> {
    let to_offer = matches!(details.kind, PaymentKind::Bolt12Offer { .. } | PaymentKind::Bolt12Refund { .. });
    if to_offer && details.direction == PaymentDirection::Outbound {
        return None;
    }
    let (hash, preimage) = match &details.kind {
        PaymentKind::Bolt11 { hash, preimage, .. }
        | PaymentKind::Bolt11Jit { hash, preimage, .. }
        | PaymentKind::Spontaneous { hash, preimage } => (Some(*hash), *preimage),
        PaymentKind::Bolt12Offer { hash, preimage, .. }
        | PaymentKind::Bolt12Refund { hash, preimage, .. } => (*hash, *preimage),
        PaymentKind::Onchain { .. } => (None, None),
    };
    let offer = match &details.kind {
        PaymentKind::Bolt12Offer { offer_id, .. } => Some(OfferId(offer_id.0)),
        _ => None,
    };
    Some(PaymentRecord {
        hash: PaymentHash(hash?.0),
        offer,
        direction: match details.direction {
            PaymentDirection::Inbound => Direction::Inbound,
            PaymentDirection::Outbound => Direction::Outbound,
        },
        status: status(details.status),
        amount: details.amount_msat.and_then(Msat::new),
        fee: details.fee_paid_msat.and_then(Msat::new),
        preimage: preimage.map(|preimage| Preimage(preimage.0)),
        updated_at: details.latest_update_timestamp,
    })
}

/// One of our payments to an offer.
pub(super) fn offer_record(details: &PaymentDetails) -> Option<OfferRecord> {
    if details.direction != PaymentDirection::Outbound {
        return None;
    }
    let PaymentKind::Bolt12Offer { hash, preimage, payer_note, .. } = &details.kind else { return None };
    Some(OfferRecord {
        payment_id: details.id.0,
        note: payer_note.as_ref().map(|note| note.0.clone()),
        hash: hash.map(|hash| PaymentHash(hash.0)),
        status: status(details.status),
        fee: details.fee_paid_msat.and_then(Msat::new),
        preimage: preimage.map(|preimage| Preimage(preimage.0)),
    })
}

/// Whether it is one of our payments to an offer with this note.
pub(super) fn has_note(details: &PaymentDetails, wanted: &str) -> bool {
    let PaymentKind::Bolt12Offer { payer_note: Some(note), .. } = &details.kind else { return false };
    details.direction == PaymentDirection::Outbound && note.0 == wanted
}

const fn status(status: PaymentStatus) -> RecordStatus {
    match status {
        PaymentStatus::Pending => RecordStatus::Pending,
        PaymentStatus::Succeeded => RecordStatus::Succeeded,
        PaymentStatus::Failed => RecordStatus::Failed,
    }
}

/// What an error of `send` to an offer proves. ldk-node makes the id of the payment itself and gives it back only if
/// all went well.
pub(super) fn offer_dispatch_of(error: NodeError) -> OfferDispatch {
    let not_sent = |why: &str, retry| OfferDispatch::NotSent { why: why.into(), retry };
    match error {
        NodeError::NotRunning => not_sent("the node is not running", true),
        NodeError::InvoiceRequestCreationFailed | NodeError::PaymentSendingFailed => {
            not_sent("no way to ask the offer's maker for an invoice", true)
        }
        NodeError::InvalidOffer | NodeError::InvalidAmount | NodeError::UnsupportedCurrency => {
            not_sent("the offer can't be paid", false)
        }
        other => OfferDispatch::Ambiguous(other.to_string()),
    }
}

pub(super) fn event(event: Event) -> NodeEvent {
    match event {
        Event::PaymentSuccessful { payment_id, payment_hash, payment_preimage, fee_paid_msat, .. } => {
            NodeEvent::Sent {
                hash: PaymentHash(payment_hash.0),
                payment_id: payment_id.map_or(payment_hash.0, |PaymentId(id)| id),
                preimage: payment_preimage.map(|preimage| Preimage(preimage.0)),
                fee: fee_paid_msat.and_then(Msat::new).unwrap_or(Msat::ZERO),
            }
        }
        Event::PaymentFailed { payment_id, payment_hash, reason } => NodeEvent::Failed {
            hash: payment_hash.map(|hash| PaymentHash(hash.0)),
            payment_id: payment_id
                .map(|PaymentId(id)| id)
                .or(payment_hash.map(|hash| hash.0))
                .unwrap_or([0; 32]),
            reason: failure(reason),
        },
        Event::PaymentReceived { payment_hash, amount_msat, .. } => NodeEvent::Received {
            hash: PaymentHash(payment_hash.0),
            offer: None,
            amount: Msat::new(amount_msat).unwrap_or(Msat::ZERO),
        },
        Event::PaymentClaimable { payment_hash, claimable_amount_msat, claim_deadline, .. } => {
            NodeEvent::Claimable {
                hash: PaymentHash(payment_hash.0),
                amount: Msat::new(claimable_amount_msat).unwrap_or(Msat::ZERO),
                deadline: claim_deadline,
            }
        }
        Event::ChannelPending { channel_id, .. } => {
            NodeEvent::Channel(ChannelNews::Pending { channel: channel_id.to_string() })
        }
        Event::ChannelReady { channel_id, .. } => {
            NodeEvent::Channel(ChannelNews::Ready { channel: channel_id.to_string() })
        }
        Event::ChannelClosed { channel_id, reason, .. } => NodeEvent::Channel(ChannelNews::Closed {
            channel: channel_id.to_string(),
            reason: reason.map_or_else(|| "unknown".into(), |reason| reason.to_string()),
        }),
        Event::PaymentForwarded { prev_channel_id, next_channel_id, total_fee_earned_msat, .. } => {
            NodeEvent::Forwarded {
                from: prev_channel_id.to_string(),
                to: next_channel_id.to_string(),
                fee: total_fee_earned_msat.and_then(Msat::new).unwrap_or(Msat::ZERO),
            }
        }
        Event::SplicePending { .. } => NodeEvent::Other("splice pending".into()),
        Event::SpliceFailed { .. } => NodeEvent::Other("splice failed".into()),
    }
}

/// LDK's reason in words that help the one who waits for the money.
fn failure(reason: Option<lightning::events::PaymentFailureReason>) -> String {
    use lightning::events::PaymentFailureReason as Reason;
    match reason {
        Some(Reason::RecipientRejected) => "the recipient's node refused it",
        Some(Reason::RetriesExhausted) => {
            "every route that was tried failed: somebody on the way, or the recipient, could not take it"
        }
        Some(Reason::PaymentExpired) => "the invoice expired on the way",
        Some(Reason::RouteNotFound) => {
            "no further route to the recipient within the limits of routing fee and lock time"
        }
        Some(Reason::UserAbandoned) => "it was cancelled",
        Some(_) | None => "it failed on the way",
    }
    .into()
}
