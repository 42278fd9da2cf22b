//! A wallet: a Lightning node of its own, used through methods or through the same things over HTTP.
//!
//! It stands for the people who pay satchel and are paid by it, so it knows nothing of satchel's code. Each keeps its
//! folder, its Lightning port and its HTTP port when it is stopped and started again; while stopped its HTTP face
//! answers 503.

mod api;
pub mod error;
mod events;
mod holds;
mod info;
mod lnurl;
mod lnurl_rules;
mod log;
mod node;
mod offers;
mod payment_types;
mod payments;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use ldk_node::Node;
use ldk_node::bitcoin::secp256k1::PublicKey;
use tokio::task::AbortHandle;

pub use self::info::{WalletBalance, WalletChannel, WalletInfo};
pub use self::lnurl::{
    LnurlAuthDone, LnurlPayDone, LnurlPayRequest, LnurlWithdrawDone, LnurlWithdrawRequest,
};
pub use self::payment_types::{Invoice, InvoiceRequest, Paid, PayRequest, Payment, PaymentStatus};

use self::error::WalletError;
use self::events::Outcomes;
use self::holds::Holds;
use crate::{Bitcoind, ports, runtime};

/// Where a wallet reads the chain: the RPC server of a `bitcoind` on 127.0.0.1.
#[derive(Clone)]
pub struct ChainSource {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// RPC user.
    pub user: String,
    /// RPC password.
    pub password: String,
}

impl From<&Bitcoind> for ChainSource {
    fn from(bitcoind: &Bitcoind) -> Self {
        Self {
            port: bitcoind.port(),
            user: bitcoind.user().to_owned(),
            password: bitcoind.password().to_owned(),
        }
    }
}

/// A running or stopped wallet.
///
/// Dropping it stops the node, which may take a second or two; what is in its folder stays.
pub struct Wallet {
    inner: Arc<Inner>,
    server: AbortHandle,
}

struct Inner {
    name: String,
    dir: PathBuf,
    chain: ChainSource,
    http: SocketAddr,
    p2p: SocketAddr,
    seed: [u8; 64],
    holds: Arc<Holds>,
    outcomes: Arc<Outcomes>,
    lnurl: ::lnurl::AsyncClient,
    running: Mutex<Option<Running>>,
    /// Starting and stopping are one at a time.
    lifecycle: tokio::sync::Mutex<()>,
}

struct Running {
    node: Arc<Node>,
    tasks: Vec<AbortHandle>,
}

impl Wallet {
    /// Makes (or finds) a wallet in `dir`, starts its node and its HTTP face on free ports.
    ///
    /// # Errors
    /// The folder can't be used, or the node doesn't start, as when the chain source doesn't answer.
    pub async fn start_in(name: &str, dir: &Path, chain: ChainSource) -> Result<Self> {
        Self::start_at(name, dir, chain, ports::free_address()?).await
    }

    /// The same with a given address for peers.
    ///
    /// # Errors
    /// As [`Wallet::start_in`].
    pub async fn start_at(name: &str, dir: &Path, chain: ChainSource, p2p: SocketAddr) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("can't create {}", dir.display()))?;
        let listener = ports::free_listener().context("can't listen for HTTP")?;
        listener.set_nonblocking(true).context("can't listen for HTTP")?;
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            dir: dir.to_owned(),
            chain,
            http: listener.local_addr().context("can't tell the HTTP port")?,
            p2p,
            seed: node::seed(dir)?,
            holds: Arc::new(Holds::open(dir.join("holds"))?),
            outcomes: Arc::default(),
            lnurl: lnurl::client()?,
            running: Mutex::new(None),
            lifecycle: tokio::sync::Mutex::new(()),
        });
        let server = api::serve(Arc::clone(&inner), listener)?;
        let wallet = Self { inner, server };
        wallet.start().await?;
        Ok(wallet)
    }

    /// Starts the node again after [`Wallet::stop`].
    ///
    /// # Errors
    /// It already runs, or doesn't start.
    pub async fn start(&self) -> Result<()> {
        self.inner.start().await
    }

    /// Stops the node. Payments on their way stay with the channels and go on after the start; whoever waits for one
    /// gets [`WalletError::Stopped`].
    ///
    /// # Errors
    /// It doesn't run.
    pub async fn stop(&self) -> Result<()> {
        self.inner.stop().await
    }

    /// Whether the node runs.
    pub fn is_running(&self) -> bool {
        self.inner.lock().is_some()
    }

    /// The wallet's name, for messages.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The address of the HTTP face, as `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.http)
    }

    /// Where the node listens for peers, as `127.0.0.1:port`.
    pub fn p2p(&self) -> SocketAddr {
        self.inner.p2p
    }

    /// The node's public key. It never changes, but is known only while the node runs.
    ///
    /// # Errors
    /// The wallet is stopped.
    pub async fn node_id(&self) -> Result<PublicKey, WalletError> {
        Ok(self.inner.node()?.node_id())
    }

    /// The node and its channels.
    ///
    /// # Errors
    /// The wallet is stopped.
    pub async fn info(&self) -> Result<WalletInfo, WalletError> {
        self.inner.info().await
    }

    /// The wallet's money.
    ///
    /// # Errors
    /// The wallet is stopped.
    pub async fn balance(&self) -> Result<WalletBalance, WalletError> {
        self.inner.balance().await
    }

    /// A new address of the on-chain wallet.
    ///
    /// # Errors
    /// The wallet is stopped.
    pub async fn address(&self) -> Result<String, WalletError> {
        let address = self.inner.call(|node| node.onchain_payment().new_address()).await?;
        Ok(address.map_err(|error| WalletError::Internal(error.to_string()))?.to_string())
    }

    /// Brings the node up to the newest block now, instead of within two seconds.
    ///
    /// # Errors
    /// The wallet is stopped, or the chain source is.
    pub async fn sync(&self) -> Result<(), WalletError> {
        let synced = self.inner.call(|node| node.sync_wallets()).await?;
        synced.map_err(|error| WalletError::Internal(error.to_string()))
    }

    /// Opens a private channel of `amount_sat` to a peer and gives it `push_sat` of that. The channel is usable some
    /// blocks later.
    ///
    /// # Errors
    /// `Failed` if the peer can't be reached or the coins don't suffice.
    pub async fn open_channel(
        &self,
        node_id: PublicKey,
        address: SocketAddr,
        amount_sat: u64,
        push_sat: u64,
    ) -> Result<(), WalletError> {
        let config = events::channel_config();
        let opened = self
            .inner
            .call(move |node| {
                let push_msat = push_sat.saturating_mul(1_000);
                node.open_channel(node_id, address.into(), amount_sat, Some(push_msat), Some(config))
            })
            .await?;
        match opened {
            Ok(_) => Ok(()),
            Err(error) => Err(WalletError::Failed(format!("{} can't open a channel: {error}", self.name()))),
        }
    }

    /// Closes a channel by force: publishes the wallet's own state of it, without asking the peer.
    ///
    /// # Errors
    /// `NotFound` if there is no such channel, `Failed` if it can't be closed.
    pub async fn force_close(&self, channel_id: &str) -> Result<(), WalletError> {
        let wanted = channel_id.to_owned();
        let closed = self
            .inner
            .call(move |node| {
                let channels = node.list_channels();
                let channel = channels.iter().find(|channel| channel.channel_id.to_string() == wanted)?;
                let (ours, peer) = (channel.user_channel_id, channel.counterparty_node_id);
                Some(node.force_close_channel(&ours, peer, None))
            })
            .await?;
        let closed = closed.ok_or_else(|| WalletError::NotFound(format!("no channel {channel_id}")))?;
        closed.map_err(|error| WalletError::Failed(format!("{} can't close a channel: {error}", self.name())))
    }

    /// Connects to a peer and keeps connecting to it, also after a restart of either side.
    ///
    /// # Errors
    /// `Failed` if the peer can't be reached now.
    pub async fn connect(&self, node_id: PublicKey, address: SocketAddr) -> Result<(), WalletError> {
        let connected = self.inner.call(move |node| node.connect(node_id, address.into(), true)).await?;
        connected.map_err(|error| WalletError::Failed(format!("{} can't connect: {error}", self.name())))
    }

    /// Stops at once and for good, without waiting for anything asynchronous; for the end of a network.
    pub(crate) fn halt(&self) {
        self.server.abort();
        if let Some(running) = self.inner.take() {
            // Stopping a node blocks on a runtime, which a thread of a runtime must not do.
            let stopped = std::thread::spawn(move || running.end()).join();
            if !matches!(stopped, Ok(Ok(()))) {
                tracing::warn!(wallet = self.name(), "the node didn't stop in order");
            }
        }
    }
}

impl Drop for Wallet {
    fn drop(&mut self) {
        self.halt();
    }
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet")
            .field("name", &self.inner.name)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl Inner {
    async fn start(self: &Arc<Self>) -> Result<()> {
        let _one = self.lifecycle.lock().await;
        if self.lock().is_some() {
            bail!("{} already runs", self.name);
        }
        let inner = Arc::clone(self);
        let node = runtime::blocking(move || node::start(&inner)).await??;
        let consumer =
            events::consume(Arc::clone(&node), Arc::clone(&self.outcomes), Arc::clone(&self.holds));
        let handle = runtime::handle()?;
        let tasks = vec![
            handle.spawn(consumer).abort_handle(),
            handle.spawn(node::keep_connected(Arc::clone(&node))).abort_handle(),
        ];
        *self.lock() = Some(Running { node, tasks });
        Ok(())
    }

    async fn stop(&self) -> Result<()> {
        let _one = self.lifecycle.lock().await;
        let Some(running) = self.take() else { bail!("{} doesn't run", self.name) };
        runtime::blocking(move || running.end()).await?
    }

    fn take(&self) -> Option<Running> {
        let running = self.lock().take();
        self.outcomes.abandon();
        running
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running node.
    fn node(&self) -> Result<Arc<Node>, WalletError> {
        self.lock().as_ref().map(|running| Arc::clone(&running.node)).ok_or(WalletError::Stopped)
    }

    /// Calls the node, on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Node) -> T + Send + 'static,
    ) -> Result<T, WalletError> {
        let node = self.node()?;
        Ok(runtime::blocking(move || work(&node)).await?)
    }
}

impl Running {
    /// Blocks until the node has stopped.
    fn end(self) -> Result<()> {
        for task in &self.tasks {
            task.abort();
        }
        self.node.stop().context("the node didn't stop in order")
    }
}
