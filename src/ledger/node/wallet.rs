//! Books what needs no difference: transactions of the wallet, and channels that became ours to use.

use std::collections::HashSet;

use super::super::books::{Account, Journal, Kind};
use super::{ChannelRow, ChannelState, Known, Role, rows};
use crate::core::time::UnixMillis;
use crate::ledger::{Ledger, LedgerError};
use crate::lightning::{ClaimKind, Holdings, Spent, WalletTransaction};
use crate::storage::Tx;

/// A transaction and what it was for.
#[derive(Debug)]
struct Explained {
    listed: WalletTransaction,
    role: Role,
    channel: Option<ChannelRow>,
    /// What the swept outputs were worth, in sat.
    swept_sat: u64,
}

/// Books what is new and explained; whether anything was. What it can't explain stays, and is drift.
pub(super) fn book(ledger: &Ledger, known: &Known, holdings: &Holdings) -> Result<bool, LedgerError> {
    let new: Vec<_> = holdings
        .transactions
        .iter()
        .filter(|listed| !known.booked.contains_key(&listed.txid.to_string()))
        .filter_map(|listed| explain(ledger, known, holdings, listed))
        .collect();
    let usable = usable(known, holdings);
    if new.is_empty() && usable.is_empty() {
        return Ok(false);
    }
    let now = ledger.clock.now();
    ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
        for transaction in &new {
            post(tx, transaction, now)?;
        }
        for row in &usable {
            open(tx, row, now)?;
        }
        Ok(())
    })?;
    Ok(true)
}

/// Books what came with channels of peers that can be used now.
pub(super) fn open_usable(ledger: &Ledger, known: &Known, holdings: &Holdings) -> Result<(), LedgerError> {
    let usable = usable(known, holdings);
    if usable.is_empty() {
        return Ok(());
    }
    let now = ledger.clock.now();
    ledger.store.write_blocking(move |tx| usable.iter().try_for_each(|row| open(tx, row, now)))
}

fn usable(known: &Known, holdings: &Holdings) -> Vec<ChannelRow> {
    known.channels.iter().filter(|row| became_ours(row, holdings)).cloned().collect()
}

/// A channel of a peer's that can be used, or one of which something came after all.
fn became_ours(row: &ChannelRow, holdings: &Holdings) -> bool {
    if row.state != ChannelState::Opening || row.outbound {
        return false;
    }
    let ready = || holdings.channels.iter().any(|held| held.channel == row.channel && held.ready);
    let comes = || {
        let certain = |kind: ClaimKind| matches!(kind, ClaimKind::Certain | ClaimKind::Cooperative);
        holdings.claims.iter().any(|claim| claim.channel == row.channel && certain(claim.kind))
    };
    ready() || comes()
}

/// The part that came with a peer's channel is the operator's.
fn open(tx: &Tx<'_>, row: &ChannelRow, now: UnixMillis) -> Result<(), LedgerError> {
    if !rows::advance_channel(tx, row.id, ChannelState::Opening, ChannelState::Open)? {
        return Ok(());
    }
    if row.start_msat == 0 {
        return Ok(());
    }
    Journal::new(Kind::ChannelOpened, row.id)
        .signed(Account::Channels, row.start_msat)
        .signed(Account::Capital, row.start_msat.saturating_neg())
        .post(tx, now)
}

fn explain(
    ledger: &Ledger,
    known: &Known,
    holdings: &Holdings,
    listed: &WalletTransaction,
) -> Option<Explained> {
    let explained = |role: Role, channel: Option<&ChannelRow>| Explained {
        listed: *listed,
        role,
        channel: channel.cloned(),
        swept_sat: 0,
    };
    let txid = listed.txid.to_string();
    if listed.net_sat < 0 {
        if known.coins.contains(&txid) {
            return Some(explained(Role::Coins, None));
        }
        if let Some(row) = known.channels.iter().find(|row| row.outbound && funded_by(row, &txid)) {
            return Some(explained(Role::Funding, Some(row)));
        }
    }
    let swept = holdings.sweeps.iter().filter(|sweep| sweep.txid == Some(listed.txid));
    let swept_sat = swept.clone().map(|sweep| sweep.amount_sat).sum();
    if listed.net_sat >= 0 && swept_sat > 0 {
        let of = swept.filter_map(|sweep| sweep.channel.as_deref()).find_map(|id| known.channel(id));
        return Some(Explained { swept_sat, ..explained(Role::Sweep, of) });
    }
    let inputs = match ledger.lightning.spent_by(listed.txid) {
        Ok(Some(inputs)) => inputs,
        Ok(None) => return None,
        Err(error) => {
            tracing::warn!(%txid, %error, "a transaction of the wallet can't be read; trying again");
            return None;
        }
    };
    let closed = known.channels.iter().find(|row| spends(&inputs, row));
    if listed.net_sat >= 0 {
        let role = match closed {
            Some(_) => Role::Close,
            None if inputs.iter().any(|input| input.of_commitment) => Role::Claim,
            None => Role::Deposit,
        };
        return Some(explained(role, closed));
    }
    // Only LDK joins others' outputs to the wallet's: those of closed channels, to move or to hurry them.
    let own: HashSet<_> = holdings.transactions.iter().map(|listed| listed.txid).collect();
    let is_foreign = |input: &Spent| !own.contains(&input.output.txid);
    (listed.fee_alone || inputs.iter().any(is_foreign)).then(|| explained(Role::Fee, closed))
}

fn funded_by(row: &ChannelRow, txid: &str) -> bool {
    row.funding.split(':').next() == Some(txid)
}

fn spends(inputs: &[Spent], row: &ChannelRow) -> bool {
    inputs.iter().any(|input| input.output.to_string() == row.funding)
}

fn post(tx: &Tx<'_>, explained: &Explained, now: UnixMillis) -> Result<(), LedgerError> {
    let Explained { listed, role, channel, swept_sat } = explained;
    let of = channel.as_ref().map(|row| row.channel.as_str());
    let Some(id) = rows::add_transaction(tx, listed, *role, of, now)? else { return Ok(()) };
    let net = listed.net_sat.saturating_mul(1_000);
    let journal = Journal::new(Kind::WalletTransaction, id).signed(Account::Onchain, net);
    let journal = match (role, channel) {
        (Role::Deposit, _) => journal.signed(Account::Capital, net.saturating_neg()),
        (Role::Funding, Some(row)) => {
            rows::advance_channel(tx, row.id, ChannelState::Opening, ChannelState::Open)?;
            let size = msat(row.capacity_sat);
            journal
                .signed(Account::Channels, row.start_msat)
                .signed(Account::Capital, size.saturating_sub(row.start_msat))
                .signed(Account::ChainFees, net.saturating_neg().saturating_sub(size))
        }
        (Role::Coins, _) => {
            // An address of this same wallet got nothing.
            let amount = rows::coins_amount(tx, &listed.txid.to_string())?;
            let amount = if amount > net.saturating_neg() { 0 } else { amount };
            journal
                .signed(Account::Capital, amount)
                .signed(Account::ChainFees, net.saturating_neg().saturating_sub(amount))
        }
        (Role::Sweep, _) => journal
            .signed(Account::Closing, msat(*swept_sat).saturating_neg())
            .signed(Account::ChainFees, msat(*swept_sat).saturating_sub(net)),
        (Role::Close | Role::Claim, _) => journal.signed(Account::Closing, net.saturating_neg()),
        (Role::Fee | Role::Before | Role::Funding, _) => {
            journal.signed(Account::ChainFees, net.saturating_neg())
        }
    };
    journal.post(tx, now)
}

fn msat(sat: u64) -> i64 {
    i64::try_from(sat).unwrap_or(i64::MAX).saturating_mul(1_000)
}
