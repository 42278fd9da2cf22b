//! `satchel channel open|list|close`

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::peer::PeerAddress;
use super::report::{Report, table};
use super::show::{cell, grouped, items, number, sat, text, yes};

/// What to do with channels.
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Open a channel to a node, from the on-chain wallet
    Open {
        /// The node, as NODE_ID@HOST:PORT
        #[arg(value_name = "NODE_ID@HOST:PORT")]
        peer: PeerAddress,
        /// How large, in sat
        amount_sat: u64,
        /// How much of it to give to the other side at once, in sat: a present
        #[arg(long, default_value_t = 0, value_name = "SAT")]
        push_sat: u64,
        /// Let the network route through it; the node must listen for others
        #[arg(long)]
        announced: bool,
    },
    /// Channels open or opening
    List,
    /// Close a channel; its coins come back on-chain
    Close {
        /// Either id of the channel
        id: String,
        /// Without the other side's consent: costs more, and our coins are locked for some time
        #[arg(long)]
        force: bool,
    },
}

pub async fn run(client: &Client, command: ChannelCommand) -> Result<Report, CliError> {
    match command {
        ChannelCommand::Open { peer, amount_sat, push_sat, announced } => {
            let body = json!({ "node_id": peer.node_id, "address": peer.address, "amount_sat": amount_sat,
                "push_sat": push_sat, "announced": announced });
            let answer = client.post("channels", body).await?;
            let text = format!(
                "opening channel {} of {}; see `satchel channel list` for when it is usable",
                text(&answer, "user_channel_id"),
                sat(amount_sat)
            );
            Ok(Report::new(answer, text))
        }
        ChannelCommand::List => {
            let answer = client.get("channels").await?;
            let text = describe(&answer);
            Ok(Report::new(answer, text))
        }
        ChannelCommand::Close { id, force } => {
            let answer =
                client.post(&format!("channels/{}/close", segment(&id)?), json!({ "force": force })).await?;
            Ok(Report::new(answer, format!("closing channel {id}")))
        }
    }
}

fn describe(answer: &Value) -> String {
    let rows: Vec<_> = items(answer, "channels")
        .map(|channel| {
            vec![
                cell(channel, "user_channel_id"),
                cell(channel, "node_id"),
                state(channel),
                grouped(number(channel, "capacity_sat")),
                grouped(number(channel, "outbound_sat")),
                grouped(number(channel, "inbound_sat")),
            ]
        })
        .collect();
    match rows.as_slice() {
        [] => "no channels yet; fund `satchel address`, then `satchel channel open NODE_ID@HOST:PORT SAT`"
            .into(),
        rows => table(
            &["CHANNEL", "WITH", "STATE", "SIZE sat", "CAN SEND sat", "CAN RECEIVE sat"],
            &[3, 4, 5],
            rows,
        ),
    }
}

fn state(channel: &Value) -> String {
    if yes(channel, "usable") {
        return "usable".into();
    }
    if yes(channel, "ready") {
        return "peer away".into();
    }
    format!(
        "{}/{} confirmations",
        number(channel, "confirmations"),
        number(channel, "confirmations_required")
    )
}

/// An id as part of a path: ids have letters, digits, dashes and underscores only.
pub fn segment(id: &str) -> Result<&str, CliError> {
    let fits =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    fits.then_some(id).ok_or_else(|| CliError::usage(format!("\"{id}\" is not an id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_say_what_they_wait_for() {
        let channel = |usable: bool, ready: bool| {
            json!({ "user_channel_id": "17", "node_id": "02ab", "usable": usable,
            "ready": ready, "confirmations": 1, "confirmations_required": 3, "capacity_sat": 100_000,
            "outbound_sat": 98_000, "inbound_sat": 0 })
        };
        let answer =
            json!({ "channels": [channel(true, true), channel(false, true), channel(false, false)] });
        let text = describe(&answer);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "CHANNEL  WITH  STATE              SIZE sat  CAN SEND sat  CAN RECEIVE sat");
        assert_eq!(lines[1], "17       02ab  usable              100,000        98,000                0");
        assert!(lines[2].contains("peer away") && lines[3].contains("1/3 confirmations"), "{text}");
        assert!(describe(&json!({ "channels": [] })).contains("channel open"));
    }

    #[test]
    fn an_id_can_not_lead_elsewhere() {
        assert!(segment("abc-12_3").is_ok());
        for bad in ["", "../keys", "a/b", "a?b", "ä"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}
