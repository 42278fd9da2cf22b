//! `satchel gift list|show`

use clap::Subcommand;

use super::channel::segment;
use super::client::Client;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, fields, items};

/// What to do with gifts.
#[derive(Debug, Subcommand)]
pub enum GiftCommand {
    /// Gifts, newest first
    List {
        /// At most so many, from 1 to 500
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Those older than the gift with this id: the last of the page before
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// All that is known of one gift
    Show {
        /// Its id
        id: String,
    },
}

pub async fn run(client: &Client, command: GiftCommand) -> Result<Report, CliError> {
    match command {
        GiftCommand::List { limit, before } => list(client, limit, before.as_deref()).await,
        GiftCommand::Show { id } => {
            let answer = client.get(&format!("gifts/{}", segment(&id)?)).await?;
            let text = fields(&answer);
            Ok(Report::new(answer, text))
        }
    }
}

async fn list(client: &Client, limit: u32, before: Option<&str>) -> Result<Report, CliError> {
    let mut path = format!("gifts?limit={limit}");
    if let Some(id) = before {
        path = format!("{path}&before={}", segment(id)?);
    }
    let answer = client.get(&path).await?;
    let columns = ["id", "status", "amount_sat", "created_at"];
    let rows: Vec<_> = items(&answer, "gifts")
        .map(|gift| columns.iter().map(|name| cell(gift, name)).collect::<Vec<_>>())
        .collect();
    let text = match rows.as_slice() {
        [] => "no gifts here".into(),
        rows => table(&["ID", "STATUS", "AMOUNT", "MADE"], &[2], rows),
    };
    Ok(Report::new(answer, text))
}
