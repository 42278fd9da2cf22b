//! The `regtest` program: brings a network up and keeps it up until it is told to stop.
//!
//! Standard output carries the table of addresses, or one line of JSON; what happens goes to standard error.
//! The logs of satchel and bitcoind lie in their folders.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use regtest::{Network, bitcoind};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The network couldn't be started, or didn't stop in order.
const FAILED: u8 = 1;
/// A signal came before the network was up.
const INTERRUPTED: u8 = 130;

/// A Lightning regtest network in a box.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start bitcoind, satchel and wallets with channels, and run until Ctrl-C
    Up(Up),
    /// Make sure that there is a bitcoind (building one takes minutes, once) and print its path
    Bitcoind,
}

#[derive(Args)]
struct Up {
    /// How many wallets, each with a channel to satchel
    #[arg(long, default_value_t = 2)]
    wallets: usize,
    /// Folder for all files; a temporary one, deleted at the end, if not given
    #[arg(long)]
    dir: Option<PathBuf>,
    /// TOML file with settings for satchel, laid over the generated ones
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print one line of JSON instead of a table
    #[arg(long)]
    json: bool,
    /// The satchel binary; else $SATCHEL_BIN, else the one beside this program
    #[arg(long)]
    satchel: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("regtest=info,regtest::node=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let ended = match cli.command {
        Command::Up(options) => up(options).await,
        Command::Bitcoind => print_bitcoind().await,
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(FAILED)
    })
}

async fn print_bitcoind() -> Result<ExitCode> {
    println!("{}", bitcoind::locate().await?.display());
    Ok(ExitCode::SUCCESS)
}

async fn up(options: Up) -> Result<ExitCode> {
    let mut builder = Network::builder().wallets(options.wallets);
    if let Some(dir) = options.dir {
        builder = builder.dir(dir);
    }
    if let Some(path) = options.satchel {
        builder = builder.satchel_bin(path);
    }
    if let Some(path) = options.config {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        builder =
            builder.extra_config(text.parse().with_context(|| format!("{} isn't TOML", path.display()))?);
    }
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let network = tokio::select! {
        network = builder.start() => network?,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let description = describe(&network).await?;
    if options.json {
        println!("{}", serde_json::to_string(&description).context("can't print the addresses")?);
    } else {
        description.print_table();
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping the network");
    network.shutdown().await?;
    Ok(ExitCode::SUCCESS)
}

/// The addresses of a network, in the order in which they are printed.
#[derive(Serialize)]
struct Description {
    satchel: SatchelPart,
    wallets: Vec<WalletPart>,
    control: ControlPart,
    bitcoind: BitcoindPart,
}

#[derive(Serialize)]
struct SatchelPart {
    url: String,
    admin_url: String,
    node_id: String,
    p2p: String,
    admin_key: String,
    pid: Option<u32>,
    data_dir: PathBuf,
}

#[derive(Serialize)]
struct WalletPart {
    url: String,
    node_id: String,
}

#[derive(Serialize)]
struct ControlPart {
    url: String,
}

#[derive(Serialize)]
struct BitcoindPart {
    rpc: String,
    user: String,
    password: String,
}

async fn describe(network: &Network) -> Result<Description> {
    let mut wallets = Vec::new();
    for wallet in &network.wallets {
        wallets.push(WalletPart { url: wallet.url(), node_id: wallet.node_id().await?.to_string() });
    }
    let (satchel, bitcoind) = (&network.satchel, &network.bitcoind);
    Ok(Description {
        satchel: SatchelPart {
            url: satchel.url(),
            admin_url: satchel.admin_url(),
            node_id: satchel.node_id().await?,
            p2p: satchel.p2p().to_string(),
            admin_key: satchel.admin_key().to_owned(),
            pid: satchel.pid(),
            data_dir: satchel.data_dir().to_owned(),
        },
        wallets,
        control: ControlPart { url: network.control.url() },
        bitcoind: BitcoindPart {
            rpc: bitcoind.url().to_owned(),
            user: bitcoind.user().to_owned(),
            password: bitcoind.password().to_owned(),
        },
    })
}

impl Description {
    fn print_table(&self) {
        let row = |name: &str, value: &str| println!("{name:<20} {value}");
        let Self { satchel, wallets, control, bitcoind } = self;
        row("satchel", &satchel.url);
        row("  node", &format!("{}@{}", satchel.node_id, satchel.p2p));
        row("  operator's API", &satchel.admin_url);
        row("  admin key", &satchel.admin_key);
        row("  process", &satchel.pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string()));
        row("  data folder", &satchel.data_dir.display().to_string());
        for (index, wallet) in wallets.iter().enumerate() {
            row(&format!("wallet {index}"), &wallet.url);
            row("  node", &wallet.node_id);
        }
        row("control", &control.url);
        row("bitcoind", &bitcoind.rpc);
        row("  user", &bitcoind.user);
        row("  password", &bitcoind.password);
        println!("\nCtrl-C stops it all.");
    }
}
