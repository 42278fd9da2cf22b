//! Satchel: a Lightning node and, on it, services that give, tip and charge sats.
//!
//! The map of the house. Imports run one way:
//! `cli, app, routes → families (gifts, …) → vouchers → ledger → lightning, store`; `http`, `webhooks`,
//! `mail`, `rates`, `money`, `ids`, `text`, `config` and `telemetry` stand below the families and know none of them.
//! `trouble` says of all these rooms' errors what whoever asked may be told.

pub mod acts;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod csv;
pub mod currency;
pub mod data_dir;
pub mod decimal;
pub mod export;
pub mod failpoint;
pub mod fees;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod gifts;
pub mod http;
pub mod ids;
pub mod l402;
pub mod ledger;
pub mod lightning;
pub mod lnurl;
pub mod mail;
pub mod mcp;
pub mod money;
pub mod names;
pub mod payments;
pub mod rates;
pub mod routes;
pub mod seal;
pub mod services;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod text;
pub mod tips;
pub mod trouble;
pub mod vouchers;
pub mod web;
pub mod webhooks;
