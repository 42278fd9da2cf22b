//! `satchel audit`: exit code 4 if the books are not right.

use serde_json::Value;

use super::client::Client;
use super::error::{CliError, PROBLEMS};
use super::report::{Report, table};
use super::show::{cell, items, msat, number, signed_msat, text, yes};

pub async fn run(client: &Client) -> Result<Report, CliError> {
    let audit = client.get("audit").await?;
    let code = if yes(&audit, "clean") { 0 } else { PROBLEMS };
    let text = describe(&audit);
    Ok(Report { json: audit, text, code })
}

fn describe(audit: &Value) -> String {
    let mut parts =
        vec![if yes(audit, "clean") { "the books are right" } else { "the books are NOT right" }.to_owned()];
    parts.extend(texts(audit, "problems").map(|problem| format!("  wrong: {problem}")));
    parts.extend(texts(audit, "warnings").map(|warning| format!("  look at: {warning}")));
    parts.push(String::new());
    let accounts: Vec<_> = items(audit, "accounts")
        .map(|row| {
            let balance = row.get("msat").and_then(Value::as_i64).unwrap_or_default();
            vec![text(row, "account").to_owned(), signed_msat(balance)]
        })
        .collect();
    parts.push(table(&["ACCOUNT", "BALANCE"], &[1], &accounts));
    let owed = audit.get("owed_msat").and_then(Value::as_i64).unwrap_or_default();
    parts.push(format!("owed: {}", signed_msat(owed)));
    match audit.get("spendable_msat").and_then(Value::as_u64) {
        Some(_) => parts.push(format!("can be sent now: {}", msat(number(audit, "spendable_msat")))),
        None => parts.push("can be sent now: not known, the node is not running".into()),
    }
    parts.extend(node(audit));
    for list in ["payouts", "vouchers", "counters"] {
        let counts: Vec<_> =
            items(audit, list).map(|row| format!("{} {}", cell(row, "count"), text(row, "name"))).collect();
        if !counts.is_empty() {
            parts.push(format!("{list}: {}", counts.join(", ")));
        }
    }
    parts.join("\n")
}

/// The books beside the node.
fn node(audit: &Value) -> Vec<String> {
    let Some(node) = audit.get("node").filter(|node| !node.is_null()) else { return Vec::new() };
    let state = text(node, "state");
    let says = match state {
        "equal" => "the books equal the node, to the msat".to_owned(),
        "drift" => "the books DIFFER from the node".to_owned(),
        "not_at_rest" => {
            format!("the node is not at rest: {}", texts(node, "why").collect::<Vec<_>>().join("; "))
        }
        _ => format!("the node can't be compared: {}", texts(node, "why").collect::<Vec<_>>().join("; ")),
    };
    let mut parts = vec![says];
    let sum = |side: &str, place: &str| node.get(side)?.get(place)?.as_i64();
    for (place, name) in [
        ("channels_msat", "in channels"),
        ("closing_msat", "of closed channels"),
        ("wallet_msat", "in the wallet"),
    ] {
        let (Some(has), Some(booked)) = (sum("node", place), sum("booked", place)) else { continue };
        if has == booked {
            parts.push(format!("  {name}: {}", signed_msat(has)));
        } else {
            let (has, booked) = (signed_msat(has), signed_msat(booked));
            parts.push(format!("  {name}: the node has {has}, the books {booked}"));
        }
    }
    match node.get("in_flight_msat").and_then(Value::as_i64) {
        Some(msat) if msat > 0 => parts.push(format!("  in flight: {}", signed_msat(msat))),
        _ => {}
    }
    parts
}

fn texts<'a>(audit: &'a Value, list: &'a str) -> impl Iterator<Item = &'a str> {
    items(audit, list).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_audit_reads_as_a_statement() {
        let audit = json!({ "clean": false, "problems": ["2 journals do not sum to zero"], "warnings": ["thin cover"],
            "accounts": [{ "account": "lightning", "msat": 5_000 }, { "account": "holders", "msat": -5_000 }],
            "owed_msat": 5_000, "spendable_msat": null, "payouts": [{ "name": "paid", "count": 3 }],
            "vouchers": [], "counters": [{ "name": "channels_closed", "count": 1 }] });
        let expected = "\
the books are NOT right
  wrong: 2 journals do not sum to zero
  look at: thin cover

ACCOUNT    BALANCE
lightning    5 sat
holders     -5 sat

owed: 5 sat
can be sent now: not known, the node is not running
payouts: 3 paid
counters: 1 channels_closed";
        assert_eq!(describe(&audit), expected);
    }

    #[test]
    fn the_node_is_laid_beside_the_books() {
        let sums = json!({ "channels_msat": 7_500, "closing_msat": 0, "wallet_msat": 9_000 });
        let node = |state: &str, why: Value| json!({ "node": { "state": state, "why": why, "node": sums, "booked": sums, "in_flight_msat": 0 } });
        assert_eq!(
            super::node(&node("equal", json!([]))).join("\n"),
            "the books equal the node, to the msat\n  in channels: 7.500 sat\n  of closed channels: 0 sat\n  in the wallet: 9 sat"
        );
        let busy = super::node(&node("not_at_rest", json!(["2 payouts under way", "3 msat in flight"])));
        assert_eq!(busy[0], "the node is not at rest: 2 payouts under way; 3 msat in flight");
        let mut drift = node("drift", json!([]));
        drift["node"]["booked"]["channels_msat"] = json!(7_000);
        assert_eq!(super::node(&drift)[1], "  in channels: the node has 7.500 sat, the books 7 sat");
        assert!(super::node(&json!({})).is_empty());
    }
}
