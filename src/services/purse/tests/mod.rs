//! The service on a simulated node, with services of many kinds to ask.

mod fetching;
mod hostile;
mod limits;
mod paying;
mod seller;
mod test_app;
