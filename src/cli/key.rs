//! `satchel key create|list|revoke`

use clap::Subcommand;
use serde_json::json;

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
        /// What it opens: gifts, tips, payments, l402, withdraw, purse, scheduler, admin; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', default_value = "gifts")]
        scopes: Vec<String>,
        /// Whom it belongs to: keys of one account see the same tips [default: default]
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
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
        KeyCommand::Create { name, named, scopes, account } => {
            let name = name.or(named).unwrap_or_else(|| scopes.join(", "));
            let mut order = json!({ "name": name, "scopes": scopes });
            if let (Some(account), Some(fields)) = (account, order.as_object_mut()) {
                fields.insert("account".into(), json!(account));
            }
            let answer = client.post("keys", order).await?;
            let text = format!("{}\n\nKeep it: it is not shown again.", text(&answer, "key"));
            Ok(Report::new(answer, text))
        }
        KeyCommand::List => list(client).await,
        KeyCommand::Revoke { id } => {
            let answer = client.delete(&format!("keys/{}", segment(&id)?)).await?;
            Ok(Report::new(answer, format!("key {id} opens nothing any more")))
        }
    }
}

async fn list(client: &Client) -> Result<Report, CliError> {
    let answer = client.get("keys").await?;
    let columns = ["id", "name", "prefix", "scopes", "created_at", "last_used_at", "revoked_at"];
    let rows: Vec<_> = items(&answer, "keys")
        .map(|key| columns.iter().map(|name| cell(key, name)).collect::<Vec<_>>())
        .collect();
    let text = match rows.as_slice() {
        [] => "no keys yet; make one with `satchel key create NAME --scope gifts`".into(),
        rows => table(&["ID", "NAME", "BEGINS", "SCOPES", "MADE", "LAST USED", "REVOKED"], &[], rows),
    };
    Ok(Report::new(answer, text))
}
