//! The rows of the service. Times are unix milliseconds, but for those of events, which are seconds.

pub(super) mod agents;
pub(super) mod agreements;
pub(super) mod attestations;
pub(super) mod capabilities;
pub(super) mod challenges;
pub(super) mod search;

use rusqlite::Row;
use rusqlite::types::Type;

/// Texts that are kept as a JSON array.
fn list_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn list_text(list: &[String]) -> String {
    // Texts can always be written.
    serde_json::to_string(list).unwrap_or_else(|_| "[]".into())
}
