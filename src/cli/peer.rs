//! `satchel peer list|connect`

use std::str::FromStr;

use bitcoin::secp256k1::PublicKey;
use clap::Subcommand;
use serde_json::json;

use super::client::Client;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items, yes};

/// What to do with peers.
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Nodes we know, and whether they are connected
    List,
    /// Connect to a node and stay connected
    Connect {
        /// The node, as NODE_ID@HOST:PORT
        #[arg(value_name = "NODE_ID@HOST:PORT")]
        peer: PeerAddress,
    },
}

/// A node and where it listens: `node_id@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its key.
    pub node_id: PublicKey,
    /// `host:port`
    pub address: String,
}

impl FromStr for PeerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (node_id, address) = text.split_once('@').ok_or("write it as NODE_ID@HOST:PORT")?;
        let node_id = node_id.parse().map_err(|_| "the part before @ must be a node id: 66 hex digits")?;
        if !address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            return Err("the part after @ must be HOST:PORT".into());
        }
        Ok(Self { node_id, address: address.into() })
    }
}

pub async fn run(client: &Client, command: PeerCommand) -> Result<Report, CliError> {
    match command {
        PeerCommand::List => list(client).await,
        PeerCommand::Connect { peer } => {
            let body = json!({ "node_id": peer.node_id, "address": peer.address });
            let answer = client.post("peers", body).await?;
            Ok(Report::new(answer, format!("connected to {} at {}", peer.node_id, peer.address)))
        }
    }
}

async fn list(client: &Client) -> Result<Report, CliError> {
    let answer = client.get("peers").await?;
    let rows: Vec<_> = items(&answer, "peers")
        .map(|peer| {
            let state = if yes(peer, "connected") { "connected" } else { "away" };
            vec![cell(peer, "node_id"), cell(peer, "address"), state.to_owned()]
        })
        .collect();
    let text = match rows.as_slice() {
        [] => "no peers yet; connect to one with `satchel peer connect NODE_ID@HOST:PORT`".into(),
        rows => table(&["NODE", "ADDRESS", "STATE"], &[], rows),
    };
    Ok(Report::new(answer, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_key_and_a_place() {
        let id = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619";
        let peer: PeerAddress = format!("{id}@[::1]:9735").parse().unwrap();
        assert_eq!((peer.node_id.to_string().as_str(), peer.address.as_str()), (id, "[::1]:9735"));
        for bad in [
            id.to_owned(),
            format!("{id}@host"),
            "02ab@host:1".into(),
            format!("{id}@:1"),
            format!("{id}@h:99999"),
        ] {
            assert!(bad.parse::<PeerAddress>().is_err(), "{bad}");
        }
    }
}
