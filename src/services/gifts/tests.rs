//! The contract, row by row, on the real routes, store and ledger and a simulated node.

mod addresses;
mod codes;
mod create;
mod document;
mod fees;
mod life;
mod limits;
mod lnurl;
mod manage;
mod offers;
mod redeem;
mod returns;
mod shapes;
mod test_app;
mod thief;
