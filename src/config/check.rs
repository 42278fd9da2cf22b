//! What a well-formed configuration must not say: values out of range, and settings that contradict
//! each other.

use std::collections::BTreeSet;

use bitcoin::Network;
use reqwest::Url;
use tracing_subscriber::EnvFilter;

use super::rates::RatesFrom;
use super::sections::{ChainSource, Gossip};
use super::smtp::SmtpSecurity;
use super::{Chain, Config, Gifts, Http, Node, Rates, Smtp, is_this_machine, shopify};
use crate::core::currency::plausible_rate;
use crate::core::money::Msat;

/// Something that is wrong with a setting.
pub struct Found {
    /// Which.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do, where the setting's general remedy doesn't say it.
    pub remedy: Option<String>,
}

/// BOLT 7 gives an alias 32 bytes.
const MAX_ALIAS_BYTES: usize = 32;

/// The node takes no more addresses than this.
const MAX_ADDRESSES: usize = 100;

/// BOLT 2 lets a channel carry at most so many HTLCs each way.
const MAX_HTLCS: u32 = 483;

/// The smallest body limit that all requests of the contracts fit into.
const MIN_BODY_BYTES: usize = 1_024;

/// Beyond this a body limit protects nothing.
const MAX_BODY_BYTES: usize = 16 * 1_024 * 1_024;

/// Lists all that is wrong, and brings URLs into their one form.
pub fn check(config: &mut Config) -> Vec<Found> {
    let mut found = Vec::new();
    http(&mut config.http, &mut found);
    node(&config.node, &config.http, &mut found);
    chain(&mut config.chain, config.network, &mut found);
    gifts(&config.gifts, &mut found);
    smtp(&config.smtp, &mut found);
    rates(&mut config.rates, &mut found);
    config.l402.proxy.check(&mut found);
    shopify::check(&mut config.shop.shopify, config.network, &mut found);
    config.nostr.check(&mut found);
    config.withdrawals.check(config.network, &mut found);
    config.alerts.check(&mut found);
    config.signup.check(&mut found);
    ranges(config, &mut found);
    if let Err(error) = EnvFilter::builder().parse(&config.log.level) {
        found.push(plain("log.level", format!("is not a log filter: {error}")));
    }
    found
}

pub(super) fn plain(key: &'static str, what: impl Into<String>) -> Found {
    Found { key, what: what.into(), remedy: None }
}

pub(super) fn with_remedy(key: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Found {
    Found { key, what: what.into(), remedy: Some(remedy.into()) }
}

fn http(http: &mut Http, found: &mut Vec<Found>) {
    if http.listen.port() == 0 {
        found.push(plain("http.listen", "port 0 would be a different one at each start"));
    }
    match web_url(&http.public_url) {
        Ok(url) => http.public_url = url,
        Err(what) => found.push(plain("http.public_url", what)),
    }
    if !(MIN_BODY_BYTES..=MAX_BODY_BYTES).contains(&http.max_body_bytes) {
        found.push(plain("http.max_body_bytes", format!("{} is out of range", http.max_body_bytes)));
    }
}

fn node(node: &Node, http: &Http, found: &mut Vec<Found>) {
    let listens = !node.listen.is_empty();
    let open_port = "set node.listen, for example to [\"0.0.0.0:9735\"], or leave it empty";
    if node.listen.len() > MAX_ADDRESSES {
        found.push(plain("node.listen", format!("more than {MAX_ADDRESSES} addresses")));
    }
    if node.listen.contains(&http.listen) {
        let remedy = "give the node and the front door different ports";
        found.push(with_remedy("node.listen", "is the same address as http.listen", remedy));
    }
    if node.listen.iter().collect::<BTreeSet<_>>().len() < node.listen.len() {
        found.push(with_remedy("node.listen", "names an address twice", "name each address once"));
    }
    if node.alias.len() > MAX_ALIAS_BYTES {
        found.push(plain(
            "node.alias",
            format!("has {} bytes, the most is {MAX_ALIAS_BYTES}", node.alias.len()),
        ));
    }
    if !node.alias.is_empty() && !listens {
        found.push(with_remedy("node.alias", "a name is announced only by a node that listens", open_port));
    }
    if !node.announce.is_empty() && !listens {
        found.push(with_remedy("node.announce", "only a node that listens can be reached", open_port));
    }
    if node.announce.len() > MAX_ADDRESSES {
        found.push(plain("node.announce", format!("more than {MAX_ADDRESSES} addresses")));
    }
    for address in node.announce.iter().filter(|address| !is_host_and_port(address)) {
        found.push(plain("node.announce", format!("\"{address}\" is not host:port")));
    }
    if node.gossip == Gossip::Rgs {
        if node.rgs_url.is_empty() {
            let remedy = "set node.rgs_url to a rapid gossip sync server, or node.gossip to \"p2p\"";
            found.push(with_remedy("node.gossip", "\"rgs\" needs a server", remedy));
        } else if let Err(what) = web_url(&node.rgs_url) {
            found.push(plain("node.rgs_url", what));
        }
    }
}

fn chain(chain: &mut Chain, network: Network, found: &mut Vec<Found>) {
    match chain.source {
        ChainSource::Esplora if chain.esplora_url.is_empty() => found.push(with_remedy(
            "chain.source",
            format!("there is no public esplora server for {network}"),
            "set chain.esplora_url, or use chain.source = \"bitcoind\"",
        )),
        ChainSource::Esplora => match web_url(&chain.esplora_url) {
            Ok(url) => chain.esplora_url = url,
            Err(what) => found.push(plain("chain.esplora_url", what)),
        },
        ChainSource::Electrum if chain.electrum_url.is_empty() => {
            found.push(with_remedy("chain.source", "\"electrum\" needs a server", "set chain.electrum_url"));
        }
        ChainSource::Electrum => {
            let address =
                chain.electrum_url.strip_prefix("ssl://").or(chain.electrum_url.strip_prefix("tcp://"));
            if !address.is_some_and(is_host_and_port) {
                found
                    .push(plain("chain.electrum_url", format!("\"{}\" is not a server", chain.electrum_url)));
            }
        }
        ChainSource::Bitcoind | ChainSource::BitcoindRest => bitcoind(chain, found),
    }
}

fn bitcoind(chain: &Chain, found: &mut Vec<Found>) {
    let hosts = [("chain.bitcoind_host", &chain.bitcoind_host), ("chain.rest_host", &chain.rest_host)];
    for (key, host) in hosts {
        if !is_host(host) {
            found.push(plain(key, format!("\"{host}\" is not a host name or address")));
        }
    }
    if chain.bitcoind_user.is_empty() {
        let remedy = "set chain.bitcoind_user to the `rpcuser` of your bitcoind";
        found.push(with_remedy("chain.bitcoind_user", "bitcoind asks for a user", remedy));
    }
    if chain.bitcoind_password.expose().is_empty() {
        let remedy = "set chain.bitcoind_password, or the variable SATCHEL_CHAIN_BITCOIND_PASSWORD";
        found.push(with_remedy("chain.bitcoind_password", "bitcoind asks for a password", remedy));
    }
}

fn gifts(gifts: &Gifts, found: &mut Vec<Found>) {
    if gifts.min_sat == 0 {
        found.push(with_remedy("gifts.min_sat", "a gift of nothing can't be paid", "give at least 1"));
    }
    if gifts.min_sat > gifts.max_sat {
        let remedy = "set it to at least gifts.min_sat";
        found.push(with_remedy(
            "gifts.max_sat",
            format!("is below gifts.min_sat ({})", gifts.min_sat),
            remedy,
        ));
    }
    let largest_order = gifts.max_sat.checked_mul(u64::from(gifts.max_quantity)).and_then(Msat::from_sat);
    if largest_order.is_none() {
        let remedy = "lower gifts.max_sat or gifts.max_quantity";
        found.push(with_remedy("gifts.max_sat", "an order could ask for more than there is bitcoin", remedy));
    }
    if !(60..=604_800).contains(&gifts.invoice_expiry_secs) {
        found.push(plain(
            "gifts.invoice_expiry_secs",
            format!("{} is out of range", gifts.invoice_expiry_secs),
        ));
    }
}

fn smtp(smtp: &Smtp, found: &mut Vec<Found>) {
    if smtp.host.is_empty() {
        let others = [("smtp.user", !smtp.user.is_empty()), ("smtp.from", !smtp.from.is_empty())];
        for (key, _) in others.into_iter().filter(|(_, set)| *set) {
            found.push(with_remedy(key, "is set, but there is no mail server", "set smtp.host too"));
        }
        return;
    }
    if !is_host(&smtp.host) {
        found.push(plain("smtp.host", format!("\"{}\" is not a host name or address", smtp.host)));
    }
    if smtp.security == SmtpSecurity::None && !is_this_machine(&smtp.host) {
        let remedy = "set smtp.security to \"starttls\" or \"tls\"";
        found.push(with_remedy(
            "smtp.security",
            "letters hold secrets, and \"none\" would show them to the network",
            remedy,
        ));
    }
    if smtp.sender().is_none() {
        found.push(plain("smtp.from", format!("\"{}\" is not an address", smtp.from)));
    }
    if smtp.user.is_empty() != smtp.password.expose().is_empty() {
        let remedy = "set smtp.user and smtp.password (or the variable SATCHEL_SMTP_PASSWORD), or neither";
        found.push(with_remedy("smtp.password", "a name and a password belong together", remedy));
    }
}

fn rates(rates: &mut Rates, found: &mut Vec<Found>) {
    let urls = [
        ("rates.mempool_url", &mut rates.mempool_url),
        ("rates.coinbase_url", &mut rates.coinbase_url),
        ("rates.kraken_url", &mut rates.kraken_url),
    ];
    let mut any = false;
    for (key, url) in urls.into_iter().filter(|(_, url)| !url.is_empty()) {
        any = true;
        match web_url(url) {
            Ok(clean) => *url = clean,
            Err(what) => found.push(plain(key, what)),
        }
    }
    if rates.source == RatesFrom::Http && !any {
        let remedy = "set at least one of rates.mempool_url, rates.coinbase_url and rates.kraken_url";
        found.push(with_remedy("rates.source", "\"http\" needs somebody to ask", remedy));
    }
    if rates.source == RatesFrom::Fixed && rates.fixed.is_empty() {
        let remedy = "set rates.fixed, for example to [\"USD 60000\"], or rates.source to \"http\"";
        found.push(with_remedy("rates.source", "\"fixed\" needs rates", remedy));
    }
    if rates.fixed.iter().map(|(currency, _)| currency).collect::<BTreeSet<_>>().len() < rates.fixed.len() {
        found.push(with_remedy("rates.fixed", "names a currency twice", "name each currency once"));
    }
    for (currency, rate) in rates.fixed.iter().filter(|(_, rate)| plausible_rate(*rate) != Some(*rate)) {
        let remedy = "give more than 0 and at most 1000000000000, with at most 8 digits behind the point";
        found.push(with_remedy("rates.fixed", format!("a bitcoin can't cost {rate} {currency}"), remedy));
    }
    if rates.max_age_secs < rates.refresh_secs.saturating_mul(2) {
        let remedy =
            "set it to at least twice rates.refresh_secs, or each lost answer leaves you without rates";
        found.push(with_remedy("rates.max_age_secs", "is too short", remedy));
    }
}

/// Numbers that must lie in a range.
fn ranges(config: &Config, found: &mut Vec<Found>) {
    const ANY: u64 = u64::MAX;
    let (http, gifts, tips, limits) = (&config.http, &config.gifts, &config.tips, &config.limits);
    let (payouts, webhooks, node) = (&config.payouts, &config.webhooks, &config.node);
    let supply = Msat::from_sat(21_000_000 * 100_000_000).map_or(ANY, Msat::sat_floor);
    let numbers = [
        ("http.max_connections", u64::try_from(http.max_connections).unwrap_or(ANY), 1, ANY),
        ("http.header_timeout_secs", http.header_timeout_secs, 1, ANY),
        ("http.idle_timeout_secs", http.idle_timeout_secs, 1, ANY),
        ("http.request_timeout_secs", http.request_timeout_secs, 1, ANY),
        ("node.max_dust_exposure_sat", node.max_dust_exposure_sat, 0, supply),
        ("node.reserve_sat", node.reserve_sat, 0, supply),
        ("gifts.max_quantity", u64::from(gifts.max_quantity), 1, ANY),
        ("gifts.verify_code_tries", u64::from(gifts.verify_code_tries), 1, ANY),
        ("gifts.verify_code_lock_secs", gifts.verify_code_lock_secs, 1, ANY),
        ("gifts.min_fee_sat", gifts.min_fee_sat, 0, supply),
        ("gifts.fee_percent", u64::from(gifts.fee_percent), 0, 100),
        ("payments.min_fee_sat", config.payments.min_fee_sat, 0, supply),
        ("payments.fee_percent", u64::from(config.payments.fee_percent), 0, 100),
        ("l402.min_fee_sat", config.l402.min_fee_sat, 0, supply),
        ("l402.fee_percent", u64::from(config.l402.fee_percent), 0, 100),
        ("tips.min_fee_sat", tips.min_fee_sat, 0, supply),
        ("tips.fee_percent", u64::from(tips.fee_percent), 0, 100),
        ("tips.max_total_sat", tips.max_total_sat, 1, supply),
        ("tips.max_quantity", u64::from(tips.max_quantity), 1, 10_000),
        ("payments.expiry_secs", config.payments.expiry_secs, 60, 604_800),
        ("payments.max_amount_sat", config.payments.max_amount_sat, 1, supply),
        ("payments.min_onchain_refund_sat", config.payments.min_onchain_refund_sat, 0, supply),
        ("l402.default_price_sat", config.l402.default_price_sat, 1, config.l402.max_price_sat),
        ("l402.premium_price_sat", config.l402.premium_price_sat, 1, config.l402.max_price_sat),
        ("l402.max_price_sat", config.l402.max_price_sat, 1, supply),
        ("l402.token_secs", config.l402.token_secs, 60, 31_536_000),
        ("l402.invoice_expiry_secs", config.l402.invoice_expiry_secs, 30, 86_400),
        ("l402.challenges_per_minute", u64::from(config.l402.challenges_per_minute), 1, ANY),
        ("tips.invoice_expiry_secs", tips.invoice_expiry_secs, 60, 604_800),
        ("rates.refresh_secs", config.rates.refresh_secs, 10, 3_600),
        ("rates.max_age_secs", config.rates.max_age_secs, 20, 86_400),
        ("limits.window_secs", limits.window_secs, 1, ANY),
        ("limits.write", u64::from(limits.write), 1, ANY),
        ("limits.read", u64::from(limits.read), 1, ANY),
        ("limits.pages", u64::from(limits.pages), 1, ANY),
        ("limits.key_write", u64::from(limits.key_write), 1, ANY),
        ("limits.key_read", u64::from(limits.key_read), 1, ANY),
        ("limits.key_verify", u64::from(limits.key_verify), 1, ANY),
        ("limits.invoices_per_minute", u64::from(limits.invoices_per_minute), 1, ANY),
        ("limits.account_invoices_per_minute", u64::from(limits.account_invoices_per_minute), 1, ANY),
        ("limits.keep_unpaid_days", u64::from(limits.keep_unpaid_days), 1, 3_650),
        ("payouts.max_fee_base_sat", payouts.max_fee_base_sat, 0, supply),
        ("payouts.max_routing_per_hour_sat", payouts.max_routing_per_hour_sat, 0, supply),
        ("payouts.max_routing_per_account_hour_sat", payouts.max_routing_per_account_hour_sat, 0, supply),
        ("payouts.max_fee_ppm", u64::from(payouts.max_fee_ppm), 0, 1_000_000),
        ("payouts.in_flight_per_channel", u64::from(payouts.in_flight_per_channel), 1, u64::from(MAX_HTLCS)),
        ("payouts.send_window_secs", payouts.send_window_secs, 1, ANY),
        ("payouts.min_invoice_expiry_secs", payouts.min_invoice_expiry_secs, 1, ANY),
        ("payouts.max_onchain_fee_sat", payouts.max_onchain_fee_sat, 0, supply),
        (
            "payouts.max_onchain_fee_per_account_hour_sat",
            payouts.max_onchain_fee_per_account_hour_sat,
            0,
            supply,
        ),
        ("payouts.max_onchain_fee_per_hour_sat", payouts.max_onchain_fee_per_hour_sat, 0, supply),
        ("payouts.onchain_fee_rate_sat_vb", payouts.onchain_fee_rate_sat_vb, 0, 100_000),
        ("signup.price_sat", config.signup.price_sat, 1, config.l402.max_price_sat),
        ("withdrawals.key_day_sat", config.withdrawals.key_day_sat, 0, supply),
        ("withdrawals.min_onchain_sat", config.withdrawals.min_onchain_sat, 0, supply),
        ("webhooks.timeout_secs", webhooks.timeout_secs, 1, 300),
        ("smtp.max_per_hour", u64::from(config.smtp.max_per_hour), 1, ANY),
        ("webhooks.give_up_after_days", u64::from(webhooks.give_up_after_days), 1, 30),
    ];
    let documents = config.l402.content.ranges(config.l402.max_price_sat);
    let numbers = numbers
        .into_iter()
        .chain(config.l402.proxy.ranges())
        .chain(documents)
        .chain(config.shop.ranges(supply))
        .chain(config.alerts.ranges())
        .chain(config.purse.ranges());
    for (key, value, least, most) in numbers {
        if value < least || value > most {
            found.push(plain(key, format!("{value} is out of range")));
        }
    }
}

/// A web address in its one form: no trailing slash, nothing after the path.
fn web_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("\"{text}\" is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("\"{text}\" is neither http:// nor https://"));
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("must have no user, query or fragment".into());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_host(text: &str) -> bool {
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    !text.is_empty() && (text.parse::<std::net::IpAddr>().is_ok() || is_name(text))
}
