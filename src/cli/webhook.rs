//! `satchel webhook list|replay`

use clap::Subcommand;
use serde_json::json;

use super::channel::segment;
use super::client::Client;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items};

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// What was sent where, newest first, and how it went
    List {
        /// Only what was given up
        #[arg(long)]
        parked: bool,
        /// At most so many, from 1 to 500
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Those older than the message with this id: the last of the page before
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Send one again that was delivered or given up, or at once if it waits
    Replay {
        /// Its id
        id: String,
    },
}

pub async fn run(client: &Client, command: WebhookCommand) -> Result<Report, CliError> {
    match command {
        WebhookCommand::List { parked, limit, before } => {
            list(client, parked, limit, before.as_deref()).await
        }
        WebhookCommand::Replay { id } => {
            let answer = client.post(&format!("webhooks/{}/replay", segment(&id)?), json!({})).await?;
            Ok(Report::new(answer, format!("{id} is sent now")))
        }
    }
}

async fn list(client: &Client, parked: bool, limit: u32, before: Option<&str>) -> Result<Report, CliError> {
    let mut path = format!("webhooks?limit={limit}");
    if parked {
        path.push_str("&parked=true");
    }
    if let Some(id) = before {
        path = format!("{path}&before={}", segment(id)?);
    }
    let answer = client.get(&path).await?;
    let columns = ["id", "kind", "url", "state", "attempts", "created_at", "last_error"];
    let rows: Vec<_> = items(&answer, "webhooks")
        .map(|message| columns.iter().map(|name| cell(message, name)).collect::<Vec<_>>())
        .collect();
    let text = match rows.as_slice() {
        [] => "no webhooks here".into(),
        rows => table(&["ID", "WHAT", "WHERE", "STATE", "TRIES", "CAUSED", "LAST ERROR"], &[4], rows),
    };
    Ok(Report::new(answer, text))
}
