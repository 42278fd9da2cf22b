//! `satchel invoice`

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::CliError;
use super::report::Report;
use super::show::text;

/// An invoice to make.
#[derive(Args, Debug)]
pub struct InvoiceArgs {
    /// How much, in sat [default: the payer decides]
    amount_sat: Option<u64>,
    /// What the payer reads
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How long it can be paid, in seconds [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    expiry_secs: Option<u64>,
}

pub async fn run(client: &Client, args: &InvoiceArgs) -> Result<Report, CliError> {
    let answer = client.post("invoice", body(args)).await?;
    let invoice = text(&answer, "invoice").to_owned();
    Ok(Report::new(answer, invoice))
}

fn body(args: &InvoiceArgs) -> Value {
    let given = [
        ("amount_sat", args.amount_sat.map(|sat| json!(sat))),
        ("description", args.description.as_ref().map(|text| json!(text))),
        ("expiry_secs", args.expiry_secs.map(|seconds| json!(seconds))),
    ];
    let fields: Map<_, _> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_sent() {
        let args = InvoiceArgs { amount_sat: Some(5), description: None, expiry_secs: None };
        assert_eq!(body(&args), json!({ "amount_sat": 5 }));
    }
}
