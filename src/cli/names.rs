//! Names out of a CSV file: the first column of each line.
//!
//! Fields are apart by commas. One that begins with a quote ends with the next single one, and may have commas
//! and, as `""`, quotes inside. Empty lines don't count. A first line whose first field is a word like `name` is
//! a heading. Whatever is odd is an error with its line: a group with a wrong name is paid for before anybody
//! sees it.

use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

use super::error::CliError;

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
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        failed(format!(":{}: not UTF-8 text", 1 + before.iter().filter(|byte| **byte == b'\n').count()))
    })?;
    let names = parse(text).map_err(|BadLine { line, what }| failed(format!(":{line}: {what}")))?;
    if names.is_empty() {
        return Err(failed(" has no names".into()));
    }
    Ok(names)
}

/// What is wrong in which line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BadLine {
    line: usize,
    what: &'static str,
}

fn parse(text: &str) -> Result<Vec<String>, BadLine> {
    let mut reader = Reader { rest: text.trim_start_matches('\u{feff}').chars().peekable(), line: 1 };
    let mut names = Vec::new();
    let mut first = true;
    while reader.rest.peek().is_some() {
        let line = reader.line;
        let row = reader.row()?;
        let name = row.first.trim();
        let bad = |what| Err(BadLine { line, what });
        if name.is_empty() {
            if row.is_blank {
                continue;
            }
            return bad("there is no name in the first column");
        }
        let heading = first && HEADINGS.contains(&name.to_lowercase().as_str());
        first = false;
        if heading {
            continue;
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

/// One line's fields, of which the first matters.
struct Row {
    first: String,
    /// No field has anything in it, and there is but one.
    is_blank: bool,
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn row(&mut self) -> Result<Row, BadLine> {
        let (first, quoted) = self.field()?;
        let mut is_blank = first.trim().is_empty() && !quoted;
        while self.rest.next_if_eq(&',').is_some() {
            is_blank = false;
            self.field()?;
        }
        self.rest.next_if_eq(&'\r');
        match self.next() {
            None | Some('\n') => Ok(Row { first, is_blank }),
            Some(_) => Err(BadLine { line: self.line, what: "a comma is missing after a quoted field" }),
        }
    }

    /// Up to the next comma or the end of the line, and whether it was quoted.
    fn field(&mut self) -> Result<(String, bool), BadLine> {
        let mut text = String::new();
        while let Some(space) = self.rest.next_if(|c| matches!(c, ' ' | '\t')) {
            text.push(space);
        }
        if self.rest.next_if_eq(&'"').is_some() {
            return Ok((self.quoted()?, true));
        }
        while let Some(&c) = self.rest.peek() {
            match c {
                ',' | '\n' => break,
                '"' => {
                    let what = "a quote inside of a field: put quotes around all of it and double that one";
                    return Err(BadLine { line: self.line, what });
                }
                _ => text.extend(self.rest.next()),
            }
        }
        // The end of a line may be written `\r\n`; the row takes the rest of it.
        if text.ends_with('\r') {
            text.pop();
        }
        Ok((text, false))
    }

    fn quoted(&mut self) -> Result<String, BadLine> {
        let opened = self.line;
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(BadLine { line: opened, what: "a quote is never closed" }),
                Some('"') if self.rest.next_if_eq(&'"').is_some() => text.push('"'),
                Some('"') => break,
                Some(c) => text.push(c),
            }
        }
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> (usize, &'static str) {
        let BadLine { line, what } = parse(text).unwrap_err();
        (line, what)
    }

    #[test]
    fn the_first_column_is_read() {
        assert_eq!(parse("Ada\nBob\n").unwrap(), ["Ada", "Bob"]);
        assert_eq!(parse("Name,Mail\r\nAda,a@b.c\r\n\r\n Bob ,\r\n").unwrap(), ["Ada", "Bob"]);
        assert_eq!(
            parse("\u{feff}\"name\"\n\"Lovelace, Ada\",x\n\"Al \"\"Scarface\"\"\" , \"y\nz\"\nÉva").unwrap(),
            ["Lovelace, Ada", "Al \"Scarface\"", "Éva"]
        );
        // A heading is the first line only; somebody may be called so.
        assert_eq!(parse("Ada\nName").unwrap(), ["Ada", "Name"]);
        assert_eq!(parse("\n\nname\nAda").unwrap(), ["Ada"]);
        assert_eq!(parse("\n \n").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_odd_is_told_with_its_line() {
        assert_eq!(bad("Ada\n,b"), (2, "there is no name in the first column"));
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
        assert!(read(&path).unwrap_err().message.ends_with("names.csv:2: not UTF-8 text"));
        std::fs::write(&path, b"name\n").unwrap();
        assert!(read(&path).unwrap_err().message.ends_with("has no names"));
        std::fs::write(&path, b"name\nAda\n").unwrap();
        assert_eq!(read(&path).unwrap(), ["Ada"]);
    }
}
