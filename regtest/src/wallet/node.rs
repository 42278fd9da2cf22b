//! Builds and starts a wallet's node.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use ldk_node::bitcoin::Network;
use ldk_node::config::Config;
use ldk_node::{Builder, Node};

use super::log::NodeLog;
use super::store::LogStore;
use super::{ChainSource, Inner};
use crate::{ports, runtime};

/// ldk-node itself reconnects to a lost peer within a minute; tests that restart satchel can't wait that long.
const RECONNECT_EVERY: Duration = Duration::from_secs(1);

/// The seed of the wallet in `dir`; a new one is made and kept if there is none.
pub(super) fn seed(dir: &Path) -> Result<[u8; 64]> {
    let path = dir.join("seed");
    if path.exists() {
        let bytes = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        return <[u8; 64]>::try_from(bytes).map_err(|_| anyhow!("{} isn't 64 bytes long", path.display()));
    }
    let seed = ports::random_bytes::<64>()?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("can't create {}", path.display()))?;
    file.write_all(&seed).with_context(|| format!("can't write {}", path.display()))?;
    Ok(seed)
}

/// Builds and starts the node. Blocks.
pub(super) fn start(wallet: &Inner) -> Result<Arc<Node>> {
    let ChainSource { port, user, password } = wallet.chain.clone();
    let config = Config { network: Network::Regtest, ..Config::default() };
    let mut builder = Builder::from_config(config);
    builder.set_runtime(runtime::handle()?);
    builder.set_storage_dir_path(wallet.dir.join("node").display().to_string());
    builder.set_entropy_seed_bytes(wallet.seed);
    builder.set_chain_source_bitcoind_rpc("127.0.0.1".to_owned(), port, user, password);
    builder.set_listening_addresses(vec![wallet.p2p.into()]).context("a wallet can't listen for peers")?;
    // With a name others may announce channels to it, and so route through them.
    builder.set_node_alias("wallet".to_owned()).context("a wallet can't have a name")?;
    let log =
        NodeLog::open(&wallet.name, &wallet.dir.join("node.log")).context("can't write a wallet's log")?;
    builder.set_custom_logger(Arc::new(log));
    let node = build(&builder, &wallet.dir.join("node"))
        .with_context(|| format!("{} can't be built", wallet.name))?;
    node.start().with_context(|| format!("{} can't be started", wallet.name))?;
    Ok(Arc::new(node))
}

/// With the store that the wallets use.
fn build(builder: &Builder, dir: &Path) -> Result<Node> {
    let store = LogStore::open(dir).with_context(|| format!("can't open the store in {}", dir.display()))?;
    builder.build_with_store(Arc::new(store)).context("its node can't be built")
}

/// Connects again to every known peer that was lost, until the task is aborted.
pub(super) async fn keep_connected(node: Arc<Node>) {
    loop {
        tokio::time::sleep(RECONNECT_EVERY).await;
        let node = Arc::clone(&node);
        let tried = runtime::blocking(move || {
            for peer in node.list_peers().into_iter().filter(|peer| peer.is_persisted && !peer.is_connected) {
                if let Err(error) = node.connect(peer.node_id, peer.address, true) {
                    tracing::debug!(%error, "a wallet's peer is still away");
                }
            }
        })
        .await;
        if let Err(error) = tried {
            tracing::error!(%error, "a wallet's reconnect ended early");
        }
    }
}
