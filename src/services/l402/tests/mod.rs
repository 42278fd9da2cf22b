//! The contract, row by row, on the real routes, store and ledger and a simulated node.

mod challenges;
mod credentials;
mod document;
mod errors;
mod layer;
mod money;
mod once;
pub(in crate::services) mod shape;
mod test_app;
pub(in crate::services) mod test_seller;
mod verify;
