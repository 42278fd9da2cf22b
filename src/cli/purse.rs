//! `satchel purse create|list|show|top-up|revoke`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::channel::segment;
use super::client::{Client, query};
use super::error::CliError;
use super::report::{Report, facts, table};
use super::show::{cell, items, number, sat, text, yes};

/// What to do with purses.
#[derive(Debug, Subcommand)]
pub enum PurseCommand {
    /// Give an agent an API key that may spend an account's balance, within limits; it is shown this once
    Create(CreateArgs),
    /// All purses, newest first
    List {
        /// Go on before this one: what the last page said
        #[arg(long)]
        before: Option<String>,
    },
    /// One purse and its newest receipts
    Show {
        /// Its name
        name: String,
    },
    /// Let a purse spend more in all
    TopUp {
        /// Its name
        name: String,
        /// How much more, in sat
        sat: u64,
    },
    /// End a purse and its key for ever
    Revoke {
        /// Its name
        name: String,
    },
}

/// A new purse.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Its name
    name: String,
    /// What it may spend in all, in sat
    #[arg(long, value_name = "SAT")]
    budget: u64,
    /// What it may spend in a day (UTC), in sat
    #[arg(long, value_name = "SAT")]
    per_day: Option<u64>,
    /// What one request may cost, in sat, routing not included
    #[arg(long, value_name = "SAT")]
    per_request: Option<u64>,
    /// Which host it may ask, like api.example.com or api.example.com:8443; may be given several times. "*" is any public one
    #[arg(long = "host", value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// It may only pay services that it asks, and no invoices that it is given
    #[arg(long)]
    no_invoices: bool,
    /// It may ask public hosts over plain http too, where everybody on the way reads its credentials
    #[arg(long)]
    allow_http: bool,
    /// Whose balance it spends [default: default]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

pub async fn run(client: &Client, command: PurseCommand) -> Result<Report, CliError> {
    match command {
        PurseCommand::Create(args) => {
            let order = json!({
                "name": args.name,
                "budget_sat": args.budget,
                "per_day_sat": args.per_day,
                "per_request_sat": args.per_request,
                "hosts": args.hosts,
                "pay_invoices": !args.no_invoices,
                "allow_http": args.allow_http,
                "account": args.account,
            });
            let answer = client.post("purses", order).await?;
            let text = format!(
                "{}\n\nKeep it: it is not shown again. The account {} has {}.",
                text(&answer, "key"),
                text(&answer, "account"),
                sat(number(&answer, "balanceSat")),
            );
            Ok(Report::new(answer, text))
        }
        PurseCommand::List { before } => list(client, before).await,
        PurseCommand::Show { name } => {
            let answer = client.get(&format!("purses/{}", segment(&name)?)).await?;
            let shown = show(&answer);
            Ok(Report::new(answer, shown))
        }
        PurseCommand::TopUp { name, sat: more } => {
            let path = format!("purses/{}/top-up", segment(&name)?);
            let answer = client.post(&path, json!({ "sat": more })).await?;
            let left = sat(number(&answer, "leftSat"));
            Ok(Report::new(answer, format!("{name} may spend {left} more")))
        }
        PurseCommand::Revoke { name } => {
            let answer = client.delete(&format!("purses/{}", segment(&name)?)).await?;
            Ok(Report::new(answer, format!("{name} spends nothing any more")))
        }
    }
}

async fn list(client: &Client, before: Option<String>) -> Result<Report, CliError> {
    let answer = client.get(&format!("purses?{}", query(&[("before", before)]))).await?;
    let columns =
        ["name", "account", "leftSat", "budgetSat", "leftTodaySat", "perRequestSat", "hosts", "revoked"];
    let rows: Vec<_> = items(&answer, "purses")
        .map(|purse| columns.iter().map(|name| cell(purse, name)).collect::<Vec<_>>())
        .collect();
    let mut text = match rows.as_slice() {
        [] => "no purses yet; make one with `satchel purse create NAME --budget 5000 --host api.example.com`"
            .into(),
        rows => table(
            &["NAME", "ACCOUNT", "LEFT", "BUDGET", "LEFT TODAY", "A REQUEST", "HOSTS", "REVOKED"],
            &[2, 3, 4, 5],
            rows,
        ),
    };
    if let Some(next) = answer.get("next").and_then(Value::as_i64) {
        text.push_str(&format!("\nmore: `satchel purse list --before {next}`"));
    }
    Ok(Report::new(answer, text))
}

fn show(answer: &Value) -> String {
    let purse = answer.get("purse").cloned().unwrap_or_default();
    let or_none = |name: &str| match purse.get(name).and_then(Value::as_u64) {
        Some(amount) => sat(amount),
        None => "no limit".into(),
    };
    let mut shown = facts(&[
        ("account", format!("{}, which has {}", text(&purse, "account"), sat(number(&purse, "balanceSat")))),
        ("budget", format!("{}, {} left", or_none("budgetSat"), or_none("leftSat"))),
        ("a day", format!("{}, {} left", or_none("perDaySat"), or_none("leftTodaySat"))),
        ("a request", or_none("perRequestSat")),
        ("hosts", cell(&purse, "hosts")),
        ("pays invoices", if yes(&purse, "mayPayInvoices") { "yes".into() } else { "no".into() }),
        ("plain http", if yes(&purse, "allowsHttp") { "yes".into() } else { "no".into() }),
        ("revoked", if yes(&purse, "revoked") { "yes".into() } else { "no".into() }),
    ]);
    let columns = ["createdAt", "status", "amountSat", "feeSat", "url", "paymentId"];
    let rows: Vec<_> = items(answer, "receipts")
        .map(|receipt| columns.iter().map(|name| cell(receipt, name)).collect::<Vec<_>>())
        .collect();
    if !rows.is_empty() {
        shown.push('\n');
        shown.push_str(&table(&["WHEN", "STATUS", "SAT", "FEE", "FOR", "ID"], &[2, 3], &rows));
    }
    shown
}
