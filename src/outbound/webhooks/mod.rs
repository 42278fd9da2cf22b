//! Webhooks: written with what causes them, signed, delivered at least once, never to where they must not go.
//!
//! A service calls [`Outbox::enqueue`](store::Outbox::enqueue) in the transaction that causes the message, and
//! [`Guard::check_url`](super::guard::Guard::check_url) when a stranger gives it an address. The worker does the rest.
//! **Crash behaviour**: a message exists exactly if its cause does. One that was sent right before a crash is
//! sent again, with the same `webhook-id`: receivers tell by it.

mod lanes;
pub mod schedule;
pub mod sign;
pub mod store;
pub mod worker;
