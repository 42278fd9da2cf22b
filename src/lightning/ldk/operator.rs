//! [`Operator`] on ldk-node.

use bitcoin::secp256k1::PublicKey;
use ldk_node::lightning::ln::msgs::SocketAddress;

use super::LdkNode;
use super::turns::PATIENCE;
use crate::lightning::{Channel, ChannelOrder, Lightning, NodeStatus, Operator, OperatorError, Peer};

impl LdkNode {
    fn must_run(&self) -> Result<(), OperatorError> {
        if self.is_running() { Ok(()) } else { Err(OperatorError::NotRunning) }
    }
}

fn address(text: &str) -> Result<SocketAddress, OperatorError> {
    text.parse().map_err(|_| OperatorError::BadInput(format!("{text:?} is not a host:port address")))
}

fn refused(what: &str, hint: &str) -> impl Fn(ldk_node::NodeError) -> OperatorError {
    let (what, hint) = (what.to_owned(), hint.to_owned());
    move |error| OperatorError::Refused(format!("{what}: {error}. {hint}"))
}

impl Operator for LdkNode {
    fn status(&self) -> NodeStatus {
        let running = self.is_running();
        let problem = self.problem_slot().clone();
        // ldk-node's own status waits while it is starting.
        let status = running.then(|| self.node.status());
        NodeStatus {
            running,
            problem,
            node_id: Some(self.node.node_id()),
            network: self.settings.network,
            block_height: status.as_ref().map_or(0, |status| status.current_best_block.height),
            synced_at: status.as_ref().and_then(|status| {
                status.latest_lightning_wallet_sync_timestamp.min(status.latest_onchain_wallet_sync_timestamp)
            }),
            fees_at: status.as_ref().and_then(|status| status.latest_fee_rate_cache_update_timestamp),
        }
    }

    fn new_address(&self) -> Result<String, OperatorError> {
        self.must_run()?;
        let fresh = self.node.onchain_payment().new_address();
        fresh.map(|address| address.to_string()).map_err(refused("no address", "Try again"))
    }

    fn connect(&self, node_id: PublicKey, at: &str) -> Result<(), OperatorError> {
        self.must_run()?;
        let hint = "Is the address right and reachable from here?";
        self.node.connect(node_id, address(at)?, true).map_err(refused("could not connect", hint))
    }

    fn peers(&self) -> Vec<Peer> {
        let peers = self.node.list_peers();
        peers
            .into_iter()
            .map(|peer| Peer {
                node_id: peer.node_id,
                address: peer.address.to_string(),
                connected: peer.is_connected,
                persisted: peer.is_persisted,
            })
            .collect()
    }

    fn open_channel(&self, order: &ChannelOrder) -> Result<String, OperatorError> {
        self.must_run()?;
        if order.push_sat > order.amount_sat {
            return Err(OperatorError::BadInput("more is pushed than the channel holds".into()));
        }
        let push = (order.push_sat > 0).then(|| order.push_sat.saturating_mul(1_000));
        let (node_id, address, config) =
            (order.node_id, address(&order.address)?, Some(self.channel_config()));
        // The wallet must know of every coin that is spent, or the new channel's funding spends one again and
        // never confirms.
        let _turn = self.coins_turn(PATIENCE)?;
        let opened = if order.announced {
            self.node.open_announced_channel(node_id, address, order.amount_sat, push, config)
        } else {
            self.node.open_channel(node_id, address, order.amount_sat, push, config)
        };
        let hint =
            "The wallet needs the amount, the fee and the reserve in confirmed coins; see `satchel doctor`";
        opened.map(|id| id.0.to_string()).map_err(refused("the channel was not opened", hint))
    }

    fn close_channel(&self, id: &str, force: bool) -> Result<(), OperatorError> {
        self.must_run()?;
        let channels = self.node.list_channels();
        let channel = channels
            .iter()
            .find(|channel| {
                channel.channel_id.to_string() == id || channel.user_channel_id.0.to_string() == id
            })
            .ok_or_else(|| OperatorError::UnknownChannel(id.to_owned()))?;
        let (ours, theirs) = (&channel.user_channel_id, channel.counterparty_node_id);
        let closed = if force {
            self.node.force_close_channel(ours, theirs, Some("closed by the operator".into()))
        } else {
            self.node.close_channel(ours, theirs)
        };
        closed.map_err(refused("the channel was not closed", "If the peer stays away, use --force"))
    }

    fn channels(&self) -> Vec<Channel> {
        let channels = self.node.list_channels();
        channels
            .into_iter()
            .map(|channel| Channel {
                channel_id: channel.channel_id.to_string(),
                user_channel_id: channel.user_channel_id.0.to_string(),
                node_id: channel.counterparty_node_id,
                ready: channel.is_channel_ready,
                usable: channel.is_usable,
                announced: channel.is_announced,
                outbound: channel.is_outbound,
                capacity_sat: channel.channel_value_sats,
                outbound_sat: channel.outbound_capacity_msat / 1_000,
                inbound_sat: channel.inbound_capacity_msat / 1_000,
                min_send_msat: channel.next_outbound_htlc_minimum_msat,
                max_send_msat: channel.next_outbound_htlc_limit_msat,
                confirmations: channel.confirmations.unwrap_or(0),
                confirmations_required: channel.confirmations_required.unwrap_or(0),
                funding: channel.funding_txo.map(|funding| funding.to_string()),
            })
            .collect()
    }

    fn sync(&self) -> Result<(), OperatorError> {
        self.must_run()?;
        self.node.sync_wallets().map_err(refused("the chain could not be read", "See `satchel doctor`"))
    }
}
