//! Kraken: the last trades of its markets.
//!
//! ```json
//! {"error":[],"result":{"XXBTZUSD":{"a":["66990.10000","1","1.000"],"c":["66990.00000","0.00149"]}}}
//! ```
//!
//! It calls bitcoin XBT, and its answers name most markets in another way than we asked for them: `XXBTZUSD`, but
//! `XBTCHF`. `c` is the last trade: price, size.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Kind, OTHER_JSON};
use crate::core::decimal::Decimal;
use crate::rates::{Currency, Prices, SourceError, When};

/// How it is asked. One market that it doesn't have would spoil the whole answer, so these three.
pub const KIND: Kind = Kind { name: "kraken", path: "/0/public/Ticker?pair=XBTUSD,XBTEUR,XBTGBP", read };

/// As much of its own words as the log gets.
const WORDS: usize = 100;

#[derive(Deserialize)]
struct Answer<'a> {
    error: Vec<String>,
    #[serde(borrow, default)]
    result: BTreeMap<Cow<'a, str>, Market<'a>>,
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(borrow)]
    c: Vec<&'a RawValue>,
}

fn read(body: &[u8]) -> Result<Prices, SourceError> {
    let Answer { error, result } = serde_json::from_slice(body).map_err(|_| OTHER_JSON)?;
    // What begins with a W is a warning.
    if let Some(words) = error.iter().find(|words| !words.starts_with('W')) {
        return Err(SourceError::Refused(words.chars().take(WORDS).collect()));
    }
    let rates = result.into_iter().filter_map(|(market, said)| {
        let code = market.strip_prefix("XXBTZ").or(market.strip_prefix("XBT"))?;
        let rate = Decimal::from_json(said.c.first()?.get()).ok()?;
        Some((code.parse::<Currency>().ok()?, rate))
    });
    Ok(Prices { rates: rates.collect(), when: When::Now })
}
