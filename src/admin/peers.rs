//! Peers: list, connect.

use axum::Json;
use axum::extract::State;
use bitcoin::secp256k1::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, By};
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};

/// A peer to connect to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectRequest {
    node_id: String,
    address: String,
}

/// `GET /admin/v1/peers`
pub async fn list(State(state): State<AdminState>) -> Result<Json<Value>, AdminError> {
    let peers = state.node.operate(|node| Ok(node.peers())).await?;
    Ok(Json(json!({ "peers": peers })))
}

/// `POST /admin/v1/peers`: answers once connected.
pub async fn connect(
    State(state): State<AdminState>,
    By(key): By,
    Body(request): Body<ConnectRequest>,
) -> Result<Json<Value>, AdminError> {
    let (node_id, address) = (parse_node_id(&request.node_id)?, parse_address(&request.address)?);
    let target = address.clone();
    let act = Act::new(key, ActKind::PeerConnect).to(node_id.to_string()).with("address", &address);
    let connect = state.node.operate(move |node| node.connect(node_id, &target));
    state.acts.around(act, async { Ok(connect.await?) }, |()| None).await?;
    Ok(Json(json!({ "node_id": node_id, "address": address })))
}

pub fn parse_node_id(text: &str) -> Result<PublicKey, AdminError> {
    text.parse().map_err(|_| AdminError::BadRequest("node_id must be a public key: 66 hex digits".into()))
}

/// `host:port`, with an IPv6 host in brackets. Whether it leads anywhere is for the node to find out.
pub fn parse_address(text: &str) -> Result<String, AdminError> {
    let wrong = || AdminError::BadRequest("address must be host:port, like node.example.com:9735".into());
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty()
        || bare_ipv6
        || host.contains(char::is_whitespace)
        || !port.parse::<u16>().is_ok_and(|p| p > 0)
    {
        return Err(wrong());
    }
    Ok(text.to_owned())
}
