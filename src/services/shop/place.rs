//! What a place costs: shipping and tax by country and state.
//!
//! Where a store has rates for states of a country, the country alone is not a place to price: a buyer who names no
//! state, or one that does not exist, would choose the cheapest rate. So a known state must be named there, at the
//! checkout and in the address of the claim. A store that wants to sell without it sets a rate for the rest of the
//! country (`US-*`), which is charged for every state without a rate of its own and where no known state is named.
//!
//! Clients that send no location are priced for the store's own place. If that has no state where one is needed, the
//! highest rates of the country are charged, so that the order may go to any state.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::location::Location;
use super::store::stores::{self, ShopStore, Table};
use super::{ShopError, states};
use crate::storage::StoreError;

/// The state of a rate for a whole country.
const WHOLE: &str = "";

/// The state of a rate for the rest of a country, and for buyers who name no known state.
pub(super) const REST: &str = "*";

/// What of an order's price depends on the place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goods {
    /// Something of it is sent.
    pub(super) ships: bool,
    /// Something of it is taxed.
    pub(super) taxed: bool,
}

/// What an order costs in a place besides its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Costs {
    /// In the store's unit; `None` if nothing is sent there.
    pub(super) shipping: Option<u64>,
    /// In parts per million.
    pub(super) tax_ppm: u64,
}

/// What holds where a known state is needed and none is named.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unnamed {
    /// The order is refused; how to name a state, with `{country}` in it.
    Refused(&'static str),
    /// The highest rates of the country.
    Highest,
}

/// One table's rates for a country.
struct Rates {
    by_state: Vec<(String, u64)>,
    elsewhere: Option<u64>,
}

impl Rates {
    fn read(
        connection: &Connection,
        table: Table,
        store: &ShopStore,
        at: &Location,
    ) -> Result<Self, StoreError> {
        let (mut by_state, mut elsewhere) = (Vec::new(), None);
        for (country, state, value) in stores::values(connection, table, store.id)? {
            if country == at.country {
                by_state.push((state, value));
            } else if country == "*" {
                elsewhere = Some(value);
            }
        }
        Ok(Self { by_state, elsewhere })
    }

    fn row(&self, state: &str) -> Option<u64> {
        self.by_state.iter().find(|(of, _)| of == state).map(|(_, value)| *value)
    }

    fn states(&self) -> impl Iterator<Item = &str> {
        self.by_state.iter().map(|(state, _)| state.as_str()).filter(|state| !matches!(*state, WHOLE | REST))
    }

    fn is_divided(&self) -> bool {
        self.states().next().is_some()
    }

    /// For a known state, or a country whose states do not matter.
    fn of(&self, state: &str) -> Option<u64> {
        self.row(state).or_else(|| self.row(WHOLE)).or_else(|| self.row(REST)).or(self.elsewhere)
    }

    /// For no known state, if the store says so.
    fn rest(&self) -> Option<u64> {
        if self.is_divided() { self.row(REST) } else { self.of(WHOLE) }
    }

    fn highest(&self) -> Option<u64> {
        self.by_state.iter().map(|(_, value)| *value).chain(self.of(WHOLE)).max()
    }
}

/// What an order costs in a place.
///
/// # Errors
/// [`ShopError::Invalid`] for a place without a state that is needed, naming those that are accepted; the store's.
pub(super) fn costs(
    connection: &Connection,
    store: &ShopStore,
    at: &Location,
    goods: Goods,
    unnamed: Unnamed,
) -> Result<Costs, ShopError> {
    let read = |table, wanted: bool| wanted.then(|| Rates::read(connection, table, store, at)).transpose();
    let (shipping, taxes) = (read(Table::Shipping, goods.ships)?, read(Table::Taxes, goods.taxed)?);
    if shipping.as_ref().is_some_and(|rates| rates.by_state.is_empty() && rates.elsewhere.is_none()) {
        return Ok(Costs { shipping: None, tax_ppm: 0 });
    }
    let divided: Vec<_> =
        [&shipping, &taxes].into_iter().flatten().filter(|rates| rates.is_divided()).collect();
    let known = known_states(&at.country, &divided);
    let named = divided.is_empty() || known.contains(at.state.as_str());
    let has_rest = divided.iter().all(|rates| rates.row(REST).is_some());
    let value = |rates: &Rates| match (named, has_rest) {
        (true, _) => rates.of(&at.state),
        (false, true) => rates.rest(),
        (false, false) => rates.highest(),
    };
    if let (false, false, Unnamed::Refused(how)) = (named, has_rest, unnamed) {
        let how = how.replace("{country}", &at.country);
        let all = known.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!(
            "Shipping or tax of this store depend on the state in {}: {how} one of {all}",
            at.country
        );
        return Err(ShopError::invalid("STATE_REQUIRED", message));
    }
    Ok(Costs {
        shipping: shipping.as_ref().map_or(Some(0), value),
        tax_ppm: taxes.as_ref().and_then(value).unwrap_or(0),
    })
}

/// All states of a country, as far as they are known here, and those that the store has rates for.
fn known_states<'a>(country: &str, divided: &[&'a Rates]) -> BTreeSet<&'a str> {
    let of_store = divided.iter().flat_map(|rates| rates.states());
    let listed = states::codes(country).map(|code| -> &'a str { code });
    of_store.chain(listed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(by_state: &[(&str, u64)], elsewhere: Option<u64>) -> Rates {
        Rates {
            by_state: by_state.iter().map(|(state, value)| ((*state).to_owned(), *value)).collect(),
            elsewhere,
        }
    }

    #[test]
    fn own_rate_comes_first_and_elsewhere_last() {
        let all = rates(&[("", 5), ("CA", 7), ("*", 9)], Some(20));
        assert_eq!(
            (all.of("CA"), all.of("OR"), all.rest(), all.highest()),
            (Some(7), Some(5), Some(9), Some(9))
        );
        let few = rates(&[("CA", 7)], None);
        assert_eq!((few.of("OR"), few.rest(), few.highest()), (None, None, Some(7)));
        let whole = rates(&[("", 5)], Some(20));
        assert_eq!((whole.is_divided(), whole.rest()), (false, Some(5)));
        assert_eq!(rates(&[("CA", 7)], Some(20)).highest(), Some(20));
    }
}
