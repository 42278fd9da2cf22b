//! Says what a network shall be like, and brings it up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use toml::Table;

use crate::control::Control;
use crate::folder::Folder;
use crate::{Bitcoind, ChainSource, Network, Satchel, SatchelOptions, Wallet, WalletNetwork, satchel, setup};

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
    /// A part doesn't start; the message says which and has the end of its log. What was started is stopped again,
    /// its files stay.
    pub async fn start(self) -> Result<Network> {
        let started = Instant::now();
        // Before anything is started that would have to be stopped again.
        satchel::locate(self.satchel.binary.as_deref())?;
        let mut folder = Folder::new(self.dir.clone())?;
        let (bitcoind, satchel, wallets) = match self.bring_up(folder.path()).await {
            Ok(parts) => parts,
            Err(error) => {
                folder.keep();
                return Err(error);
            }
        };
        let control = Control::start(Arc::clone(&satchel), wallets.clone(), Arc::clone(&bitcoind))?;
        tracing::info!("the network is up after {} s", started.elapsed().as_secs());
        Ok(Network { satchel, wallets, bitcoind, control, _folder: folder })
    }

    /// Starts only a chain and wallets with coins.
    ///
    /// # Errors
    /// As [`NetworkBuilder::start`].
    pub async fn start_without_satchel(self) -> Result<WalletNetwork> {
        let folder = Folder::new(self.dir)?;
        let bitcoind = start_bitcoind(folder.path()).await?;
        let wallets = start_wallets(folder.path(), self.wallets, &ChainSource::from(&*bitcoind)).await?;
        setup::fund(&bitcoind, None, &wallets).await?;
        Ok(WalletNetwork { wallets, bitcoind, _folder: folder })
    }

    async fn bring_up(self, dir: &Path) -> Result<(Arc<Bitcoind>, Arc<Satchel>, Vec<Arc<Wallet>>)> {
        let bitcoind = start_bitcoind(dir).await?;
        let chain = ChainSource::from(&*bitcoind);
        tracing::info!("starting satchel and {} wallets", self.wallets);
        let satchel = async {
            let satchel = Satchel::init(&dir.join("satchel"), &chain, self.satchel).await?;
            satchel.start().await?;
            Ok(Arc::new(satchel))
        };
        let wallets = start_wallets(dir, self.wallets, &chain);
        let (satchel, wallets): (Result<_>, Result<_>) = tokio::join!(satchel, wallets);
        let (satchel, wallets) = (satchel?, wallets?);
        let opened = open_channels(&bitcoind, &satchel, &wallets, self.channel_sat, self.opener).await;
        opened.with_context(|| format!("the end of satchel's log:\n{}", satchel.log_tail()))?;
        Ok((bitcoind, satchel, wallets))
    }
}

async fn open_channels(
    bitcoind: &Bitcoind,
    satchel: &Satchel,
    wallets: &[Arc<Wallet>],
    sat: u64,
    opener: ChannelOpener,
) -> Result<()> {
    tracing::info!("mining coins for satchel and the wallets");
    setup::fund(bitcoind, Some(satchel), wallets).await?;
    tracing::info!("opening channels of {sat} sat");
    for wallet in wallets {
        match opener {
            ChannelOpener::Satchel => setup::open_by_satchel(bitcoind, satchel, wallet, sat, sat / 2).await?,
            ChannelOpener::Wallet => setup::open_by_wallet(satchel, wallet, sat, sat / 2).await?,
        }
    }
    if opener == ChannelOpener::Wallet {
        setup::wait_funding(bitcoind, wallets.len()).await?;
    }
    bitcoind.mine(setup::CONFIRMATIONS).await?;
    tracing::info!("waiting for the channels");
    setup::wait_usable(bitcoind, Some(satchel), wallets).await?;
    // Each wallet keeps the connection alive from its side, however the channel came to be.
    let node_id = satchel.node_id().await?.parse().context("satchel's node_id isn't a public key")?;
    for wallet in wallets {
        wallet.connect(node_id, satchel.p2p()).await?;
    }
    Ok(())
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
