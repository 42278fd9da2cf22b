//! Bodies of requests as the document describes them. Handlers read them by hand, because the contract says which
//! mistake is told first.
#![expect(dead_code, reason = "these types are schemas alone")]

use utoipa::ToSchema;

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
    /// Signs what `notify` is told.
    #[schema(max_length = 128)]
    notify_secret: Option<String>,
}

/// What a gift is paid to.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct RedeemBody {
    /// BOLT11, for exactly the gift's amount.
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
    /// BOLT11, for exactly the gift's amount.
    invoice: String,
}
