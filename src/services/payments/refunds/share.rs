//! What a refund comes to, in sats.
//!
//! The price was rounded up to a whole sat, so a part of it is rounded down: all parts together never exceed what
//! came in. Whoever asks for all that is left gets all that is left, to the last whole sat.

use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::rates::{ConvertError, Unit, fiat_of, sats_within};
use crate::services::payments::PaymentError;
use crate::services::payments::store::Payment;

/// The sats that a refund of `amount` is, if there is so much left. `live` are the amounts of the payment's refunds
/// that have not failed.
///
/// # Errors
/// [`PaymentError::Invalid`]: too precise for the unit, less than a sat, more than is left.
pub(super) fn share(payment: &Payment, live: &[Decimal], amount: Decimal) -> Result<Msat, PaymentError> {
    let (unit, rest) = (payment.unit, whole_sats(super::room(payment)));
    let places = unit.places();
    if amount.places() > places {
        return Err(ConvertError::TooPrecise { places }.into());
    }
    let all = worth(payment)?;
    let gone = live.iter().try_fold(0_u128, |sum, one| sum.checked_add(one.in_units(places)?));
    let left = all.saturating_sub(gone.unwrap_or(u128::MAX));
    let sats = match amount.in_units(places) {
        Some(asked) if asked == left => rest,
        Some(asked) if asked < left && amount == payment.amount => payment.sats,
        Some(asked) if asked < left => part(payment, amount)?,
        _ => return Err(exceeds(unit, left)),
    };
    if sats > rest || rest == Msat::ZERO {
        return Err(exceeds(unit, left));
    }
    if sats == Msat::ZERO {
        return Err(PaymentError::invalid("AMOUNT_TOO_SMALL", "Amount is less than one sat"));
    }
    Ok(sats)
}

/// All that came in, in the smallest parts of the payment's unit.
fn worth(payment: &Payment) -> Result<u128, PaymentError> {
    let places = payment.unit.places();
    let came = whole_sats(payment.received);
    let ordered = payment.amount.in_units(places).unwrap_or(0);
    if came == payment.sats {
        return Ok(ordered);
    }
    match payment.unit {
        Unit::Btc | Unit::Sats => Ok(u128::from(came.sat_floor())),
        Unit::Fiat(currency) => {
            let rate = payment.rate.ok_or(PaymentError::Internal)?;
            let now = fiat_of(came, currency, rate)?.in_units(places).unwrap_or(0);
            // More sats than the price are worth no less than the price, which was rounded.
            Ok(if came > payment.sats { now.max(ordered) } else { now })
        }
    }
}

fn part(payment: &Payment, amount: Decimal) -> Result<Msat, PaymentError> {
    match payment.unit {
        Unit::Btc | Unit::Sats => Ok(payment.unit.to_sats(amount, None)?),
        Unit::Fiat(_) => Ok(sats_within(amount, payment.rate.ok_or(PaymentError::Internal)?)?),
    }
}

/// What an invoice can ask for: many wallets know no parts of a sat.
fn whole_sats(amount: Msat) -> Msat {
    Msat::from_sat(amount.sat_floor()).unwrap_or(Msat::ZERO)
}

fn exceeds(unit: Unit, left: u128) -> PaymentError {
    let left = Decimal::new(left, unit.places()).unwrap_or_default();
    let message = format!("Amount is more than can be refunded: {left} {unit}");
    PaymentError::invalid("REFUND_EXCEEDS_PAYMENT", message)
}
