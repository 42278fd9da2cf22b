//! Names out of a CSV file: the first column of each line, or the one whose heading is a word like `name`.
//!
//! Empty lines don't count. Whatever is odd is an error with its line: a group with a wrong name is paid for before
//! anybody sees it.

use std::path::Path;

use super::error::CliError;
use crate::core::csv::read::{BadLine, decode, rows};

/// Larger files are no list of names.
const MAX_BYTES: u64 = 1_048_576;

/// First fields that say what the column is.
const HEADINGS: [&str; 5] = ["name", "names", "tippee", "tippee name", "tippeename"];

/// Longest name that a tip takes, in characters.
const NAME_LEN: usize = 50;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<String>, CliError> {
    let failed = |what: String| CliError::usage(format!("{}{what}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(format!(": {error}")))?.len();
    if size > MAX_BYTES {
        return Err(failed(" is too large for a list of names".into()));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(format!(": {error}")))?;
    let read = decode(&bytes).and_then(|text| parse(&text));
    let names = read.map_err(|BadLine { line, why }| failed(format!(":{line}: {why}")))?;
    if names.is_empty() {
        return Err(failed(" has no names".into()));
    }
    Ok(names)
}

/// The names in a column: that of the heading, else the first.
pub(crate) fn parse(text: &str) -> Result<Vec<String>, BadLine> {
    // An empty name in quotes is meant as one.
    let mut rows = rows(text)?.into_iter().filter(|row| !row.is_blank()).peekable();
    let heading = rows.peek().and_then(|row| {
        (0..row.cells.len()).find(|at| HEADINGS.contains(&row.cell(*at).to_lowercase().as_str()))
    });
    if heading.is_some() {
        rows.next();
    }
    let column = heading.unwrap_or_default();
    let mut names = Vec::new();
    for row in rows {
        let (line, name) = (row.line, row.cell(column));
        let bad = |why| Err(BadLine { line, why });
        if name.is_empty() {
            return bad("there is no name in its column");
        }
        if name.chars().any(char::is_control) {
            return bad("a name can't have line breaks or control characters");
        }
        if name.chars().count() > NAME_LEN {
            return bad("the name has more than 50 characters");
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> (usize, &'static str) {
        let BadLine { line, why } = parse(text).unwrap_err();
        (line, why)
    }

    #[test]
    fn the_first_column_is_read() {
        assert_eq!(parse("Ada\nBob\n").unwrap(), ["Ada", "Bob"]);
        assert_eq!(parse("Name,Mail\r\nAda,a@b.c\r\n\r\n Bob ,\r\n").unwrap(), ["Ada", "Bob"]);
        assert_eq!(
            parse("\u{feff}\"name\"\n\"Lovelace, Ada\",x\n\"Al \"\"Scarface\"\"\" , \"y\nz\"\nÉva").unwrap(),
            ["Lovelace, Ada", "Al \"Scarface\"", "Éva"]
        );
        for separator in [";", "\t"] {
            let table = format!("\u{feff}Mail{separator}Name\r\na@b.c{separator}\"Lovelace, Ada\"\r\n");
            assert_eq!(parse(&table).unwrap(), ["Lovelace, Ada"], "{separator:?}");
        }
        // A heading is the first line only; somebody may be called so.
        assert_eq!(parse("Ada\nName").unwrap(), ["Ada", "Name"]);
        assert_eq!(parse("\n\nname\nAda").unwrap(), ["Ada"]);
        assert_eq!(parse("\n \n").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_odd_is_told_with_its_line() {
        assert_eq!(bad("Ada\n,b"), (2, "there is no name in its column"));
        assert_eq!(bad("Ada\n\"\"").0, 2);
        assert_eq!(bad("Ada\n\"Bob\nCy\n"), (2, "a quote is never closed"));
        assert_eq!(bad("a,\"x\ny\"\nB\"o\"b").0, 3);
        assert_eq!(bad("Ada\n\"Bob\" Cy"), (2, "a comma is missing after a quoted field"));
        assert_eq!(bad("\"Ada\nLovelace\"").0, 1);
        assert_eq!(bad("Ada\rBob").0, 1);
        assert_eq!(bad(&format!("Ada\n{}", "é".repeat(51))), (2, "the name has more than 50 characters"));
        assert_eq!(parse(&"é".repeat(50)).unwrap().len(), 1);
    }

    #[test]
    fn a_file_is_named_in_its_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.csv");
        assert!(read(&path).unwrap_err().message.contains("names.csv: "));
        std::fs::write(&path, b"Ada\n\xff\n").unwrap();
        assert!(
            read(&path).unwrap_err().message.ends_with("names.csv:2: not UTF-8 text; save it as CSV UTF-8")
        );
        std::fs::write(&path, b"name\n").unwrap();
        assert!(read(&path).unwrap_err().message.ends_with("has no names"));
        std::fs::write(&path, b"name\nAda\n").unwrap();
        assert_eq!(read(&path).unwrap(), ["Ada"]);
    }
}
