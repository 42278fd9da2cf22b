//! The service on the real routes, store and ledger and a simulated node.

mod histories;
mod invoices;
mod money;
mod names;
mod offers;
mod onchain;
mod reading;
mod routing;
mod test_app;
