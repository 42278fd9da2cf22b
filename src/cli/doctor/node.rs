//! The running satchel, if there is one; otherwise, whether one could start.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use super::{Check, books, exposure, services};
use crate::cli::args::Global;
use crate::cli::client::Client;
use crate::cli::error::UNREACHABLE;
use crate::cli::show::{duration, items, msat, now, number, sat, text, yes};
use crate::config::Config;

/// After this long without a look at the chain, a channel's closing could be missed before long.
const STALE_CHAIN_SECS: u64 = 3_600;

/// Fee rates older than this can be far off.
const STALE_FEES_SECS: u64 = 3 * 3_600;

/// What a satchel that isn't there leaves open.
const NOT_RUNNING: &str = "is not running, so node, channels, capacity and books were not looked at";

pub async fn look(global: &Global, config: &Config) -> Vec<Check> {
    let client = match Client::from(global) {
        Ok(client) => client,
        // Without a key there is nothing to ask; that it is missing has been told.
        Err(_) => return ports(config),
    };
    let node = match client.get("node").await {
        Ok(node) => node,
        Err(error) if error.code == UNREACHABLE => return ports(config),
        Err(error) => {
            return vec![Check::fail("satchel", error.message, error.help.unwrap_or_default())];
        }
    };
    let mut checks = vec![Check::ok(
        "satchel",
        format!("runs at {}, version {}", config.http.listen, text(&node, "version")),
    )];
    checks.extend(untrusted_proxy(&node));
    checks.extend(exposure::look(&client, config, &node).await);
    checks.extend(state(&node, now()));
    if yes(&node, "running") {
        match client.get("channels").await {
            Ok(channels) => checks.extend(capacity(&node, &channels, config)),
            Err(error) => checks.push(Check::fail("channels", error.message, "look at satchel's log")),
        }
    }
    checks.push(books::look(&client).await);
    checks.extend(services::look(&client).await);
    checks
}

/// Nothing runs: could it?
fn ports(config: &Config) -> Vec<Check> {
    let mut checks = vec![match TcpListener::bind(config.http.listen) {
        Ok(_) => Check::warn("satchel", NOT_RUNNING, "start it with `satchel run`, then ask again"),
        Err(error) => taken("http.listen", config.http.listen, &error),
    }];
    if let Some(address) = config.admin.listen
        && let Err(error) = TcpListener::bind(address)
    {
        checks.push(taken("admin.listen", address, &error));
    }
    for address in &config.node.listen {
        if let Err(error) = TcpListener::bind(address) {
            checks.push(taken("node.listen", *address, &error));
        }
    }
    checks
}

/// A reverse proxy whose word about its clients is not believed makes all of them one client.
fn untrusted_proxy(node: &Value) -> Option<Check> {
    let seen = node.get("untrusted_forwarding")?;
    let (count, peer) = (number(seen, "requests"), text(seen, "last_peer"));
    let says = format!(
        "{count} requests with a forwarding header came from {peer}, which http.trusted_proxies does not name: all its \
         visitors share one rate limit"
    );
    let remedy = format!(
        "if {peer} is your reverse proxy, set http.trusted_proxies = [\"{peer}\"]; if not, ignore this"
    );
    Some(Check::warn("reverse proxy", says, remedy))
}

fn taken(setting: &str, address: SocketAddr, error: &std::io::Error) -> Check {
    let remedy = format!("stop what uses it, or change {setting}");
    Check::fail("ports", format!("satchel can't listen on {address}: {error}"), remedy)
}

fn state(node: &Value, now: u64) -> Vec<Check> {
    let mut checks = Vec::new();
    if !yes(node, "database_writable") {
        checks.push(Check::fail("database", "takes no writes", "free some disk space; it goes on by itself"));
    }
    if !yes(node, "running") {
        let reason = [text(node, "problem"), text(node, "reason")].into_iter().find(|text| !text.is_empty());
        let says = format!("is not running: {}", reason.unwrap_or("it gives no reason"));
        checks.push(Check::fail("node", says, "mostly it is the chain source; it tries again by itself"));
        return checks;
    }
    match text(node, "phase") {
        "ready" => checks.push(Check::ok("node", format!("{} is ready", text(node, "node_id")))),
        phase => {
            checks.push(Check::warn("node", format!("{phase}: {}", text(node, "reason")), "wait a moment"))
        }
    }
    checks.push(age(node, "synced_at", "chain look", STALE_CHAIN_SECS, now));
    checks.push(age(node, "fees_at", "fee look", STALE_FEES_SECS, now));
    checks
}

fn age(node: &Value, field: &str, name: &'static str, stale: u64, now: u64) -> Check {
    let Some(then) = node.get(field).and_then(Value::as_u64) else {
        return Check::warn(name, "never yet", "wait a moment; if it stays so, look at the chain source");
    };
    let age = now.saturating_sub(then);
    let says = format!("{} ago", duration(age));
    if age > stale {
        return Check::fail(name, says, "the node has lost its chain source: see the lines about it");
    }
    Check::ok(name, says)
}

fn capacity(node: &Value, channels: &Value, config: &Config) -> Vec<Check> {
    let nothing = Value::Null;
    let balances = node.get("balances").unwrap_or(&nothing);
    let all = items(channels, "channels").count();
    let usable = items(channels, "channels").filter(|channel| yes(channel, "usable")).count();
    let mut checks = vec![match (all, usable) {
        (0, _) => {
            Check::warn("channels", "none", "fund `satchel address`, then `satchel channel open`; or buy one")
        }
        (_, 0) => Check::fail(
            "channels",
            format!("{all}, none usable"),
            "see `satchel peer list` and `channel list`",
        ),
        (all, usable) if usable < all => Check::warn(
            "channels",
            format!("{usable} of {all} usable"),
            "see `satchel channel list` for the others",
        ),
        _ => Check::ok("channels", format!("{all}, all usable")),
    }];
    if usable > 0 {
        checks.push(outbound(number(balances, "outbound_msat")));
        if let Some(solvency) = node.get("solvency").filter(|solvency| !solvency.is_null()) {
            checks.extend(promises(solvency, config));
        }
        checks.push(inbound(number(balances, "inbound_max_msat"), config.gifts.max_sat));
    }
    checks.push(reserve(balances, all, config.node.reserve_sat));
    checks
}

fn outbound(available: u64) -> Check {
    if available == 0 {
        let remedy = "nothing can be redeemed: open a channel, or let the first gift be paid";
        return Check::warn("outbound", "nothing can be sent", remedy);
    }
    Check::ok("outbound", format!("{} can be sent", msat(available)))
}

/// Whether what is owed can be paid out, what is offered could be, and whether payouts are held.
fn promises(solvency: &Value, config: &Config) -> Vec<Check> {
    let figure = |name: &str| number(solvency, name);
    let (short, bad) = (figure("short_msat"), figure("unredeemable_vouchers"));
    let capacity = solvency.get("capacity").cloned().unwrap_or_default();
    let largest = number(&capacity, "largest_out_msat");
    let remedy = "open a channel, or send less; until then nothing more is sold (solvency.when_short)";
    let owed = if short > 0 {
        let says = format!("{} of {} owed can't be paid out", msat(short), msat(figure("owed_msat")));
        Check::fail("owed", says, remedy)
    } else if bad > 0 {
        let says = format!(
            "{bad} of {} gifts and tips can't be redeemed: the channels carry at most {} in one payment",
            figure("vouchers"),
            msat(largest)
        );
        Check::fail("owed", says, "open another channel, or a larger one")
    } else {
        Check::ok("owed", format!("{}, all redeemable", msat(figure("owed_msat"))))
    };
    let filled = number(&capacity, "largest_out_filled_msat");
    let says =
        format!("{} at once, {} when what comes in has filled the channels", msat(largest), msat(filled));
    let payable = if filled / 1_000 < config.gifts.max_sat {
        let remedy = format!(
            "gifts up to {} are offered and will be refused: peers let only a part of a channel be in flight, so open more or larger ones, or lower gifts.max_sat",
            sat(config.gifts.max_sat)
        );
        Check::warn("largest payout", says, remedy)
    } else {
        Check::ok("largest payout", says)
    };
    let held = figure("held_payouts");
    let held = if held > 0 {
        let says = format!(
            "{held} with {} are held by their recipients, the longest for {}",
            msat(figure("held_msat")),
            duration(figure("held_longest_secs"))
        );
        let remedy = "each takes a slot of a channel until it ends, two days at most; others go on in what is kept for them. More channels have more slots";
        Check::warn("held payouts", says, remedy)
    } else {
        Check::ok("held payouts", "none")
    };
    vec![owed, payable, held]
}

fn inbound(largest: u64, max_gift_sat: u64) -> Check {
    let says = format!("{} can come in at once", msat(largest));
    if largest == 0 {
        let remedy = "no gift can be paid: ask somebody to open a channel to you, or spend some";
        return Check::fail("inbound", "nothing can come in", remedy);
    }
    if largest / 1_000 < max_gift_sat {
        let remedy = format!(
            "gifts up to {} are offered: get more inbound, or lower gifts.max_sat",
            sat(max_gift_sat)
        );
        return Check::warn("inbound", says, remedy);
    }
    Check::ok("inbound", says)
}

fn reserve(balances: &Value, channels: usize, per_channel: u64) -> Check {
    let needed = per_channel.saturating_mul(u64::try_from(channels).unwrap_or(u64::MAX));
    let onchain = number(balances, "onchain_sat");
    let says = format!("{} on-chain", sat(onchain));
    if onchain < needed {
        let remedy = format!(
            "send to `satchel address` until there are {}: closing a channel may need it",
            sat(needed)
        );
        return Check::warn("reserve", says, remedy);
    }
    Check::ok("reserve", says)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::Level;

    fn level(checks: &[Check], name: &str) -> Option<Level> {
        checks.iter().find(|check| check.name == name).map(|check| check.level)
    }

    #[test]
    fn a_node_that_does_not_run_is_a_failure_with_its_reason() {
        let node = json!({ "running": false, "problem": "no fee rates", "database_writable": false });
        let checks = state(&node, 100);
        assert_eq!(
            [level(&checks, "database"), level(&checks, "node")],
            [Some(Level::Fail), Some(Level::Fail)]
        );
        assert!(checks[1].says.contains("no fee rates"));
    }

    #[test]
    fn old_news_of_the_chain_is_a_failure() {
        let node = |synced: Option<u64>| {
            json!({ "running": true, "phase": "ready", "database_writable": true,
            "synced_at": synced, "fees_at": 9_990 })
        };
        assert_eq!(level(&state(&node(Some(9_990)), 10_000), "chain look"), Some(Level::Ok));
        assert_eq!(level(&state(&node(Some(100)), 10_000), "chain look"), Some(Level::Fail));
        assert_eq!(level(&state(&node(None), 10_000), "chain look"), Some(Level::Warn));
        assert_eq!(level(&state(&node(None), 10_000), "fee look"), Some(Level::Ok));
    }

    #[test]
    fn channels_must_be_there_usable_and_filled() {
        let config = Config::default();
        let node = |outbound: u64, inbound: u64, onchain: u64| {
            json!({ "balances": { "outbound_msat": outbound,
            "inbound_max_msat": inbound, "onchain_sat": onchain } })
        };
        let channels = |usable: &[bool]| {
            let list: Vec<_> = usable.iter().map(|usable| json!({ "usable": usable })).collect();
            json!({ "channels": list })
        };
        let none = capacity(&node(0, 0, 0), &channels(&[]), &config);
        assert_eq!([level(&none, "channels"), level(&none, "inbound")], [Some(Level::Warn), None]);
        let away = capacity(&node(0, 0, 0), &channels(&[false]), &config);
        assert_eq!(level(&away, "channels"), Some(Level::Fail));
        let some = capacity(&node(5_000, 1_000_000, 0), &channels(&[true, false]), &config);
        assert_eq!(
            [level(&some, "channels"), level(&some, "outbound")],
            [Some(Level::Warn), Some(Level::Ok)]
        );
        assert_eq!([level(&some, "inbound"), level(&some, "reserve")], [Some(Level::Warn); 2]);
        let good = capacity(&node(5_000, 500_000_000, 25_000), &channels(&[true]), &config);
        assert!(good.iter().all(|check| check.level == Level::Ok), "{good:?}");
        let full = capacity(&node(0, 0, 25_000), &channels(&[true]), &config);
        assert_eq!(
            [level(&full, "inbound"), level(&full, "outbound")],
            [Some(Level::Fail), Some(Level::Warn)]
        );
    }

    #[test]
    fn what_cannot_be_paid_out_is_a_failure() {
        let config = Config::default();
        let node = |short: u64, bad: u64, largest_sat: u64, held: u64| {
            json!({ "owed_msat": 400_000, "short_msat": short, "vouchers": 40, "unredeemable_vouchers": bad,
                "held_payouts": held, "held_msat": 1_000, "held_longest_secs": 600,
                "capacity": { "largest_out_msat": 1_000, "largest_out_filled_msat": largest_sat * 1_000 } })
        };
        let levels =
            |checks: &[Check]| ["owed", "largest payout", "held payouts"].map(|name| level(checks, name));
        use Level::{Fail, Ok, Warn};
        assert_eq!(levels(&promises(&node(0, 0, 500_000, 0), &config)), [Some(Ok); 3]);
        let bad = promises(&node(1_000, 3, 100_000, 7), &config);
        assert_eq!(levels(&bad), [Some(Fail), Some(Warn), Some(Warn)]);
        assert_eq!(level(&promises(&node(0, 3, 500_000, 0), &config), "owed"), Some(Fail));
    }

    #[test]
    fn a_taken_port_is_told() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        config.http.listen = other.local_addr().unwrap();
        assert_eq!(level(&ports(&config), "ports"), Some(Level::Fail));
        drop(other);
        assert_eq!(level(&ports(&config), "satchel"), Some(Level::Warn));
    }
}
