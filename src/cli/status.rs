//! `satchel status`: exit code 0 if the node runs, 3 if it doesn't.

use serde_json::Value;

use super::client::Client;
use super::error::{CliError, UNREACHABLE};
use super::report::{Report, facts};
use super::show::{duration, grouped, msat, now, number, relative, sat, text, yes};

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
    if let Some(solvency) = node.get("solvency").filter(|solvency| !solvency.is_null()) {
        rows.extend(promises(solvency));
    }
    rows.extend(node.get("relays").and_then(Value::as_array).into_iter().flatten().map(relay));
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

/// How a relay for agents' events stands.
fn relay(relay: &Value) -> (&'static str, String) {
    let figure = |name: &str| number(relay, name);
    let mut said = match figure("waiting") {
        0 => format!("{}: has everything", text(relay, "url")),
        waiting => format!("{}: {} events wait for it", text(relay, "url"), grouped(waiting)),
    };
    if figure("refused") > 0 {
        said.push_str(&format!("; it refused {}", grouped(figure("refused"))));
    }
    if figure("failures") > 0 {
        let failures = grouped(figure("failures"));
        said.push_str(&format!("; not reached {failures} times in a row: {}", text(relay, "last_error")));
    }
    ("relay", said)
}

/// What is owed, and whether it can be paid out.
fn promises(solvency: &Value) -> Vec<(&'static str, String)> {
    let figure = |name: &str| number(solvency, name);
    let capacity = solvency.get("capacity").cloned().unwrap_or_default();
    let largest = number(&capacity, "largest_out_msat");
    let mut owed = format!(
        "{}, {} of it redeemable; at most {} in one payment",
        msat(figure("owed_msat")),
        msat(figure("redeemable_msat")),
        msat(largest)
    );
    let missing = figure("short_msat");
    if missing > 0 {
        owed.push_str(&format!("; {} are missing: open a channel, or send less", msat(missing)));
    }
    let mut rows = vec![("owed", owed)];
    let vouchers = figure("vouchers");
    if vouchers > 0 {
        let bad = figure("unredeemable_vouchers");
        let text = match bad {
            0 => format!("{}, all redeemable", grouped(vouchers)),
            bad => format!("{}, {} of them can't be redeemed now", grouped(vouchers), grouped(bad)),
        };
        rows.push(("gifts and tips", text));
    }
    let held = figure("held_payouts");
    if held > 0 {
        let longest = duration(figure("held_longest_secs"));
        let sum = msat(figure("held_msat"));
        rows.push(("held payouts", format!("{} with {sum}, the longest for {longest}", grouped(held))));
    }
    rows.push(("free to withdraw", msat(figure("free_msat"))));
    rows
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
    fn relays_say_what_waits_for_them_and_why() {
        let quiet = json!({ "url": "wss://a.example", "waiting": 0, "failures": 0, "refused": 0, "last_error": null });
        assert_eq!(relay(&quiet), ("relay", "wss://a.example: has everything".into()));
        let away = json!({ "url": "wss://b.example", "waiting": 1_200, "failures": 3, "refused": 2, "last_error": "refused" });
        let said =
            "wss://b.example: 1,200 events wait for it; it refused 2; not reached 3 times in a row: refused";
        assert_eq!(relay(&away).1, said);
        let node = json!({ "relays": [quiet] });
        assert!(describe(&node, 100).contains("relay        wss://a.example: has everything"));
    }

    #[test]
    fn what_is_owed_is_told_with_what_is_missing() {
        let solvency = json!({ "owed_msat": 400_000_000, "redeemable_msat": 742_000, "short_msat": 399_258_000,
            "free_msat": 0, "vouchers": 40, "unredeemable_vouchers": 39, "held_payouts": 2, "held_msat": 5_000,
            "held_longest_secs": 90, "capacity": { "largest_out_msat": 742_000 } });
        let rows = promises(&solvency);
        let of = |name: &str| rows.iter().find(|row| row.0 == name).unwrap().1.as_str();
        assert!(of("owed").starts_with("400,000 sat, 742 sat of it redeemable; at most 742 sat"), "{rows:?}");
        assert!(of("owed").contains("399,258 sat are missing"), "{rows:?}");
        assert!(of("gifts and tips").contains("39 of them can't"), "{rows:?}");
        assert!(of("held payouts").starts_with("2 with 5 sat"), "{rows:?}");
        assert_eq!(of("free to withdraw"), "0 sat");
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
