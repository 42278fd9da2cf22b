//! The HTTP toolkit: server, limits, keys, idempotency, streams, documents.
//!
//! Services and the HTTP server are built from it. It stands below them and knows none: no path, no error
//! code and no table of theirs is named here. What must be worded in a family's shape, the family passes in.

pub mod audit_log;
pub mod body;
pub mod client;
pub mod common_error;
pub mod cors;
pub mod events;
pub mod extract;
pub mod idempotency;
pub mod keys;
pub mod limits;
pub mod live;
pub mod measure;
pub mod noticed;
pub mod openapi;
pub mod pages;
pub mod problem;
pub mod respond;
pub mod server;

/// Now, in unix milliseconds, as the store keeps time.
pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
