//! Stores as the registry of all that is sold here lists them.

use super::store::listed::{self, Row};
use super::{Shop, ShopError, amounts};

/// Stores of one list at most.
const MOST: u32 = 1_000;

/// A store that sells something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedStore {
    /// Its name in paths.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// For people.
    pub description: String,
    /// The lowest price in it, in sat; `None` if its currency has no rate now.
    pub from_sats: Option<u64>,
}

impl Shop {
    /// Open stores with something to sell, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn listed(&self) -> Result<Vec<ListedStore>, ShopError> {
        let rows = self.store().read(|connection| listed::listed(connection, None, MOST)).await?;
        Ok(rows.into_iter().map(|row| self.listed_store(row)).collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn listed_one(&self, slug: &str) -> Result<Option<ListedStore>, ShopError> {
        let slug = slug.to_owned();
        let rows = self.store().read(move |connection| listed::listed(connection, Some(&slug), 1)).await?;
        Ok(rows.into_iter().next().map(|row| self.listed_store(row)))
    }

    fn listed_store(&self, row: Row) -> ListedStore {
        let quote = row.unit.currency().map(|currency| self.rates().quote(currency));
        let sats = match quote {
            None => amounts::sats(row.lowest, row.unit, None).ok(),
            Some(quote) => {
                quote.ok().and_then(|quote| amounts::sats(row.lowest, row.unit, Some(&quote)).ok())
            }
        };
        ListedStore {
            slug: row.slug,
            name: row.name,
            description: row.description,
            from_sats: sats.map(crate::core::money::Msat::sat_floor),
        }
    }
}
