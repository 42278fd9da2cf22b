//! Tables for bookkeepers, part by part: however long one is, only a part of it is in memory, and no part costs much.
//!
//! A table has sections, each of which goes through one SQL table by its row ids. What lies outside of the span that
//! was asked for is passed over, so a part may have no lines.

use rusqlite::{Connection, Row, params};

use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, iso};
use crate::storage::StoreError;

/// Rows looked at for one part, wanted or not.
const ROWS: i64 = 2_000;

const DAY_MS: i64 = 86_400_000;

/// Which lines are wanted, by their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub from: UnixMillis,
    /// Before this.
    pub to: UnixMillis,
}

impl Span {
    /// Reads both ends: a date (`2026-01-31`) or a time with its zone (`2026-01-31T12:00:00Z`). A date is the whole
    /// day, by UTC, at either end; a time belongs to the span at its beginning, and not at its end.
    ///
    /// # Errors
    /// A text for the caller.
    pub fn read(from: Option<&str>, to: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            from: end("from", from, 0)?.unwrap_or(i64::MIN),
            to: end("to", to, DAY_MS)?.unwrap_or(i64::MAX),
        })
    }

    /// Whether a time lies in it.
    pub const fn has(self, at: UnixMillis) -> bool {
        self.from <= at && at < self.to
    }
}

fn end(name: &str, text: Option<&str>, of_day: i64) -> Result<Option<UnixMillis>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let day = || iso::parse(&format!("{text}T00:00:00Z")).map(|at| at.saturating_add(of_day));
    let read = iso::parse(text).or_else(day);
    read.map(Some).ok_or_else(|| format!("{name} must be a date like 2026-01-31, or a time with its zone"))
}

/// A part of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Lines, each with its end.
    pub csv: String,
    /// How many.
    pub lines: usize,
    /// Where the next begins.
    pub next: Option<Place>,
}

/// Where a table goes on: in which section, behind which row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    section: usize,
    row: i64,
}

impl Place {
    /// As text, for whoever asks part by part.
    pub fn to_text(self) -> String {
        format!("{}-{}", self.section, self.row)
    }

    /// The way back from [`Place::to_text`].
    pub fn read(text: &str) -> Option<Self> {
        let (section, row) = text.split_once('-')?;
        Some(Self { section: section.parse().ok()?, row: row.parse().ok()? })
    }
}

/// A line as a section's reader gives it.
#[derive(Debug)]
pub struct ReadLine {
    /// Its row; many lines may have the same.
    pub row: i64,
    /// By which it is wanted or not.
    pub at: UnixMillis,
    /// With its end.
    pub text: String,
}

/// A part of a [`Table`] that is read from one SQL table. The statement returns the rows with `?1 < id <= ?2`, ordered
/// by id.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The table whose rows are counted, and the name of their ids.
    pub rows: (&'static str, &'static str),
    /// The lines of some rows.
    pub sql: &'static str,
    /// Makes a line of a row.
    pub read: fn(&Row<'_>) -> rusqlite::Result<ReadLine>,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The first line, with its end.
    pub head: &'static str,
    /// One after the other.
    pub sections: &'static [Section],
}

impl Table {
    /// The part that begins at a place; the first one without.
    ///
    /// # Errors
    /// The store's.
    pub fn page(
        &self,
        connection: &Connection,
        span: Span,
        place: Option<Place>,
    ) -> Result<Page, StoreError> {
        let place = place.unwrap_or_default();
        let Some(section) = self.sections.get(place.section) else { return Ok(Page::default()) };
        let after_it = place.section.saturating_add(1);
        let behind = (after_it < self.sections.len()).then_some(Place { section: after_it, row: 0 });
        let Some((until, all)) = reach(connection, section, place.row)? else {
            return Ok(Page { next: behind, ..Page::default() });
        };
        let mut statement = connection.prepare_cached(section.sql)?;
        let mut rows = statement.query(params![place.row, until])?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            let line = (section.read)(row)?;
            if span.has(line.at) {
                page.csv.push_str(&line.text);
                page.lines = page.lines.saturating_add(1);
            }
        }
        page.next = if all { behind } else { Some(Place { row: until, ..place }) };
        Ok(page)
    }
}

/// The last of the next rows, and whether it is the last of all; `None` if there are no more.
fn reach(connection: &Connection, section: &Section, after: i64) -> Result<Option<(i64, bool)>, StoreError> {
    let (table, id) = section.rows;
    let (until, count): (Option<i64>, i64) = connection
        .prepare_cached(&format!(
            "SELECT max(id), count(*) FROM (SELECT {id} AS id FROM {table} WHERE {id} > ?1 ORDER BY {id} LIMIT ?2)"
        ))?
        .query_row(params![after, ROWS], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(until.map(|until| (until, count < ROWS)))
}

/// Exact: sats with three digits behind the point are enough.
pub fn sats(amount: Msat) -> Decimal {
    Decimal::new(u128::from(amount.get()), 3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_of_dates_has_both_days() {
        let span = Span::read(Some("2026-01-31"), Some("2026-02-01")).unwrap();
        let at = |text: &str| iso::parse(text).unwrap();
        assert!(span.has(at("2026-01-31T00:00:00Z")) && span.has(at("2026-02-01T23:59:59Z")));
        assert!(!span.has(at("2026-01-30T23:59:59Z")) && !span.has(at("2026-02-02T00:00:00Z")));
        assert!(Span::read(None, Some("")).unwrap().has(0));
        assert!(Span::read(Some("soon"), None).unwrap_err().contains("from must be a date"));
    }

    #[test]
    fn place_goes_there_and_back() {
        let place = Place { section: 1, row: 77 };
        assert_eq!(Place::read(&place.to_text()), Some(place));
        for bad in ["", "1", "x-1", "1-x"] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn long_table_comes_in_parts_without_gaps() {
        const NUMBERS: Section = Section {
            rows: ("numbers", "id"),
            sql: "SELECT id FROM numbers WHERE id > ?1 AND id <= ?2 ORDER BY id",
            read: |row| {
                let id: i64 = row.get(0)?;
                Ok(ReadLine { row: id, at: id, text: format!("{id}\r\n") })
            },
        };
        let table = Table { head: "id\r\n", sections: &[NUMBERS, NUMBERS] };
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE numbers (id INTEGER PRIMARY KEY)").unwrap();
        for id in (1..=4_500).filter(|id| id % 7 != 0) {
            connection.execute("INSERT INTO numbers (id) VALUES (?1)", [id]).unwrap();
        }
        let (mut place, mut text, mut parts) = (None, String::new(), 0);
        loop {
            let page = table.page(&connection, Span { from: 10, to: 4_400 }, place).unwrap();
            text.push_str(&page.csv);
            parts += 1;
            let Some(next) = page.next else { break };
            place = Some(next);
        }
        let once: String = (10..4_400).filter(|id| id % 7 != 0).map(|id: i64| format!("{id}\r\n")).collect();
        assert_eq!(text, format!("{once}{once}"));
        assert_eq!(parts, 4);
    }
}
