//! `satchel payout list|show|settle`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::channel::segment;
use super::client::{Client, query};
use super::error::CliError;
use super::report::{Report, facts, table};
use super::show::{cell, items, text};

/// What to do with payouts.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// All that goes out, for everybody: to invoices, to offers, to addresses; newest first
    List(ListArgs),
    /// All that is known of one, with its history
    Show {
        /// Its id
        id: String,
    },
    /// End one that the node can't tell of: say what you found out
    Settle(SettleArgs),
}

/// Which payouts.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only in this status: queued, dispatching, in_flight, unknown, paid, failed
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only of this family: gifts, tips, payments, l402, operator, ...
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
    /// Made not before this date (2026-01-31, by UTC) or time
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Only those that are under way for an hour, or for so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "3600")]
    held: Option<u64>,
    /// The next page: what the page before says at its end
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
}

/// What was found out.
#[derive(Args, Debug)]
pub struct SettleArgs {
    /// Its id
    id: String,
    /// It arrived: this is the receipt, 64 hex digits
    #[arg(long, value_name = "PREIMAGE", required_unless_present = "failed", conflicts_with = "failed")]
    paid: Option<String>,
    /// What routing cost, in msat, if you know it
    #[arg(long, value_name = "MSAT", requires = "paid")]
    fee_msat: Option<u64>,
    /// It did not arrive, and never will: the money goes back to where it was taken from
    #[arg(long)]
    failed: bool,
    /// With --failed, where the node can't tell: you have seen that no output of it is left on the chain
    #[arg(long, requires = "failed")]
    i_have_proof: bool,
}

pub async fn run(client: &Client, command: PayoutCommand) -> Result<Report, CliError> {
    match command {
        PayoutCommand::List(args) => list(client, &args).await,
        PayoutCommand::Show { id } => {
            let answer = client.get(&format!("payouts/{}/history", segment(&id)?)).await?;
            let text = describe(&answer);
            Ok(Report::new(answer, text))
        }
        PayoutCommand::Settle(args) => {
            let path = format!("payouts/{}/settle", segment(&args.id)?);
            let body = match args.paid {
                Some(preimage) => json!({ "preimage": preimage, "fee_msat": args.fee_msat }),
                None => json!({ "failed": true, "i_have_proof": args.i_have_proof }),
            };
            let answer = client.post(&path, body).await?;
            let said = format!("{} is {}", args.id, text(&answer, "status"));
            Ok(Report::new(answer, said))
        }
    }
}

async fn list(client: &Client, args: &ListArgs) -> Result<Report, CliError> {
    let asked = query(&[
        ("limit", Some(args.limit.to_string())),
        ("status", args.status.clone()),
        ("family", args.family.clone()),
        ("since", args.since.clone()),
        ("held_secs", args.held.map(|seconds| seconds.to_string())),
        ("before", args.before.clone()),
    ]);
    let answer = client.get(&format!("payouts?{asked}")).await?;
    let columns =
        ["id", "type", "family", "status", "amount_msat", "fee_msat", "created_at", "dispatched_at", "error"];
    let rows: Vec<_> = items(&answer, "payouts")
        .map(|payout| columns.iter().map(|name| cell(payout, name)).collect::<Vec<_>>())
        .collect();
    let head = ["ID", "TO", "FAMILY", "STATUS", "AMOUNT", "FEE", "MADE", "SENT", "ERROR"];
    let mut said = match rows.as_slice() {
        [] => "no such payouts".into(),
        rows => table(&head, &[4, 5], rows),
    };
    if !text(&answer, "next").is_empty() {
        said.push_str(&format!("\nolder ones: --before {}", text(&answer, "next")));
    }
    Ok(Report::new(answer, said))
}

fn describe(payout: &Value) -> String {
    let lists = ["history", "acts"];
    let names: Vec<_> = payout.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    let rows: Vec<_> = names
        .iter()
        .filter(|name| !lists.contains(&name.as_str()))
        .map(|name| (name.as_str(), cell(payout, name)))
        .collect();
    let mut text = facts(&rows);
    text.push('\n');
    for event in items(payout, "history") {
        text.push_str(&format!("{}  {}\n", cell(event, "at"), cell(event, "what")));
    }
    for act in items(payout, "acts") {
        let [at, who, what, outcome] = ["at", "key_name", "act", "outcome"].map(|name| cell(act, name));
        text.push_str(&format!("{at}  {what} by {who}: {outcome}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payout_is_told_with_its_history() {
        let payout = json!({ "id": "p1", "status": "unknown", "amount_msat": 5_000,
            "history": [{ "at": 1_735_689_600_000_u64, "what": "payout_queued" }],
            "acts": [{ "at": 1_735_689_601_000_u64, "key_name": "operator", "act": "payout.settle", "outcome": "refused" }] });
        let text = describe(&payout);
        assert!(text.contains("amount_msat  5 sat"), "{text}");
        assert!(text.contains("2025-01-01 00:00:00 UTC  payout_queued"), "{text}");
        assert!(text.contains("payout.settle by operator: refused"), "{text}");
    }
}
