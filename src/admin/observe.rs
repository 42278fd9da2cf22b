//! The node's numbers for `/metrics`, read when somebody asks for the page.

use metrics::gauge;

use crate::lightning::{Node, OperatorError};
use crate::telemetry::metrics as names;
use names::{amount, flag};

/// Asks the node and notes what it says.
///
/// # Errors
/// If the call itself died; a node that doesn't run is not an error but a number.
pub async fn observe(node: &Node) -> Result<(), OperatorError> {
    let (status, channels) = node.operate(|node| Ok((node.status(), node.channels()))).await?;
    let balances = node.ask(|node| node.balances()).await?;
    gauge!(names::NODE_RUNNING).set(flag(status.running));
    gauge!(names::CHAIN_HEIGHT).set(f64::from(status.block_height));
    if let Some(synced) = status.synced_at {
        gauge!(names::CHAIN_SYNCED).set(amount(synced));
    }
    let usable = channels.iter().filter(|channel| channel.usable).count();
    gauge!(names::CHANNELS, "state" => "usable").set(count(usable));
    gauge!(names::CHANNELS, "state" => "waiting").set(count(channels.len().saturating_sub(usable)));
    gauge!(names::LIGHTNING_BALANCE).set(amount(balances.lightning_msat));
    gauge!(names::OUTBOUND).set(amount(balances.outbound_msat));
    gauge!(names::INBOUND).set(amount(balances.inbound_msat));
    gauge!(names::ONCHAIN).set(amount(balances.onchain_sat));
    gauge!(names::ONCHAIN_SPENDABLE).set(amount(balances.onchain_spendable_sat));
    Ok(())
}

fn count(value: usize) -> f64 {
    amount(u64::try_from(value).unwrap_or(u64::MAX))
}
