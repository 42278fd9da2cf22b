//! The real `satchel` binary as a process, with a data folder and a generated configuration.
//!
//! Tests kill it, start it with failpoints set, and look at its log. Everything it is told goes through its command line
//! and its HTTP interface; none of its code is used.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::Value;
use toml::Table;

use crate::process::{self, Managed};
use crate::satchel_config::Addresses;
use crate::{ChainSource, ports, runtime, satchel_config};

/// A start on a busy machine, with recovery and a first look at the chain.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Longer than satchel allows itself for an orderly stop.
const STOP_LIMIT: Duration = Duration::from_secs(90);
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
const LOG_TAIL_LINES: usize = 40;

/// How to set up a satchel.
#[derive(Clone, Debug, Default)]
pub struct SatchelOptions {
    /// The binary; if missing, `$SATCHEL_BIN`, else one beside the running program.
    pub binary: Option<PathBuf>,
    /// Settings laid over the generated ones.
    pub config: Table,
    /// Environment variables, as `FAILPOINTS` or `RUST_LOG`, for every start that doesn't give its own.
    pub env: Vec<(String, String)>,
}

/// A running or stopped satchel. Dropping it kills the process; the data folder stays.
pub struct Satchel {
    pub(crate) binary: PathBuf,
    dir: PathBuf,
    http: SocketAddr,
    admin: SocketAddr,
    p2p: SocketAddr,
    admin_key: String,
    env: Vec<(String, String)>,
    pub(crate) client: Client,
    process: Mutex<Option<Managed>>,
    /// Starting and stopping are one at a time.
    lifecycle: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Satchel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Satchel").field("url", &self.url()).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Finds the binary: the one given, else `$SATCHEL_BIN`, else `satchel` beside the running program or one folder up
/// (test programs lie in `target/<profile>/deps`).
///
/// # Errors
/// There is none; the message says how to build one.
pub fn locate(given: Option<&Path>) -> Result<PathBuf> {
    let named = given.map(Path::to_owned).or_else(|| std::env::var_os("SATCHEL_BIN").map(PathBuf::from));
    if let Some(path) = named {
        return path.canonicalize().with_context(|| format!("there is no satchel at {}", path.display()));
    }
    let here = std::env::current_exe().context("can't tell where the running program lies")?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("satchel"))
        .find(|path| path.is_file())
        .context("there is no satchel beside this program: run `cargo build` first, or set SATCHEL_BIN")
}

impl Satchel {
    /// Writes a configuration into `dir`, makes the seed and the admin key with `satchel init`. Nothing runs afterwards.
    ///
    /// # Errors
    /// There is no binary, or `init` fails; the message has what it printed.
    pub async fn init(dir: &Path, chain: &ChainSource, options: SatchelOptions) -> Result<Self> {
        let binary = locate(options.binary.as_deref())?;
        fs::create_dir_all(dir).with_context(|| format!("can't create {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("can't find {}", dir.display()))?;
        let free = Addresses {
            http: ports::free_address()?,
            admin: ports::free_address()?,
            p2p: ports::free_address()?,
        };
        let mut config = satchel_config::generate(&free, chain);
        satchel_config::merge(&mut config, options.config);
        let addresses = satchel_config::addresses(&config)?;
        let text = toml::to_string(&config).context("can't write satchel's configuration")?;
        write_secret(&dir.join("config.toml"), &text).context("can't write satchel's configuration")?;
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(REQUEST_LIMIT).pool_max_idle_per_host(0).build();
        let client = client.context("can't make an HTTP client")?;
        let mut satchel = Self {
            binary,
            dir,
            http: addresses.http,
            admin: addresses.admin,
            p2p: addresses.p2p,
            admin_key: String::new(),
            env: options.env,
            client,
            process: Mutex::new(None),
            lifecycle: tokio::sync::Mutex::new(()),
        };
        let printed = satchel.command_json("init", &[]).await?;
        satchel.admin_key = printed
            .get("admin_key")
            .and_then(Value::as_str)
            .context("satchel init printed no admin_key")?
            .to_owned();
        Ok(satchel)
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// It already runs, ends, or isn't ready in time; the message has the end of its log.
    pub async fn start(&self) -> Result<()> {
        self.start_with(&self.env).await
    }

    /// The same with other environment variables than those of the options, for this start only.
    ///
    /// # Errors
    /// As [`Satchel::start`].
    pub async fn start_with(&self, env: &[(String, String)]) -> Result<()> {
        self.spawn_with(env).await?;
        self.wait_ready(READY_LIMIT).await
    }

    /// Starts the process without waiting; for tests of a start that doesn't get far.
    ///
    /// # Errors
    /// It already runs, or can't be started.
    pub async fn spawn_with(&self, env: &[(String, String)]) -> Result<()> {
        let _one = self.lifecycle.lock().await;
        if self.is_running() {
            bail!("satchel already runs");
        }
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .context("can't write satchel's log")?;
        let mut command = self.base_command(process::command(&self.binary), "run");
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("can't write satchel's log")?)
            .stderr(log);
        *self.process() = Some(Managed::spawn("satchel", command)?);
        Ok(())
    }

    /// Waits until satchel says it is ready.
    ///
    /// # Errors
    /// The process ended, or isn't ready within `limit`; the message has the end of its log.
    pub async fn wait_ready(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        let url = format!("{}/health/ready", self.url());
        loop {
            let request = self.client.get(&url);
            let answer = runtime::run(async move { request.send().await }).await?;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if !self.is_running() {
                bail!("satchel ended before it was ready; the end of its log:\n{}", self.log_tail());
            }
            if Instant::now() >= end {
                bail!("satchel isn't ready after {limit:?}; the end of its log:\n{}", self.log_tail());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the process at once, as a power cut would (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// It doesn't run.
    pub async fn kill(&self) -> Result<()> {
        let _one = self.lifecycle.lock().await;
        let process = self.process().take();
        process.context("satchel doesn't run")?.kill()
    }

    /// Ends the process in order (SIGTERM).
    ///
    /// # Errors
    /// It doesn't run, or had to be killed since it took too long; the message has the end of its log.
    pub async fn stop(&self) -> Result<ExitStatus> {
        let _one = self.lifecycle.lock().await;
        let process = self.process().take();
        let mut process = process.context("satchel doesn't run")?;
        process.terminate()?;
        let ended = process.wait(STOP_LIMIT).await;
        ended.with_context(|| format!("satchel didn't stop; the end of its log:\n{}", self.log_tail()))
    }

    /// Stops in order and starts again.
    ///
    /// # Errors
    /// As [`Satchel::stop`] and [`Satchel::start`].
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Waits until the process has ended by itself, as at a failpoint; afterwards it can be started again.
    ///
    /// # Errors
    /// It doesn't run, or still runs after `limit`.
    pub async fn wait_exit(&self, limit: Duration) -> Result<ExitStatus> {
        let _one = self.lifecycle.lock().await;
        let end = Instant::now() + limit;
        loop {
            let exited = self.process().as_mut().context("satchel doesn't run")?.exited()?;
            if let Some(status) = exited {
                self.process().take();
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("satchel still runs after {limit:?}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether the process lives.
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| matches!(process.exited(), Ok(None)))
    }

    /// The id of the process, if one was started and not stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Managed::pid)
    }

    /// The address of its HTTP interface, as `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where it answers the operator.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where its node listens for peers.
    pub fn p2p(&self) -> SocketAddr {
        self.p2p
    }

    /// A key with the scope `admin`.
    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Its data folder; also holds `config.toml` and `satchel.log`.
    pub fn data_dir(&self) -> &Path {
        &self.dir
    }

    /// The file that gets all it prints, over all its starts.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("satchel.log")
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default().join("\n")
    }

    pub(crate) fn base_command(
        &self,
        mut command: std::process::Command,
        subcommand: &str,
    ) -> std::process::Command {
        // Settings of the one who runs the tests must not leak in.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("SATCHEL_")) {
                command.env_remove(&name);
            }
        }
        command
            .arg(subcommand)
            .arg("--data-dir")
            .arg(&self.dir)
            .arg("--config")
            .arg(self.dir.join("config.toml"));
        command
    }

    /// Kills the process without waiting for whoever starts or stops it now; for the end of a network.
    pub(crate) fn kill_now(&self) {
        self.process().take();
    }

    fn process(&self) -> MutexGuard<'_, Option<Managed>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a file with a password in it: nobody else may read it.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
