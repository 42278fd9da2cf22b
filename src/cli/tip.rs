//! `satchel tip create|list|show|reclaim`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::channel::segment;
use super::client::Client;
use super::confirm;
use super::error::CliError;
use super::names;
use super::report::{Report, table};
use super::show::{cell, fields, items, number, sat, text};

const SECONDS_A_DAY: u64 = 86_400;

/// What to do with tips.
#[derive(Debug, Subcommand)]
pub enum TipCommand {
    /// Make a tip, or a group of tips on one invoice
    Create(CreateArgs),
    /// Tips, newest first
    List {
        /// At most so many, from 1 to 500
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Those older than the tip with this id: the last of the page before
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// All that is known of one tip or one group
    Show {
        /// Its id
        id: String,
    },
    /// Take a tip back for its tipper, or all tips of a group that can be
    Reclaim {
        /// The id of the tip or group
        id: String,
        /// Also what somebody has claimed
        #[arg(long)]
        force: bool,
    },
}

/// Tips to make.
#[derive(Args, Debug, Default)]
pub struct CreateArgs {
    /// What each holds, in sat; the fee comes on top
    #[arg(long, value_name = "SAT")]
    amount: u64,
    /// How many [default: one for each name]
    #[arg(long, value_name = "N")]
    quantity: Option<u32>,
    /// Who gets it; for many tips a template in which {{index}} counts from 1
    #[arg(long, conflicts_with = "names")]
    name: Option<String>,
    /// A CSV file: the first column of each line is the name for one tip; a first line `name` is passed over
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// What they are told; in a group {{name}} stands for the name
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Days until it goes back to the tipper [default: 21]
    #[arg(long, value_name = "DAYS")]
    expiry_days: Option<u64>,
    /// DEFAULT: claim, then withdraw; SKIP: withdraw at once; LIGHTNING: claim with a wallet
    #[arg(long, value_name = "FLOW", ignore_case = true)]
    #[arg(value_parser = ["DEFAULT", "SKIP", "LIGHTNING"])]
    flow: Option<String>,
    /// So many magic words for each, from 3 to 6 [default: none]
    #[arg(long, value_name = "N")]
    words: Option<u8>,
    /// Don't tell who tips
    #[arg(long)]
    anonymous: bool,
    /// One link that leads everybody to a tip of the group
    #[arg(long)]
    static_link: bool,
    /// With --names: make them without asking
    #[arg(long)]
    yes: bool,
    /// Whose tips they are: keys of this account see them, too [default: default]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

pub async fn run(client: &Client, command: TipCommand) -> Result<Report, CliError> {
    match command {
        TipCommand::Create(args) => {
            let (yes, from_file) = (args.yes, args.names.is_some());
            let order = order(args)?;
            if from_file {
                confirm::ask(&preview(&order), yes)?;
            }
            let answer = client.post("tips", order).await?;
            let text = made(&answer);
            Ok(Report::new(answer, text))
        }
        TipCommand::List { limit, before } => list(client, limit, before.as_deref()).await,
        TipCommand::Show { id } => {
            let answer = client.get(&format!("tips/{}", segment(&id)?)).await?;
            let text = shown(&answer);
            Ok(Report::new(answer, text))
        }
        TipCommand::Reclaim { id, force } => {
            let path = format!("tips/{}/reclaim", segment(&id)?);
            let answer = client.post(&path, json!({ "force": force })).await?;
            let text = match number(&answer, "reclaimed") {
                1 => "1 tip is its tipper's again".into(),
                count => format!("{count} tips are their tipper's again"),
            };
            Ok(Report::new(answer, text))
        }
    }
}

/// Only what was given: the server knows the rest.
fn order(args: CreateArgs) -> Result<Value, CliError> {
    let names = match (&args.names, args.name) {
        (Some(path), _) => names::read(path)?,
        (None, Some(name)) => vec![name],
        (None, None) => Vec::new(),
    };
    let expiry = args.expiry_days.map(|days| days.saturating_mul(SECONDS_A_DAY));
    let given = [
        ("account", args.account.map(|name| json!(name))),
        ("amount_sat", Some(json!(args.amount))),
        ("quantity", args.quantity.map(|quantity| json!(quantity))),
        ("expiry_secs", expiry.map(|seconds| json!(seconds))),
        ("onboarding_flow", args.flow.map(|flow| json!(flow.to_ascii_uppercase()))),
        ("tippee_names", (!names.is_empty()).then(|| json!(names))),
        ("note", args.note.map(|note| json!(note))),
        ("passphrase_words", args.words.map(|words| json!(words))),
        ("anonymous", args.anonymous.then_some(json!(true))),
        ("static_link", args.static_link.then_some(json!(true))),
    ];
    let fields: Map<_, _> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Ok(Value::Object(fields))
}

/// What would be made, for who has to say yes.
fn preview(order: &Value) -> String {
    let names: Vec<_> = items(order, "tippee_names").filter_map(Value::as_str).collect();
    let (amount, count) = (
        number(order, "amount_sat"),
        number(order, "quantity").max(u64::try_from(names.len()).unwrap_or(u64::MAX)),
    );
    let rows: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| vec![at.saturating_add(1).to_string(), (*name).to_owned(), sat(amount)])
        .collect();
    format!(
        "{}\n{count} tips of {}, {} in all, and the fee on top",
        table(&["", "NAME", "AMOUNT"], &[0, 2], &rows),
        sat(amount),
        sat(amount.saturating_mul(count)),
    )
}

/// What to pay and what to hand out.
fn made(answer: &Value) -> String {
    let quantity = number(answer, "quantity");
    let kind = if quantity == 1 { "tip" } else { "tips" };
    let mut lines = vec![
        format!("{quantity} {kind} of {}, id {}", sat(number(answer, "amount_sat")), text(answer, "id")),
        format!("good once {} are paid:", sat(number(answer, "total_sat"))),
        String::new(),
        text(answer, "invoice").to_owned(),
        String::new(),
    ];
    let tips: Vec<_> = items(answer, "tips").collect();
    let given = |name: &str| tips.iter().any(|tip| tip.get(name).is_some_and(|value| !value.is_null()));
    let columns: Vec<_> = [("name", "NAME"), ("words", "MAGIC WORDS"), ("link", "LINK")]
        .into_iter()
        .filter(|(name, _)| given(name))
        .collect();
    let headings: Vec<_> = columns.iter().map(|(_, heading)| *heading).collect();
    let rows: Vec<Vec<_>> =
        tips.iter().map(|tip| columns.iter().map(|(name, _)| cell(tip, name)).collect()).collect();
    lines.push(table(&headings, &[], &rows).trim_end().to_owned());
    if !text(answer, "words_page").is_empty() {
        lines.push(format!("\nMagic words are typed at {}", text(answer, "words_page")));
    }
    if !text(answer, "static_link").is_empty() {
        lines.push(format!("\nOne link for all: {}", text(answer, "static_link")));
    }
    lines.join("\n")
}

fn shown(answer: &Value) -> String {
    let Some(tips) = answer.get("tips") else { return fields(answer) };
    let mut group = answer.clone();
    if let Some(fields) = group.as_object_mut() {
        fields.remove("tips");
    }
    format!("{}\n{}", fields(&group), tips_table(&json!({ "tips": tips })))
}

async fn list(client: &Client, limit: u32, before: Option<&str>) -> Result<Report, CliError> {
    let mut path = format!("tips?limit={limit}");
    if let Some(id) = before {
        path = format!("{path}&before={}", segment(id)?);
    }
    let answer = client.get(&path).await?;
    let text = tips_table(&answer);
    Ok(Report::new(answer, text))
}

fn tips_table(answer: &Value) -> String {
    let columns = ["id", "status", "amount_sat", "tippee_name", "created_at", "expires_at"];
    let rows: Vec<Vec<_>> = items(answer, "tips")
        .map(|tip| columns.iter().map(|name| cell(tip, name)).collect::<Vec<_>>())
        .collect();
    match rows.as_slice() {
        [] => "no tips here".into(),
        rows => table(&["ID", "STATUS", "AMOUNT", "NAME", "MADE", "EXPIRES"], &[2], rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_asked_for() {
        let args = CreateArgs { amount: 5, ..CreateArgs::default() };
        assert_eq!(order(args).unwrap(), json!({ "amount_sat": 5 }));
        let args = CreateArgs {
            amount: 5,
            name: Some("Ada".into()),
            flow: Some("skip".into()),
            expiry_days: Some(2),
            words: Some(3),
            anonymous: true,
            ..CreateArgs::default()
        };
        let expected = json!({ "amount_sat": 5, "tippee_names": ["Ada"], "onboarding_flow": "SKIP",
            "expiry_secs": 172_800, "passphrase_words": 3, "anonymous": true });
        assert_eq!(order(args).unwrap(), expected);
    }

    #[test]
    fn names_are_shown_with_their_total_before_anything_is_made() {
        let text = preview(&json!({ "amount_sat": 1_500, "tippee_names": ["Ada", "Bob\u{1b}[2J"] }));
        assert!(text.ends_with("\n2 tips of 1,500 sat, 3,000 sat in all, and the fee on top"), "{text}");
        assert!(text.contains("1  Ada") && text.contains("2  Bob\\u001b[2J"), "{text}");
    }

    #[test]
    fn columns_that_nobody_has_are_left_out() {
        let mut answer = json!({ "id": "g", "quantity": 2, "amount_sat": 1_000, "total_sat": 2_022,
            "invoice": "lnbc1", "static_link": null, "words_page": null,
            "tips": [{ "id": "a", "name": "Ada", "link": "L1", "words": null },
                     { "id": "b", "name": null, "link": "L2", "words": null }] });
        let text = made(&answer);
        assert!(text.starts_with("2 tips of 1,000 sat, id g\ngood once 2,022 sat are paid:\n\nlnbc1\n\n"));
        assert!(text.ends_with("NAME  LINK\nAda   L1\n-     L2"), "{text}");
        answer["tips"][0]["words"] = json!("one two three");
        answer["words_page"] = json!("https://x/tip");
        let text = made(&answer);
        assert!(
            text.contains("Ada   one two three  L1") && text.ends_with("typed at https://x/tip"),
            "{text}"
        );
    }
}
