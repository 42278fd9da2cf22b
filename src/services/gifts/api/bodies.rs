//! Bodies of requests, and the refusals that many routes share, as the document describes them. Handlers read bodies by
//! hand, because the contract says which mistake is told first.
#![expect(dead_code, reason = "these types are schemas alone")]

use utoipa::{IntoResponses, ToSchema};

use super::lnurl::Outcome;
use crate::services::gifts::lnurl::{PayInvoice, PayRequest, WithdrawRequest};
use crate::services::gifts::view::ErrorView;

/// What a gift is made from.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct CreateBody {
    /// Satoshis in the gift.
    #[schema(minimum = 100, maximum = 500_000, example = 5000)]
    amount: u64,
    /// Told when the gift was redeemed: `{id, orderId, amount, spent: true}`, signed.
    #[schema(example = "https://shop.example/hook")]
    notify: Option<String>,
    #[schema(max_length = 15)]
    sender_name: Option<String>,
    #[schema(max_length = 100)]
    sender_message: Option<String>,
    /// Four digits, as a number or a text: `1234`, `"0042"`.
    #[schema(value_type = Option<String>, example = "0042")]
    verify_code: Option<String>,
    /// Unix seconds. After it the gift can't be redeemed and goes back.
    expires_at: Option<i64>,
    /// Where it goes back to: a lightning address.
    refund_address: Option<String>,
    /// How many gifts, each of this amount, one invoice pays for.
    #[schema(minimum = 1, maximum = 500)]
    quantity: Option<u32>,
    /// Signs what `notify` is told; without it one is made, and the answer tells it.
    #[schema(max_length = 128)]
    notify_secret: Option<String>,
}

/// What a gift is paid to.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct RedeemBody {
    /// BOLT11, for exactly the gift's amount; a BOLT12 offer for that or any amount; or a lightning address, a BIP353 name
    /// or an LNURL-pay, which is asked for one of these.
    invoice: String,
    /// The gift's code, if it has one.
    #[schema(value_type = Option<String>)]
    verify_code: Option<String>,
}

/// What a gift is paid back to.
#[derive(ToSchema)]
pub(super) struct RefundBody {
    /// The gift's manage key.
    key: String,
    /// BOLT11, for exactly the gift's amount; a BOLT12 offer for that or any amount; or a lightning address, a BIP353 name
    /// or an LNURL-pay, which is asked for one of these.
    invoice: String,
}

/// How a read can fail besides its own refusals.
#[derive(IntoResponses)]
pub(super) enum ReadFailure {
    /// Too many requests, or too many wrong codes
    #[response(status = 429)]
    TooMany(ErrorView),
    /// A bug, or the machine is broken
    #[response(status = 500)]
    Broken(ErrorView),
    /// The database or the node can't take this now
    #[response(status = 503)]
    Unavailable(ErrorView),
}

/// How a write can fail besides its own refusals.
#[derive(IntoResponses)]
pub(super) enum WriteFailure {
    /// The body is too large
    #[response(status = 413)]
    TooLarge(ErrorView),
    /// The Idempotency-Key was used for another request, or the lightning address gives no invoice
    #[response(status = 422)]
    KeyReused(ErrorView),
    /// Too many requests, or too many wrong codes
    #[response(status = 429)]
    TooMany(ErrorView),
    /// A bug, or the machine is broken
    #[response(status = 500)]
    Broken(ErrorView),
    /// The database or the node can't take this now
    #[response(status = 503)]
    Unavailable(ErrorView),
}

/// What a wallet hears on LNURL-withdraw. Errors, too many requests among them, are an outcome with HTTP status 200.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum WithdrawAnswer {
    /// First leg
    Offer(WithdrawRequest),
    /// Second leg, and errors of both
    Outcome(Outcome),
}

/// What a wallet hears on LNURL-pay. Errors, too many requests among them, are an outcome with HTTP status 200.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum PayAnswer {
    /// First leg
    Offer(PayRequest),
    /// Second leg
    Invoice(PayInvoice),
    /// Errors of both
    Outcome(Outcome),
}
