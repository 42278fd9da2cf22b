//! The control face: what a test does to a network by method calls, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::{Bitcoind, Satchel, Wallet, ports, runtime, setup};

/// The HTTP server of a network's controls. Dropping it closes it.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    server: AbortHandle,
}

struct Parts {
    satchel: Arc<Satchel>,
    wallets: Vec<Arc<Wallet>>,
    bitcoind: Arc<Bitcoind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MineRequest {
    blocks: u32,
}

/// What a control answers when it doesn't do it.
enum Refusal {
    BadRequest(String),
    NotFound(String),
    /// The part is in the wrong state, as stopped when it should be stopped; or the step failed.
    Conflict(anyhow::Error),
}

type Answer = Result<Json<Value>, Refusal>;

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Conflict(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::BadRequest(text) => (StatusCode::BAD_REQUEST, text),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, text),
            Self::Conflict(error) => (StatusCode::CONFLICT, format!("{error:#}")),
        };
        (status, Json(json!({"error": text}))).into_response()
    }
}

impl Control {
    /// Serves the controls of these parts on a free loopback port.
    pub(crate) fn start(
        satchel: Arc<Satchel>,
        wallets: Vec<Arc<Wallet>>,
        bitcoind: Arc<Bitcoind>,
    ) -> Result<Self> {
        let routes = Router::new()
            .route("/v1/mine", post(mine))
            .route("/v1/satchel/kill", post(kill_satchel))
            .route("/v1/satchel/start", post(start_satchel))
            .route("/v1/wallets/{index}/stop", post(stop_wallet))
            .route("/v1/wallets/{index}/start", post(start_wallet))
            .route("/v1/bitcoind/stop", post(stop_bitcoind))
            .route("/v1/bitcoind/start", post(start_bitcoind))
            .fallback(|| async { Refusal::NotFound("no such route".to_owned()) })
            .with_state(Arc::new(Parts { satchel, wallets, bitcoind }));
        let listener = ports::free_listener().context("can't listen for the controls")?;
        listener.set_nonblocking(true).context("can't listen for the controls")?;
        let address = listener.local_addr().context("can't tell the controls' port")?;
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let listener =
            tokio::net::TcpListener::from_std(listener).context("can't listen for the controls")?;
        let server = runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the control face ended");
            }
        });
        Ok(Self { address, server: server.abort_handle() })
    }

    /// Its address, as `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn stop(&self) {
        self.server.abort();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Parts {
    fn wallet(&self, index: &str) -> Result<&Arc<Wallet>, Refusal> {
        let wallet = index.parse().ok().and_then(|index: usize| self.wallets.get(index));
        wallet
            .ok_or_else(|| Refusal::NotFound(format!("no wallet {index}; there are {}", self.wallets.len())))
    }
}

async fn mine(State(parts): State<Arc<Parts>>, body: Result<Json<MineRequest>, JsonRejection>) -> Answer {
    let Json(MineRequest { blocks }) =
        body.map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
    let height = parts.bitcoind.mine(blocks).await?;
    setup::sync(&parts.bitcoind, Some(&parts.satchel), &parts.wallets).await?;
    Ok(Json(json!({"height": height})))
}

async fn kill_satchel(State(parts): State<Arc<Parts>>) -> Answer {
    parts.satchel.kill().await?;
    Ok(Json(json!({})))
}

async fn start_satchel(State(parts): State<Arc<Parts>>) -> Answer {
    parts.satchel.start().await?;
    Ok(Json(json!({"pid": parts.satchel.pid()})))
}

async fn stop_wallet(State(parts): State<Arc<Parts>>, Path(index): Path<String>) -> Answer {
    parts.wallet(&index)?.stop().await?;
    Ok(Json(json!({})))
}

async fn start_wallet(State(parts): State<Arc<Parts>>, Path(index): Path<String>) -> Answer {
    parts.wallet(&index)?.start().await?;
    Ok(Json(json!({})))
}

async fn stop_bitcoind(State(parts): State<Arc<Parts>>) -> Answer {
    parts.bitcoind.stop().await?;
    Ok(Json(json!({})))
}

async fn start_bitcoind(State(parts): State<Arc<Parts>>) -> Answer {
    parts.bitcoind.start().await?;
    Ok(Json(json!({})))
}
