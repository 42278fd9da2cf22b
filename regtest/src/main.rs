//! The `regtest` program: brings a network up and keeps it up until it is told to stop.
//!
//! Standard output carries the table of addresses, or one line of JSON; everything else goes to standard error and to the
//! log file in the network's folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use regtest::{Network, bitcoind};
use serde_json::{Value, json};
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
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("can't read {}", path.display()))?;
        builder = builder.extra_config(
            text.parse()
                .with_context(|| format!("{} isn't TOML", path.display()))?,
        );
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
        println!("{description}");
    } else {
        print_table(&description);
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping the network");
    network.shutdown().await?;
    Ok(ExitCode::SUCCESS)
}

async fn describe(network: &Network) -> Result<Value> {
    let mut wallets = Vec::new();
    for wallet in &network.wallets {
        wallets.push(json!({"url": wallet.url(), "node_id": wallet.node_id().await?.to_string()}));
    }
    let (satchel, bitcoind) = (&network.satchel, &network.bitcoind);
    Ok(json!({
        "satchel": {
            "url": satchel.url(),
            "node_id": satchel.node_id().await?,
            "p2p": satchel.p2p().to_string(),
            "admin_key": satchel.admin_key(),
            "pid": satchel.pid(),
            "data_dir": satchel.data_dir().display().to_string(),
        },
        "wallets": wallets,
        "control": {"url": network.control.url()},
        "bitcoind": {"rpc": bitcoind.url(), "user": bitcoind.user(), "password": bitcoind.password()},
    }))
}

/// One line for each value, named by its place.
fn print_table(description: &Value) {
    fn walk(name: &str, value: &Value) {
        let inside = |key: &str| {
            if name.is_empty() {
                key.to_owned()
            } else {
                format!("{name} {key}")
            }
        };
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(key, value)| walk(&inside(key), value)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(&format!("{} {index}", name.trim_end_matches('s')), item);
                }
            }
            Value::String(text) => println!("{name:<20} {text}"),
            other => println!("{name:<20} {other}"),
        }
    }
    walk("", description);
    println!("\nCtrl-C stops it all.");
}
