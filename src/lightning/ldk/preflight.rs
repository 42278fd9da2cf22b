//! A question to the chain source before the node is started.
//!
//! On test networks ldk-node starts without a bitcoind: it makes do with a default fee, looks again after
//! ever longer waits, and would call itself running meanwhile. So bitcoind is asked first. The other
//! sources make the start itself fail.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::ChainSource;

/// Longer than a healthy bitcoind ever takes.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Whether the chain source answers.
///
/// # Errors
/// Why not, in words that name no password.
pub(super) async fn ask(chain: &ChainSource) -> Result<(), String> {
    let (ChainSource::Bitcoind { host, port, user, password }
    | ChainSource::BitcoindRest { host, port, user, password, .. }) = chain
    else {
        return Ok(());
    };
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| error.to_string())?;
    let question =
        serde_json::json!({"jsonrpc": "1.0", "id": "satchel", "method": "getblockcount", "params": []});
    let asked = client
        .post(format!("http://{host}:{port}/"))
        .basic_auth(user, Some(password.expose()))
        .json(&question)
        .send()
        .await;
    let answer =
        asked.map_err(|error| format!("bitcoind at {host}:{port} can't be reached: {}", root(&error)))?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        return Err(format!("bitcoind at {host}:{port} refuses the user or the password of [chain]"));
    }
    match answer.json::<Answer>().await {
        Ok(Answer { error: None }) => Ok(()),
        Ok(Answer { error: Some(refusal) }) => Err(format!("bitcoind says: {}", refusal.message)),
        Err(_) => Err(format!("what answers at {host}:{port} is no bitcoind")),
    }
}

/// The innermost reason, which is the one that helps.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::Secret;
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};

    fn bitcoind(port: u16) -> ChainSource {
        let (host, user) = ("127.0.0.1".into(), "u".into());
        ChainSource::Bitcoind { host, port, user, password: Secret::new("hidden") }
    }

    async fn answering(status: u16, body: Value) -> Result<(), String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = StatusCode::from_u16(status).unwrap();
        let routes = Router::new().route("/", post(move || async move { (status, Json(body)) }));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        let result = ask(&bitcoind(port)).await;
        server.abort();
        result
    }

    #[tokio::test]
    async fn only_a_bitcoind_that_is_ready_will_do() {
        assert_eq!(answering(200, json!({"result": 5, "error": null})).await, Ok(()));
        let busy = json!({"result": null, "error": {"code": -28, "message": "Loading block index…"}});
        assert!(answering(500, busy).await.unwrap_err().contains("Loading block index"));
        assert!(answering(401, json!({})).await.unwrap_err().contains("password of [chain]"));
        assert!(answering(200, json!("hello")).await.unwrap_err().contains("no bitcoind"));
        let away = ask(&bitcoind(1)).await.unwrap_err();
        assert!(away.contains("can't be reached") && !away.contains("hidden"), "{away}");
        assert_eq!(ask(&ChainSource::Esplora { url: "http://127.0.0.1:1".into() }).await, Ok(()));
    }
}
