//! What the operator is told unasked, and when: once something has been wrong for a while, again if it changes, at most so
//! often, and once when it is over.
//!
//! **Crash behaviour**: what was told is in the transaction that queues the message, so nothing is told twice.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::Report;
use crate::core::time::{UnixMillis, millis};
use crate::ledger::LedgerError;
use crate::storage::Tx;

/// Held payouts that are worth a message, as a part of all slots.
const MANY: u64 = 4;

/// Something that can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its name, in messages and in the database.
    pub name: &'static str,
    /// Whether it is so now.
    pub raised: bool,
    /// What it is, and what to do.
    pub text: String,
}

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long something must have been wrong before it is told.
    pub after: Duration,
    /// The least time between two messages about the same.
    pub min_interval: Duration,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub name: &'static str,
    /// It is so; otherwise it is over.
    pub raised: bool,
    /// For a person.
    pub text: String,
}

/// What these figures say, with so many slots in all.
pub fn conditions(report: &Report, slots: u64) -> [Condition; 2] {
    let sat = |msat: u64| msat.div_ceil(1_000);
    let missing = match report.unredeemable_vouchers {
        0 => format!("{} sat of what is owed can't be paid out", sat(report.short_msat)),
        count => format!("{count} of {} gifts and tips can't be redeemed", report.vouchers),
    };
    let why = if report.short_msat > 0 {
        format!(
            "the channels can send {} sat, and {} sat are owed",
            report.capacity.spendable_msat / 1_000,
            sat(report.owed_msat)
        )
    } else {
        format!("the channels carry at most {} sat in one payment", report.capacity.largest_out_msat / 1_000)
    };
    let held = report.held_payouts >= (slots / MANY).max(5);
    [
        Condition {
            name: "redeemability",
            raised: report.short_msat > 0 || report.unredeemable_vouchers > 0,
            text: format!("{missing}: {why}; open a channel, or send less"),
        },
        Condition {
            name: "held_payouts",
            raised: held,
            text: format!(
                "{} payouts with {} sat are held by their recipients, the longest for {} s: they take slots of the channels until they end; more channels have more slots",
                report.held_payouts,
                sat(report.held_msat),
                report.held_longest_secs
            ),
        },
    ]
}

struct Known {
    raised: bool,
    text: String,
    since: UnixMillis,
    told_at: UnixMillis,
}

/// Notes what is so now; answers what is to be told. The caller queues the message in this transaction.
///
/// # Errors
/// The store's.
pub fn note(
    tx: &Tx<'_>,
    condition: &Condition,
    patience: Patience,
    now: UnixMillis,
) -> Result<Option<Alert>, LedgerError> {
    let before = read(tx, condition.name)?;
    let alert = |raised, text: &str| Some(Alert { name: condition.name, raised, text: text.to_owned() });
    let was = before.as_ref().is_some_and(|known| known.raised);
    let (since, told_at, told_text) = match &before {
        // A clock that was ahead must not silence it.
        Some(known) => (known.since.min(now), known.told_at.min(now), known.text.as_str()),
        None => (now, 0, ""),
    };
    if !condition.raised {
        if !was {
            return Ok(None);
        }
        write(tx, condition.name, &Known { raised: false, text: String::new(), since: now, told_at })?;
        let told = told_at >= since;
        return Ok(told.then(|| alert(false, "it is over: all is as it should be again")).flatten());
    }
    let since = if was { since } else { now };
    let lasted = now.saturating_sub(since) >= millis(patience.after);
    let told_before = was && told_at >= since && told_at > 0;
    let rested = told_at == 0 || now.saturating_sub(told_at) >= millis(patience.min_interval);
    let news = !told_before || told_text != condition.text;
    let tell = lasted && rested && news;
    let known = Known {
        raised: true,
        text: if tell { condition.text.clone() } else { told_text.to_owned() },
        since,
        told_at: if tell { now } else { told_at },
    };
    if tell || !was {
        write(tx, condition.name, &known)?;
    }
    Ok(tell.then(|| alert(true, &condition.text)).flatten())
}

/// Whether a look has anything to write, so that a healthy satchel writes nothing.
///
/// # Errors
/// The store's.
pub fn is_quiet(connection: &Connection, condition: &Condition) -> Result<bool, LedgerError> {
    Ok(!condition.raised && !read(connection, condition.name)?.is_some_and(|known| known.raised))
}

fn read(connection: &Connection, name: &str) -> Result<Option<Known>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT raised, text, since, told_at FROM alerts WHERE name = ?1")?
        .query_row([name], |row| {
            let raised: i64 = row.get(0)?;
            Ok(Known { raised: raised != 0, text: row.get(1)?, since: row.get(2)?, told_at: row.get(3)? })
        })
        .optional()?;
    Ok(found)
}

fn write(tx: &Tx<'_>, name: &str, known: &Known) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO alerts (name, raised, text, since, told_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET raised = excluded.raised, text = excluded.text,
             since = excluded.since, told_at = excluded.told_at",
    )?
    .execute(params![name, i64::from(known.raised), known.text, known.since, known.told_at])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Store;

    const PATIENCE: Patience =
        Patience { after: Duration::from_secs(60), min_interval: Duration::from_secs(600) };

    struct World {
        store: Store,
        _folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
            Self { store, _folder: folder }
        }

        /// What is told at a time in seconds.
        fn at(&self, secs: i64, raised: bool, text: &str) -> Option<(bool, String)> {
            let condition = Condition { name: "redeemability", raised, text: text.into() };
            let told = self.store.write_blocking(move |tx| note(tx, &condition, PATIENCE, secs * 1_000));
            told.unwrap().map(|alert| (alert.raised, alert.text))
        }
    }

    #[test]
    fn trouble_is_told_once_it_lasts_and_again_when_it_changes() {
        let world = World::new();
        assert_eq!(world.at(1_000, true, "3 of 40"), None);
        assert_eq!(world.at(1_059, true, "3 of 40"), None);
        assert_eq!(world.at(1_060, true, "3 of 40"), Some((true, "3 of 40".into())));
        assert_eq!(world.at(1_900, true, "3 of 40"), None);
        assert_eq!(world.at(1_901, true, "4 of 40"), Some((true, "4 of 40".into())));
        assert_eq!(world.at(1_910, true, "5 of 40"), None);
        assert_eq!(world.at(2_501, true, "5 of 40"), Some((true, "5 of 40".into())));
        assert!(world.at(2_510, false, "").is_some_and(|(raised, _)| !raised));
        assert_eq!(world.at(2_520, false, ""), None);
    }

    #[test]
    fn trouble_that_passes_soon_is_not_told() {
        let world = World::new();
        assert_eq!(world.at(1_000, true, "3 of 40"), None);
        assert_eq!(world.at(1_030, false, ""), None);
        assert_eq!(world.at(1_040, true, "3 of 40"), None);
        assert_eq!(world.at(1_099, true, "3 of 40"), None);
        assert!(world.at(1_100, true, "3 of 40").is_some());
    }

    #[test]
    fn trouble_that_comes_and_goes_is_told_at_most_so_often() {
        let world = World::new();
        let mut told = 0;
        for minute in 0..60 {
            let raised = minute % 4 != 3;
            told += usize::from(world.at(minute * 60, raised, "x").is_some_and(|(raised, _)| raised));
        }
        assert!((4..=7).contains(&told), "{told} in an hour");
    }

    #[test]
    fn message_counts_gifts_and_says_what_to_do() {
        let mut report =
            Report { vouchers: 40, unredeemable_vouchers: 3, short_msat: 5_000, ..Report::default() };
        report.owed_msat = 12_000;
        report.capacity.spendable_msat = 7_000;
        let [redeemability, held] = conditions(&report, 90);
        let expected = "3 of 40 gifts and tips can't be redeemed: the channels can send 7 sat, and 12 sat are owed; open a channel, or send less";
        assert!(redeemability.raised && !held.raised);
        assert_eq!(redeemability.text, expected);
        assert!(!conditions(&Report::default(), 90)[0].raised);
    }
}
