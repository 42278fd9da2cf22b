//! `satchel account list|show|statement|withdraw|sweep|limit-key|forget-email|settle`

use std::fmt::Write;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::channel::segment;
use super::client::Client;
use super::error::CliError;
use super::export::{self, PartArgs};
use super::report::{Report, table};
use super::show::{cell, grouped, items, number, text, yes};

/// How often it is looked whether a withdrawal has ended.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// All accounts and what they have
    List,
    /// One account and its newest withdrawals
    Show {
        /// Its name
        name: String,
    },
    /// Every change of its balance, newest first
    Statement(StatementArgs),
    /// Take out what it has
    Withdraw(WithdrawArgs),
    /// Send what it earns to a lightning address, BIP353 name or offer by itself
    Sweep(SweepArgs),
    /// What an API key may withdraw in a day
    LimitKey(LimitArgs),
    /// Remove the e-mail address of whoever bought an account; the account and its key stay
    ForgetEmail {
        /// The account's name
        name: String,
    },
    /// End a withdrawal to an offer of which nobody could tell whether it was sent
    Settle(SettleArgs),
}

#[derive(Args, Debug)]
pub struct StatementArgs {
    /// Its name
    name: String,
    /// As a table (CSV) for a bookkeeper
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    part: PartArgs,
}

#[derive(Args, Debug)]
pub struct WithdrawArgs {
    /// The account's name
    name: String,
    /// BOLT11 invoice, BOLT12 offer, lightning address, BIP353 name or bitcoin address
    target: String,
    /// How much, in sat [default: what the target asks for, or all that there is]
    #[arg(long, value_name = "SAT")]
    amount: Option<u64>,
    /// Wait so long for it to arrive, in seconds; 0 doesn't wait
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
    /// Of a command whose answer was lost: with the key that it named, nothing is withdrawn twice [default: a new one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Args, Debug)]
pub struct SweepArgs {
    /// The account's name
    name: String,
    /// Where to
    #[arg(required_unless_present = "off", conflicts_with = "off")]
    target: Option<String>,
    /// Not before there is so much, in sat
    #[arg(long, value_name = "SAT", default_value_t = 10_000)]
    min_sat: u64,
    /// No more
    #[arg(long)]
    off: bool,
}

#[derive(Args, Debug)]
pub struct LimitArgs {
    /// Its id, from `satchel key list`
    id: String,
    /// In sat; 0 for no limit [default: what is configured]
    day_sat: Option<u64>,
}

#[derive(Args, Debug)]
pub struct SettleArgs {
    /// The withdrawal's id
    id: String,
    /// The recipient has it
    #[arg(long, required_unless_present = "not_sent", conflicts_with = "not_sent")]
    paid: bool,
    /// Nobody has, and nothing is under way: it goes back to the balance
    #[arg(long)]
    not_sent: bool,
}

impl AccountCommand {
    /// Whether a table goes to standard output, so that no report is printed there.
    pub fn talks(&self) -> bool {
        matches!(self, Self::Statement(args) if args.csv && args.part.output.is_none())
    }
}

pub async fn run(client: &Client, command: AccountCommand) -> Result<Report, CliError> {
    match command {
        AccountCommand::List => list(client).await,
        AccountCommand::Show { name } => show(client, &name).await,
        AccountCommand::Statement(args) => statement(client, &args).await,
        AccountCommand::Withdraw(args) => withdraw(client, &args).await,
        AccountCommand::Sweep(SweepArgs { name, target, min_sat, off: _ }) => {
            let body = json!({ "target": target, "min_sat": min_sat });
            let answer = client.post(&format!("accounts/{}/sweep", encoded(&name)), body).await?;
            let said = match &target {
                Some(target) => format!("what {name} earns goes to {target}, from {min_sat} sat on"),
                None => format!("what {name} earns stays in its balance"),
            };
            Ok(Report::new(answer, said))
        }
        AccountCommand::LimitKey(LimitArgs { id, day_sat }) => {
            let path = format!("keys/{}/withdraw-limit", segment(&id)?);
            let answer = client.post(&path, json!({ "day_sat": day_sat })).await?;
            let said = match day_sat {
                None => format!("key {id} may withdraw in a day what is configured"),
                Some(0) => format!("key {id} may withdraw as much as there is"),
                Some(sat) => format!("key {id} may withdraw {} sat in a day", grouped(sat)),
            };
            Ok(Report::new(answer, said))
        }
        AccountCommand::ForgetEmail { name } => {
            let answer = client.delete(&format!("accounts/{}/email", encoded(&name))).await?;
            let said = match yes(&answer, "forgotten") {
                true => format!("the e-mail address of {name} is removed"),
                false => format!("{name} has no e-mail address any more"),
            };
            Ok(Report::new(answer, said))
        }
        AccountCommand::Settle(SettleArgs { id, paid, not_sent: _ }) => {
            let path = format!("withdrawals/{}/settle", segment(&id)?);
            let answer = client.post(&path, json!({ "paid": paid })).await?;
            let said = format!("{id} is {}", text(&answer, "status"));
            Ok(Report::new(answer, said))
        }
    }
}

async fn list(client: &Client) -> Result<Report, CliError> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.get(&format!("accounts?after={}", encoded(&after))).await?;
        all.extend(items(&page, "accounts").cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let rows: Vec<_> = all
        .iter()
        .map(|account| {
            vec![
                cell(account, "account"),
                sats(account, "balance_msat"),
                sats(account, "withdrawable_msat"),
                sats(account, "pending_msat"),
                account.pointer("/sweep/target").and_then(Value::as_str).unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    let text = match rows.as_slice() {
        [] => "no accounts yet; one is made with its first key: `satchel key create NAME --account ACCOUNT`"
            .into(),
        rows => {
            table(&["ACCOUNT", "HAS sat", "CAN WITHDRAW sat", "UNDER WAY sat", "SWEPT TO"], &[1, 2, 3], rows)
        }
    };
    Ok(Report::new(json!({ "accounts": all }), text))
}

async fn show(client: &Client, name: &str) -> Result<Report, CliError> {
    let answer = client.get(&format!("accounts/{}", encoded(name))).await?;
    let account = answer.get("account").cloned().unwrap_or_default();
    let mut said = format!(
        "{name} has {} sat, can withdraw {} sat now, and has {} sat under way\n",
        sats(&account, "balanceMsat"),
        sats(&account, "withdrawableMsat"),
        sats(&account, "pendingMsat"),
    );
    let rows: Vec<_> = items(&answer, "withdrawals")
        .map(|one| {
            ["withdrawalId", "status", "type", "amountSat", "feeSat", "createdAt", "target"]
                .iter()
                .map(|name| cell(one, name))
                .collect::<Vec<_>>()
        })
        .collect();
    if !rows.is_empty() {
        let head = ["WITHDRAWAL", "STATE", "BY", "SAT", "FEE sat", "WHEN", "TO"];
        // Writing to a String can't fail.
        let _ = write!(said, "\n{}", table(&head, &[3, 4], &rows));
    }
    Ok(Report::new(answer, said))
}

async fn statement(client: &Client, args: &StatementArgs) -> Result<Report, CliError> {
    // What is put into a file is a table.
    if args.csv || args.part.output.is_some() {
        let path = format!("accounts/{}/statement/export", encoded(&args.name));
        return export::write(client, &path, &args.part, &[]).await;
    }
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!(
            "accounts/{}/statement?from={}&to={}&cursor={cursor}",
            encoded(&args.name),
            encoded(args.part.from.as_deref().unwrap_or_default()),
            encoded(args.part.to.as_deref().unwrap_or_default()),
        );
        let page = client.get(&path).await?;
        all.extend(items(&page, "lines").cloned());
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let rows: Vec<_> = all
        .iter()
        .map(|line| {
            ["at", "kind", "amountMsat", "balanceMsat", "reference"]
                .iter()
                .map(|name| cell(line, name))
                .collect::<Vec<_>>()
        })
        .collect();
    let text = match rows.as_slice() {
        [] => "nothing happened in this time".into(),
        rows => table(&["WHEN", "WHAT", "MSAT", "BALANCE msat", "OF"], &[2, 3], rows),
    };
    Ok(Report::new(json!({ "lines": all }), text))
}

async fn withdraw(client: &Client, args: &WithdrawArgs) -> Result<Report, CliError> {
    let path = format!("accounts/{}/withdrawals", encoded(&args.name));
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => format!("cli-{}", uuid::Uuid::new_v4().simple()),
    };
    let body = json!({ "target": args.target, "amount_sat": args.amount });
    let mut answer = client.post_once(&path, body, &key).await?;
    let id = text(&answer, "withdrawalId").to_owned();
    let end = Instant::now() + Duration::from_secs(args.wait);
    while text(&answer, "status") == "pending" && Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY).await;
        answer = client.get(&format!("withdrawals/{}", segment(&id)?)).await?;
    }
    let amount = grouped(number(&answer, "amountSat"));
    let said = match text(&answer, "status") {
        "completed" => format!("{amount} sat have arrived, for {} sat of fees", number(&answer, "feeSat")),
        "failed" => {
            return Err(CliError::failed(format!("it did not arrive: {}", text(&answer, "failureReason")))
                .help("the money is back in the account's balance"));
        }
        _ => format!("{amount} sat are on their way; see `satchel account show {}`", args.name),
    };
    Ok(Report::new(answer, said))
}

fn sats(of: &Value, name: &str) -> String {
    grouped(number(of, name) / 1_000)
}

/// A text as part of a path or query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_paths() {
        assert_eq!(encoded("a shop/ä?"), "a%20shop%2F%C3%A4%3F");
        assert_eq!(encoded("shop-1_x.y"), "shop-1_x.y");
    }
}
