//! Reads tables as spreadsheets write them (RFC 4180 and what programs make of it): cells apart by commas, semicolons or
//! tabs, with or without a byte order mark, in UTF-8 or UTF-16.
//!
//! A cell that begins with a quote ends with the next single one, and may have separators, line ends and, as `""`, quotes
//! inside. Whatever is odd is an error with its line: what is read wrongly is paid for before anybody sees it.

use std::iter::Peekable;
use std::str::Chars;

/// What cells may be apart by.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// What is wrong in which line, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// What.
    pub why: &'static str,
}

/// A line of a table, which may go over several of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its first line in the file, from 1.
    pub line: usize,
    /// At least one.
    pub cells: Vec<String>,
    /// Whether the last cell stands in quotes.
    quoted: bool,
}

impl Row {
    /// Whether it is an empty line.
    pub fn is_blank(&self) -> bool {
        !self.quoted && self.cells.len() == 1 && self.cells.first().is_some_and(|cell| cell.trim().is_empty())
    }

    /// A cell without blanks around it; empty where there is none.
    pub fn cell(&self, at: usize) -> &str {
        self.cells.get(at).map(|cell| cell.trim()).unwrap_or_default()
    }
}

/// The text of a file: UTF-8, or UTF-16 if it begins with a byte order mark of that.
///
/// # Errors
/// The line that is no text.
pub fn decode(bytes: &[u8]) -> Result<String, BadLine> {
    let wide = |pair: fn([u8; 2]) -> u16, rest: &[u8]| {
        let units = rest.chunks_exact(2).map(|chunk| pair(chunk.try_into().unwrap_or_default()));
        let text: String =
            char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        match text.find(char::REPLACEMENT_CHARACTER) {
            Some(at) => Err(not_text(text.get(..at).unwrap_or_default().as_bytes(), "not UTF-16 text")),
            None => Ok(text),
        }
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        _ => {
            let bytes = bytes.strip_prefix(super::BYTE_ORDER_MARK.as_bytes()).unwrap_or(bytes);
            let text = std::str::from_utf8(bytes).map_err(|error| {
                not_text(
                    bytes.get(..error.valid_up_to()).unwrap_or_default(),
                    "not UTF-8 text; save it as CSV UTF-8",
                )
            })?;
            Ok(text.to_owned())
        }
    }
}

fn not_text(before: &[u8], why: &'static str) -> BadLine {
    BadLine { line: before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1), why }
}

/// All lines, also empty ones. What cells are apart by is seen in the first line that has something in it, or said by a
/// line `sep=;` above.
///
/// # Errors
/// The first line that makes no sense.
pub fn rows(text: &str) -> Result<Vec<Row>, BadLine> {
    let text = text.trim_start_matches(super::BYTE_ORDER_MARK);
    let (said, rest) = said_separator(text).map_or((None, text), |(said, rest)| (Some(said), rest));
    let separator = said.unwrap_or_else(|| separator_of(rest));
    let line = if said.is_some() { 2 } else { 1 };
    let mut reader = Reader { rest: rest.chars().peekable(), line, separator };
    let mut rows = Vec::new();
    while reader.rest.peek().is_some() {
        rows.push(reader.row()?);
    }
    Ok(rows)
}

fn said_separator(text: &str) -> Option<(char, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let first = first.trim_end_matches('\r');
    // One pair of quotes at most: with more it is a cell that has quotes in it.
    let bare = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(first);
    let said = bare.strip_prefix("sep=")?;
    let mut letters = said.chars();
    let separator = letters.next().filter(|c| SEPARATORS.contains(c))?;
    letters.next().is_none().then_some((separator, rest))
}

/// The one that the first line with something in it has most of, outside of quotes.
fn separator_of(text: &str) -> char {
    let mut counts = [0_usize; SEPARATORS.len()];
    let (mut quoted, mut begun) = (false, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted && begun => break,
            _ => {}
        }
        begun |= !c.is_whitespace();
        let at = SEPARATORS.iter().position(|separator| *separator == c).filter(|_| !quoted);
        if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
            *count = count.saturating_add(1);
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let at = counts.iter().position(|count| *count == most).unwrap_or_default();
    SEPARATORS.get(at).copied().unwrap_or(',')
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    separator: char,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line = self.line.saturating_add(usize::from(next == Some('\n')));
        next
    }

    fn row(&mut self) -> Result<Row, BadLine> {
        let line = self.line;
        let separator = self.separator;
        let (cell, mut quoted) = self.cell()?;
        let mut cells = vec![cell];
        while self.rest.next_if_eq(&separator).is_some() {
            let (cell, in_quotes) = self.cell()?;
            cells.push(cell);
            quoted = in_quotes;
        }
        self.rest.next_if_eq(&'\r');
        match self.next() {
            None | Some('\n') => Ok(Row { line, cells, quoted }),
            Some(_) => Err(BadLine { line: self.line, why: "a comma is missing after a quoted field" }),
        }
    }

    fn blank(&self, c: char) -> bool {
        c == ' ' || (c == '\t' && self.separator != '\t')
    }

    /// Up to the next separator or the end of the line, and whether it was quoted.
    fn cell(&mut self) -> Result<(String, bool), BadLine> {
        let mut text = String::new();
        while let Some(space) = self.rest.peek().copied().filter(|c| self.blank(*c)) {
            text.push(space);
            self.rest.next();
        }
        if self.rest.next_if_eq(&'"').is_some() {
            return Ok((self.quoted()?, true));
        }
        while let Some(&c) = self.rest.peek() {
            match c {
                '\n' => break,
                c if c == self.separator => break,
                '"' => {
                    let why = "a quote inside of a field: put quotes around all of it and double that one";
                    return Err(BadLine { line: self.line, why });
                }
                _ => text.extend(self.rest.next()),
            }
        }
        // The end of a line may be written `\r\n`.
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
                None => return Err(BadLine { line: opened, why: "a quote is never closed" }),
                Some('"') if self.rest.next_if_eq(&'"').is_some() => text.push('"'),
                Some('"') => break,
                Some(c) => text.push(c),
            }
        }
        while self.rest.peek().copied().is_some_and(|c| self.blank(c)) {
            self.rest.next();
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        rows(text).unwrap().into_iter().map(|row| row.cells).collect()
    }

    #[test]
    fn table_is_read_whatever_its_cells_are_apart_by() {
        let expected = [vec!["Name", "Note, long"], vec!["Ada", "a;b"], vec!["Al \"S\"", "two\nlines"]];
        for separator in [',', ';', '\t'] {
            let table = format!(
                "\u{feff}Name{separator}\"Note, long\"\r\nAda{separator}\"a;b\"\r\n\"Al \"\"S\"\"\" {separator}\"two\nlines\""
            );
            assert_eq!(cells(&table), expected, "{separator:?}");
        }
        assert_eq!(cells("sep=;\r\na,b;c\r\n"), [["a,b", "c"]]);
        assert_eq!(cells("\"sep=;\"\r\na,b;c\r\n"), [["a,b", "c"]]);
        assert_eq!(cells("\"\"\"sep=;\"\"\"\r\na;b"), [vec!["\"sep=;\""], vec!["a;b"]]);
        assert_eq!(rows("sep=;\na;b\nc;\"d").unwrap_err().line, 3);
        assert_eq!(cells("\n\na\tb"), [vec![""], vec![""], vec!["a", "b"]]);
        assert_eq!(cells("one column"), [["one column"]]);
        assert_eq!(cells("a,,\n"), [["a", "", ""]]);
    }

    #[test]
    fn what_is_odd_is_told_with_its_line() {
        let bad = |text: &str| rows(text).unwrap_err().line;
        assert_eq!(bad("Ada\n\"Bob\nCy\n"), 2);
        assert_eq!(bad("a,\"x\ny\"\nB\"o\"b"), 3);
        assert_eq!(bad("Ada;1\n\"Bob\" Cy;2"), 2);
    }

    #[test]
    fn spreadsheets_write_utf_16_too() {
        let text = "Näme;1\nÉva;2\n";
        let little: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big, text.as_bytes().to_vec(), format!("\u{feff}{text}").into_bytes()] {
            assert_eq!(decode(&bytes).unwrap(), text);
        }
        assert_eq!(decode(b"Ada\n\xff\n").unwrap_err().line, 2);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(text) = decode(&bytes) {
                let _ = rows(&text);
            }
        }
    }
}
