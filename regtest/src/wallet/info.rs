//! What a wallet says of its node, its channels and its money.

use serde::Serialize;

use super::Inner;
use super::error::WalletError;

/// What a wallet says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct WalletInfo {
    /// The node's public key, in hex.
    pub node_id: String,
    /// Where the node listens for peers.
    pub p2p: String,
    /// Always `regtest`.
    pub network: String,
    /// The height of the chain as the node has seen it.
    pub block_height: u32,
    /// Its channels.
    pub channels: Vec<WalletChannel>,
}

/// A wallet's view of one of its channels.
#[derive(Clone, Debug, Serialize)]
pub struct WalletChannel {
    /// The channel's id, in hex.
    pub channel_id: String,
    /// The peer's public key, in hex.
    pub node_id: String,
    /// The channel's size.
    pub capacity_sat: u64,
    /// What the wallet can send over it, in msat.
    pub outbound_msat: u64,
    /// What it can receive over it, in msat.
    pub inbound_msat: u64,
    /// Whether payments can pass now: confirmed, and the peer is connected.
    pub usable: bool,
}

/// A wallet's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WalletBalance {
    /// All coins on the chain.
    pub onchain_sat: u64,
    /// Those of them that aren't kept in reserve for channels.
    pub spendable_onchain_sat: u64,
    /// What all channels could send, in msat.
    pub outbound_msat: u64,
    /// What all channels could receive, in msat.
    pub inbound_msat: u64,
}

impl Inner {
    pub(super) async fn info(&self) -> Result<WalletInfo, WalletError> {
        let p2p = self.p2p.to_string();
        self.call(move |node| WalletInfo {
            node_id: node.node_id().to_string(),
            p2p,
            network: "regtest".to_owned(),
            block_height: node.status().current_best_block.height,
            channels: node.list_channels().iter().map(WalletChannel::from).collect(),
        })
        .await
    }

    pub(super) async fn balance(&self) -> Result<WalletBalance, WalletError> {
        self.call(|node| {
            let balances = node.list_balances();
            let channels = node.list_channels();
            WalletBalance {
                onchain_sat: balances.total_onchain_balance_sats,
                spendable_onchain_sat: balances.spendable_onchain_balance_sats,
                outbound_msat: channels.iter().map(|channel| channel.outbound_capacity_msat).sum(),
                inbound_msat: channels.iter().map(|channel| channel.inbound_capacity_msat).sum(),
            }
        })
        .await
    }
}

impl From<&ldk_node::ChannelDetails> for WalletChannel {
    fn from(channel: &ldk_node::ChannelDetails) -> Self {
        Self {
            channel_id: channel.channel_id.to_string(),
            node_id: channel.counterparty_node_id.to_string(),
            capacity_sat: channel.channel_value_sats,
            outbound_msat: channel.outbound_capacity_msat,
            inbound_msat: channel.inbound_capacity_msat,
            usable: channel.is_usable,
        }
    }
}
