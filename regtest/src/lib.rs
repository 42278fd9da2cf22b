//! A Lightning regtest network in a box, for tests and for people who want to try satchel.
//!
//! Who calls it: the `regtest` program of this crate, satchel's end-to-end tests and its benchmark. It starts a real
//! `bitcoind`, the real `satchel` binary and some wallets (Lightning nodes of their own, with an HTTP face), opens
//! channels, mines blocks, and stops it all again, also when a test panics.
//!
//! It must never use satchel's own code: what it checks satchel with has to be independent of it. And it must never
//! touch another network than regtest.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let network = regtest::Network::builder().wallets(2).start().await?;
//! let invoice = network.wallets[0].invoice(regtest::InvoiceRequest::sat(5_000)).await?;
//! println!("{} may pay {}", network.satchel.url(), invoice.invoice);
//! network.shutdown().await?;
//! # Ok(())
//! # }
//! ```

pub mod bitcoind;
pub mod bitcoind_build;
mod builder;
pub mod control;
mod folder;
pub mod network;
mod ports;
pub mod process;
pub mod rpc;
mod runtime;
pub mod satchel;
mod satchel_calls;
mod satchel_config;
mod setup;
pub mod wallet;

pub use bitcoind::Bitcoind;
pub use builder::{ChannelOpener, DEFAULT_CHANNEL_SAT, NetworkBuilder};
pub use network::{Network, WalletNetwork};
pub use satchel::{Satchel, SatchelOptions};
pub use wallet::error::WalletError;
pub use wallet::{ChainSource, InvoiceRequest, PayRequest, Wallet};
