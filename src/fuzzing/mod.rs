//! What `scripts/fuzz` feeds with bytes until something gives: one target for each reader of foreign text.
//!
//! Each asserts more than that nothing panics: what is written is read the same, what is brought into one form stays in
//! it, no amount comes from an overflow, and nothing grows beyond what its reader says. The inputs that were found are
//! kept in `fuzz/corpus` and run through the same targets by the tests. No part of the program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a finding is a panic"
)]

mod bodies;
mod l402;
mod lightning;
mod money;
mod places;
mod tables;
mod texts;

#[cfg(test)]
mod replay;

/// A reader of foreign text.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also of its file in the corpus.
    pub name: &'static str,
    /// Bytes that it is given at most: beyond what its reader takes.
    pub most: usize,
    /// Reads, and panics if something is wrong.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "payment_targets", most: 9_000, run: lightning::payment_targets },
    Target { name: "lnurl_answers", most: 8_192, run: lightning::lnurl_answers },
    Target { name: "dns_names", most: 4_096, run: lightning::dns_names },
    Target { name: "macaroons", most: 4_200, run: l402::macaroons },
    Target { name: "credentials", most: 8_192, run: l402::credentials },
    Target { name: "challenges", most: 8_192, run: l402::challenges },
    Target { name: "canonical_json", most: 4_096, run: l402::canonical_json },
    Target { name: "paths", most: 2_100, run: places::paths },
    Target { name: "globs", most: 700, run: places::globs },
    Target { name: "urls", most: 2_100, run: places::urls },
    Target { name: "clients", most: 2_048, run: places::clients },
    Target { name: "decimals", most: 200, run: money::decimals },
    Target { name: "prices", most: 200, run: money::prices },
    Target { name: "rates", most: 4_096, run: money::rates },
    Target { name: "dates", most: 100, run: money::dates },
    Target { name: "tables", most: 4_096, run: tables::tables },
    Target { name: "imports", most: 4_096, run: tables::imports },
    Target { name: "bodies", most: 4_096, run: bodies::bodies },
    Target { name: "orders", most: 4_096, run: bodies::orders },
    Target { name: "words", most: 2_048, run: texts::words },
    Target { name: "config", most: 4_096, run: texts::config },
    Target { name: "texts", most: 2_048, run: texts::texts },
];

/// The target of a name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

/// A text, if it is one.
fn text(data: &[u8]) -> &str {
    let end = std::str::from_utf8(data).map_or_else(|error| error.valid_up_to(), str::len);
    std::str::from_utf8(&data[..end]).unwrap()
}

/// What stands before the first line's end, and what behind it.
fn two(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
