//! mempool.space and its like: averages of several exchanges, renewed some times an hour.
//!
//! ```json
//! {"time":1703252411,"USD":43753,"EUR":40545,"GBP":37528,"CAD":58123,"CHF":37438,"AUD":64499,"JPY":6218915}
//! ```
//!
//! `time` is when the server made them, in unix seconds; a currency it has no price for is -1.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Kind, OTHER_JSON};
use crate::core::decimal::Decimal;
use crate::rates::{Currency, Prices, SourceError, When};

/// How it is asked.
pub const KIND: Kind = Kind { name: "mempool", path: "/api/v1/prices", read };

fn read(body: &[u8]) -> Result<Prices, SourceError> {
    let said: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).map_err(|_| OTHER_JSON)?;
    let time = said.get("time").and_then(|time| time.get().parse::<i64>().ok()).ok_or(OTHER_JSON)?;
    let rates = Currency::ALL.into_iter().filter_map(|currency| {
        let rate = said.get(currency.code())?;
        Some((currency, Decimal::from_json(rate.get()).ok()?))
    });
    Ok(Prices { rates: rates.collect(), when: When::At(time.saturating_mul(1_000)) })
}
