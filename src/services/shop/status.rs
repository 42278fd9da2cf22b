//! How far an order is.
//!
//! ```text
//! AwaitingPayment ──paid──▶ AwaitingDetails ──claimed──▶ Processing ──▶ Shipped
//!        │                       │                          │
//!        └──paid, sold out──▶ RefundDue ◀───by the seller───┘
//!                                │  ▲
//!                          asked for │ the payout failed
//!                                ▼  │
//!                            Refunding ──▶ Refunded
//! ```

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Not paid; forgotten once it can't be any more.
    AwaitingPayment,
    /// Paid: the buyer must say where it goes.
    AwaitingDetails,
    /// The seller knows where it goes.
    Processing,
    /// On its way.
    Shipped,
    /// It won't be delivered; the buyer must say where the money goes.
    RefundDue,
    /// The money is on its way back.
    Refunding,
    /// The buyer has it back.
    Refunded,
}

impl OrderStatus {
    const ALL: [Self; 7] = [
        Self::AwaitingPayment,
        Self::AwaitingDetails,
        Self::Processing,
        Self::Shipped,
        Self::RefundDue,
        Self::Refunding,
        Self::Refunded,
    ];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::AwaitingDetails => "awaiting_details",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::RefundDue => "refund_due",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }

    /// Its name in answers.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "AwaitingPayment",
            Self::AwaitingDetails => "AwaitingDetails",
            Self::Processing => "Processing",
            Self::Shipped => "Shipped",
            Self::RefundDue => "RefundDue",
            Self::Refunding => "Refunding",
            Self::Refunded => "Refunded",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

/// The text names no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the status of an order")]
pub struct UnknownStatus;

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    /// By either name, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let named = |status: &Self| {
            status.name().eq_ignore_ascii_case(text) || status.shown().eq_ignore_ascii_case(text)
        };
        Self::ALL.into_iter().find(named).ok_or(UnknownStatus)
    }
}

impl Serialize for OrderStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl ToSql for OrderStatus {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for OrderStatus {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}
