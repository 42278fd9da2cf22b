//! L402: requests for sats.

pub mod content;
mod gate;
pub mod manifest;
pub mod proxy;

pub use gate::{Admission, Admitted, L402, Price};
