//! The baseline: ldk-node as anybody would set it up, with its own SQLite store, and one channel to a wallet.
//!
//! It is given what satchel gives its own node where that isn't the point of the comparison: no log file, and a channel
//! that isn't rationed for dust.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ldk_node::bitcoin::Network as Chain;
use ldk_node::config::{ChannelConfig, Config, MaxDustHTLCExposure};
use ldk_node::{Builder, Node};
use regtest::{DEFAULT_CHANNEL_SAT, Network, Wallet, WalletNetwork};
use tempfile::TempDir;

use crate::table::{Row, Table, number};
use crate::{Size, progress, receive, send};

/// What of the channel is the wallet's from the start.
const PUSH_SAT: u64 = 4_000_000;

/// How long anything of the set-up may take on a busy machine.
const SETUP_LIMIT: Duration = Duration::from_secs(90);

/// The baselines' rates, a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BareRates {
    /// Invoices made by one thread, and by eight.
    pub(crate) receive: Option<(f64, f64)>,
    /// Payments, forty at once.
    pub(crate) send: Option<f64>,
}

impl BareRates {
    /// The better of the two ways to make invoices.
    pub(crate) fn best_receive(&self) -> Option<f64> {
        self.receive.map(|(one, eight)| one.max(eight))
    }

    /// Adds the baselines' own lines.
    pub(crate) fn report(&self, table: &mut Table) {
        if let Some((one, eight)) = self.receive {
            table.add(Row::plain(
                "baseline: receive(), ldk-node's own store, 1 thread",
                format!("{}/s", number(one)),
            ));
            table.add(Row::plain("the same, 8 threads", format!("{}/s", number(eight))));
        }
        if let Some(rate) = self.send {
            let what = "baseline: send(), ldk-node's own store, 40 at once, 5,000 sat";
            table.add(Row::plain(what, format!("{}/s", number(rate))));
        }
    }
}

/// A bare node beside a wallet.
pub(crate) struct Bare {
    pub(crate) node: Arc<Node>,
    pub(crate) wallet: Arc<Wallet>,
    network: WalletNetwork,
    _folder: TempDir,
}

/// Measures what is asked for.
///
/// # Errors
/// The network doesn't come up, or a payment never ends.
pub(crate) async fn measure(size: Size, receive: bool, send: bool) -> Result<BareRates> {
    progress("baseline: starting a bare ldk-node and a wallet");
    let bare = Bare::start().await?;
    let mut rates = BareRates::default();
    // Payments first: invoices that were never paid would be in memory.
    if send {
        progress(&format!("baseline: {} payments, 40 at once", size.payouts));
        rates.send = Some(send::measure(&bare, size.payouts).await?);
    }
    if receive {
        progress("baseline: invoices");
        let one = receive::measure(&bare, 1, size.seconds).await?;
        let eight = receive::measure(&bare, 8, size.seconds).await?;
        rates.receive = Some((one, eight));
    }
    bare.stop().await?;
    Ok(rates)
}

impl Bare {
    async fn start() -> Result<Self> {
        let network = Network::builder().wallets(1).start_without_satchel().await?;
        let wallet = network.wallets.first().map(Arc::clone).context("the network has no wallet")?;
        let folder = tempfile::tempdir().context("can't make a folder for the bare node")?;
        let node = build(&network, folder.path())?;
        let bare = Self { node, wallet, network, _folder: folder };
        bare.open_channel().await?;
        Ok(bare)
    }

    async fn open_channel(&self) -> Result<()> {
        let address = self.call(|node| node.onchain_payment().new_address()).await??;
        self.network.bitcoind.mine_to(1, &address.to_string()).await?;
        self.network.bitcoind.mine(100).await?;
        let end = Instant::now() + SETUP_LIMIT;
        // A look at the chain that another one is already taking gives that one's result: so look until the
        // coins are there.
        while self.call(|node| node.list_balances().spendable_onchain_balance_sats).await?
            < DEFAULT_CHANNEL_SAT
        {
            pause(end, "the coins of the bare node").await?;
            self.sync().await?;
        }
        let (peer, at) = (self.wallet.node_id().await?, self.wallet.p2p());
        self.call(move |node| {
            let config = ChannelConfig {
                max_dust_htlc_exposure: MaxDustHTLCExposure::FixedLimit { limit_msat: 5_000_000_000 },
                ..ChannelConfig::default()
            };
            node.open_channel(peer, at.into(), DEFAULT_CHANNEL_SAT, Some(PUSH_SAT * 1_000), Some(config))
        })
        .await??;
        while self.network.bitcoind.mempool_count().await? == 0 {
            pause(end, "the channel's funding").await?;
        }
        self.network.bitcoind.mine(6).await?;
        self.sync().await?;
        loop {
            let ours = self.call(|node| node.list_channels().iter().any(|channel| channel.is_usable)).await?;
            if ours && self.wallet.info().await?.channels.iter().any(|channel| channel.usable) {
                return Ok(());
            }
            pause(end, "a usable channel").await?;
        }
    }

    async fn sync(&self) -> Result<()> {
        self.call(|node| node.sync_wallets()).await??;
        self.wallet.sync().await?;
        Ok(())
    }

    /// Calls the node on a thread that may block.
    async fn call<T: Send + 'static>(&self, work: impl FnOnce(&Node) -> T + Send + 'static) -> Result<T> {
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || work(&node)).await.context("a call of the bare node ended early")
    }

    async fn stop(self) -> Result<()> {
        self.call(|node| node.stop()).await??;
        self.network.shutdown().await
    }
}

async fn pause(end: Instant, what: &str) -> Result<()> {
    if Instant::now() >= end {
        bail!("{what} did not come in {SETUP_LIMIT:?}");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(())
}

/// With nothing set that has to do with its store.
fn build(network: &WalletNetwork, folder: &Path) -> Result<Arc<Node>> {
    let bitcoind = &network.bitcoind;
    let mut builder = Builder::from_config(Config { network: Chain::Regtest, ..Config::default() });
    builder.set_storage_dir_path(folder.display().to_string());
    builder.set_chain_source_bitcoind_rpc(
        "127.0.0.1".to_owned(),
        bitcoind.port(),
        bitcoind.user().to_owned(),
        bitcoind.password().to_owned(),
    );
    // Its own log is a file at the level debug, which would cost it a good part of its time.
    builder.set_log_facade_logger();
    let node = tokio::task::block_in_place(|| -> Result<Node> {
        let node = builder.build().context("the bare node can't be built")?;
        node.start().context("the bare node can't be started")?;
        Ok(node)
    })?;
    Ok(Arc::new(node))
}
