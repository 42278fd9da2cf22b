//! The service on a simulated node, with services of many kinds to ask.

mod fetching;
mod hostile;
mod house;
mod limits;
mod paying;
mod seller;
