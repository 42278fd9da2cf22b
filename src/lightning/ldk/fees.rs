//! What a transaction should pay the miners, as the chain source says. ldk-node has its own estimate, but doesn't tell
//! it, and a limit must be kept before a transaction is signed.

use std::time::Duration;

use bitcoin::Network;
use serde_json::{Value, json};

use super::{ChainSource, LdkNode};
use crate::core::ids::Secret;

/// Blocks within which a transaction shall confirm.
const TARGET: u16 = 6;

/// How long the chain source may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The least that nodes relay: 1 sat/vB.
const LEAST: u64 = 250;

/// Weight units in a virtual byte, times what a rate is counted in: 1,000 of them.
const PER_KWU: f64 = 250.0;

impl LdkNode {
    /// In sat for 1,000 weight units. Blocks on the network.
    pub(super) fn fee_rate(&self) -> Result<u64, String> {
        let asked = match &self.settings.chain {
            ChainSource::Esplora { url } => self.runtime.block_on(esplora(url)),
            ChainSource::Bitcoind { host, port, user, password }
            | ChainSource::BitcoindRest { host, port, user, password, .. } => {
                self.runtime.block_on(bitcoind(host, *port, user, password))
            }
            ChainSource::Electrum { .. } => Err("an Electrum server is not asked for fees".into()),
        };
        match asked {
            // A young regtest chain has no estimates, and nobody competes for its blocks.
            Err(_) if self.settings.network == Network::Regtest => Ok(LEAST),
            other => other,
        }
    }
}

async fn esplora(url: &str) -> Result<u64, String> {
    let say = |error: esplora_client::Error| format!("the esplora server gives no fees: {error}");
    let builder = esplora_client::Builder::new(url).timeout(PATIENCE.as_secs()).max_retries(1);
    let server = builder.build_async().map_err(say)?;
    let fees = server.get_fee_estimates().await.map_err(say)?;
    let rate = esplora_client::convert_fee_rate(usize::from(TARGET), fees).map(f64::from);
    rate.and_then(of_vbytes).ok_or_else(|| "the esplora server has no fee estimates".into())
}

async fn bitcoind(host: &str, port: u16, user: &str, password: &Secret) -> Result<u64, String> {
    let say = |error: reqwest::Error| format!("bitcoind gives no fees: {}", error.without_url());
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(say)?;
    let call = json!({ "jsonrpc": "1.0", "id": "fees", "method": "estimatesmartfee", "params": [TARGET] });
    let asked = client.post(format!("http://{host}:{port}/")).basic_auth(user, Some(password.expose()));
    let answer: Value = asked.json(&call).send().await.map_err(say)?.json().await.map_err(say)?;
    // Bitcoin for 1,000 virtual bytes.
    let rate = answer.pointer("/result/feerate").and_then(Value::as_f64).map(|rate| rate * 100_000.0);
    rate.and_then(of_vbytes).ok_or_else(|| "bitcoind has no fee estimate yet".into())
}

/// From sat for a virtual byte; never below what is relayed.
fn of_vbytes(rate: f64) -> Option<u64> {
    // No transaction ever had to pay a million sat for a virtual byte.
    if !rate.is_finite() || !(0.0..1_000_000.0).contains(&rate) {
        return None;
    }
    let kwu = format!("{:.0}", (rate * PER_KWU).ceil());
    kwu.parse::<u64>().ok().map(|rate| rate.max(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_up_and_never_below_what_is_relayed() {
        assert_eq!(of_vbytes(1.0), Some(250));
        assert_eq!(of_vbytes(0.1), Some(250));
        assert_eq!(of_vbytes(12.345), Some(3_087));
        assert_eq!(of_vbytes(-1.0), None);
        assert_eq!(of_vbytes(f64::NAN), None);
        assert_eq!(of_vbytes(f64::INFINITY), None);
    }
}
