//! Every error of the family, its code and its HTTP status, in one table.
//!
//! Codes are the contract's, and few are ours; programs written for the original service compare them letter by letter.

use crate::http::common_error::{CapacityRefusal, CommonError, IntoCommonError};
use crate::lightning::bolt12::BadOffer;
use crate::lightning::invoice::BadInvoice;
use crate::outbound::guard::BadUrl;
use crate::outbound::lnurl::pay::NotPayable;
use crate::outbound::lnurl::payee::Unpayable;
use crate::vouchers::Refused;

/// Why a request was not done. Nothing has changed, except the count of wrong codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum GiftError {
    /// The body is not a JSON object.
    BodyNotJson,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// `amount` is missing, not a number, or not whole.
    AmountNotWhole,
    /// Below the smallest gift.
    AmountTooSmall,
    /// Above the largest gift.
    AmountTooLarge,
    /// `senderName` is no text.
    NameNotText,
    /// `senderName` is too long.
    NameTooLong,
    /// `senderMessage` is no text.
    MessageNotText,
    /// `senderMessage` is too long.
    MessageTooLong,
    /// `verifyCode` is neither a number nor made of digits.
    CodeNotNumber,
    /// `verifyCode` has not exactly four digits.
    CodeBadLength,
    /// `notify` is not a URL we would call.
    NotifyBadUrl,
    /// `notify` is a URL that we may not call.
    NotifyRefused(BadUrl),
    /// `notifySecret` is no text, or too long.
    NotifySecretBad,
    /// `expiresAt` is no time in the future, or too far away.
    ExpiresAtBad,
    /// `refundAddress` is not one we can pay to.
    RefundAddressBad,
    /// `refundAddress` is one that nothing could ever be paid to.
    RefundAddressUnpayable(NotPayable),
    /// `quantity` is no whole number in range, or the whole order is no amount that could exist.
    QuantityBad,
    /// `Idempotency-Key` can't be used.
    IdempotencyKeyBad,
    /// `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// No such gift; or, for the sender's routes, not with this key.
    NotFound,
    /// No such charge.
    NoCharge,
    /// No such withdrawal.
    NoWithdrawal,
    /// Not an invoice we can pay.
    BadInvoice(BadInvoice),
    /// Not an offer we can pay.
    BadOffer(BadOffer),
    /// Something to pay to that gifts are not paid to.
    TargetNotTaken(NotPayable),
    /// A lightning address or name that can't be asked or says nothing, or what was meant as one.
    AddressBad(NotPayable),
    /// A lightning address that gives no invoice for the gift; why, in words.
    AddressRefuses(String),
    /// An invoice for another amount.
    BadInvoiceAmount,
    /// A payout to another invoice is under way.
    Pending,
    /// Redeemed, or returned to its sender.
    Spent,
    /// Its invoice isn't paid.
    Unpaid,
    /// Its time is over.
    Expired,
    /// The code is missing or wrong.
    BadCode,
    /// Too many wrong codes.
    CodeLocked {
        /// Seconds until it may be tried again.
        retry_after: u64,
    },
    /// The `k1` of an LNURL callback is not the one we gave.
    BadK1,
    /// Too many requests of this client, or new invoices of all clients.
    TooMany {
        /// Seconds until the next may come; 0 if the limiter says it in its own headers.
        retry_after: u64,
    },
    /// The node can't take this call now.
    NodeUnavailable,
    /// The channels can't carry it.
    NoCapacity(CapacityRefusal),
    /// A bug, or the machine is broken; the log has it.
    Internal,
}

impl GiftError {
    /// HTTP status and code.
    const fn row(&self) -> (u16, &'static str) {
        match self {
            Self::BodyNotJson => (400, "BODY_NOT_JSON"),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE"),
            Self::AmountNotWhole => (400, "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
            Self::AmountTooSmall => (400, "GIFT_AMOUNT_UNDER_100"),
            Self::AmountTooLarge => (400, "GIFT_AMOUNT_OVER_500K"),
            Self::NameNotText => (400, "SENDER_NAME_NOT_STRING"),
            Self::NameTooLong => (400, "SENDER_NAME_BAD_LENGTH"),
            Self::MessageNotText => (400, "SENDER_MESSAGE_NOT_STRING"),
            Self::MessageTooLong => (400, "SENDER_MESSAGE_BAD_LENGTH"),
            Self::CodeNotNumber => (400, "VERIFY_CODE_NOT_NUMBER"),
            Self::CodeBadLength => (400, "VERIFY_CODE_BAD_LENGTH"),
            Self::NotifyBadUrl | Self::NotifyRefused(_) => (400, "NOTIFY_BAD_URL"),
            Self::NotifySecretBad => (400, "NOTIFY_SECRET_BAD"),
            Self::ExpiresAtBad => (400, "EXPIRES_AT_BAD"),
            Self::RefundAddressBad | Self::RefundAddressUnpayable(_) => (400, "REFUND_ADDRESS_BAD"),
            Self::QuantityBad => (400, "QUANTITY_BAD"),
            Self::IdempotencyKeyBad => (400, "IDEMPOTENCY_KEY_BAD"),
            Self::IdempotencyKeyReused => (422, "IDEMPOTENCY_KEY_REUSED"),
            Self::NotFound => (404, "GIFT_NOT_FOUND"),
            Self::NoCharge => (404, "NO_CHARGE_ID"),
            Self::NoWithdrawal => (404, "WITHDRAWAL_FAILED"),
            Self::BadOffer(BadOffer::Amount { .. }) => (400, "BAD_INVOICE_AMOUNT"),
            Self::BadInvoice(_) | Self::BadOffer(_) | Self::TargetNotTaken(_) => (400, "BAD_INVOICE"),
            Self::AddressBad(_) => (400, "ADDRESS_INVALID"),
            Self::AddressRefuses(_) => (422, "ADDRESS_REFUSES"),
            Self::BadInvoiceAmount => (400, "BAD_INVOICE_AMOUNT"),
            Self::Pending => (400, "GIFT_REDEEM_PENDING"),
            Self::Spent => (400, "GIFT_SPENT"),
            Self::Unpaid => (400, "GIFT_INVOICE_UNPAID"),
            Self::Expired => (400, "GIFT_EXPIRED"),
            Self::BadCode => (400, "BAD_VERIFY_CODE"),
            Self::CodeLocked { .. } => (429, "VERIFY_CODE_LOCKED"),
            Self::BadK1 => (400, "BAD_K1"),
            Self::TooMany { .. } => (429, "TOO_MANY_REQUESTS"),
            Self::NodeUnavailable => (503, "NODE_UNAVAILABLE"),
            Self::NoCapacity(refusal) => (503, refusal.code()),
            Self::Internal => (500, "INTERNAL_ERROR"),
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.row().0
    }

    /// What programs compare.
    pub const fn code(&self) -> &'static str {
        self.row().1
    }

    /// The most that would have been taken, in sat, where a limit of the channels is the reason.
    pub const fn max_sat(&self) -> Option<u64> {
        match self {
            // The contract fixes the body of NO_INBOUND_CAPACITY exactly, so it gets no maxSat.
            Self::NoCapacity(refusal) if !refusal.inbound => refusal.max_sat,
            _ => None,
        }
    }

    /// Why, in words, where the code leaves it open.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::NotifyRefused(why) => Some(why.to_string()),
            Self::RefundAddressUnpayable(why) | Self::TargetNotTaken(why) | Self::AddressBad(why) => {
                Some(why.to_string())
            }
            // What can't be read at all may be anything.
            Self::BadInvoice(BadInvoice::Unreadable) => None,
            Self::BadInvoice(why) => Some(why.to_string()),
            Self::BadOffer(why) => Some(why.to_string()),
            Self::AddressRefuses(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// Seconds to wait before trying again, where we know.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::CodeLocked { retry_after } | Self::TooMany { retry_after } if *retry_after > 0 => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}

impl<E: IntoCommonError> From<E> for GiftError {
    fn from(cause: E) -> Self {
        match cause.trouble("gifts") {
            CommonError::BodyTooLarge => Self::BodyTooLarge,
            CommonError::BadBody(_) => Self::BodyNotJson,
            CommonError::BadIdempotencyKey(_) => Self::IdempotencyKeyBad,
            CommonError::IdempotencyKeyReused => Self::IdempotencyKeyReused,
            CommonError::Unavailable => Self::NodeUnavailable,
            CommonError::NoCapacity(refusal) => Self::NoCapacity(refusal),
            // No route of the family asks for a key.
            CommonError::MissingKey
            | CommonError::InvalidKey
            | CommonError::Lacks(_)
            | CommonError::Internal => Self::Internal,
        }
    }
}

impl From<BadInvoice> for GiftError {
    fn from(why: BadInvoice) -> Self {
        Self::BadInvoice(why)
    }
}

impl From<BadOffer> for GiftError {
    fn from(why: BadOffer) -> Self {
        Self::BadOffer(why)
    }
}

impl From<Unpayable> for GiftError {
    fn from(why: Unpayable) -> Self {
        match why {
            Unpayable::Invoice(why) => Self::BadInvoice(why),
            Unpayable::Offer(why) => Self::BadOffer(why),
            Unpayable::NotTaken(why) => Self::TargetNotTaken(why),
            Unpayable::Address(why) => Self::AddressBad(why),
            Unpayable::Refuses(why) => Self::AddressRefuses(why),
        }
    }
}

impl From<Refused> for GiftError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unfunded => Self::Unpaid,
            Refused::Pending => Self::Pending,
            Refused::Spent => Self::Spent,
            Refused::Expired => Self::Expired,
            Refused::WrongAmount => Self::BadInvoiceAmount,
            // One payment hash is paid at most once, for ever: what was used needs a fresh invoice.
            Refused::InvoiceUsed => Self::BadInvoice(BadInvoice::Used),
            Refused::OwnOffer => Self::BadOffer(BadOffer::Own),
        }
    }
}
