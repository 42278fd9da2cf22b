//! What each setting expects, in words: the remedy shown when a value can't be read.

/// The remedy for a value of this key that can't be read.
pub fn expects(key: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|(name, _)| *name == key).map(|(_, expects)| *expects)
}

const SECONDS: &str = "give a number of seconds without quotes, at least 1";
const SATS: &str = "give a whole number of sat without quotes";
const COUNT: &str = "give a whole number without quotes, at least 1";
const NETWORKS: &str = "give a list of IP networks, like [\"10.0.0.0/8\", \"::1\"]";
const YES_NO: &str = "give true or false, without quotes";

/// Every key of the file. A test compares it with [`super::Config`].
pub const SETTINGS: &[(&str, &str)] = &[
    ("network", "give \"bitcoin\", \"testnet\", \"signet\" or \"regtest\""),
    ("http.listen", "give an address and a port, like \"127.0.0.1:3000\""),
    ("http.public_url", "give the address people reach this server at, like \"https://gifts.example.com\""),
    ("http.rate_limits", YES_NO),
    ("http.trusted_proxies", NETWORKS),
    ("http.max_connections", COUNT),
    ("http.max_body_bytes", "give a number of bytes without quotes, from 1024 to 16777216"),
    ("http.header_timeout_secs", SECONDS),
    ("http.request_timeout_secs", SECONDS),
    ("node.listen", "give a list of addresses with ports, like [\"0.0.0.0:9735\"]"),
    ("node.announce", "give a list of hosts with ports, like [\"node.example.com:9735\"]"),
    ("node.alias", "give a name of at most 32 bytes, in quotes"),
    ("node.max_dust_exposure_sat", SATS),
    ("node.zero_conf_peers", "give a list of node ids, each 66 hex digits in quotes"),
    ("node.reserve_sat", SATS),
    ("node.gossip", "give \"p2p\" or \"rgs\""),
    ("node.rgs_url", "give the URL of a rapid gossip sync server"),
    ("chain.source", "give \"esplora\", \"electrum\", \"bitcoind\" or \"bitcoind_rest\""),
    ("chain.esplora_url", "give the server's base URL, like \"https://blockstream.info/api\""),
    ("chain.electrum_url", "give \"ssl://host:port\" or \"tcp://host:port\""),
    ("chain.bitcoind_host", "give the host name or address of your bitcoind, without a port"),
    ("chain.bitcoind_port", "give a port number without quotes; 0 is the network's usual one"),
    ("chain.bitcoind_user", "give the `rpcuser` of your bitcoind, in quotes"),
    ("chain.bitcoind_password", "give the `rpcpassword` of your bitcoind, in quotes"),
    ("chain.rest_host", "give the host name or address of the REST interface, without a port"),
    ("chain.rest_port", "give a port number without quotes; 0 is the RPC port"),
    ("gifts.enabled", YES_NO),
    ("gifts.min_sat", SATS),
    ("gifts.max_sat", SATS),
    ("gifts.max_quantity", COUNT),
    ("gifts.invoice_expiry_secs", "give a number of seconds without quotes, from 60 to 604800"),
    ("gifts.verify_code_tries", COUNT),
    ("gifts.verify_code_lock_secs", SECONDS),
    ("tips.enabled", YES_NO),
    ("tips.min_fee_sat", SATS),
    ("tips.fee_percent", COUNT),
    ("tips.return_fee", YES_NO),
    ("tips.max_total_sat", SATS),
    ("tips.max_quantity", COUNT),
    ("tips.invoice_expiry_secs", "give a number of seconds without quotes, from 60 to 604800"),
    ("rates.source", "give \"auto\", \"fixed\" or \"http\""),
    (
        "rates.fixed",
        "give a list of currencies, each with what a bitcoin costs, like [\"USD 60000\", \"EUR 52000.50\"]",
    ),
    ("rates.refresh_secs", "give a number of seconds without quotes, from 10 to 3600"),
    ("rates.max_age_secs", "give a number of seconds without quotes, from 20 to 86400"),
    ("rates.mempool_url", "give a server's base URL, like \"https://mempool.space\", or \"\" not to ask it"),
    (
        "rates.coinbase_url",
        "give a server's base URL, like \"https://api.coinbase.com\", or \"\" not to ask it",
    ),
    ("rates.kraken_url", "give a server's base URL, like \"https://api.kraken.com\", or \"\" not to ask it"),
    ("limits.window_secs", SECONDS),
    ("limits.write", COUNT),
    ("limits.read", COUNT),
    ("limits.key_write", COUNT),
    ("limits.key_read", COUNT),
    ("limits.invoices_per_minute", COUNT),
    ("limits.keep_unpaid_days", COUNT),
    ("payouts.max_fee_base_sat", SATS),
    ("payouts.max_routing_per_hour_sat", SATS),
    ("payouts.max_fee_ppm", "give parts per million without quotes, from 0 to 1000000 (10000 is 1 %)"),
    ("payouts.in_flight_per_channel", "give a whole number without quotes, from 1 to 483"),
    ("payouts.send_window_secs", SECONDS),
    ("payouts.min_invoice_expiry_secs", SECONDS),
    ("webhooks.allow_hosts", "give a list of host names, like [\"hooks.internal\"]"),
    ("webhooks.allow_networks", NETWORKS),
    ("webhooks.timeout_secs", "give a number of seconds without quotes, from 1 to 300"),
    ("webhooks.give_up_after_days", "give a number of days without quotes, from 1 to 30"),
    ("smtp.host", "give the host name of your mail server, without a port"),
    ("smtp.port", "give a port number without quotes; 0 is the usual one of smtp.security"),
    ("smtp.security", "give \"starttls\", \"tls\", or \"none\" for a server on this machine"),
    ("smtp.user", "give the name your mail server knows you by, in quotes"),
    ("smtp.password", "give the password of smtp.user, in quotes"),
    ("smtp.from", "give an address, like \"Satchel <tips@example.com>\""),
    ("smtp.max_per_hour", COUNT),
    (
        "log.level",
        "give \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a filter like \"info,satchel=debug\"",
    ),
    ("log.format", "give \"text\" or \"json\""),
];
