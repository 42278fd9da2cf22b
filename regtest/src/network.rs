//! A whole network: one call starts it, dropping it stops it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::control::Control;
use crate::folder::Folder;
use crate::{Bitcoind, NetworkBuilder, Satchel, Wallet, setup};

/// A network with satchel. All fields are for use; stopping one part leaves the others running.
#[derive(Debug)]
pub struct Network {
    /// The satchel under test.
    pub satchel: Arc<Satchel>,
    /// People's wallets, each with one channel to satchel.
    pub wallets: Vec<Arc<Wallet>>,
    /// The chain.
    pub bitcoind: Arc<Bitcoind>,
    /// The same controls over HTTP.
    pub control: Control,
    pub(crate) _folder: Folder,
}

/// Wallets and a chain without satchel; no channels yet.
#[derive(Debug)]
pub struct WalletNetwork {
    /// The wallets, with coins on the chain.
    pub wallets: Vec<Arc<Wallet>>,
    /// The chain.
    pub bitcoind: Arc<Bitcoind>,
    pub(crate) _folder: Folder,
}

impl Network {
    /// A description of the network to be started.
    pub fn builder() -> NetworkBuilder {
        NetworkBuilder::default()
    }

    /// Starts a network of the default kind: two wallets.
    ///
    /// # Errors
    /// As [`NetworkBuilder::start`].
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Mines blocks and lets everyone who runs see them. Returns the chain's new height.
    ///
    /// # Errors
    /// `bitcoind` doesn't answer, or someone can't sync.
    pub async fn mine(&self, blocks: u32) -> Result<u32> {
        let height = self.bitcoind.mine(blocks).await?;
        setup::sync(&self.bitcoind, Some(&self.satchel), &self.wallets).await?;
        Ok(height)
    }

    /// Waits until every wallet has a usable channel with satchel, as after a restart of either.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn wait_usable(&self) -> Result<()> {
        setup::wait_usable(&self.bitcoind, Some(&self.satchel), &self.wallets).await
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// A part that ran didn't stop in order; the others are stopped all the same.
    pub async fn shutdown(self) -> Result<()> {
        self.control.stop();
        let satchel = if self.satchel.is_running() { self.satchel.stop().await.map(|_| ()) } else { Ok(()) };
        satchel.and(stop_rest(&self.wallets, &self.bitcoind).await)
    }
}

impl WalletNetwork {
    /// Mines blocks and lets every running wallet see them. Returns the chain's new height.
    ///
    /// # Errors
    /// `bitcoind` doesn't answer, or a wallet can't sync.
    pub async fn mine(&self, blocks: u32) -> Result<u32> {
        let height = self.bitcoind.mine(blocks).await?;
        setup::sync(&self.bitcoind, None, &self.wallets).await?;
        Ok(height)
    }

    /// Opens a channel between two wallets, gives the second half of it, and waits until it is usable on both sides.
    ///
    /// # Errors
    /// The channel can't be opened, or isn't usable in time.
    pub async fn connect(&self, from: &Wallet, to: &Wallet, amount_sat: u64) -> Result<()> {
        from.open_channel(to.node_id().await?, to.p2p(), amount_sat, amount_sat / 2).await?;
        setup::wait_funding(&self.bitcoind, 1).await?;
        self.bitcoind.mine(setup::CONFIRMATIONS).await?;
        setup::sync(&self.bitcoind, None, &self.wallets).await?;
        self.wait_usable(from, to).await
    }

    /// Waits until both wallets see their channel as usable.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn wait_usable(&self, one: &Wallet, other: &Wallet) -> Result<()> {
        for (wallet, peer) in [(one, other), (other, one)] {
            let peer = peer.node_id().await?.to_string();
            let limit = Duration::from_secs(60);
            setup::until(&format!("the channel of {} is usable", wallet.name()), limit, || async {
                let channels = wallet.info().await?.channels;
                Ok(channels.iter().any(|channel| channel.usable && channel.node_id == peer).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// A part that ran didn't stop in order; the others are stopped all the same.
    pub async fn shutdown(self) -> Result<()> {
        stop_rest(&self.wallets, &self.bitcoind).await
    }
}

async fn stop_rest(wallets: &[Arc<Wallet>], bitcoind: &Bitcoind) -> Result<()> {
    let mut stopping = tokio::task::JoinSet::new();
    for wallet in wallets.iter().filter(|wallet| wallet.is_running()) {
        let wallet = Arc::clone(wallet);
        stopping.spawn(async move { wallet.stop().await });
    }
    let mut result = Ok(());
    while let Some(stopped) = stopping.join_next().await {
        result = result.and(stopped.context("a wallet's stop ended early").and_then(|stopped| stopped));
    }
    let bitcoind = if bitcoind.is_running() { bitcoind.stop().await } else { Ok(()) };
    result.and(bitcoind)
}

/// Stops at once, also where nothing can be awaited.
fn halt(satchel: Option<&Satchel>, wallets: &[Arc<Wallet>], bitcoind: &Bitcoind) {
    if let Some(satchel) = satchel {
        satchel.kill_now();
    }
    std::thread::scope(|scope| {
        for wallet in wallets {
            scope.spawn(|| wallet.halt());
        }
    });
    bitcoind.kill();
}

impl Drop for Network {
    fn drop(&mut self) {
        self.control.stop();
        halt(Some(&self.satchel), &self.wallets, &self.bitcoind);
    }
}

impl Drop for WalletNetwork {
    fn drop(&mut self) {
        halt(None, &self.wallets, &self.bitcoind);
    }
}
