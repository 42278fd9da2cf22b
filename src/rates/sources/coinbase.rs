//! Coinbase: its exchange rates for one bitcoin, in some hundred currencies.
//!
//! ```json
//! {"data":{"currency":"BTC","rates":{"AED":"246000.19","EUR":"61723.2","USD":"66990.105"}}}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Kind, OTHER_JSON};
use crate::core::decimal::Decimal;
use crate::rates::{Currency, Prices, SourceError, When};

/// How it is asked.
pub const KIND: Kind = Kind { name: "coinbase", path: "/v2/exchange-rates?currency=BTC", read };

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    currency: Cow<'a, str>,
    #[serde(borrow)]
    rates: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

fn read(body: &[u8]) -> Result<Prices, SourceError> {
    let Answer { data } = serde_json::from_slice(body).map_err(|_| OTHER_JSON)?;
    if data.currency != "BTC" {
        return Err(SourceError::Nonsense("rates of something else than bitcoin"));
    }
    let rates = Currency::ALL.into_iter().filter_map(|currency| {
        let rate = data.rates.get(currency.code())?;
        Some((currency, Decimal::from_json(rate.get()).ok()?))
    });
    Ok(Prices { rates: rates.collect(), when: When::Now })
}
