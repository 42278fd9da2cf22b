//! The services on the node, all alike inside: rules, store, routes, errors. None imports another.

pub mod accounts;
pub mod agents;
pub mod merchant;
pub mod purse;
pub mod shop;
