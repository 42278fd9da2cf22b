//! Satchel: a Lightning node and, on it, services that give, tip and charge sats.
//!
//! Imports run one way, from the top of this list to its bottom; a test holds that.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the operator's commands |
//! | [`app`] | builds everything, starts and stops it, routes requests |
//! | [`web`] | pages for people |
//! | [`services`] | gifts, tips, payments, L402 and the others: rules, store, routes |
//! | [`admin`] | the operator's API, over traits that the services implement |
//! | [`rates`] | exchange rates |
//! | [`outbound`] | requests to others: webhooks, lightning addresses, mail |
//! | [`http`] | server, keys, limits, idempotency |
//! | [`vouchers`] | sats that wait for whoever shows the right id |
//! | [`ledger`] | who owns which sat: charges, payouts, books |
//! | [`lightning`] | the node |
//! | [`storage`] | the database |
//! | [`config`], [`telemetry`], [`core`] | settings; logs and metrics; types without I/O |

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod core;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod http;
pub mod ledger;
pub mod lightning;
pub mod outbound;
pub mod rates;
pub mod services;
pub mod storage;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod vouchers;
pub mod web;
