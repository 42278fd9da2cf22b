//! A program that behaves as satchel does towards this crate, and does nothing else.
//!
//! The crate's own tests start it where others start satchel, so that they can run before satchel is built and fail for
//! no fault of satchel's. Its node is one of the crate's wallets; it knows the command line of `init` and `run`, the
//! health routes and the few routes for the operator that bring up a network.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use regtest::{ChainSource, Wallet};
use serde_json::{Value, json};
use toml::Table;

const ADMIN_KEY: &str = "stand-in-admin-key";

type Answer = Result<Json<Value>, (StatusCode, String)>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| -> Result<PathBuf> {
        let place = arguments.iter().position(|argument| argument == name);
        let value = place.and_then(|place| arguments.get(place + 1));
        Ok(value.with_context(|| format!("{name} is missing"))?.into())
    };
    let (dir, config) = (option("--data-dir")?, option("--config")?);
    let config: Table = std::fs::read_to_string(&config)?.parse()?;
    match arguments.first().map(String::as_str) {
        Some("init") => {
            println!("{}", json!({"admin_key": ADMIN_KEY}));
            Ok(())
        }
        Some("run") => run(&dir, &config).await,
        other => bail!("unknown subcommand {other:?}"),
    }
}

async fn run(dir: &Path, config: &Table) -> Result<()> {
    if let Ok(text) = std::env::var("STAND_IN_FAILS") {
        bail!("told to fail: {text}");
    }
    let text = |section: &str, name: &str| -> Result<String> {
        let value = config.get(section).and_then(|section| section.get(name));
        Ok(value.and_then(toml::Value::as_str).with_context(|| format!("no {section}.{name}"))?.to_owned())
    };
    let port =
        config.get("chain").and_then(|chain| chain.get("bitcoind_port")).and_then(toml::Value::as_integer);
    let chain = ChainSource {
        port: u16::try_from(port.context("no chain.bitcoind_port")?)?,
        user: text("chain", "bitcoind_user")?,
        password: text("chain", "bitcoind_password")?,
    };
    let listen = config.get("node").and_then(|node| node.get("listen")).and_then(toml::Value::as_array);
    let p2p: SocketAddr =
        listen.and_then(|list| list.first()?.as_str()).context("no node.listen")?.parse()?;
    let wallet = Arc::new(Wallet::start_at("stand-in", dir, chain, p2p).await?);
    println!("the stand-in is up");
    let routes = Router::new()
        .route("/admin/v1/node", get(node))
        .route("/admin/v1/address", post(address))
        .route("/admin/v1/channels", post(open_channel).get(channels))
        .route("/admin/v1/sync", post(sync))
        .with_state(Arc::clone(&wallet));
    // As satchel does: the operator's routes apart from the public ones.
    let listener = tokio::net::TcpListener::bind(text("admin", "listen")?).await?;
    let public = tokio::net::TcpListener::bind(text("http", "listen")?).await?;
    let health = Router::new().route("/health/ready", get(|| async { "ok" }));
    tokio::spawn(axum::serve(public, health).into_future());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, routes).into_future() => served?,
        _ = terminate.recv() => {}
    }
    wallet.stop().await
}

fn authorised(headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
    let expected = format!("Bearer {ADMIN_KEY}");
    match headers.get("authorization").is_some_and(|given| given.as_bytes() == expected.as_bytes()) {
        true => Ok(()),
        false => Err((StatusCode::UNAUTHORIZED, "no key".to_owned())),
    }
}

fn broken(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn node(State(wallet): State<Arc<Wallet>>, headers: HeaderMap) -> Answer {
    authorised(&headers)?;
    let info = wallet.info().await.map_err(broken)?;
    Ok(Json(json!({"node_id": info.node_id, "network": info.network, "block_height": info.block_height,
        "running": true})))
}

async fn address(State(wallet): State<Arc<Wallet>>, headers: HeaderMap) -> Answer {
    authorised(&headers)?;
    Ok(Json(json!({"address": wallet.address().await.map_err(broken)?})))
}

async fn open_channel(
    State(wallet): State<Arc<Wallet>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    authorised(&headers)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or_default();
    let node_id = text("node_id").parse().map_err(broken)?;
    let address = text("address").parse().map_err(broken)?;
    let opened = wallet.open_channel(node_id, address, number("amount_sat"), number("push_sat")).await;
    opened.map_err(broken)?;
    Ok(Json(json!({"user_channel_id": "0"})))
}

async fn channels(State(wallet): State<Arc<Wallet>>, headers: HeaderMap) -> Answer {
    authorised(&headers)?;
    Ok(Json(json!({"channels": wallet.info().await.map_err(broken)?.channels})))
}

async fn sync(State(wallet): State<Arc<Wallet>>, headers: HeaderMap) -> Answer {
    authorised(&headers)?;
    wallet.sync().await.map_err(broken)?;
    Ok(Json(json!({})))
}
