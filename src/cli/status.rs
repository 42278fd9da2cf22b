//! `satchel status`: exit code 0 if the node runs, 3 if it doesn't.

use serde_json::Value;

use super::client::Client;
use super::error::{CliError, UNREACHABLE};
use super::report::{Report, facts};
use super::show::{grouped, msat, now, number, relative, sat, text, yes};

pub async fn run(client: &Client) -> Result<Report, CliError> {
    let node = client.get("node").await?;
    let code = if yes(&node, "running") { 0 } else { UNREACHABLE };
    let text = describe(&node, now());
    Ok(Report { json: node, text, code })
}

fn describe(node: &Value, now: u64) -> String {
    let nothing = Value::Null;
    let balances = node.get("balances").unwrap_or(&nothing);
    let id = Some(text(node, "node_id")).filter(|id| !id.is_empty()).unwrap_or("not known yet");
    let mut rows = vec![("node", format!("{id} on {}", text(node, "network")))];
    let reason = [text(node, "reason"), text(node, "problem")].into_iter().find(|reason| !reason.is_empty());
    match (yes(node, "running"), reason) {
        (true, None) => rows.push(("state", text(node, "phase").into())),
        (_, Some(reason)) => rows.push(("state", format!("{}: {reason}", text(node, "phase")))),
        (false, None) => rows.push(("state", format!("{}, the node is not running", text(node, "phase")))),
    }
    let looked = node.get("synced_at").and_then(Value::as_u64).map(|then| relative(then, now));
    let height = grouped(number(node, "block_height"));
    rows.push(("chain", format!("block {height}, last looked at {}", looked.as_deref().unwrap_or("never"))));
    rows.push((
        "channels",
        format!("{}, {} usable", number(node, "channels"), number(node, "usable_channels")),
    ));
    rows.push(("can send", msat(number(balances, "outbound_msat"))));
    let (inbound, largest) = (number(balances, "inbound_msat"), number(balances, "inbound_max_msat"));
    rows.push(("can receive", format!("{}, at most {} at once", msat(inbound), msat(largest))));
    rows.push((
        "on-chain",
        format!(
            "{}, {} may be spent, {} kept for closing channels",
            sat(number(balances, "onchain_sat")),
            sat(number(balances, "onchain_spendable_sat")),
            sat(number(balances, "onchain_reserve_sat"))
        ),
    ));
    if !yes(node, "database_writable") {
        rows.push(("database", "takes no writes: free some disk space".into()));
    }
    rows.push(("version", text(node, "version").into()));
    facts(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_reads_units_and_reasons() {
        let node = json!({
            "node_id": "02ab", "network": "regtest", "running": true, "problem": null, "phase": "ready", "reason": null,
            "block_height": 1_101, "synced_at": 90, "channels": 2, "usable_channels": 1, "database_writable": true,
            "balances": { "outbound_msat": 1_500, "inbound_msat": 2_000_000, "inbound_max_msat": 1_000_000,
                "onchain_sat": 50_000, "onchain_spendable_sat": 25_000, "onchain_reserve_sat": 25_000 },
            "version": "0.1.0",
        });
        let expected = "\
node         02ab on regtest
state        ready
chain        block 1,101, last looked at 10 s ago
channels     2, 1 usable
can send     1.500 sat
can receive  2,000 sat, at most 1,000 sat at once
on-chain     50,000 sat, 25,000 sat may be spent, 25,000 sat kept for closing channels
version      0.1.0
";
        assert_eq!(describe(&node, 100), expected);
    }

    #[test]
    fn a_node_that_does_not_run_says_why() {
        let node = json!({ "network": "bitcoin", "running": false, "problem": "no fee rates", "phase": "starting",
            "synced_at": null, "database_writable": false });
        let text = describe(&node, 100);
        assert!(text.contains("not known yet") && text.contains("starting: no fee rates"), "{text}");
        assert!(text.contains("last looked at never") && text.contains("disk space"), "{text}");
    }
}
