//! `satchel send`: exit code 0 once the transaction was given to the network, 1 when nothing was sent or it still waits.
//!
//! The same address and amount again are the same coins, so asking twice can't send twice.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{CliError, FAILED};
use super::report::{Report, facts};
use super::show::{cell, msat, number, text};

/// How often to look whether it was sent.
const LOOK: Duration = Duration::from_millis(500);

/// Coins to send.
#[derive(Args, Debug)]
pub struct SendArgs {
    /// Where to
    address: String,
    /// How many sat; the miners' fee comes on top
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    amount_sat: Option<u64>,
    /// All that the wallet may spend: the reserve for closing channels stays
    #[arg(long)]
    all: bool,
    /// What the miners get, in sat for a virtual byte [default: as the chain source estimates]
    #[arg(long = "feerate", value_name = "SAT_PER_VB")]
    sat_per_vb: Option<u64>,
    /// How long to wait until it is sent, in seconds; it goes on without us
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
}

pub async fn run(client: &Client, args: &SendArgs) -> Result<Report, CliError> {
    let body = json!({ "address": args.address, "amount_sat": args.amount_sat, "all": args.all,
        "sat_per_vb": args.sat_per_vb });
    let mut coins = client.post("send", body).await?;
    let path = format!("coins/{}", number(&coins, "id"));
    let started = Instant::now();
    while matches!(text(&coins, "status"), "queued" | "sending")
        && started.elapsed() < Duration::from_secs(args.wait)
    {
        tokio::time::sleep(LOOK).await;
        coins = client.get(&path).await?;
    }
    Ok(report(coins))
}

fn report(coins: Value) -> Report {
    let amount = msat(number(&coins, "amount_msat"));
    let status = text(&coins, "status");
    let about = if coins.get("everything") == Some(&json!(true)) { "all there is, about " } else { "" };
    let (headline, code) = match status {
        "sent" | "paid" => (format!("sent {about}{amount}"), 0),
        "failed" => (format!("{amount} were not sent"), FAILED),
        _ => (format!("{about}{amount} wait to be sent; the same command again shows how far it is"), FAILED),
    };
    let rows: Vec<_> = [("id", "id"), ("to", "address"), ("transaction", "txid"), ("last error", "error")]
        .into_iter()
        .map(|(label, name)| (label, cell(&coins, name)))
        .filter(|(_, value)| value != "-")
        .collect();
    let text = format!("{headline}\n{}", facts(&rows));
    Report { json: coins, text, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_is_a_success() {
        let coins = |status: &str, everything: bool| {
            json!({ "id": 3, "status": status, "amount_msat": 5_000_000, "address": "bcrt1", "txid": "ab",
            "everything": everything, "error": null })
        };
        let sent = report(coins("sent", false));
        let expected = "sent 5,000 sat\nid           3\nto           bcrt1\ntransaction  ab\n";
        assert_eq!((sent.code, sent.text.as_str()), (0, expected));
        assert!(report(coins("sent", true)).text.starts_with("sent all there is, about 5,000 sat"));
        assert_eq!(report(coins("queued", false)).code, 1);
        assert_eq!(report(coins("failed", false)).code, 1);
    }
}
