//! A whole network: one call starts it, dropping it stops it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use tempfile::TempDir;
use toml::Table;

use crate::control::Control;
use crate::{Bitcoind, ChainSource, Satchel, SatchelOptions, Wallet, setup};

/// The largest channel that LDK opens without both sides agreeing on more is a little above this.
pub const DEFAULT_CHANNEL_SAT: u64 = 16_000_000;

/// Who opens, and so pays for, the channel between satchel and a wallet. The other side is given half of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelOpener {
    /// Satchel; it may then have the whole channel in flight inwards, the wallet a tenth of it.
    #[default]
    Satchel,
    /// The wallet.
    Wallet,
}

/// What a network shall be like.
#[derive(Clone, Debug)]
pub struct NetworkBuilder {
    wallets: usize,
    channel_sat: u64,
    opener: ChannelOpener,
    dir: Option<PathBuf>,
    satchel: SatchelOptions,
}

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
    _folder: Folder,
}

/// Wallets and a chain without satchel; no channels yet.
#[derive(Debug)]
pub struct WalletNetwork {
    /// The wallets, with coins on the chain.
    pub wallets: Vec<Arc<Wallet>>,
    /// The chain.
    pub bitcoind: Arc<Bitcoind>,
    _folder: Folder,
}

/// Where a network keeps its files. A folder of its own is deleted at the end, unless the test failed or
/// `REGTEST_KEEP` is set.
#[derive(Debug)]
enum Folder {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn new(given: Option<PathBuf>) -> Result<Self> {
        match given {
            Some(path) => {
                std::fs::create_dir_all(&path)
                    .with_context(|| format!("can't create {}", path.display()))?;
                Ok(Self::Given(path.canonicalize().with_context(|| {
                    format!("can't find {}", path.display())
                })?))
            }
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("satchel-regtest-")
                    .tempdir();
                Ok(Self::Temporary(
                    folder.context("can't create a folder for the network")?,
                ))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Temporary(folder) = self
            && (std::thread::panicking() || std::env::var_os("REGTEST_KEEP").is_some())
        {
            folder.disable_cleanup(true);
            eprintln!(
                "[regtest] the network's files stay in {}",
                folder.path().display()
            );
        }
    }
}

impl Default for NetworkBuilder {
    fn default() -> Self {
        Self {
            wallets: 2,
            channel_sat: DEFAULT_CHANNEL_SAT,
            opener: ChannelOpener::default(),
            dir: None,
            satchel: SatchelOptions::default(),
        }
    }
}

impl NetworkBuilder {
    /// How many wallets; two if not set.
    pub fn wallets(mut self, count: usize) -> Self {
        self.wallets = count;
        self
    }

    /// The size of each channel in sat, of which each side gets half; 16 million if not set.
    pub fn channel_sat(mut self, sat: u64) -> Self {
        self.channel_sat = sat;
        self
    }

    /// Who opens the channels; satchel if not set.
    pub fn opened_by(mut self, opener: ChannelOpener) -> Self {
        self.opener = opener;
        self
    }

    /// Where all files go; a temporary folder if not set.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The satchel binary; see [`crate::satchel::locate`].
    pub fn satchel_bin(mut self, path: impl Into<PathBuf>) -> Self {
        self.satchel.binary = Some(path.into());
        self
    }

    /// Settings for satchel, laid over the generated ones (and over those of earlier calls).
    pub fn extra_config(mut self, config: Table) -> Self {
        crate::satchel_config::merge(&mut self.satchel.config, config);
        self
    }

    /// An environment variable for satchel, as `FAILPOINTS` or `RUST_LOG`.
    pub fn satchel_env(mut self, name: &str, value: &str) -> Self {
        self.satchel.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts everything; when it returns, every wallet can pay satchel and be paid by it.
    ///
    /// # Errors
    /// A part doesn't start; the message says which and has the end of its log. What was started is stopped again.
    pub async fn start(self) -> Result<Network> {
        let started = Instant::now();
        let folder = Folder::new(self.dir)?;
        let bitcoind = start_bitcoind(folder.path()).await?;
        let chain = ChainSource::from(&*bitcoind);
        tracing::info!("starting satchel and {} wallets", self.wallets);
        let satchel = async {
            let satchel =
                Satchel::init(&folder.path().join("satchel"), &chain, self.satchel).await?;
            satchel.start().await?;
            Ok(Arc::new(satchel))
        };
        let wallets = start_wallets(folder.path(), self.wallets, &chain);
        let (satchel, wallets): (Result<_>, Result<_>) = tokio::join!(satchel, wallets);
        let (satchel, wallets) = (satchel?, wallets?);
        tracing::info!("mining coins for satchel and the wallets");
        setup::fund(&bitcoind, Some(&satchel), &wallets).await?;
        tracing::info!("opening channels of {} sat", self.channel_sat);
        for wallet in &wallets {
            let half = self.channel_sat / 2;
            match self.opener {
                ChannelOpener::Satchel => {
                    setup::open_by_satchel(&satchel, wallet, self.channel_sat, half).await?;
                }
                ChannelOpener::Wallet => {
                    setup::open_by_wallet(&satchel, wallet, self.channel_sat, half).await?
                }
            }
        }
        setup::confirm_channels(&bitcoind, wallets.len()).await?;
        tracing::info!("waiting for the channels");
        setup::wait_usable(Some(&satchel), &wallets).await?;
        // Each wallet keeps the connection alive from its side, however the channel came to be.
        let node_id = satchel
            .node_id()
            .await?
            .parse()
            .context("satchel's node_id isn't a public key")?;
        for wallet in &wallets {
            wallet.connect(node_id, satchel.p2p()).await?;
        }
        let control = Control::start(Arc::clone(&satchel), wallets.clone(), Arc::clone(&bitcoind))?;
        tracing::info!("the network is up after {} s", started.elapsed().as_secs());
        Ok(Network {
            satchel,
            wallets,
            bitcoind,
            control,
            _folder: folder,
        })
    }

    /// Starts only a chain and wallets with coins.
    ///
    /// # Errors
    /// As [`NetworkBuilder::start`].
    pub async fn start_without_satchel(self) -> Result<WalletNetwork> {
        let folder = Folder::new(self.dir)?;
        let bitcoind = start_bitcoind(folder.path()).await?;
        let wallets =
            start_wallets(folder.path(), self.wallets, &ChainSource::from(&*bitcoind)).await?;
        setup::fund(&bitcoind, None, &wallets).await?;
        Ok(WalletNetwork {
            wallets,
            bitcoind,
            _folder: folder,
        })
    }
}

async fn start_bitcoind(dir: &Path) -> Result<Arc<Bitcoind>> {
    tracing::info!("starting bitcoind");
    Ok(Arc::new(Bitcoind::start_in(&dir.join("bitcoind")).await?))
}

async fn start_wallets(dir: &Path, count: usize, chain: &ChainSource) -> Result<Vec<Arc<Wallet>>> {
    let mut starting = tokio::task::JoinSet::new();
    for index in 0..count {
        let (name, chain) = (format!("wallet {index}"), chain.clone());
        let dir = dir.join(format!("wallet-{index}"));
        starting.spawn(async move { (index, Wallet::start_in(&name, &dir, chain).await) });
    }
    let mut wallets = Vec::new();
    while let Some(started) = starting.join_next().await {
        let (index, wallet) = started.context("a wallet's start ended early")?;
        wallets.push((index, Arc::new(wallet?)));
    }
    wallets.sort_by_key(|(index, _)| *index);
    Ok(wallets.into_iter().map(|(_, wallet)| wallet).collect())
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
        setup::sync(Some(&self.satchel), &self.wallets).await?;
        Ok(height)
    }

    /// Waits until every wallet has a usable channel with satchel, as after a restart of either.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn wait_usable(&self) -> Result<()> {
        setup::wait_usable(Some(&self.satchel), &self.wallets).await
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// A part that ran didn't stop in order; the others are stopped all the same.
    pub async fn shutdown(self) -> Result<()> {
        self.control.stop();
        let satchel = if self.satchel.is_running() {
            self.satchel.stop().await.map(|_| ())
        } else {
            Ok(())
        };
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
        setup::sync(None, &self.wallets).await?;
        Ok(height)
    }

    /// Opens a channel between two wallets, gives the second half of it, and waits until it is usable on both sides.
    ///
    /// # Errors
    /// The channel can't be opened, or isn't usable in time.
    pub async fn connect(&self, from: &Wallet, to: &Wallet, amount_sat: u64) -> Result<()> {
        from.open_channel(to.node_id().await?, to.p2p(), amount_sat, amount_sat / 2)
            .await?;
        setup::confirm_channels(&self.bitcoind, 1).await?;
        setup::sync(None, &self.wallets).await?;
        self.wait_usable(from, to).await
    }

    /// Waits until both wallets see their channel as usable.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn wait_usable(&self, one: &Wallet, other: &Wallet) -> Result<()> {
        for (wallet, peer) in [(one, other), (other, one)] {
            let peer = peer.node_id().await?.to_string();
            let limit = std::time::Duration::from_secs(60);
            setup::until(
                &format!("the channel of {} is usable", wallet.name()),
                limit,
                || async {
                    let channels = wallet.info().await?.channels;
                    Ok(channels
                        .iter()
                        .any(|channel| channel.usable && channel.node_id == peer)
                        .then_some(()))
                },
            )
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
    for wallet in wallets.iter().filter(|wallet| wallet.is_running()).cloned() {
        stopping.spawn(async move { wallet.stop().await });
    }
    let mut result = Ok(());
    while let Some(stopped) = stopping.join_next().await {
        result = result.and(
            stopped
                .context("a wallet's stop ended early")
                .and_then(|stopped| stopped),
        );
    }
    let bitcoind = if bitcoind.is_running() {
        bitcoind.stop().await
    } else {
        Ok(())
    };
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
