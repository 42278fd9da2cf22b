//! What requests show of a set-up that gives secrets away. Counted, for `satchel doctor` to tell; nothing of the
//! requests is kept.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{StatusCode, Uri};
use serde::Serialize;
use url::form_urlencoded::parse;

use super::keys::{Caller, MARK, Scope};

/// Names under which keys stand in query strings: `apiKey` of the scheduler's routes, `key` of a sender's page, and what
/// clients of other services try.
const NAMES: [&str; 6] = ["apikey", "api_key", "api-key", "key", "token", "access_token"];

/// Shorter values are no key of ours.
const SHORTEST: usize = 32;

/// How often what was seen.
#[derive(Debug, Default)]
pub struct Noticed {
    keys_in_queries: AtomicU64,
    metrics_refused: AtomicU64,
    metrics_by_admin: AtomicU64,
}

/// The numbers, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Requests with a key in their query string, which servers in front write into their logs.
    pub keys_in_queries: u64,
    /// Requests for `/metrics` with a valid key of another scope.
    pub metrics_refused: u64,
    /// Answers to `/metrics` for a key that may also move money.
    pub metrics_by_admin: u64,
}

impl Noticed {
    /// Looks at what was asked for.
    pub fn asked(&self, uri: &Uri) {
        if uri.query().is_some_and(has_key) {
            self.keys_in_queries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks at how a request for `/metrics` ended.
    pub fn metrics(&self, status: StatusCode) {
        if status == StatusCode::FORBIDDEN {
            self.metrics_refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks at who read `/metrics`.
    pub fn metrics_read(&self, caller: &Caller) {
        if caller.scopes.contains(&Scope::Admin) {
            self.metrics_by_admin.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was seen since the start.
    pub fn seen(&self) -> Seen {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Seen {
            keys_in_queries: of(&self.keys_in_queries),
            metrics_refused: of(&self.metrics_refused),
            metrics_by_admin: of(&self.metrics_by_admin),
        }
    }
}

fn has_key(query: &str) -> bool {
    // Without a value of that length there is none, and most queries are short.
    query.len() > SHORTEST
        && parse(query.as_bytes()).any(|(name, value)| {
            let named = || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
            value.len() >= SHORTEST && (value.starts_with(MARK) || named())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_query_strings_are_counted_and_other_queries_are_not() {
        let noticed = Noticed::default();
        let key = "ab".repeat(32);
        for path in
            ["/gift/x", "/gift/x?key=short", "/x?k1=", &format!("/x?k1={key}"), &format!("/x?q={key}")]
        {
            noticed.asked(&path.parse().unwrap());
        }
        assert_eq!(noticed.seen(), Seen::default());
        for query in [
            format!("key={key}"),
            format!("a=b&apiKey=satchel_{key}"),
            format!("API_KEY={key}"),
            format!("q=satchel_{key}"),
            format!("q=%73atchel_{key}"),
        ] {
            let before = noticed.seen().keys_in_queries;
            noticed.asked(&format!("/gift/x/manage?{query}").parse().unwrap());
            assert_eq!(noticed.seen().keys_in_queries, before + 1, "{query}");
        }
    }
}
