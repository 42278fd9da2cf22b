//! Sources as they are and as they go wrong, told by a server on this machine that speaks their real JSON.

mod convert;
mod life;
mod server;
mod sources;

use crate::core::decimal::Decimal;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}
