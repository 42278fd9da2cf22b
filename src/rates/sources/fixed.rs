//! Rates that the operator set.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::core::decimal::Decimal;
use crate::rates::{Currency, Prices, RateSource, SourceError, When};

/// Says the same for ever.
#[derive(Clone, Debug)]
pub struct Fixed {
    rates: Vec<(Currency, Decimal)>,
}

impl Fixed {
    /// A source of these rates.
    pub fn new(rates: &[(Currency, Decimal)]) -> Self {
        Self { rates: rates.to_vec() }
    }

    /// What it says.
    pub fn prices(&self) -> Prices {
        Prices { rates: self.rates.clone(), when: When::Always }
    }
}

impl RateSource for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Prices, SourceError>> {
        ready(Ok(self.prices())).boxed()
    }
}
