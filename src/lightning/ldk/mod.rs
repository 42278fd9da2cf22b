//! The real node: ldk-node inside this process. The only module that names `ldk_node`.
//!
//! Every call blocks, some for seconds; callers come through [`Node`](super::Node) or are threads of
//! their own. The node is built at once and started by [`LdkNode::run_start`], which goes on trying while
//! the chain source is away; until it has succeeded every call answers "not running".

mod cache;
mod coins;
mod convert;
mod fees;
mod hints;
mod holdings;
mod htlcs;
mod kv;
mod logs;
mod money;
mod operator;
mod preflight;
mod rooms;
mod standing;
mod startup;
mod turns;
mod wallet;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use ldk_node::config::{AnchorChannelsConfig, Config as NodeConfig, EsploraSyncConfig};
use ldk_node::lightning::ln::msgs::SocketAddress;
use ldk_node::{BuildError, Builder, Node};
use tokio::runtime::Handle;

use crate::core::ids::Secret;
use crate::storage::Store;

/// Seconds between two tries to start, at first and at most.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// What the node needs to know.
#[derive(Clone, Debug)]
pub struct LdkSettings {
    /// Which chain.
    pub network: Network,
    /// BIP39 words.
    pub seed_words: Secret,
    /// Folder for what can be deleted: network graph, scores.
    pub cache_dir: PathBuf,
    /// Where to learn of blocks.
    pub chain: ChainSource,
    /// Where peers find us, `ip:port`.
    pub listen: Vec<String>,
    /// What to announce to the network, `host:port`.
    pub announce: Vec<String>,
    /// Our name in the network; may be empty.
    pub alias: String,
    /// Dust under way that a channel may carry, in sat.
    pub max_dust_exposure_sat: u64,
    /// Peers whose channels count before they are confirmed.
    pub zero_conf_peers: Vec<PublicKey>,
    /// Coins kept back for each channel with anchor outputs, in sat.
    pub reserve_sat: u64,
    /// Rapid gossip sync server; gossip comes from peers without one.
    pub rgs_url: Option<String>,
}

/// Where to learn of blocks.
#[derive(Clone, Debug)]
pub enum ChainSource {
    /// An Esplora server.
    Esplora {
        /// Its address.
        url: String,
    },
    /// An Electrum server.
    Electrum {
        /// Its address.
        url: String,
    },
    /// bitcoind by RPC.
    Bitcoind {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// RPC user.
        user: String,
        /// RPC password.
        password: Secret,
    },
    /// bitcoind, blocks by REST and the rest by RPC.
    BitcoindRest {
        /// REST host.
        rest_host: String,
        /// REST port.
        rest_port: u16,
        /// RPC host.
        host: String,
        /// RPC port.
        port: u16,
        /// RPC user.
        user: String,
        /// RPC password.
        password: Secret,
    },
}

/// Why there is no node.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong; trying again doesn't help.
    #[error("{0}")]
    BadSettings(String),
    /// LDK's state can't be read; trying again doesn't help.
    #[error(
        "the node's state can't be read: {0}. Don't delete anything; restore nothing older. See the README, \"The data folder\""
    )]
    BadState(String),
}

/// The public key of the node that seed words make; `None` for what isn't seed words.
pub fn node_id_of(words: &Secret) -> Option<[u8; 33]> {
    let mnemonic: bip39::Mnemonic = words.expose().trim().parse().ok()?;
    let key = hints::node_key(&mnemonic.to_seed(""))?;
    Some(key.public_key(&bitcoin::secp256k1::Secp256k1::signing_only()).serialize())
}

/// ldk-node, wrapped.
pub struct LdkNode {
    node: Arc<Node>,
    kv: Arc<kv::KvStore>,
    settings: LdkSettings,
    runtime: Handle,
    running: AtomicBool,
    /// Whose turn it is to spend coins, and what was spent last.
    spending: Mutex<turns::LastSpend>,
    /// The last complete look at the chain before this start.
    synced_before: OnceLock<Option<u64>>,
    problem: Mutex<Option<String>>,
    burials: Mutex<standing::Burials>,
    scripts: wallet::Scripts,
    /// Makes invoices shorter; `None` if the key isn't the node's.
    signer: Option<hints::Signer>,
}

impl LdkNode {
    /// Builds the node from its state in `store`. Touches no network.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn build(settings: LdkSettings, store: Store, runtime: Handle) -> Result<Self, StartError> {
        let words = settings.seed_words.expose().trim();
        let mnemonic: bip39::Mnemonic = words
            .parse()
            .map_err(|_| StartError::BadSettings("the seed is not a list of BIP39 words".into()))?;
        let entropy = mnemonic.to_seed("");
        let config = NodeConfig {
            network: settings.network,
            trusted_peers_0conf: settings.zero_conf_peers.clone(),
            anchor_channels_config: Some(AnchorChannelsConfig {
                per_channel_reserve_sats: settings.reserve_sat,
                ..AnchorChannelsConfig::default()
            }),
            ..NodeConfig::default()
        };
        let mut builder = Builder::from_config(config);
        builder.set_entropy_bip39_mnemonic(mnemonic, None);
        builder.set_runtime(runtime.clone());
        builder.set_custom_logger(Arc::new(logs::Bridge));
        set_chain(&mut builder, &settings.chain);
        set_network_face(&mut builder, &settings)?;
        let kv = Arc::new(kv::KvStore::new(store, cache::Cache::new(settings.cache_dir.clone())));
        let built = tokio::task::block_in_place(|| builder.build_with_store(Arc::clone(&kv) as Arc<_>));
        let node = built.map_err(|error| match error {
            BuildError::WalletSetupFailed => StartError::BadState(
                "its wallet was made with other keys than those in `seed`; put back the file that belongs to it".into(),
            ),
            other => StartError::BadState(other.to_string()),
        })?;
        let signer = hints::Signer::new(&entropy, node.node_id());
        if signer.is_none() {
            tracing::warn!(
                "invoices keep all their route hints: the node's key is not the one that the seed leads to"
            );
        }
        Ok(Self {
            signer,
            node: Arc::new(node),
            kv,
            settings,
            runtime,
            running: AtomicBool::new(false),
            spending: Mutex::default(),
            synced_before: OnceLock::new(),
            problem: Mutex::new(Some("starting".into())),
            burials: Mutex::default(),
            scripts: wallet::Scripts::default(),
        })
    }

    /// Starts the node, trying again while the chain source is away. Blocks until it runs or `stop` says to
    /// give up.
    ///
    /// # Errors
    /// [`StartError::BadSettings`] for what no later try can mend, like a port in use.
    pub fn run_start(&self, stop: impl Fn() -> bool) -> Result<(), StartError> {
        self.synced_before.get_or_init(|| self.node.status().latest_lightning_wallet_sync_timestamp);
        startup::apply_pending_updates(&self.node);
        let mut wait = FIRST_RETRY;
        while !stop() {
            match self.runtime.block_on(preflight::ask(&self.settings.chain)) {
                Err(why) => self.wait_for_chain(&why, wait),
                Ok(()) => match self.node.start() {
                    Ok(()) => {
                        *self.problem_slot() = None;
                        self.running.store(true, Ordering::Release);
                        self.lift_dust_limits();
                        return Ok(());
                    }
                    Err(error) if convert::is_chain_trouble(error) => {
                        self.wait_for_chain(&error.to_string(), wait);
                    }
                    Err(error) => {
                        return Err(StartError::BadSettings(format!(
                            "the node can't start: {error}. Is another program using one of {:?}?",
                            self.settings.listen
                        )));
                    }
                },
            }
            let until = std::time::Instant::now() + wait;
            while std::time::Instant::now() < until && !stop() {
                std::thread::sleep(Duration::from_millis(100));
            }
            wait = wait.saturating_mul(2).min(LAST_RETRY);
        }
        Ok(())
    }

    /// Stops the node gracefully; LDK's state is durable afterwards.
    pub fn stop(&self) {
        if self.running.swap(false, Ordering::AcqRel)
            && let Err(error) = self.node.stop()
        {
            tracing::warn!(%error, "the node did not stop cleanly");
        }
    }

    /// Whether the chain was looked at since the start. Before that the node's blocks may be old ones.
    fn has_seen_the_chain(&self) -> bool {
        let synced = self.node.status().latest_lightning_wallet_sync_timestamp;
        self.synced_before.get().is_some_and(|before| *before != synced)
    }

    fn wait_for_chain(&self, why: &str, wait: Duration) {
        let problem = format!("the chain source does not answer ({why}); trying again");
        tracing::warn!(%problem, wait_secs = wait.as_secs(), "the node can't start yet");
        *self.problem_slot() = Some(problem);
    }

    fn problem_slot(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every channel may carry as much dust as the settings say: a service that pays small sums would
    /// otherwise be rationed to a few at a time.
    fn lift_dust_limits(&self) {
        for channel in self.node.list_channels() {
            self.lift_dust_limit(&channel);
        }
    }

    fn lift_dust_limit(&self, channel: &ldk_node::ChannelDetails) {
        let wanted = self.channel_config();
        if channel.config.max_dust_htlc_exposure == wanted.max_dust_htlc_exposure {
            return;
        }
        let updated =
            self.node.update_channel_config(&channel.user_channel_id, channel.counterparty_node_id, wanted);
        if let Err(error) = updated {
            tracing::warn!(%error, channel = %channel.channel_id, "the channel's dust limit could not be set");
        }
    }

    fn channel_config(&self) -> ldk_node::config::ChannelConfig {
        ldk_node::config::ChannelConfig {
            max_dust_htlc_exposure: ldk_node::config::MaxDustHTLCExposure::FixedLimit {
                limit_msat: self.settings.max_dust_exposure_sat.saturating_mul(1_000),
            },
            ..ldk_node::config::ChannelConfig::default()
        }
    }
}

fn set_chain(builder: &mut Builder, chain: &ChainSource) {
    match chain {
        ChainSource::Esplora { url } => {
            builder.set_chain_source_esplora(url.clone(), Some(EsploraSyncConfig::default()));
        }
        ChainSource::Electrum { url } => {
            builder.set_chain_source_electrum(url.clone(), None);
        }
        ChainSource::Bitcoind { host, port, user, password } => {
            builder.set_chain_source_bitcoind_rpc(
                host.clone(),
                *port,
                user.clone(),
                password.expose().to_owned(),
            );
        }
        ChainSource::BitcoindRest { rest_host, rest_port, host, port, user, password } => {
            builder.set_chain_source_bitcoind_rest(
                rest_host.clone(),
                *rest_port,
                host.clone(),
                *port,
                user.clone(),
                password.expose().to_owned(),
            );
        }
    }
}

fn set_network_face(builder: &mut Builder, settings: &LdkSettings) -> Result<(), StartError> {
    let bad = |what: &str| StartError::BadSettings(format!("[node] {what}"));
    if !settings.listen.is_empty() {
        builder
            .set_listening_addresses(addresses(&settings.listen)?)
            .map_err(|_| bad("listen: too many addresses, or none that can be used"))?;
    }
    if !settings.announce.is_empty() {
        builder
            .set_announcement_addresses(addresses(&settings.announce)?)
            .map_err(|_| bad("announce: too many addresses, or none that can be used"))?;
    }
    if !settings.alias.is_empty() {
        builder.set_node_alias(settings.alias.clone()).map_err(|_| bad("alias: at most 32 bytes"))?;
    }
    match &settings.rgs_url {
        Some(url) => builder.set_gossip_source_rgs(url.clone()),
        None => builder.set_gossip_source_p2p(),
    };
    Ok(())
}

fn addresses(texts: &[String]) -> Result<Vec<SocketAddress>, StartError> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|_| StartError::BadSettings(format!("[node] {text:?} is not a host:port address")))
    };
    texts.iter().map(parse).collect()
}
