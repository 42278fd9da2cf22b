//! Says what a difference is about, for a person.

use std::collections::BTreeMap;

use super::{Known, LastLook, Sums, rows};
use crate::core::time::iso::IsoSeconds;
use crate::ledger::LedgerError;
use crate::lightning::Holdings;
use rusqlite::Connection;

/// A problem for each place where the node and the books differ, with what happened since they were last equal.
pub(super) fn drift(
    connection: &Connection,
    known: &Known,
    holdings: &Holdings,
    more: Sums,
) -> Result<Vec<String>, LedgerError> {
    let last = rows::last_equal(connection)?;
    let mut problems = Vec::new();
    if more.channels_msat != 0 {
        let what = differs("channels", known.sums.channels_msat, more.channels_msat);
        problems.push(format!("{what}{}", moved(last.as_ref(), holdings)));
    }
    if more.closing_msat != 0 {
        let of: Vec<_> = holdings.claims.iter().map(|claim| claim.channel.as_str()).collect();
        let channels = if of.is_empty() { String::new() } else { format!(" (channels {})", of.join(", ")) };
        problems.push(format!(
            "{}{channels}",
            differs("closed channels", known.sums.closing_msat, more.closing_msat)
        ));
    }
    let unbooked: Vec<_> = holdings
        .transactions
        .iter()
        .filter(|listed| !known.booked.contains_key(&listed.txid.to_string()))
        .map(|listed| format!("{} ({:+} sat)", listed.txid, listed.net_sat))
        .collect();
    if !unbooked.is_empty() {
        problems.push(format!("the wallet: nobody here ordered these transactions: {}", unbooked.join(", ")));
    } else if more.wallet_msat != 0 {
        let gone = gone(known, holdings);
        problems.push(format!("{}{gone}", differs("the wallet", known.sums.wallet_msat, more.wallet_msat)));
    }
    if !known.forwards.is_empty() {
        problems.push(format!(
            "{} payments of others that the node told of are not in its balance",
            known.forwards.len()
        ));
    }
    if problems.is_empty() {
        problems.push("the node and the books differ".into());
    }
    if let Some(last) = last {
        let since = rows::booked_since(connection, last.at)?;
        let since = if since.is_empty() { "nothing".to_owned() } else { since.join(", ") };
        problems.push(format!(
            "they were last equal at {} (block {}); booked since: {since}",
            IsoSeconds(last.at),
            last.height
        ));
    }
    Ok(problems)
}

fn differs(place: &str, booked: i64, more: i64) -> String {
    let node = booked.saturating_add(more);
    format!("{place}: the node has {node} msat, the books {booked} msat: {more:+} msat that nothing explains")
}

/// Which channels changed since the last equal look.
fn moved(last: Option<&LastLook>, holdings: &Holdings) -> String {
    let Some(last) = last else { return String::new() };
    let before: BTreeMap<String, u64> = serde_json::from_str(&last.channels).unwrap_or_default();
    let mut told: Vec<_> = holdings
        .channels
        .iter()
        .filter(|held| before.get(&held.channel) != Some(&held.ours_msat))
        .map(|held| {
            let was = before.get(&held.channel).map_or_else(|| "no".to_owned(), u64::to_string);
            format!("channel {} had {was} msat, now {}", held.channel, held.ours_msat)
        })
        .collect();
    let gone = before.keys().filter(|&id| holdings.channels.iter().all(|held| held.channel != *id));
    told.extend(gone.map(|id| format!("channel {id} is gone")));
    if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) }
}

/// Transactions that are in the books, and not in the node's list any more.
fn gone(known: &Known, holdings: &Holdings) -> String {
    let listed = |txid: &String| holdings.transactions.iter().any(|listed| listed.txid.to_string() == *txid);
    let gone: Vec<_> = known.booked.keys().filter(|txid| !listed(txid)).map(String::as_str).collect();
    if gone.is_empty() { String::new() } else { format!(" (not confirmed any more: {})", gone.join(", ")) }
}
