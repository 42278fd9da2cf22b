//! Where a payment or a refund stands.

use crate::core::names::named;

named!(
    /// Where a payment stands.
    PaymentStatus {
        /// Nobody has paid, and there is time.
        Unpaid = "unpaid",
        /// The customer's payment has come and is being claimed.
        Processing = "processing",
        /// The sats are here. Late ones too.
        Paid = "paid",
        /// Nobody paid in time.
        Expired = "expired",
        /// All that was received has gone back.
        Refunded = "refunded",
    }
);

named!(
    /// Where a refund stands.
    RefundStatus {
        /// On its way.
        Pending = "pending",
        /// Arrived.
        Completed = "completed",
        /// Nothing was sent; the sats can be refunded again.
        Failed = "failed",
    }
);
