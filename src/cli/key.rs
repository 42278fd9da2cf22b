//! `satchel key create|list|rotate|revoke`

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::channel::segment;
use super::client::Client;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items, text};

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is shown this once
    Create {
        /// What it is for, in your words [default: its scopes]
        #[arg(conflicts_with = "named")]
        name: Option<String>,
        /// The same, as an option
        #[arg(long = "name", value_name = "NAME", id = "named")]
        named: Option<String>,
        /// What it opens: gifts, tips, payments, l402, withdraw, purse, scheduler, metrics, admin; may be given several
        /// times
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', default_value = "gifts")]
        scopes: Vec<String>,
        /// Whom it belongs to: keys of one account see and move the same things [default: an account of its own]
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// In so many days it ends by itself [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
        expires_days: Option<u64>,
        /// From where it can be used, like 203.0.113.0/24; may be given several times [default: from anywhere]
        #[arg(long = "ip", value_name = "NETWORK", value_delimiter = ',')]
        networks: Vec<String>,
    },
    /// Give a key another text; the old one works for a while, and what belongs to the key stays
    Rotate {
        /// Its id, from `satchel key list`
        id: String,
        /// For so many hours the old text works beside the new one
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=2_160))]
        overlap_hours: u64,
    },
    /// All keys, without the keys themselves
    List,
    /// Make a key worthless for ever
    Revoke {
        /// Its id, from `satchel key list`
        id: String,
    },
}

pub async fn run(client: &Client, command: KeyCommand) -> Result<Report, CliError> {
    match command {
        KeyCommand::Create { name, named, scopes, account, expires_days, networks } => {
            let name = name.or(named).unwrap_or_else(|| scopes.join(", "));
            let mut order = Map::from_iter([("name".into(), json!(name)), ("scopes".into(), json!(scopes))]);
            if let Some(account) = account {
                order.insert("account".into(), json!(account));
            }
            if let Some(days) = expires_days {
                order.insert("expires_in_secs".into(), json!(days.saturating_mul(24 * 60 * 60)));
            }
            if !networks.is_empty() {
                order.insert("networks".into(), json!(networks));
            }
            Ok(new_text(client.post("keys", order.into()).await?))
        }
        KeyCommand::Rotate { id, overlap_hours } => {
            let order = json!({ "overlap_secs": overlap_hours.saturating_mul(60 * 60) });
            Ok(new_text(client.post(&format!("keys/{}/rotate", segment(&id)?), order).await?))
        }
        KeyCommand::List => list(client).await,
        KeyCommand::Revoke { id } => {
            let answer = client.delete(&format!("keys/{}", segment(&id)?)).await?;
            Ok(Report::new(answer, format!("key {id} opens nothing any more")))
        }
    }
}

fn new_text(answer: Value) -> Report {
    let text = format!("{}\n\nKeep it: it is not shown again.", text(&answer, "key"));
    Report::new(answer, text)
}

async fn list(client: &Client) -> Result<Report, CliError> {
    let answer = client.get("keys").await?;
    let columns = [
        "id",
        "name",
        "account",
        "prefix",
        "scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ];
    let rows: Vec<_> = items(&answer, "keys")
        .map(|key| columns.iter().map(|name| cell(key, name)).collect::<Vec<_>>())
        .collect();
    let text = match rows.as_slice() {
        [] => "no keys yet; make one with `satchel key create NAME --scope gifts`".into(),
        rows => {
            let heads =
                ["ID", "NAME", "ACCOUNT", "BEGINS", "SCOPES", "MADE", "LAST USED", "EXPIRES", "REVOKED"];
            table(&heads, &[], rows)
        }
    };
    Ok(Report::new(answer, text))
}
