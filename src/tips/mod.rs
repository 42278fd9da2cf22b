//! Tips and tip groups: the Lightsats API.
//!
//! A tip is a voucher with a claim page. Its tipper pays one invoice for one tip or for a group of them; each
//! recipient opens a link or types magic words, claims, and withdraws with whatever wallet they have. What
//! nobody withdraws in time is its tipper's again.

pub mod error;
pub mod fee;
pub mod ids;
pub mod passphrase;
pub mod people;
pub mod request;
pub mod status;
pub mod view;
