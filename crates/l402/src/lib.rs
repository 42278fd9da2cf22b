#![doc = include_str!("../README.md")]

pub mod b64;
pub mod caveat;
pub mod challenger;
pub mod credential;
pub mod identifier;
pub mod issued;
pub mod layer;
pub mod lease;
pub mod macaroon;
pub mod memory;
pub mod mint;
pub mod mpp;
pub mod params;
pub mod payment;
pub mod paywall;
pub mod price;
pub mod recent;
pub mod response;
pub mod verify;

mod time;

#[cfg(test)]
mod tests;

pub use caveat::{CaveatError, Terms, resource_name};
pub use challenger::{Challenger, Invoice, InvoiceRequest, Unavailable};
pub use credential::{Credential, Presented};
pub use identifier::Identifier;
pub use issued::{ChallengeParams, IssuedChallenge};
pub use layer::{PricedLayer, PricedService};
pub use lease::{Admitted, LeaseId, LeaseStore, PaymentLease};
pub use macaroon::{Macaroon, RootKey};
pub use memory::MemoryLeaseStore;
pub use mint::Mint;
pub use payment::{PaymentHash, Preimage};
pub use paywall::{Paywall, PaywallSettings};
pub use price::Price;
pub use recent::RecentPreimages;
pub use response::PaymentRequired;
pub use verify::{VerificationParams, VerifiedToken, VerifyError, verify};
