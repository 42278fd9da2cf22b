//! The contract, row by row, on the real routes, store and ledger and a simulated node.

mod answer;
mod checkout;
mod document;
mod errors;
mod export;
mod fees;
mod histories;
mod money;
mod offers;
mod onchain;
mod orders;
mod paying_app;
mod post;
mod refunds;
mod test_app;
mod unavailable;
