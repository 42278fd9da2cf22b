//! `satchel suspense list|settle`

use clap::{Args, Subcommand};
use serde_json::json;

use super::channel::segment;
use super::client::{Client, query};
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items, msat, number, text};

/// What to do with money that belongs to nobody we know.
#[derive(Debug, Subcommand)]
pub enum SuspenseCommand {
    /// What there is, oldest first
    List {
        /// Behind the one with this id: the last of the page before
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        limit: u32,
    },
    /// Give one to somebody
    Settle(SettleArgs),
}

/// To whom.
#[derive(Args, Debug)]
pub struct SettleArgs {
    /// Its id
    id: String,
    /// It is yours
    #[arg(long, required_unless_present_any = ["account", "pay"], conflicts_with_all = ["account", "pay"])]
    operator: bool,
    /// It belongs to this account
    #[arg(long, value_name = "NAME", conflicts_with = "pay")]
    account: Option<String>,
    /// Pay it back to this invoice, over all of its whole sats; routing is yours to pay
    #[arg(long, value_name = "INVOICE")]
    pay: Option<String>,
}

pub async fn run(client: &Client, command: SuspenseCommand) -> Result<Report, CliError> {
    match command {
        SuspenseCommand::List { after, limit } => {
            let after = after.map(|after| after.to_string());
            let asked = query(&[("limit", Some(limit.to_string())), ("after", after)]);
            let answer = client.get(&format!("suspense?{asked}")).await?;
            let columns = ["id", "at", "kind", "amount_msat", "payment_hash", "family", "payout"];
            let rows: Vec<_> = items(&answer, "suspense")
                .map(|item| columns.iter().map(|name| cell(item, name)).collect::<Vec<_>>())
                .collect();
            let heading = ["ID", "WHEN", "HOW", "AMOUNT", "PAYMENT HASH", "INVOICE OF", "PAID BACK BY"];
            let text = match rows.as_slice() {
                [] => "nothing is in suspense".into(),
                rows => table(&heading, &[3], rows),
            };
            Ok(Report::new(answer, text))
        }
        SuspenseCommand::Settle(args) => {
            let body = json!({ "operator": args.operator, "account": args.account, "pay": args.pay });
            let path = format!("suspense/{}/settle", segment(&args.id)?);
            let answer = client.post(&path, body).await?;
            let amount = msat(number(&answer, "amount_msat"));
            let said = match text(&answer, "to") {
                "invoice" => {
                    let payout = text(&answer, "payout");
                    format!("{amount} are on their way; `satchel payout show {payout}` says how far")
                }
                "account" => {
                    format!("{amount} belong to the account {}", args.account.unwrap_or_default())
                }
                _ => format!("{amount} are yours"),
            };
            Ok(Report::new(answer, said))
        }
    }
}
