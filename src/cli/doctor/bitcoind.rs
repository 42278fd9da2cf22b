//! What a bitcoind says, by JSON-RPC and, where it is used, by REST.

use bitcoin::Network;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::chain::{NoView, PATIENCE, View};
use crate::cli::show::{number, text, yes};
use crate::config::{Chain, ChainSource};

/// Blocks within which the fee rate shown confirms.
const TARGET: u32 = 6;

/// From bitcoin per 1,000 vB, as bitcoind counts, to sat per vB.
const SAT_PER_VB: f64 = 100_000.0;

pub async fn look(chain: &Chain, network: Network) -> Result<View, NoView> {
    let http = Client::builder().no_proxy().timeout(PATIENCE).build();
    let http = http.map_err(|error| trouble(format!("can't make an HTTP client: {error}"), "try again"))?;
    let rpc = Rpc { http: &http, chain };
    let info = rpc.call("getblockchaininfo", json!([])).await?;
    let fees = rpc.call("estimatesmartfee", json!([TARGET])).await?;
    if chain.source == ChainSource::BitcoindRest {
        rest(&http, chain).await?;
    }
    Ok(view(format!("bitcoind at {}", rpc.address()), &info, &fees, network))
}

struct Rpc<'a> {
    http: &'a Client,
    chain: &'a Chain,
}

impl Rpc<'_> {
    fn address(&self) -> String {
        address(&self.chain.bitcoind_host, self.chain.bitcoind_port)
    }

    async fn call(&self, method: &str, parameters: Value) -> Result<Value, NoView> {
        let address = self.address();
        let body = json!({ "jsonrpc": "1.0", "id": "doctor", "method": method, "params": parameters });
        let request = self.http.post(format!("http://{address}")).json(&body);
        let password = self.chain.bitcoind_password.expose();
        let response =
            request.basic_auth(&self.chain.bitcoind_user, Some(password)).send().await.map_err(|_| {
                let remedy = "check that bitcoind runs with server=1, and chain.bitcoind_host and _port";
                trouble(format!("bitcoind does not answer at {address}"), remedy)
            })?;
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let remedy =
                "check chain.bitcoind_user and _password against rpcuser and rpcpassword, and rpcallowip";
            return Err(trouble(format!("bitcoind at {address} refuses us"), remedy));
        }
        let foreign =
            |_| trouble(format!("what answers at {address} is not bitcoind"), "check chain.bitcoind_port");
        let answer: Value = response.json().await.map_err(foreign)?;
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(trouble(
                format!("bitcoind at {address}: {}", text(error, "message")),
                "wait, or look at its log",
            )),
            None => Ok(answer.get("result").cloned().unwrap_or_default()),
        }
    }
}

async fn rest(http: &Client, chain: &Chain) -> Result<(), NoView> {
    let address = address(&chain.rest_host, chain.rest_port);
    let answer = http.get(format!("http://{address}/rest/chaininfo.json")).send().await;
    match answer {
        Ok(response) if response.status().is_success() => Ok(()),
        _ => {
            let remedy = "start bitcoind with rest=1, and check chain.rest_host and rest_port";
            Err(trouble(format!("there is no REST interface at {address}"), remedy))
        }
    }
}

fn view(source: String, info: &Value, fees: &Value, network: Network) -> View {
    let time = info.get("time").or(info.get("mediantime")).and_then(Value::as_u64);
    let rate = fees.get("feerate").and_then(Value::as_f64);
    View {
        source,
        height: number(info, "blocks"),
        time,
        same_network: text(info, "chain") == network.to_core_arg(),
        fee_rate: rate.map(|rate| rate * SAT_PER_VB),
        sparse_fees: false,
        // A fresh regtest chain counts as catching up until its first recent block.
        syncing: yes(info, "initialblockdownload") && network != Network::Regtest,
        pruned: yes(info, "pruned"),
    }
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn trouble(says: impl Into<String>, remedy: &str) -> NoView {
    NoView { says: says.into(), remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_view() {
        let info = json!({ "chain": "signet", "blocks": 7, "time": 9, "initialblockdownload": true, "pruned": false });
        let seen = view("it".into(), &info, &json!({ "feerate": 0.00002 }), Network::Signet);
        assert!(seen.same_network && seen.syncing && !seen.pruned);
        assert_eq!((seen.height, seen.time), (7, Some(9)));
        assert!(seen.fee_rate.is_some_and(|rate| (rate - 2.0).abs() < 1e-9));
        let none = view("it".into(), &info, &json!({ "errors": ["Insufficient data"] }), Network::Bitcoin);
        assert!(!none.same_network && none.fee_rate.is_none());
    }

    #[test]
    fn ipv6_hosts_stand_in_brackets() {
        assert_eq!([address("::1", 1), address("a.b", 2)], ["[::1]:1", "a.b:2"]);
    }
}
