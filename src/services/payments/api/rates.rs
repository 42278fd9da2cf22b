//! What a bitcoin costs, for everybody.

use axum::extract::State;
use axum::response::Response;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::answer;
use crate::core::decimal::Decimal;
use crate::core::time::iso::IsoSeconds;
use crate::http::extract::Id;
use crate::http::problem::Problem;
use crate::rates::Currency;
use crate::services::payments::error::PaymentError;
use crate::services::payments::{Payments, json};

/// What a bitcoin costs.
#[derive(Serialize, ToSchema)]
pub(super) struct RatesView {
    #[serde(rename = "BTC")]
    #[serde(serialize_with = "in_order")]
    #[schema(value_type = std::collections::BTreeMap<String, f64>)]
    btc: Vec<(&'static str, Decimal)>,
    /// How old the oldest of them is.
    #[schema(value_type = String, format = DateTime)]
    timestamp: IsoSeconds,
    /// Whose words they are.
    source: String,
}

/// An object whose members stand in the order they are listed in.
fn in_order<S: Serializer>(rates: &[(&'static str, Decimal)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rates.iter().map(|(code, rate)| (code, rate)))
}

/// What a bitcoin costs in one currency.
#[derive(Serialize, ToSchema)]
pub(super) struct RateView {
    currency: &'static str,
    /// Of the currency for one bitcoin.
    #[schema(value_type = f64)]
    rate: Decimal,
    /// Bitcoin for one of the currency.
    #[schema(value_type = f64)]
    inverse: Decimal,
    #[schema(value_type = String, format = DateTime)]
    timestamp: IsoSeconds,
}

/// What a bitcoin costs, in every currency that has a fresh rate.
#[utoipa::path(
    get, path = "/api/rates", tag = "payments",
    responses(
        (status = 200, description = "The rates", body = RatesView),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn all(State(payments): State<Payments>) -> Result<Response, PaymentError> {
    let quotes = payments.rates().all();
    let oldest = quotes.iter().map(|quote| quote.at).min().ok_or(PaymentError::RateUnavailable)?;
    let mut sources: Vec<_> = quotes.iter().flat_map(|quote| quote.sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    let view = RatesView {
        btc: quotes.iter().map(|quote| (quote.currency.code(), quote.rate)).collect(),
        timestamp: IsoSeconds(oldest),
        source: sources.join(", "),
    };
    Ok(answer(json(&view)?))
}

/// What a bitcoin costs in one currency.
#[utoipa::path(
    get, path = "/api/rates/{currency}", tag = "payments",
    params(("currency" = String, Path, description = "Its code, in any case")),
    responses(
        (status = 200, description = "The rate", body = RateView),
        (status = 400, description = "There is no such currency", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(State(payments): State<Payments>, Id(code): Id) -> Result<Response, PaymentError> {
    let unknown = |_| {
        let all: Vec<_> = Currency::ALL.iter().map(|currency| currency.code()).collect();
        PaymentError::invalid("INVALID_CURRENCY", format!("Currency must be one of {}", all.join(", ")))
    };
    let currency: Currency = code.parse().map_err(unknown)?;
    let quote = payments.rates().quote(currency)?;
    let view = RateView {
        currency: currency.code(),
        rate: quote.rate,
        inverse: quote.inverse(),
        timestamp: IsoSeconds(quote.at),
    };
    Ok(answer(json(&view)?))
}
