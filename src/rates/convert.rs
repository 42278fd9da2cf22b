//! From an amount of money to sats and back, in integers.

use crate::core::currency::{Currency, RATE_PLACES, rate_units};
use crate::core::decimal::{Decimal, ten_to};
use crate::core::money::Msat;

/// One bitcoin is `10^8` sat.
const SAT_PLACES: u32 = 8;

/// One bitcoin is `10^11` msat.
const MSAT_PLACES: u32 = 11;

/// Digits behind the point of what one unit of a currency is worth in bitcoin.
const INVERSE_PLACES: u32 = 12;

/// Why an amount can't be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// More than there will ever be.
    #[error("the amount is larger than the supply of bitcoin")]
    TooLarge,
    /// More digits behind the point than the unit has.
    #[error("the amount may have at most {places} digits behind the point")]
    TooPrecise {
        /// How many it has.
        places: u32,
    },
    /// A rate is needed, and none is given, or one of another currency, or an absurd one.
    #[error("the amount can't be converted without a rate of its currency")]
    NoRate,
}

/// The least whole number of sats that is worth at least `amount`, where one bitcoin costs `rate`: never less than
/// the price, and never a whole sat more.
///
/// # Errors
/// [`ConvertError::TooLarge`]; [`ConvertError::NoRate`] for an absurd rate.
pub fn sats(amount: Decimal, rate: Decimal) -> Result<Msat, ConvertError> {
    let (worth, unit) = ratio(amount, rate)?;
    from_sat(worth.div_ceil(unit))
}

/// The largest whole number of sats that is worth at most `amount`: what may go back of a price that was rounded up.
///
/// # Errors
/// As [`sats`].
pub fn sats_within(amount: Decimal, rate: Decimal) -> Result<Msat, ConvertError> {
    let (worth, unit) = ratio(amount, rate)?;
    from_sat(worth.checked_div(unit).ok_or(ConvertError::NoRate)?)
}

/// `amount / rate · 10^8`, as a ratio of whole numbers.
fn ratio(amount: Decimal, rate: Decimal) -> Result<(u128, u128), ConvertError> {
    let rate = rate_units(rate).ok_or(ConvertError::NoRate)?;
    let (up, down) = (SAT_PLACES + RATE_PLACES, amount.places());
    Ok(match up.checked_sub(down) {
        Some(power) => (product(amount.digits(), power)?, rate),
        None => (amount.digits(), product(rate, down.saturating_sub(up))?),
    })
}

/// What `amount` is worth where one bitcoin costs `rate`, rounded down to what the currency can show.
///
/// # Errors
/// [`ConvertError::NoRate`] for an absurd rate.
pub fn fiat_of(amount: Msat, currency: Currency, rate: Decimal) -> Result<Decimal, ConvertError> {
    let rate = rate_units(rate).ok_or(ConvertError::NoRate)?;
    // Below 2.1·10^18 by 10^20: fits.
    let worth = rate.checked_mul(u128::from(amount.get())).ok_or(ConvertError::TooLarge)?;
    let places = currency.places();
    let unit = ten_to((MSAT_PLACES + RATE_PLACES).saturating_sub(places)).ok_or(ConvertError::TooLarge)?;
    Decimal::new(worth / unit, places).ok_or(ConvertError::TooLarge)
}

/// Bitcoin for one unit of the currency, rounded down; `None` for an absurd rate.
pub(super) fn inverse(rate: Decimal) -> Option<Decimal> {
    let units = ten_to(INVERSE_PLACES + RATE_PLACES)?.checked_div(rate_units(rate)?)?;
    Decimal::new(units, INVERSE_PLACES)
}

/// An amount that has a fixed worth: `amount` units, of which one is `10^places` sat.
pub(super) fn direct(amount: Decimal, places: u32) -> Result<Msat, ConvertError> {
    let sat = amount.in_units(places).ok_or(if amount.places() > places {
        ConvertError::TooPrecise { places }
    } else {
        ConvertError::TooLarge
    })?;
    from_sat(sat)
}

fn from_sat(sat: u128) -> Result<Msat, ConvertError> {
    u64::try_from(sat).ok().and_then(Msat::from_sat).ok_or(ConvertError::TooLarge)
}

fn product(number: u128, power: u32) -> Result<u128, ConvertError> {
    // What doesn't fit is above 3·10^38, and divided by the highest rate still more than all bitcoin.
    ten_to(power).and_then(|factor| number.checked_mul(factor)).ok_or(ConvertError::TooLarge)
}
