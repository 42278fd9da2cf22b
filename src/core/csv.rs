//! Lines of a table as RFC 4180 has them, safe to open in a spreadsheet.

pub mod read;

use std::fmt::Display;

/// What a table begins with, so that spreadsheets read it as UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// How every table begins, whoever gets it: with this line, its head.
pub fn begun(head: &str) -> String {
    format!("{BYTE_ORDER_MARK}{head}")
}

/// A line being written.
#[derive(Debug, Default)]
pub struct Line {
    text: String,
    begun: bool,
}

impl Line {
    /// A cell of ours: a number, a time, a name from a fixed list.
    pub fn own(self, value: impl Display) -> Self {
        self.cell(&value.to_string())
    }

    /// The same, empty if there is none.
    pub fn maybe(self, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.own(value),
            None => self.cell(""),
        }
    }

    /// What somebody else wrote. A spreadsheet would take what begins with one of these signs for a formula, which
    /// can send the rest of the table away.
    pub fn text(self, text: Option<String>) -> Self {
        let text = text.unwrap_or_default();
        match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
            true => self.cell(&format!("'{text}")),
            false => self.cell(&text),
        }
    }

    fn cell(mut self, value: &str) -> Self {
        if self.begun {
            self.text.push(',');
        }
        self.begun = true;
        // Also what cells of other tables are apart by: some programs split lines there.
        if value.contains(['"', ',', ';', '\t', '\r', '\n']) {
            self.text.push('"');
            self.text.push_str(&value.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(value);
        }
        self
    }

    /// The whole line with its end.
    pub fn end(mut self) -> String {
        self.text.push_str("\r\n");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::read::rows;
    use super::*;

    #[test]
    fn what_is_written_is_read_the_same() {
        let cells = ["a;b;c;d", "x\ty", " 1, 2 ", "\"", "", "two\r\nlines"];
        let line = cells.iter().fold(Line::default(), |line, cell| line.own(cell)).end();
        assert_eq!(rows(&line).unwrap()[0].cells, cells, "{line}");
    }

    #[test]
    fn what_others_wrote_is_no_formula_and_breaks_no_line() {
        let line = Line::default()
            .own(-1)
            .text(Some("=HYPERLINK(\"http://x\",\"y\")".into()))
            .text(Some("+1".into()))
            .text(Some("-1".into()))
            .text(Some("@a".into()))
            .text(Some("\t=1".into()))
            .text(Some("a, \"b\"\r\nc".into()))
            .text(None)
            .maybe(Some(2))
            .maybe(None::<u8>)
            .end();
        let expected = "-1,\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",'+1,'-1,'@a,\"'\t=1\",\"a, \"\"b\"\"\r\nc\",,2,\r\n";
        assert_eq!(line, expected);
    }
}
