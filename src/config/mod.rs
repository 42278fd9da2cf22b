//! File, environment and flags → one checked [`Config`].
//!
//! `cli` loads it once at the start; everything else gets it by reference and never reads the
//! environment or the file again. Nothing here opens a socket or touches the data folder: a
//! configuration that loads is well formed and free of contradictions, not yet proven to work.
//! `satchel doctor` does that.
//!
//! Precedence: flags, then `SATCHEL_<SECTION>_<KEY>` from the environment, then the file, then the
//! default. Unknown keys and bad values are refused with the place, what is wrong and the remedy.

mod admin;
mod check;
pub mod data_dir;
mod error;
mod fields;
mod hosts;
mod l402;
mod load;
mod nostr;
mod places;
mod purse;
mod rates;
mod sections;
mod settings;
mod shop;
mod shopify;
mod signup;
mod smtp;
mod solvency;
mod withdrawals;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use bitcoin::Network;
use serde::{Deserialize, Serialize};

pub use admin::{Admin, admin_socket_path};
pub use error::{ConfigError, Problem};
pub use fields::network;
pub use hosts::is_this_machine;
pub use l402::{L402Content, L402Proxy};
pub use nostr::Nostr;
pub use purse::Purse;
pub use rates::{Rates, RatesFrom};
pub use sections::{
    Chain, ChainSource, Gifts, Gossip, Http, L402, Limits, Log, LogFormat, Node, Payments, Payouts, Tips,
    Webhooks, default_esplora_url,
};
pub use shop::Shop;
pub use shopify::Shopify;
pub use signup::{Legal, Signup};
pub use smtp::{Smtp, SmtpSecurity};
pub use solvency::{Alerts, Solvency, WhenShort};
pub use withdrawals::{Bearer, Withdrawals};

/// The documented example: every setting with its default and one line of why.
pub const EXAMPLE: &str = include_str!("../../config.toml.example");

/// Where everything is kept unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "node-data";

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which chain the node is on. Fixed for the life of a data folder.
    #[serde(with = "fields::network")]
    pub network: Network,
    /// Where the database, the seed and the admin key are. Set by `--data-dir` or `SATCHEL_DATA_DIR`, never in
    /// the file, which is itself found through it.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// The HTTP server.
    pub http: Http,
    /// The operator's API.
    pub admin: Admin,
    /// The Lightning node.
    pub node: Node,
    /// Where blocks and fees come from.
    pub chain: Chain,
    /// Gifts.
    pub gifts: Gifts,
    /// Tips.
    pub tips: Tips,
    /// Payments.
    pub payments: Payments,
    /// Requests that are paid for.
    pub l402: L402,
    /// Stores.
    pub shop: Shop,
    /// Where agents' events are published.
    pub nostr: Nostr,
    /// What a bitcoin costs.
    pub rates: Rates,
    /// How often one client may ask.
    pub limits: Limits,
    /// Money out.
    pub payouts: Payouts,
    /// What accounts take out.
    pub withdrawals: Withdrawals,
    /// What agents spend.
    pub purse: Purse,
    /// What happens when more is owed than can be paid out.
    pub solvency: Solvency,
    /// Who is told of it.
    pub alerts: Alerts,
    /// Calls to other people's servers.
    pub webhooks: Webhooks,
    /// Letters.
    pub smtp: Smtp,
    /// Accounts that strangers buy.
    pub signup: Signup,
    /// What the site says of itself.
    pub legal: Legal,
    /// What is logged.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: Network::Bitcoin,
            data_dir: PathBuf::from(DEFAULT_DATA_DIR),
            http: Http::default(),
            admin: Admin::default(),
            node: Node::default(),
            chain: Chain::default(),
            gifts: Gifts::default(),
            tips: Tips::default(),
            payments: Payments::default(),
            l402: L402::default(),
            shop: Shop::default(),
            nostr: Nostr::default(),
            rates: Rates::default(),
            limits: Limits::default(),
            payouts: Payouts::default(),
            withdrawals: Withdrawals::default(),
            purse: Purse::default(),
            solvency: Solvency::default(),
            alerts: Alerts::default(),
            webhooks: Webhooks::default(),
            smtp: Smtp::default(),
            signup: Signup::default(),
            legal: Legal::default(),
            log: Log::default(),
        }
    }
}

/// What the command line sets, stronger than environment and file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--config`: must exist. Otherwise `config.toml` in the data folder is read if it is there.
    pub config_file: Option<PathBuf>,
    /// `--network`.
    pub network: Option<Network>,
    /// `--listen`, the address of the HTTP server.
    pub http_listen: Option<std::net::SocketAddr>,
    /// `--log`, like `log.level`.
    pub log_level: Option<String>,
}

impl Config {
    /// Reads file and environment, applies `overrides`, fills in what follows from other settings, checks all.
    ///
    /// # Errors
    /// [`ConfigError`] lists everything that is wrong, each with its place and remedy.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        load::load(overrides, &load::Environment::of_process())
    }

    /// As [`Config::load`], but lets contradictions between settings pass: for commands that need only an
    /// address, a folder or a network, and must work without what is set for the service alone.
    ///
    /// # Errors
    /// [`ConfigError`] if something can't be read at all.
    pub fn load_unchecked(overrides: &Overrides) -> Result<Self, ConfigError> {
        load::read(overrides, &load::Environment::of_process()).map(|(config, _)| config)
    }

    /// Of a file's text alone, and whether all of it makes sense together.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of_text(text: &str) -> Result<(Self, bool), ConfigError> {
        load::of_text(text)
    }

    /// The configuration file that `overrides` lead to, if there is one.
    pub fn file_for(overrides: &Overrides) -> Option<PathBuf> {
        load::config_file(overrides, &load::Environment::of_process())
    }

    /// The data folder that `overrides` lead to.
    pub fn data_dir_for(overrides: &Overrides) -> PathBuf {
        load::data_dir(overrides, &load::Environment::of_process())
    }

    /// The database.
    pub fn database_path(&self) -> PathBuf {
        self.data_dir.join("satchel.db")
    }

    /// The seed words.
    pub fn seed_path(&self) -> PathBuf {
        seed_path(&self.data_dir)
    }

    /// The key that the operator's commands use.
    pub fn admin_key_path(&self) -> PathBuf {
        admin_key_path(&self.data_dir)
    }

    /// What may be deleted at any time: network graph, scores.
    pub fn cache_dir(&self) -> PathBuf {
        self.data_dir.join("cache")
    }
}

/// The seed words of a data folder.
pub fn seed_path(data_dir: &Path) -> PathBuf {
    data_dir.join("seed")
}

/// The admin key of a data folder.
pub fn admin_key_path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.key")
}
