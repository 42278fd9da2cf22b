//! `satchel log`

use clap::Args;

use super::client::{Client, query};
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items, text};

/// Which acts.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Only of this kind: pay, send, payout.settle, channel.open, key.create, ...
    #[arg(long, value_name = "ACT")]
    act: Option<String>,
    /// Only what was done to this: the id of a payout, channel, key, tip, ...
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Not before this date (2026-01-31, by UTC) or time
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Older than the act with this number: the last of the page before
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
}

pub async fn run(client: &Client, args: &LogArgs) -> Result<Report, CliError> {
    let asked = query(&[
        ("limit", Some(args.limit.to_string())),
        ("act", args.act.clone()),
        ("subject", args.subject.clone()),
        ("since", args.since.clone()),
        ("before", args.before.map(|before| before.to_string())),
    ]);
    let answer = client.get(&format!("acts?{asked}")).await?;
    let columns = ["id", "at", "key_name", "act", "subject", "outcome"];
    let rows: Vec<_> = items(&answer, "acts")
        .map(|act| {
            let mut row: Vec<_> = columns.iter().map(|name| cell(act, name)).collect();
            let message = text(act, "message");
            row.push(if message.is_empty() { cell(act, "details") } else { message.to_owned() });
            row
        })
        .collect();
    let text = match rows.as_slice() {
        [] => "nothing was done by hand".into(),
        rows => table(&["NO", "WHEN", "KEY", "ACT", "TO", "OUTCOME", "DETAILS"], &[0], rows),
    };
    Ok(Report::new(answer, text))
}
