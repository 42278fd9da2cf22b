//! A small JSON-RPC client for `bitcoind`.

use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runtime;

/// Mining a hundred blocks on a busy machine is the slowest call.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The node can't be reached, or what answers isn't a node: wait or start it.
    #[error("bitcoind doesn't answer: {0}")]
    Unreachable(String),
    /// The node refused the call.
    #[error("bitcoind says: {message} (code {code})")]
    Refused {
        /// Bitcoin Core's error code.
        code: i64,
        /// Its message.
        message: String,
    },
}

impl RpcError {
    /// Whether the node answers but is still warming up (code -28).
    pub fn is_warming_up(&self) -> bool {
        matches!(self, Self::Refused { code: -28, .. })
    }
}

/// Where `bitcoind` answers, and as whom to ask. `Debug` leaves the password out.
#[derive(Clone)]
pub struct Rpc {
    url: String,
    user: String,
    password: String,
    http: Client,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rpc").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

impl Rpc {
    /// A client; nothing is sent yet.
    pub fn new(url: String, user: String, password: String) -> Self {
        // A kept connection would be a dead one after each restart of bitcoind.
        let http = Client::builder().pool_max_idle_per_host(0).build().unwrap_or_default();
        Self { url, user, password, http }
    }

    /// The address of the RPC server, as `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls `method` with positional parameters.
    ///
    /// # Errors
    /// See [`RpcError`]. A call that timed out may still have been carried out.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let request = self
            .http
            .post(&self.url)
            .basic_auth(&self.user, Some(&self.password))
            .timeout(TIMEOUT)
            .json(&json!({"jsonrpc": "1.0", "id": "regtest", "method": method, "params": params}));
        let sent = async move {
            let answer = request.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.text().await?))
        };
        let (status, body) = runtime::run(sent)
            .await
            .map_err(|error| RpcError::Unreachable(error.to_string()))?
            .map_err(|error| RpcError::Unreachable(error.to_string()))?;
        // A refused call comes with status 500 and a JSON body; only a wrong password has no body.
        let answer: Answer = serde_json::from_str(&body).map_err(|_| {
            RpcError::Unreachable(format!("status {status} without JSON in answer to {method}"))
        })?;
        match answer.error {
            Some(Refusal { code, message }) => Err(RpcError::Refused { code, message }),
            None => Ok(answer.result),
        }
    }
}
