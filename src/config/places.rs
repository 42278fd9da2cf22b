//! Where in the file a key stands, so that every complaint can name its line.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// The keys of a file with their places.
#[derive(Debug, Default)]
pub struct Places {
    /// Dotted key, and from the start of the key to the end of its value.
    keys: Vec<(String, Range<usize>)>,
    /// Byte offset at which each line begins.
    lines: Vec<usize>,
}

impl Places {
    /// Reads the places of all keys. A text that isn't TOML has lines, but no keys.
    pub fn of(text: &str) -> Self {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        let mut keys = Vec::new();
        if let Ok(table) = DeTable::parse(text) {
            collect(table.get_ref(), "", &mut keys);
        }
        Self { keys, lines }
    }

    /// The line of a byte offset, counted from 1.
    pub fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// The line of a key.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, span)| self.line_at(span.start))
    }

    /// The innermost key whose text covers a byte offset.
    pub fn key_at(&self, offset: usize) -> Option<&str> {
        let covering = self.keys.iter().filter(|(_, span)| span.contains(&offset));
        covering.max_by_key(|(name, _)| name.matches('.').count()).map(|(name, _)| name.as_str())
    }

    /// All keys, tables among them, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| name.as_str())
    }
}

fn collect(table: &DeTable<'_>, prefix: &str, keys: &mut Vec<(String, Range<usize>)>) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        keys.push((key.clone(), name.span().start..value.span().end.max(name.span().end)));
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, &key, keys);
        }
    }
}
