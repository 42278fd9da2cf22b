//! The node as a whole: how it is, a fresh address, a look at the chain.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::extract::By;
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};
use crate::http::noticed::Seen;
use crate::lightning::{Balances, NodeStatus};

/// The answer to `GET node`.
#[derive(Serialize)]
struct NodeView {
    #[serde(flatten)]
    status: NodeStatus,
    /// How far the process is: `starting`, `recovering`, `ready`, `stopping`.
    phase: String,
    reason: Option<String>,
    balances: Balances,
    /// How far what is owed can be paid out; none while the books can't be read.
    solvency: Option<Value>,
    /// The relays to which agents' events go; none while they can't be read.
    relays: Option<Value>,
    channels: usize,
    usable_channels: usize,
    database_writable: bool,
    /// Currencies with a fresh rate.
    rates: usize,
    version: &'static str,
    /// Requests whose forwarding headers were not believed.
    untrusted_forwarding: Option<UntrustedView>,
    /// What requests have shown of a set-up that gives secrets away.
    seen: Seen,
}

#[derive(Serialize)]
struct UntrustedView {
    requests: u64,
    last_peer: IpAddr,
}

/// `GET /admin/v1/node`
pub async fn show(State(state): State<AdminState>) -> Result<Json<Value>, AdminError> {
    let (status, channels) = state.node.operate(|node| Ok((node.status(), node.channels()))).await?;
    let balances = state.node.ask(|node| node.balances()).await?;
    let solvency = if status.running { (state.solvency)().await.ok() } else { None };
    let relays = (state.relays)().await.ok();
    let health = state.health.ready();
    let view = NodeView {
        status,
        phase: health.status,
        reason: health.reason,
        balances,
        solvency,
        relays,
        channels: channels.len(),
        usable_channels: channels.iter().filter(|channel| channel.usable).count(),
        database_writable: state.store.is_writable(),
        rates: state.rates.all().len(),
        version: env!("CARGO_PKG_VERSION"),
        untrusted_forwarding: state
            .clients
            .untrusted_forwarding()
            .map(|(requests, last_peer)| UntrustedView { requests, last_peer }),
        seen: state.clients.noticed().seen(),
    };
    serde_json::to_value(view).map(Json).map_err(AdminError::internal)
}

/// `POST /admin/v1/address`: a new one each time.
pub async fn new_address(State(state): State<AdminState>, By(key): By) -> Result<Json<Value>, AdminError> {
    let made = async { Ok(state.node.operate(|node| node.new_address()).await?) };
    let act = Act::new(key, ActKind::AddressCreate);
    let address = state.acts.around(act, made, |address| Some(address.to_string())).await?;
    Ok(Json(json!({ "address": address })))
}

/// `POST /admin/v1/sync`: answers when the look at the chain is over.
pub async fn sync(State(state): State<AdminState>) -> Result<Json<Value>, AdminError> {
    let status = state.node.operate(|node| node.sync().map(|()| node.status())).await?;
    Ok(Json(json!({ "block_height": status.block_height, "synced_at": status.synced_at })))
}
