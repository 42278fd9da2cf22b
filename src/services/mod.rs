//! The services on the node, all alike inside: rules, store, routes, errors.

pub mod accounts;
pub mod agents;
pub mod content;
pub mod gifts;
pub mod l402;
pub mod manifest;
pub mod mcp;
pub mod merchant;
pub mod payments;
pub mod proxy;
pub mod purse;
pub mod shop;
pub mod tips;
pub mod users;
