//! The sections of the file as types, with their defaults.
//!
//! Texts that may be left empty are plain `String`s; [`super::load`] fills those that follow from others
//! (public URL, the public esplora server, bitcoind's usual port), so readers never meet the empty form
//! of them.

use std::net::SocketAddr;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::fields;
use super::l402::{L402Content, L402Proxy};
use super::withdrawals::Bearer;
use crate::core::ids::Secret;

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where the HTTP server listens.
    pub listen: SocketAddr,
    /// What links and LNURLs begin with; never ends in a slash.
    pub public_url: String,
    /// Whether `[limits]` apply.
    pub rate_limits: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[serde(with = "fields::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Connections open at once; more wait.
    pub max_connections: usize,
    /// The same of one client on the internet; more are closed. 0 sets no limit.
    pub max_connections_per_client: u32,
    /// Connections of one peer that isn't limited by that: a proxy, or one of the operator's own networks.
    pub max_connections_per_proxy: u32,
    /// Largest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// How long a client may take to send its headers, in seconds.
    pub header_timeout_secs: u64,
    /// How long a connection is kept open between two requests, in seconds.
    pub idle_timeout_secs: u64,
    /// How long a request may take in all, in seconds. Live streams are exempt.
    pub request_timeout_secs: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            public_url: String::new(),
            rate_limits: true,
            trusted_proxies: Vec::new(),
            max_connections: 2048,
            max_connections_per_client: 128,
            max_connections_per_proxy: 1_920,
            max_body_bytes: 65_536,
            header_timeout_secs: 10,
            idle_timeout_secs: 75,
            request_timeout_secs: 30,
        }
    }
}

/// `[node]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Where other nodes may connect.
    pub listen: Vec<SocketAddr>,
    /// What the network is told, `host:port`.
    pub announce: Vec<String>,
    /// The node's public name, at most 32 bytes.
    pub alias: String,
    /// How much may be at risk in dust HTLCs of one channel, in sat.
    pub max_dust_exposure_sat: u64,
    /// Nodes whose channels are used before they confirm.
    #[serde(with = "fields::node_ids")]
    pub zero_conf_peers: Vec<PublicKey>,
    /// Coins kept back for closing each anchor channel, in sat.
    pub reserve_sat: u64,
    /// The file that holds the passphrase of an encrypted seed; empty: none.
    pub seed_passphrase_file: String,
    /// Where the network graph comes from.
    pub gossip: Gossip,
    /// The rapid gossip sync server, for `gossip = "rgs"`.
    pub rgs_url: String,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            announce: Vec::new(),
            alias: String::new(),
            max_dust_exposure_sat: 5_000_000,
            zero_conf_peers: Vec::new(),
            reserve_sat: 25_000,
            seed_passphrase_file: String::new(),
            gossip: Gossip::P2p,
            rgs_url: String::new(),
        }
    }
}

/// Where the network graph comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gossip {
    /// From peers.
    P2p,
    /// From a rapid gossip sync server.
    Rgs,
}

/// `[chain]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chain {
    /// Which kind of server.
    pub source: ChainSource,
    /// Esplora's base URL.
    pub esplora_url: String,
    /// `tcp://host:port` or `ssl://host:port`.
    pub electrum_url: String,
    /// bitcoind's host.
    pub bitcoind_host: String,
    /// bitcoind's RPC port.
    pub bitcoind_port: u16,
    /// RPC user.
    pub bitcoind_user: String,
    /// RPC password.
    #[serde(with = "fields::secret")]
    pub bitcoind_password: Secret,
    /// Host of bitcoind's REST interface.
    pub rest_host: String,
    /// Port of bitcoind's REST interface.
    pub rest_port: u16,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            source: ChainSource::Esplora,
            esplora_url: String::new(),
            electrum_url: String::new(),
            bitcoind_host: "127.0.0.1".into(),
            bitcoind_port: 0,
            bitcoind_user: String::new(),
            bitcoind_password: Secret::default(),
            rest_host: String::new(),
            rest_port: 0,
        }
    }
}

/// Which kind of server blocks and fees come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainSource {
    /// Esplora over HTTP.
    Esplora,
    /// Electrum.
    Electrum,
    /// A bitcoind's JSON-RPC.
    Bitcoind,
    /// A bitcoind's REST interface for blocks, its JSON-RPC for the rest.
    BitcoindRest,
}

/// `[gifts]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gifts {
    /// Whether gifts are offered.
    pub enabled: bool,
    /// Smallest gift, in sat.
    pub min_sat: u64,
    /// Largest gift, in sat.
    pub max_sat: u64,
    /// Most gifts made by one order.
    pub max_quantity: u32,
    /// How long the funding invoice can be paid, in seconds.
    pub invoice_expiry_secs: u64,
    /// Wrong codes before a gift is locked.
    pub verify_code_tries: u32,
    /// How long it stays locked, in seconds.
    pub verify_code_lock_secs: u64,
    /// The least that a gift costs besides its amount, in sat.
    pub min_fee_sat: u64,
    /// What a gift costs besides its amount, in percent of it.
    pub fee_percent: u32,
    /// Whether the fee comes back with a gift that nobody redeemed in its time.
    pub return_fee: bool,
}

impl Default for Gifts {
    fn default() -> Self {
        Self {
            enabled: true,
            min_sat: 100,
            max_sat: 500_000,
            max_quantity: 500,
            invoice_expiry_secs: 3_600,
            verify_code_tries: 10,
            verify_code_lock_secs: 900,
            min_fee_sat: 0,
            fee_percent: 0,
            return_fee: false,
        }
    }
}

/// `[payments]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payments {
    /// Whether payments are offered.
    pub enabled: bool,
    /// How long an order can be paid, in seconds.
    pub expiry_secs: u64,
    /// The most that one order may come to, in sat.
    pub max_amount_sat: u64,
    /// The least that is refunded to an address, in sat; 0: nothing is.
    pub min_onchain_refund_sat: u64,
    /// Whether what is ordered can be paid by a BOLT12 offer too.
    pub offers: bool,
    /// The least that the operator takes of a payment, in sat.
    pub min_fee_sat: u64,
    /// What the operator takes of a payment, in percent of it.
    pub fee_percent: u32,
    /// Whether that goes back to the account once all of a payment is refunded.
    pub return_fee: bool,
}

impl Default for Payments {
    fn default() -> Self {
        Self {
            enabled: true,
            expiry_secs: 3_600,
            max_amount_sat: 100_000_000,
            min_onchain_refund_sat: 5_000,
            offers: false,
            min_fee_sat: 0,
            fee_percent: 0,
            return_fee: false,
        }
    }
}

/// `[l402]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L402 {
    /// Whether requests are sold. Tokens that exist are good all the same.
    pub enabled: bool,
    /// What a request costs where nothing else is said, in sat.
    pub default_price_sat: u64,
    /// What the demonstration of a dearer resource costs, in sat.
    pub premium_price_sat: u64,
    /// The most that one resource may cost, in sat.
    pub max_price_sat: u64,
    /// How long a token is good, in seconds.
    pub token_secs: u64,
    /// How long its invoice can be paid, in seconds; never more than half of that.
    pub invoice_expiry_secs: u64,
    /// New challenges of one client in a minute.
    pub challenges_per_minute: u32,
    /// Requests a minute with one credential that was paid for; 0 sets no limit.
    pub credential_requests_per_minute: u32,
    /// The least that the operator takes of what an account sells, in sat.
    pub min_fee_sat: u64,
    /// What the operator takes of that, in percent.
    pub fee_percent: u32,
    /// Services.
    pub proxy: L402Proxy,
    /// Documents.
    pub content: L402Content,
}

impl Default for L402 {
    fn default() -> Self {
        Self {
            enabled: true,
            default_price_sat: 10,
            premium_price_sat: 100,
            max_price_sat: 1_000_000,
            token_secs: 3_600,
            invoice_expiry_secs: 600,
            challenges_per_minute: 60,
            credential_requests_per_minute: 6_000,
            min_fee_sat: 0,
            fee_percent: 0,
            proxy: L402Proxy::default(),
            content: L402Content::default(),
        }
    }
}

/// `[tips]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tips {
    /// Whether tips are offered.
    pub enabled: bool,
    /// The least that a tip costs besides its amount, in sat.
    pub min_fee_sat: u64,
    /// What a tip costs besides its amount, in percent of it.
    pub fee_percent: u32,
    /// Whether the fee comes back with a tip that nobody withdrew.
    pub return_fee: bool,
    /// The most that one order may come to, fees and all tips of it together, in sat.
    pub max_total_sat: u64,
    /// Most tips in a group.
    pub max_quantity: u32,
    /// How long a funding invoice can be paid, in seconds.
    pub invoice_expiry_secs: u64,
}

impl Default for Tips {
    fn default() -> Self {
        Self {
            enabled: true,
            min_fee_sat: 10,
            fee_percent: 1,
            return_fee: false,
            max_total_sat: 2_100_000,
            max_quantity: 500,
            invoice_expiry_secs: 86_400,
        }
    }
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The window that `write` and `read` are counted over, in seconds.
    pub window_secs: u64,
    /// Requests of one client in a window that create or move something.
    pub write: u32,
    /// Requests of one client in a window that only look.
    pub read: u32,
    /// Pages and their parts that one client may load in a window; a QR code weighs as much as ten.
    pub pages: u32,
    /// Requests with one API key in a window that create or move something.
    pub key_write: u32,
    /// Requests with one API key in a window that only look.
    pub key_read: u32,
    /// Requests with one API key in a window that verify what a client showed.
    pub key_verify: u32,
    /// New invoices a minute, of all clients without an API key together: each costs durable rows.
    pub invoices_per_minute: u32,
    /// New invoices a minute of one account.
    pub account_invoices_per_minute: u32,
    /// How long an order that nobody paid is kept after its invoice's end, in days.
    pub keep_unpaid_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_secs: 900,
            write: 50,
            read: 200,
            pages: 3_000,
            key_write: 1_500,
            key_read: 9_000,
            key_verify: 90_000,
            invoices_per_minute: 1_200,
            account_invoices_per_minute: 1_200,
            keep_unpaid_days: 3,
        }
    }
}

/// `[payouts]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payouts {
    /// A payout may always cost this much in routing fees, in sat.
    pub max_fee_base_sat: u64,
    /// Or this share of it, in parts per million, whichever is more.
    pub max_fee_ppm: u32,
    /// What routing may cost in an hour by all payouts together, in sat; beyond it only free routes are taken.
    pub max_routing_per_hour_sat: u64,
    /// Of that, what one account's payouts may cost the operator, in sat.
    pub max_routing_per_account_hour_sat: u64,
    /// Payouts under way at once, a channel.
    pub in_flight_per_channel: u32,
    /// A payout that could not be sent for so long is given up, in seconds; its voucher opens again.
    pub send_window_secs: u64,
    /// An invoice must be payable for at least so long, in seconds.
    pub min_invoice_expiry_secs: u64,
    /// Who bears the miners' fee of a withdrawal.
    pub onchain_fee_paid_by: Bearer,
    /// Who bears that of a refund.
    pub onchain_refund_fee_paid_by: Bearer,
    /// The most that one transaction may cost, in sat.
    pub max_onchain_fee_sat: u64,
    /// What one account's may cost the operator in an hour, in sat.
    pub max_onchain_fee_per_account_hour_sat: u64,
    /// What all of them may, in sat.
    pub max_onchain_fee_per_hour_sat: u64,
    /// What the miners get, in sat a virtual byte; 0: as the chain source says.
    pub onchain_fee_rate_sat_vb: u64,
}

impl Default for Payouts {
    fn default() -> Self {
        Self {
            max_fee_base_sat: 10,
            max_fee_ppm: 5_000,
            max_routing_per_hour_sat: 10_000,
            max_routing_per_account_hour_sat: 5_000,
            in_flight_per_channel: 45,
            send_window_secs: 600,
            min_invoice_expiry_secs: 30,
            onchain_fee_paid_by: Bearer::Account,
            onchain_refund_fee_paid_by: Bearer::Operator,
            max_onchain_fee_sat: 20_000,
            max_onchain_fee_per_account_hour_sat: 20_000,
            max_onchain_fee_per_hour_sat: 100_000,
            onchain_fee_rate_sat_vb: 0,
        }
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Host names that may resolve to a private address.
    pub allow_hosts: Vec<String>,
    /// Networks that the address guard lets past.
    #[serde(with = "fields::networks")]
    pub allow_networks: Vec<IpNet>,
    /// How long one delivery may take, in seconds.
    pub timeout_secs: u64,
    /// When a delivery that keeps failing is parked, in days.
    pub give_up_after_days: u32,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { allow_hosts: Vec::new(), allow_networks: Vec::new(), timeout_secs: 10, give_up_after_days: 3 }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged, in `tracing`'s filter language. `RUST_LOG` wins over it.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The public esplora server used on a network when none is named. There is none for regtest.
pub fn default_esplora_url(network: Network) -> Option<&'static str> {
    match network {
        Network::Bitcoin => Some("https://blockstream.info/api"),
        Network::Testnet => Some("https://blockstream.info/testnet/api"),
        Network::Signet => Some("https://mempool.space/signet/api"),
        Network::Testnet4 | Network::Regtest => None,
    }
}

/// bitcoind's RPC port on a network when none is named.
pub(super) fn default_bitcoind_port(network: Network) -> u16 {
    match network {
        Network::Bitcoin => 8332,
        Network::Testnet => 18_332,
        Network::Testnet4 => 48_332,
        Network::Signet => 38_332,
        Network::Regtest => 18_443,
    }
}
