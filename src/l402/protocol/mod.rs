//! The wire forms of L402 and of the `Payment` scheme: macaroons, caveats, credentials, challenges, receipts.
//!
//! Pure code: no clock, no store, no node. What comes from strangers is read here and nowhere else; reading never
//! panics, is bounded in size, and refuses what it doesn't know.

pub mod b64;
pub mod caveat;
pub mod challenge;
pub mod credential;
pub mod identifier;
pub mod macaroon;
pub mod mpp;
pub mod params;

#[cfg(test)]
mod tests;

pub use caveat::{Broken, Terms};
pub use credential::{Credential, Presented};
pub use identifier::Identifier;
pub use macaroon::{Macaroon, RootKey};
