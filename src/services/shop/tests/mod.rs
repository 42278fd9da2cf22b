//! Tests of the service.

mod admin;
mod checkout;
mod claims;
mod crowds;
mod document;
mod import;
mod letters;
mod openapi;
mod places;
mod products;
mod refunds;
mod setup;
mod shopify;
#[path = "../../../../tests/common/shopify/mod.rs"]
#[allow(dead_code, reason = "the network test uses the rest")]
mod shopify_server;
