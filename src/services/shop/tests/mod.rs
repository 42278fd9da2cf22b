//! Tests of the service.

mod admin;
mod checkout;
mod claims;
mod crowds;
mod document;
mod import;
mod letters;
mod products;
mod refunds;
mod setup;
