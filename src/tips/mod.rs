//! Tips: sats for somebody who may not have a wallet yet, in the dialect of the Lightsats API.
//!
//! `people` knows who asks: users, their sessions and how they log in.

pub mod error;
pub mod ids;
pub mod people;
