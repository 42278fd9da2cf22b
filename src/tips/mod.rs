//! Tips: sats behind a link for a person, in the dialect of the Lightsats API.

pub mod fee;
pub mod passphrase;
pub mod request;
pub mod status;
pub mod view;
