//! What can be typed.

use std::path::PathBuf;

use bitcoin::Network;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::config::{Overrides, network};
use crate::core::ids::Secret;

use super::{
    account, channel, coins, export, gift, init, invoice, key, log, mcp, pay, payments, payout, peer, proxy,
    purse, seed, send, store, suspense, tip, webhook,
};

/// A Lightning node and the services that give, tip and charge sats, in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "satchel",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration, \
    3 satchel or its node not reachable, 4 doctor said FAIL (a WARN alone is 0) or audit found problems.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Debug, Default)]
pub struct Global {
    /// Where everything is kept [default: node-data]
    #[arg(long, global = true, env = "SATCHEL_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The configuration file [default: config.toml in the data folder, if there is one]
    #[arg(long, global = true, env = "SATCHEL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer with one JSON object on one line
    #[arg(long, global = true)]
    pub json: bool,
    /// The key for the running satchel [default: what admin.key in the data folder says]
    #[arg(long, global = true, env = "SATCHEL_ADMIN_KEY", hide_env_values = true, value_name = "KEY")]
    #[arg(value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::new(text)))]
    pub admin_key: Option<Secret>,
}

impl Global {
    /// The global options as the configuration sees them.
    pub fn overrides(&self) -> Overrides {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        Overrides {
            data_dir: given(&self.data_dir),
            config_file: given(&self.config),
            ..Overrides::default()
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data folder: seed words, admin key, configuration
    Init(init::InitArgs),
    /// The passphrase of the seed file
    #[command(subcommand)]
    Seed(seed::SeedCommand),
    /// Run the node and the services, until Ctrl-C or SIGTERM
    Run,
    /// How the node is
    Status,
    /// A fresh on-chain address to fund the node
    Address,
    /// Channels
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// Other nodes
    #[command(subcommand)]
    Peer(peer::PeerCommand),
    /// Pay an invoice, an offer, a name or an address from the operator's own funds
    Pay(pay::PayArgs),
    /// Send coins of the wallet to an address
    Send(send::SendArgs),
    /// Make an invoice that is paid to the operator
    Invoice(invoice::InvoiceArgs),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Gifts
    #[command(subcommand)]
    Gift(gift::GiftCommand),
    /// Tips
    #[command(subcommand)]
    Tip(tip::TipCommand),
    /// Payments
    #[command(subcommand)]
    Payments(payments::PaymentsCommand),
    /// What accounts have earned, and taking it out
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Payments that went out, or are on their way
    #[command(subcommand)]
    Payout(payout::PayoutCommand),
    /// Money that came in and belongs to nobody we know
    #[command(subcommand)]
    Suspense(suspense::SuspenseCommand),
    /// Tables (CSV) for a bookkeeper
    Export(export::ExportArgs),
    /// Coins on their way to addresses
    #[command(subcommand)]
    Coins(coins::CoinsCommand),
    /// HTTP services that are sold by the request
    #[command(subcommand)]
    Proxy(proxy::ProxyCommand),
    /// What API keys of agents may spend
    #[command(subcommand)]
    Purse(purse::PurseCommand),
    /// Stores: what accounts sell by the piece
    #[command(subcommand)]
    Store(Box<store::StoreCommand>),
    /// What others were told, and how that went
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Tools for a language-model agent, over standard input and output (Model Context Protocol)
    Mcp(mcp::McpArgs),
    /// What was done by hand, by which key, and how it ended
    Log(log::LogArgs),
    /// Prove that the books are right
    Audit,
    /// Say what is wrong and what to do about it, with or without a running satchel
    Doctor,
}

/// Reads one of the four networks.
pub fn network_parser() -> impl TypedValueParser<Value = Network> {
    NonEmptyStringValueParser::new().try_map(|name| {
        network::parse(&name).ok_or_else(|| {
            let hint = network::hint(&name).unwrap_or("it must be bitcoin, testnet, signet or regtest");
            format!("there is no network {name:?}: {hint}")
        })
    })
}
