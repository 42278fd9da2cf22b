//! Channels: list, open, close.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, By};
use super::peers::{parse_address, parse_node_id};
use super::{AdminError, AdminState};
use crate::core::money::Msat;
use crate::http::audit_log::{Act, ActKind};
use crate::lightning::ChannelOrder;

/// A channel to open, as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    node_id: String,
    address: String,
    amount_sat: u64,
    #[serde(default)]
    push_sat: u64,
    #[serde(default)]
    announced: bool,
}

/// How to close one.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct CloseRequest {
    force: bool,
}

/// `GET /admin/v1/channels`
pub async fn list(State(state): State<AdminState>) -> Result<Json<Value>, AdminError> {
    let channels = state.node.operate(|node| Ok(node.channels())).await?;
    Ok(Json(json!({ "channels": channels })))
}

/// `POST /admin/v1/channels`: answers once the funding is under way; the channel is usable when confirmed.
pub async fn open(
    State(state): State<AdminState>,
    By(key): By,
    Body(request): Body<OpenRequest>,
) -> Result<Json<Value>, AdminError> {
    let order = order(&state, request)?;
    let act = Act::new(key, ActKind::ChannelOpen)
        .with("node_id", order.node_id)
        .with("amount_sat", order.amount_sat)
        .with("push_sat", order.push_sat)
        .with("announced", order.announced);
    let work = async { Ok(state.node.operate(move |node| node.open_channel(&order)).await?) };
    let user_channel_id = state.acts.around(act, work, |id| Some(id.clone())).await?;
    Ok(Json(json!({ "user_channel_id": user_channel_id })))
}

fn order(state: &AdminState, request: OpenRequest) -> Result<ChannelOrder, AdminError> {
    let node_id = parse_node_id(&request.node_id)?;
    let address = parse_address(&request.address)?;
    if request.amount_sat == 0 || Msat::from_sat(request.amount_sat).is_none() {
        return Err(AdminError::BadRequest("amount_sat must be the size of the channel in sat".into()));
    }
    if request.push_sat >= request.amount_sat {
        return Err(AdminError::BadRequest("push_sat must be less than amount_sat".into()));
    }
    if request.announced && state.config.node.listen.is_empty() {
        let text = "an announced channel needs node.listen in config.toml, so that others can reach the node";
        return Err(AdminError::BadRequest(text.into()));
    }
    Ok(ChannelOrder {
        node_id,
        address,
        amount_sat: request.amount_sat,
        push_sat: request.push_sat,
        announced: request.announced,
    })
}

/// `POST /admin/v1/channels/{id}/close`: by either id. A forced close needs no peer, but costs more and
/// locks our coins for some time.
pub async fn close(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(request): Body<CloseRequest>,
) -> Result<Json<Value>, AdminError> {
    let closing = id.clone();
    let act = Act::new(key, ActKind::ChannelClose).to(&id).with("force", request.force);
    let close = state.node.operate(move |node| node.close_channel(&closing, request.force));
    state.acts.around(act, async { Ok(close.await?) }, |()| None).await?;
    Ok(Json(json!({ "closing": id, "force": request.force })))
}
