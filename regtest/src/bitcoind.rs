//! A real `bitcoind` on its own regtest chain.
//!
//! Owned by the network. Blocks come only from [`Bitcoind::mine`]; there is no wallet in it, coins are made by mining
//! to a Lightning node's own address.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use ldk_node::bitcoin::{Address, Network, ScriptBuf};
use serde_json::{Value, json};

use crate::process::{self, Managed};
use crate::rpc::{Rpc, RpcError};
use crate::{bitcoind_build, ports, runtime};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A `bitcoind` process with its folder. Dropping it kills the process; the folder stays.
#[derive(Debug)]
pub struct Bitcoind {
    binary: PathBuf,
    dir: PathBuf,
    port: u16,
    user: String,
    password: String,
    rpc: Rpc,
    process: Mutex<Option<Managed>>,
    /// Starting and stopping are one at a time.
    lifecycle: tokio::sync::Mutex<()>,
}

/// Finds a `bitcoind`: `$BITCOIND`, else one on `PATH`, else the cache, else it builds one into the cache (minutes, once).
///
/// # Errors
/// `$BITCOIND` names no file, or the build fails; the message says what to install.
pub async fn locate() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("BITCOIND").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("BITCOIND is set to {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) =
        std::env::split_paths(&path).map(|folder| folder.join("bitcoind")).find(|file| file.is_file())
    {
        return Ok(found);
    }
    let cached = cache_path()?;
    if !cached.is_file() {
        let target = cached.clone();
        runtime::blocking(move || bitcoind_build::build(&target)).await??;
    }
    Ok(cached)
}

/// Where a `bitcoind` built by this crate is kept.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_path() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set, so there is no place for a cached bitcoind")?;
    let version = format!("bitcoind-{}", bitcoind_build::VERSION);
    Ok(cache.join("satchel").join(version).join("bin").join("bitcoind"))
}

impl Bitcoind {
    /// Finds a `bitcoind`, starts it in `dir` on a free port and mines the first block, so that it counts as synced.
    ///
    /// # Errors
    /// None is found, or it doesn't answer in time; the message has the end of its log.
    pub async fn start_in(dir: &Path) -> Result<Self> {
        let binary = locate().await?;
        fs::create_dir_all(dir).with_context(|| format!("can't create {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("can't find {}", dir.display()))?;
        let port = ports::free_address()?.port();
        let (user, password) = ("regtest".to_owned(), ports::random_secret()?);
        let rpc = Rpc::new(format!("http://127.0.0.1:{port}"), user.clone(), password.clone());
        let node = Self {
            binary,
            dir,
            port,
            user,
            password,
            rpc,
            process: Mutex::new(None),
            lifecycle: tokio::sync::Mutex::new(()),
        };
        node.write_config()?;
        node.start().await?;
        if node.height().await? == 0 {
            node.mine(1).await?;
        }
        Ok(node)
    }

    /// The password stands in a file rather than on the command line, which every user of the machine can read.
    fn write_config(&self) -> Result<()> {
        let Self { port, user, password, .. } = self;
        let config = format!(
            "regtest=1\n\
             [regtest]\n\
             server=1\nlisten=0\ndnsseed=0\nprinttoconsole=0\n\
             dbcache=16\nmaxmempool=50\n\
             rpcbind=127.0.0.1\nrpcallowip=127.0.0.1\nrpcport={port}\n\
             rpcuser={user}\nrpcpassword={password}\n\
             rpcthreads=8\nrpcworkqueue=512\n"
        );
        let path = self.dir.join("bitcoin.conf");
        fs::write(&path, config).with_context(|| format!("can't write {}", path.display()))
    }

    /// Starts the process again after [`Bitcoind::stop`], with the same folder and port.
    ///
    /// # Errors
    /// It already runs, or it doesn't answer in time.
    pub async fn start(&self) -> Result<()> {
        let _one = self.lifecycle.lock().await;
        if self.is_running() {
            bail!("bitcoind already runs");
        }
        let mut command = process::command(&self.binary);
        command
            .arg(format!("-datadir={}", self.dir.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.dir.join("stderr.log")).context("can't write bitcoind's log")?);
        *self.process() = Some(Managed::spawn("bitcoind", command)?);
        let end = Instant::now() + START_LIMIT;
        loop {
            match self.rpc.call("getblockcount", json!([])).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= end => {
                    return Err(anyhow!(error).context(format!("bitcoind isn't ready after {START_LIMIT:?}")));
                }
                Err(error) if matches!(error, RpcError::Unreachable(_)) || error.is_warming_up() => {}
                Err(error) => return Err(error.into()),
            }
            if !self.is_running() {
                let errors = fs::read_to_string(self.dir.join("stderr.log")).unwrap_or_default();
                bail!("bitcoind ended at its start: {}", errors.trim());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops the process in an orderly way; the chain stays in its folder.
    ///
    /// # Errors
    /// It doesn't run, or had to be killed since it didn't stop in time.
    pub async fn stop(&self) -> Result<()> {
        let _one = self.lifecycle.lock().await;
        let Some(mut process) = self.process().take() else { bail!("bitcoind doesn't run") };
        process.terminate()?;
        process.wait(STOP_LIMIT).await?;
        Ok(())
    }

    /// Whether the process lives.
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| matches!(process.exited(), Ok(None)))
    }

    /// Kills the process at once; for the end of a network.
    pub fn kill(&self) {
        self.process().take();
    }

    fn process(&self) -> MutexGuard<'_, Option<Managed>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls an RPC method.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.rpc.call(method, params).await
    }

    /// Mines blocks whose coins go nowhere. Returns the chain's new height.
    ///
    /// # Errors
    /// `bitcoind` doesn't answer.
    pub async fn mine(&self, blocks: u32) -> Result<u32> {
        // Anyone could spend this script's coins; nobody wants to.
        let burn = Address::p2wsh(&ScriptBuf::from_bytes(vec![0x51]), Network::Regtest);
        self.mine_to(blocks, &burn.to_string()).await
    }

    /// Mines blocks whose coins go to `address`; they can be spent 100 blocks later. The subsidy is 50 coins in the
    /// first 150 blocks and halves every 150. Returns the chain's new height.
    ///
    /// # Errors
    /// `bitcoind` doesn't answer, or the address isn't one of regtest.
    pub async fn mine_to(&self, blocks: u32, address: &str) -> Result<u32> {
        self.call("generatetoaddress", json!([blocks, address])).await?;
        self.height().await
    }

    /// The height of the chain.
    ///
    /// # Errors
    /// `bitcoind` doesn't answer.
    pub async fn height(&self) -> Result<u32> {
        let height = self.call("getblockcount", json!([])).await?;
        height.as_u64().and_then(|height| u32::try_from(height).ok()).context("bitcoind gave no block height")
    }

    /// How many transactions wait for a block.
    ///
    /// # Errors
    /// `bitcoind` doesn't answer.
    pub async fn mempool_count(&self) -> Result<usize> {
        let ids = self.call("getrawmempool", json!([])).await?;
        Ok(ids.as_array().context("bitcoind gave no list of transactions")?.len())
    }

    /// The address of the RPC server, as `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        self.rpc.url()
    }

    /// The RPC server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The RPC user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The RPC password; random for each network.
    pub fn password(&self) -> &str {
        &self.password
    }
}
