//! The index that capabilities are found by.
//!
//! Only what is listed is in it, by row id, so the newest are found first without sorting; a search ends as soon as it
//! has enough. What is counted beyond [`COUNTED`] isn't counted any more, or a search would take longer the more there
//! is.

use rusqlite::{Connection, params};

use super::capabilities::{CAPABILITY, Capability, read};
use crate::core::ids::to_hex;
use crate::storage::Tx;

/// Matches that are counted.
const COUNTED: u32 = 1_000;

/// Words of a question that count, and letters of each.
const WORDS: usize = 8;
const LETTERS: usize = 40;

/// From so many letters on the last word may be the beginning of one; up to so many of them are compared.
const PREFIX: std::ops::RangeInclusive<usize> = 3..=6;

/// What is looked for. All that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Search {
    /// Words in the description, the service's id, the categories or the hashtags.
    pub(in super::super) text: String,
    /// A whole category.
    pub(in super::super) category: String,
    /// One of these.
    pub(in super::super) hashtags: Vec<String>,
}

/// Puts a capability in.
pub(in super::super) fn insert(tx: &Tx<'_>, capability: &Capability) -> rusqlite::Result<()> {
    let words = [
        capability.service_id.as_str(),
        &capability.content,
        &capability.categories.join(" "),
        &capability.hashtags.join(" "),
    ]
    .join(" ");
    let categories = capability.categories.iter().map(|text| category_tag(text));
    let tags = categories.chain(capability.hashtags.iter().map(|text| hashtag_tag(text)));
    let tags = tags.collect::<Vec<_>>().join(" ");
    tx.prepare_cached("INSERT INTO agent_search (rowid, words, tags) VALUES (?1, ?2, ?3)")?
        .execute(params![capability.id, words, tags])?;
    Ok(())
}

/// Takes it out.
pub(in super::super) fn remove(tx: &Tx<'_>, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM agent_search WHERE rowid = ?1")?.execute([id])?;
    Ok(())
}

/// The newest that fit, and how many there are, up to 1,000.
pub(in super::super) fn find(
    connection: &Connection,
    search: &Search,
    limit: u32,
) -> rusqlite::Result<(Vec<Capability>, u64)> {
    let expression = match search.expression() {
        Expression::Everything => return newest(connection, limit),
        Expression::Nothing => return Ok((Vec::new(), 0)),
        Expression::Matching(expression) => expression,
    };
    let total = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM agent_search WHERE agent_search MATCH ?1 LIMIT ?2)",
        )?
        .query_row(params![expression, COUNTED], |row| row.get(0))?;
    let sql = format!(
        "{CAPABILITY} WHERE c.id IN
             (SELECT rowid FROM agent_search WHERE agent_search MATCH ?1 ORDER BY rowid DESC LIMIT ?2)
         ORDER BY c.id DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![expression, limit], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

fn newest(connection: &Connection, limit: u32) -> rusqlite::Result<(Vec<Capability>, u64)> {
    let total = connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM agent_capabilities WHERE listed LIMIT ?1)")?
        .query_row([COUNTED], |row| row.get(0))?;
    let sql = format!("{CAPABILITY} WHERE c.listed ORDER BY c.id DESC LIMIT ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([limit], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

#[derive(Debug, PartialEq, Eq)]
enum Expression {
    /// Nothing was asked.
    Everything,
    /// What was asked has no letters.
    Nothing,
    /// In FTS5's language: only quoted tokens of letters and digits, so nothing that a stranger types is read as more.
    Matching(String),
}

impl Search {
    fn expression(&self) -> Expression {
        let mut parts = Vec::new();
        if !self.category.trim().is_empty() {
            parts.push(format!("tags : \"{}\"", category_tag(&self.category)));
        }
        if !self.hashtags.is_empty() {
            let any = self.hashtags.iter().map(|text| format!("\"{}\"", hashtag_tag(text)));
            parts.push(format!("tags : ({})", any.collect::<Vec<_>>().join(" OR ")));
        }
        if !self.text.trim().is_empty() {
            let words = words(&self.text);
            if words.is_empty() {
                return Expression::Nothing;
            }
            parts.push(format!("words : ({})", words.join(" AND ")));
        }
        if parts.is_empty() {
            return Expression::Everything;
        }
        let parts: Vec<_> = parts.into_iter().map(|part| format!("({part})")).collect();
        Expression::Matching(parts.join(" AND "))
    }
}

/// The words of a text, each in quotes; of the last its beginning does.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.take(WORDS).map(|word| word.chars().take(LETTERS).collect()).collect();
    let last = words.len().saturating_sub(1);
    let quoted = words.iter().enumerate().map(|(index, word)| {
        let letters = word.chars().count();
        if index == last && PREFIX.contains(&letters) {
            format!("\"{word}\" *")
        } else {
            format!("\"{word}\"")
        }
    });
    quoted.collect()
}

fn category_tag(text: &str) -> String {
    format!("c{}", to_hex(text.trim().to_lowercase().as_bytes()))
}

fn hashtag_tag(text: &str) -> String {
    format!("h{}", to_hex(text.trim().trim_start_matches('#').to_lowercase().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str, category: &str, hashtags: &[&str]) -> Expression {
        let hashtags = hashtags.iter().map(ToString::to_string).collect();
        Search { text: text.into(), category: category.into(), hashtags }.expression()
    }

    #[test]
    fn what_is_typed_is_only_ever_words() {
        let matching = |text: &str| Expression::Matching(text.into());
        assert_eq!(expression("", " ", &[]), Expression::Everything);
        assert_eq!(expression("\"'*-", "", &[]), Expression::Nothing);
        assert_eq!(expression("ai", "", &[]), matching("(words : (\"ai\"))"));
        assert_eq!(
            expression("a\" OR tags:* NEAR(b)", "", &[]),
            matching("(words : (\"a\" AND \"OR\" AND \"tags\" AND \"NEAR\" AND \"b\"))")
        );
        assert_eq!(expression("über tran", "", &[]), matching("(words : (\"über\" AND \"tran\" *))"));
        assert_eq!(
            expression("", "A\"i", &["#x", "Y"]),
            matching("(tags : \"c612269\") AND (tags : (\"h78\" OR \"h79\"))")
        );
    }
}
