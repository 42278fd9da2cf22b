//! Numbered schema changes. A file of a newer version is refused, never guessed at.

use std::path::Path;

use rusqlite::Connection;
use rusqlite_migration::{Error, M, MigrationDefinitionError, Migrations};

use super::{StoreError, open_error};

/// Every change there ever was, oldest first. Never edit one that has been released: add the next.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_node_and_ledger.sql"),
    include_str!("migrations/0002_keys_and_webhooks.sql"),
    include_str!("migrations/0003_gifts.sql"),
    include_str!("migrations/0004_tip_people.sql"),
    include_str!("migrations/0005_tips.sql"),
    include_str!("migrations/0006_tip_mail.sql"),
    include_str!("migrations/0007_payments.sql"),
    include_str!("migrations/0008_coins.sql"),
    include_str!("migrations/0009_payment_orders.sql"),
    include_str!("migrations/0010_webhook_schedules.sql"),
    include_str!("migrations/0011_l402.sql"),
    include_str!("migrations/0012_proxies.sql"),
    include_str!("migrations/0013_l402_answers.sql"),
    include_str!("migrations/0014_charge_offers.sql"),
    include_str!("migrations/0015_deleted_proxies.sql"),
    include_str!("migrations/0016_payout_proof.sql"),
    include_str!("migrations/0017_accounts.sql"),
    include_str!("migrations/0018_solvency.sql"),
    include_str!("migrations/0019_node_books.sql"),
    include_str!("migrations/0020_operator.sql"),
    include_str!("migrations/0021_offers_and_routing.sql"),
    include_str!("migrations/0023_agents.sql"),
    include_str!("migrations/0024_shop.sql"),
    include_str!("migrations/0025_signups.sql"),
    include_str!("migrations/0026_purse.sql"),
    include_str!("migrations/0027_shopify.sql"),
    include_str!("migrations/0028_buying.sql"),
    include_str!("migrations/0030_keys.sql"),
    include_str!("migrations/0031_sealed_answers.sql"),
    include_str!("migrations/0032_webhook_lanes.sql"),
    include_str!("migrations/0033_guesses.sql"),
    include_str!("migrations/0034_sealed.sql"),
    include_str!("migrations/0035_voucher_offers.sql"),
];

/// Brings the file to the newest schema. The connection has the functions of [`sealed`](super::sealed).
///
/// # Errors
/// [`StoreError::TooNew`] if the file is ahead of this binary, [`StoreError::Open`] otherwise.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let migrations = Migrations::new(STEPS.iter().copied().map(M::up).collect());
    match migrations.to_latest(connection) {
        Ok(()) => Ok(()),
        Err(Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead)) => {
            Err(StoreError::TooNew(path.to_owned()))
        }
        Err(error) => Err(open_error(path, &error)),
    }
}

/// As a file was left by the version whose last change was the one of this number of steps.
#[cfg(test)]
pub(super) fn migrate_to(connection: &mut Connection, steps: usize) {
    Migrations::new(STEPS.iter().copied().map(M::up).collect()).to_version(connection, steps).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_applies_to_an_empty_file() {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::storage::DatabaseKey::for_tests().register(&connection).unwrap();
        migrate(&mut connection, Path::new("memory")).unwrap();
    }

    #[test]
    fn a_file_from_the_future_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 9_999).unwrap();
        assert!(matches!(migrate(&mut connection, Path::new("x")), Err(StoreError::TooNew(_))));
    }
}
