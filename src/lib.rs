//! Satchel: a Lightning node and, on it, services that give, tip and charge sats.
//!
//! The map of the house. Imports run one way:
//! `cli, app, routes → families (gifts, …) → vouchers → ledger → lightning, store`; `http`, `webhooks`,
//! `money`, `ids`, `config` and `telemetry` stand below the families and know none of them.

pub mod clock;
pub mod failpoint;
pub mod http;
pub mod ids;
pub mod ledger;
pub mod lightning;
pub mod money;
pub mod store;
pub mod vouchers;
