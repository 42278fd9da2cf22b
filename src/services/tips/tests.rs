//! The contract, row by row, on the real routes, store and ledger and a simulated node.

mod answer;
mod document;
mod edits;
mod errors;
mod groups;
mod money;
mod offers;
mod public;
mod refunds;
mod states;
mod test_app;
mod thief;
mod withdraw;
