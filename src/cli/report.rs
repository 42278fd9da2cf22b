//! What a command has to say, for people and for programs, and the plain building blocks of the former.

use serde_json::Value;

use crate::core::text::escaped;

/// A command's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// For programs: one object.
    pub json: Value,
    /// For people.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

impl Report {
    /// All went well.
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), code: 0 }
    }
}

/// Columns under headings. Those of numbers are given by their place and stand to the right.
pub fn table(headings: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let rows = rows.as_slice();
    let mut widths: Vec<usize> = headings.iter().map(|heading| width(heading)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let heading: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (column, (cell, widest)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(widest.saturating_sub(width(cell)));
            if column > 0 {
                line.push_str("  ");
            }
            if right.contains(&column) {
                line.push_str(&gap);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&gap);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and values, one a line.
pub fn facts(rows: &[(&str, String)]) -> String {
    let widest = rows.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        format!("{name}{}  {}\n", " ".repeat(widest - width(name)), shown(value))
    };
    rows.iter().map(line).collect()
}

/// A value as a terminal may get it: it can be a stranger's, and must not forge a line of ours.
fn shown(value: &str) -> String {
    escaped(value, |_| false).into_owned()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["a".to_owned(), "1,000".to_owned()], vec!["größer".to_owned(), "7".to_owned()]];
        assert_eq!(table(&["NAME", "SAT"], &[1], &rows), "NAME      SAT\na       1,000\ngrößer      7\n");
        assert_eq!(table(&["NAME", "LAST"], &[], &[]), "NAME  LAST\n");
        assert_eq!(facts(&[("a", "1".into()), ("long", "2".into())]), "a     1\nlong  2\n");
    }

    #[test]
    fn value_of_a_stranger_forges_no_line() {
        let evil = "Bob\nstatus  paid\u{1b}[1A\u{9b}2K\u{202e}";
        let told = facts(&[("note", evil.into())]);
        assert_eq!(told, "note  Bob\\nstatus  paid\\u001b[1A\\u009b2K\\u202e\n");
        let listed = table(&["NAME"], &[], &[vec![evil.to_owned()]]);
        assert_eq!(listed.lines().count(), 2, "{listed}");
        assert!(!listed.contains(['\u{1b}', '\u{9b}', '\u{202e}']));
    }
}
