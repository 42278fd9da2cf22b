//! `satchel coins list|settle`

use clap::{Args, Subcommand};
use serde_json::json;

use super::channel::segment;
use super::client::Client;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items, text};

/// What to do with coins on their way to addresses.
#[derive(Debug, Subcommand)]
pub enum CoinsCommand {
    /// What goes to addresses and is not six blocks deep yet
    List,
    /// End what nobody could tell of: say what you found in a block explorer
    Settle(SettleArgs),
}

/// What was found.
#[derive(Args, Debug)]
pub struct SettleArgs {
    /// Its id
    id: String,
    /// This transaction paid it
    #[arg(long, required_unless_present = "not_sent", conflicts_with = "not_sent")]
    txid: Option<String>,
    /// No transaction did, and none waits in any mempool, or one of its inputs was spent by another transaction six
    /// blocks deep: the money may be refunded again
    #[arg(long)]
    not_sent: bool,
    /// You have seen in a block explorer that the transaction can't confirm; only asked for where the wallet can't tell
    #[arg(long, requires = "not_sent")]
    i_have_proof: bool,
}

pub async fn run(client: &Client, command: CoinsCommand) -> Result<Report, CliError> {
    match command {
        CoinsCommand::List => list(client).await,
        CoinsCommand::Settle(SettleArgs { id, txid, not_sent, i_have_proof }) => {
            let path = format!("coins/{}/settle", segment(&id)?);
            let answer = client
                .post(&path, json!({ "txid": txid, "not_sent": not_sent, "has_proof": i_have_proof }))
                .await?;
            let said = format!("{id} is {}", text(&answer, "status"));
            Ok(Report::new(answer, said))
        }
    }
}

async fn list(client: &Client) -> Result<Report, CliError> {
    let answer = client.get("coins").await?;
    let columns = ["id", "status", "amount_msat", "address", "txid", "sent_at", "error"];
    let rows: Vec<_> = items(&answer, "coins")
        .map(|send| columns.iter().map(|name| cell(send, name)).collect::<Vec<_>>())
        .collect();
    let text = match rows.as_slice() {
        [] => "no coins are on their way".into(),
        rows => table(&["ID", "STATE", "MSAT", "WHERE", "TRANSACTION", "SENT", "LAST ERROR"], &[2], rows),
    };
    Ok(Report::new(answer, text))
}
