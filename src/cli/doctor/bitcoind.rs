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
    use axum::http::HeaderMap;
    use axum::routing::{get, post};
    use axum::{Json, Router};

    use super::*;
    use crate::core::ids::Secret;

    /// A bitcoind whose password is `right`, and the settings that lead to it.
    async fn serve(rest: bool) -> Chain {
        let answer = |headers: HeaderMap, Json(call): Json<Value>| async move {
            if headers.get("authorization").is_none_or(|given| given != "Basic dTpyaWdodA==") {
                return Err(StatusCode::UNAUTHORIZED);
            }
            let result = match call.get("method").and_then(Value::as_str) {
                Some("getblockchaininfo") => {
                    json!({ "chain": "regtest", "blocks": 101, "initialblockdownload": true })
                }
                _ => json!({ "errors": ["Insufficient data or no feerate found"] }),
            };
            Ok(Json(json!({ "result": result, "error": null })))
        };
        let mut router = Router::new().route("/", post(answer));
        if rest {
            router = router.route("/rest/chaininfo.json", get(|| async { "{}" }));
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Chain {
            source: ChainSource::Bitcoind,
            bitcoind_port: port,
            bitcoind_user: "u".into(),
            bitcoind_password: Secret::new("right"),
            rest_host: "127.0.0.1".into(),
            rest_port: port,
            ..Chain::default()
        }
    }

    #[tokio::test]
    async fn a_bitcoind_is_asked_with_the_password() {
        let chain = serve(false).await;
        let seen = look(&chain, Network::Regtest).await.ok().unwrap();
        assert!(seen.same_network && !seen.syncing && seen.fee_rate.is_none());
        assert_eq!(seen.height, 101);
        let wrong = Chain { bitcoind_password: Secret::new("wrong"), ..chain };
        let said = look(&wrong, Network::Regtest).await.err().unwrap();
        assert!(said.says.contains("refuses us") && !said.says.contains("wrong"), "{}", said.says);
        let nobody = Chain { bitcoind_port: 1, ..wrong };
        assert!(look(&nobody, Network::Regtest).await.err().unwrap().says.contains("does not answer"));
    }

    #[tokio::test]
    async fn rest_must_be_there_where_it_is_used() {
        let with = Chain { source: ChainSource::BitcoindRest, ..serve(true).await };
        assert!(look(&with, Network::Regtest).await.is_ok());
        let without = Chain { source: ChainSource::BitcoindRest, ..serve(false).await };
        assert!(look(&without, Network::Regtest).await.err().unwrap().remedy.contains("rest=1"));
    }

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
