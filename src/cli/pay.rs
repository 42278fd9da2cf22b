//! `satchel pay`: exit code 0 when the payment arrived, 1 when it failed or is still under way.
//!
//! The same invoice or address again is the same payout, so asking twice can't pay twice. An offer, or a name, gives
//! another invoice each time: whoever asks twice pays twice.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::channel::segment;
use super::client::Client;
use super::error::{CliError, FAILED};
use super::report::{Report, facts};
use super::show::{msat, number, text};
use crate::lightning::target;

/// How often to look whether it has arrived.
const LOOK: Duration = Duration::from_millis(300);

/// An invoice to pay.
#[derive(Args, Debug)]
pub struct PayArgs {
    /// BOLT11 invoice, BOLT12 offer, lightning address, BIP353 name or bitcoin address
    target: String,
    /// How much, in sat, if the target leaves that open
    #[arg(long = "amount", value_name = "SAT")]
    amount_sat: Option<u64>,
    /// The most it may cost, in sat: routing, or for an address the miners [default for routing: what [payouts] says]
    #[arg(long, value_name = "SAT")]
    max_fee_sat: Option<u64>,
    /// Pay even if what is owed to others could then not be paid out
    #[arg(long)]
    force: bool,
    /// How long to wait for the outcome, in seconds; the payment goes on without us
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
}

pub async fn run(client: &Client, args: &PayArgs) -> Result<Report, CliError> {
    let kind = if is_invoice(&args.target) { "invoice" } else { "target" };
    let mut body = json!({ kind: args.target });
    if let (Some(amount), Some(fields)) = (args.amount_sat, body.as_object_mut()) {
        fields.insert("amount_sat".into(), json!(amount));
    }
    if let (Some(fee), Some(fields)) = (args.max_fee_sat, body.as_object_mut()) {
        fields.insert("max_fee_sat".into(), json!(fee));
    }
    if let (true, Some(fields)) = (args.force, body.as_object_mut()) {
        fields.insert("force".into(), json!(true));
    }
    let mut payout = client.post("pay", body).await?;
    let path = format!("payouts/{}", segment(text(&payout, "id"))?);
    let started = Instant::now();
    while !is_over(&payout) && started.elapsed() < Duration::from_secs(args.wait) {
        tokio::time::sleep(LOOK).await;
        payout = client.get(&path).await?;
    }
    Ok(report(payout))
}

/// Whether a text is meant to be an invoice.
fn is_invoice(text: &str) -> bool {
    let text = target::clean(text).to_lowercase();
    ["lnbc", "lntb"].iter().any(|prefix| text.starts_with(prefix)) && !text.contains('@')
}

fn is_over(payout: &Value) -> bool {
    matches!(text(payout, "status"), "paid" | "failed")
}

fn report(payout: Value) -> Report {
    let status = text(&payout, "status");
    let amount = msat(number(&payout, "amount_msat"));
    let mut rows = vec![("payment hash", text(&payout, "payment_hash").to_owned())];
    let (headline, code) = match status {
        "paid" => {
            rows.push(("fee", msat(number(&payout, "fee_msat"))));
            rows.push(("preimage", text(&payout, "preimage").to_owned()));
            (format!("paid {amount}"), 0)
        }
        "failed" => {
            rows.push(("reason", text(&payout, "error").to_owned()));
            (format!("{amount} could not be paid; nothing was spent"), FAILED)
        }
        other => {
            rows.push(("status", other.to_owned()));
            (format!("{amount} still under way; the same command again shows what became of it"), FAILED)
        }
    };
    rows.retain(|(_, value)| !value.is_empty());
    let text = format!("{headline}\n{}", facts(&rows));
    Report { json: payout, text, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invoices_are_told_from_names_and_offers() {
        assert!(
            is_invoice("LNBCRT1P") && is_invoice(" lightning:lntb1") && is_invoice("\u{201c}lnbc1\u{201d}")
        );
        for other in
            ["lno1abc", "lnbc@example.com", "bob@example.com", "bcrt1q", "bitcoin:bcrt1q?lightning=lnbcrt1"]
        {
            assert!(!is_invoice(other), "{other}");
        }
    }

    #[test]
    fn only_what_arrived_is_a_success() {
        let payout = |status: &str| {
            json!({ "status": status, "amount_msat": 5_000, "payment_hash": "ab", "fee_msat": 1_500,
            "preimage": "cd", "error": "no route" })
        };
        let paid = report(payout("paid"));
        assert_eq!(
            (paid.code, paid.text.as_str()),
            (0, "paid 5 sat\npayment hash  ab\nfee           1.500 sat\npreimage      cd\n")
        );
        let failed = report(payout("failed"));
        assert!(failed.code == 1 && failed.text.contains("no route"), "{failed:?}");
        let open = report(payout("in_flight"));
        assert!(open.code == 1 && open.text.contains("still under way"), "{open:?}");
    }
}
