//! Proof that the books are right: every journal sums to zero, the running sums agree with the entries,
//! and what the books say we owe agrees with the rows that say to whom, and with what the node has.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::books::Account;
use super::coins::{self, CoinStatus, OnchainPayout};
use super::node::{self, Comparison, State};
use super::rows::payouts as rows;
use super::{Ledger, LedgerError, consistency, suspense};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::lightning::Balances;

/// How long an audit waits for the node's balances to stand still where they differ from the books.
const PATIENCE: Duration = Duration::from_secs(8);

/// What an audit found. Amounts in msat; credits (what we owe) are shown as positive numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// Nothing is wrong.
    pub clean: bool,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// What deserves a look although the books are right.
    pub warnings: Vec<String>,
    /// Balance of each account, debit positive.
    pub accounts: Vec<AccountBalance>,
    /// Owed to holders and merchants, in flight and in suspense, in msat.
    pub owed_msat: i64,
    /// What the node could send now, in msat; none while it isn't running.
    pub spendable_msat: Option<u64>,
    /// The books beside what the node itself says it has.
    pub node: Option<Comparison>,
    /// Payouts by status.
    pub payouts: Vec<StatusCount>,
    /// Vouchers by state.
    pub vouchers: Vec<StatusCount>,
    /// Things counted over the life of the data folder: channels closed, late payouts.
    pub counters: Vec<StatusCount>,
}

/// One account's balance.
#[derive(Debug, Clone, Serialize)]
pub struct AccountBalance {
    /// Which.
    pub account: &'static str,
    /// Debit positive, in msat.
    pub msat: i64,
}

/// How many of a kind.
#[derive(Debug, Clone, Serialize)]
pub struct StatusCount {
    /// Which kind.
    pub name: String,
    /// How many.
    pub count: i64,
}

/// Reads everything once and compares. Takes time with the age of the data folder; for the operator's
/// command and once at start, never for a request.
///
/// # Errors
/// The store's.
pub fn audit(ledger: &Ledger) -> Result<Audit, LedgerError> {
    // First, since it books what explains a difference.
    let running = ledger.lightning.is_running();
    let compared = if running { Some(node::compare(ledger, PATIENCE)?) } else { None };
    let mut audit = ledger.store.read_blocking(books)?;
    let open = ledger.store.read_blocking(coins::open)?;
    audit.warnings.extend(lost_coins(&open, ledger.clock.now()));
    if let Some(compared) = compared {
        compare_with_node(&mut audit, &ledger.lightning.balances());
        if compared.state == State::Drift {
            audit.problems.extend(compared.why.iter().cloned());
        }
        audit.node = Some(compared);
    }
    audit.clean = audit.problems.is_empty();
    Ok(audit)
}

/// The few numbers that are looked at all the time: their cost doesn't grow with age.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// Owed to holders of vouchers, in msat.
    pub owed_msat: i64,
    /// Owed to merchants, in msat.
    pub merchants_msat: i64,
    /// Came in and belongs to nobody we know, in msat.
    pub suspense_msat: i64,
    /// Earned by the services' own fees, in msat.
    pub fees_earned_msat: i64,
    /// Payouts not ended, by status.
    pub open_payouts: Vec<StatusCount>,
    /// Things counted over the life of the data folder.
    pub counters: Vec<StatusCount>,
}

/// Reads them.
///
/// # Errors
/// The store's.
pub fn numbers(connection: &Connection) -> Result<Numbers, LedgerError> {
    let kept = |account: Account| -> Result<i64, LedgerError> {
        let mut statement = connection.prepare_cached("SELECT msat FROM balances WHERE account = ?1")?;
        Ok(statement.query_row([account.name()], |row| row.get(0)).optional()?.unwrap_or(0))
    };
    let under_way = "SELECT status, sum(count) FROM (
             SELECT status, count(*) AS count FROM payouts WHERE status NOT IN ('paid', 'failed') GROUP BY status
             UNION ALL
             SELECT status, count(*) FROM offer_payouts WHERE status NOT IN ('paid', 'failed') GROUP BY status)
         GROUP BY status";
    Ok(Numbers {
        owed_msat: -kept(Account::Holders)?,
        merchants_msat: -kept(Account::Merchants)?,
        suspense_msat: -kept(Account::Suspense)?,
        fees_earned_msat: -kept(Account::FeesEarned)?,
        open_payouts: counts(connection, under_way)?,
        counters: counters(connection)?,
    })
}

fn counters(connection: &Connection) -> Result<Vec<StatusCount>, LedgerError> {
    Ok(rows::counters(connection)?.into_iter().map(|(name, count)| StatusCount { name, count }).collect())
}

fn books(connection: &Connection) -> Result<Audit, LedgerError> {
    // One snapshot for all the questions.
    let snapshot = connection.unchecked_transaction()?;
    let mut problems = Vec::new();
    let one = |sql: &str| -> Result<i64, LedgerError> { Ok(snapshot.query_row(sql, [], |row| row.get(0))?) };

    problems.extend(consistency::look(&snapshot)?);
    let mut accounts = Vec::new();
    for account in Account::ALL {
        let of = |table: &str| {
            one(&format!("SELECT coalesce(sum(msat), 0) FROM {table} WHERE account = '{account}'"))
        };
        let (kept, summed) = (of("balances")?, of("entries")?);
        if kept != summed {
            problems
                .push(format!("{account}: the running sum is {kept} msat, its entries are {summed} msat"));
        }
        accounts.push(AccountBalance { account: account.name(), msat: summed });
    }
    let balance = |account: Account| {
        accounts.iter().find(|row| row.account == account.name()).map_or(0, |row| row.msat)
    };

    let mut expect = |what: &str, booked: i64, rows: i64| {
        if booked != rows {
            problems.push(format!("{what}: the books say {booked} msat, the rows {rows} msat"));
        }
    };
    expect(
        "owed to holders",
        -balance(Account::Holders),
        one("SELECT coalesce(sum(amount_msat), 0) FROM vouchers WHERE state IN ('open', 'expired')")?,
    );
    // What came in less what went out again, but for what a late payout took that was not theirs any more.
    expect(
        "owed to merchants",
        -balance(Account::Merchants),
        one(
            "SELECT coalesce(sum(received_msat), 0) FROM charges
             WHERE family IN ('payments', 'l402', 'shop') AND status = 'paid'",
        )? - one(
            "SELECT coalesce(sum(amount_msat), 0) FROM payouts
             WHERE family IN ('payments', 'accounts', 'shop', 'purse') AND status <> 'failed'",
        )? + one("SELECT coalesce(sum(e.msat), 0) FROM entries e JOIN journals j ON j.id = e.journal
                   JOIN payouts p ON p.id = j.subject
                   WHERE e.account = 'loss' AND j.kind IN ('payout_late', 'refund_loss_recovered')
                     AND p.family IN ('payments', 'accounts', 'shop', 'purse')")?
            + one("SELECT coalesce(sum(e.msat), 0) FROM entries e JOIN journals j ON j.id = e.journal
                   WHERE e.account = 'loss' AND j.kind = 'coins_loss_recovered'")?
            - one(
                "SELECT coalesce(sum(amount_msat), 0) FROM coin_sends
                 WHERE family IN ('payments', 'accounts') AND status <> 'failed'",
            )?
            - one(
                "SELECT coalesce(sum(amount_msat), 0) FROM offer_payouts
                 WHERE family IN ('payments', 'accounts') AND status <> 'failed'",
            )?
            + one("SELECT coalesce(sum(e.msat), 0) FROM entries e JOIN journals j ON j.id = e.journal
                   JOIN offer_payouts p ON p.id = j.subject
                   WHERE e.account = 'loss' AND j.kind = 'offer_payout_late' AND p.family IN ('payments', 'accounts')")?
            - one("SELECT coalesce(sum(coalesce(charged_msat, reserve_msat)), 0) FROM fee_reserves")?
            + one("SELECT coalesce(sum(amount_msat), 0) FROM suspense_settlements
                   WHERE way = 'account' AND status = 'done'")?
            // And but for what paid for the operator's own.
            - one("SELECT coalesce(sum(e.msat), 0) FROM entries e JOIN journals j ON j.id = e.journal
                   WHERE e.account = 'merchants'
                     AND j.kind IN ('fee_earned', 'refund_fee_returned', 'refund_fee_earned_again',
                         'order_fee_returned')")?,
    );
    expect(
        "withheld for fees",
        -balance(Account::Withheld),
        one("SELECT coalesce(sum(reserve_msat), 0) FROM fee_reserves WHERE settled_at IS NULL")?,
    );
    expect(
        "fees charged to accounts",
        -balance(Account::FeesCharged),
        one("SELECT coalesce(sum(charged_msat), 0) FROM fee_reserves")?,
    );
    let open_payouts = |sum: &str| -> Result<i64, LedgerError> {
        let of = |table: &str| {
            one(&format!(
                "SELECT coalesce(sum({sum}), 0) FROM {table} WHERE status NOT IN ('paid', 'failed')"
            ))
        };
        Ok(of("payouts")? + of("offer_payouts")?)
    };
    expect(
        "in flight",
        -balance(Account::InFlight),
        open_payouts("amount_msat + max_fee_msat")?
            + one(
                "SELECT coalesce(sum(amount_msat), 0) FROM coin_sends WHERE status IN ('queued', 'sending', 'sent')",
            )?,
    );
    expect("fee reserve", balance(Account::FeeReserve), open_payouts("max_fee_msat")?);
    expect("in suspense", -balance(Account::Suspense), suspense::open_msat(&snapshot)?);
    expect("clearing", balance(Account::Clearing), 0);
    expect(
        "routing paid",
        balance(Account::RoutingPaid),
        one("SELECT coalesce(sum(fee_msat), 0) FROM payouts WHERE status = 'paid'")?
            + one("SELECT coalesce(sum(fee_msat), 0) FROM offer_payouts WHERE status = 'paid'")?,
    );

    let (twice, at_once) = more_than_one_payout(&snapshot)?;
    if twice > 0 {
        problems.push(format!("{twice} vouchers were paid out more than once"));
    }
    if at_once > 0 {
        problems.push(format!("{at_once} vouchers have more than one payout under way"));
    }
    let loose = one(
        "SELECT count(*) FROM (SELECT v.state, coalesce(p.status, o.status) AS payout FROM vouchers v
             LEFT JOIN payouts p ON p.id = v.payout_id LEFT JOIN offer_payouts o ON o.id = v.offer_payout_id)
         WHERE (state IN ('claiming', 'returning') AND (payout IS NULL OR payout IN ('paid', 'failed')))
            OR (state IN ('redeemed', 'returned') AND (payout IS NULL OR payout <> 'paid'))
            OR (state IN ('open', 'expired') AND payout IN ('queued', 'dispatching', 'in_flight', 'unknown', 'paid'))",
    )?;
    if loose > 0 {
        problems.push(format!("{loose} vouchers disagree with their payout"));
    }

    let unlike = one("SELECT count(*) FROM charges c JOIN charge_offers o ON o.charge_id = c.id,
              (SELECT charge_id, sum(credited_msat) AS msat FROM charge_receipts GROUP BY charge_id) r
         WHERE r.charge_id = c.id AND c.family IN ('payments', 'l402') AND c.settled_by IS NOT 'internal'
           AND coalesce(c.received_msat, 0) <> r.msat")?;
    if unlike > 0 {
        problems
            .push(format!("{unlike} charges with an offer received something else than their receipts say"));
    }

    problems.extend(accounts_disagree(&snapshot, -balance(Account::Merchants))?);

    let kept_apart = one("SELECT count(*) FROM quarantine")?;
    if kept_apart > 0 {
        problems.push(format!("{kept_apart} events of the node could not be applied (table quarantine)"));
    }

    let mut warnings = Vec::new();
    for (account, what) in [
        (Account::Suspense, "came in and belongs to nobody we know"),
        (Account::Loss, "was paid although it had been given to somebody else"),
    ] {
        let msat = balance(account);
        if msat != 0 {
            warnings.push(format!("{} msat {what} (account {account})", msat.abs()));
        }
    }
    let owed_to =
        [Account::Holders, Account::Merchants, Account::Withheld, Account::InFlight, Account::Suspense];
    let owed_msat = -owed_to.into_iter().map(balance).sum::<i64>();
    Ok(Audit {
        clean: false,
        problems,
        warnings,
        owed_msat,
        accounts,
        spendable_msat: None,
        node: None,
        payouts: counts(
            &snapshot,
            "SELECT status, count(*) FROM (SELECT status FROM payouts UNION ALL SELECT status FROM offer_payouts)
             GROUP BY status",
        )?,
        vouchers: counts(&snapshot, "SELECT state, count(*) FROM vouchers GROUP BY state")?,
        counters: counters(&snapshot)?,
    })
}

/// Vouchers that were paid out more than once, and those with more than one payout under way, whatever was paid.
fn more_than_one_payout(snapshot: &Connection) -> Result<(i64, i64), LedgerError> {
    let vouchers = |which: &str| -> Result<i64, LedgerError> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT voucher FROM (
                 SELECT l.voucher_id AS voucher, p.status FROM voucher_payouts l JOIN payouts p ON p.id = l.payout_id
                 UNION ALL
                 SELECT l.voucher_id, p.status FROM voucher_offer_payouts l
                 JOIN offer_payouts p ON p.id = l.offer_payout_id)
             WHERE {which} GROUP BY voucher HAVING count(*) > 1)"
        );
        Ok(snapshot.query_row(&sql, [], |row| row.get(0))?)
    };
    Ok((vouchers("status = 'paid'")?, vouchers("status NOT IN ('paid', 'failed')")?))
}

/// What accounts have, against the books, their statements, and the rows that caused it.
fn accounts_disagree(snapshot: &Connection, merchants: i64) -> Result<Vec<String>, LedgerError> {
    let one = |sql: &str| -> Result<i64, LedgerError> { Ok(snapshot.query_row(sql, [], |row| row.get(0))?) };
    let mut problems = Vec::new();
    // Without any account nobody can have earned anything; tests of the ledger alone have none.
    if one("SELECT EXISTS (SELECT 1 FROM accounts)")? == 0 {
        return Ok(problems);
    }
    let sum = one("SELECT coalesce(sum(msat), 0) FROM account_balances")?;
    if sum != merchants {
        problems.push(format!("the books owe {merchants} msat to merchants, their accounts have {sum} msat"));
    }
    let mut statement = snapshot.prepare(
        "SELECT a.name, coalesce(b.msat, 0), coalesce(b.pending_msat, 0),
             (SELECT coalesce(sum(l.msat), 0) FROM account_lines l WHERE l.account_id = a.id),
             (SELECT coalesce(sum(p.received_msat - p.refunding_msat), 0) FROM payments p WHERE p.account_id = a.id)
               - (SELECT coalesce(sum(p.fee_msat), 0) FROM payments p WHERE p.account_id = a.id AND p.paid_at IS NOT NULL)
               + (SELECT coalesce(sum(e.received_msat - e.fee_msat), 0) FROM l402_earnings e WHERE e.account_id = a.id)
               + (SELECT coalesce(sum(o.received_msat - o.fee_msat - o.refunding_msat), 0) FROM shop_orders o
                  WHERE o.account_id = a.id)
               + (SELECT coalesce(sum(s.amount_msat), 0) FROM suspense_settlements s
                  WHERE s.account_id = a.id AND s.status = 'done')
               - (SELECT coalesce(sum(w.amount_msat - w.uncovered_msat), 0) FROM withdrawals w
                  WHERE w.account_id = a.id AND w.status <> 'failed')
               - (SELECT coalesce(sum(q.amount_msat - q.uncovered_msat), 0) FROM purse_payments q
                  WHERE q.account_id = a.id AND q.status <> 'failed')
               - (SELECT coalesce(sum(coalesce(f.charged_msat, f.reserve_msat)), 0) FROM fee_reserves f
                  WHERE f.account_id = a.id),
             (SELECT coalesce(sum(w.amount_msat + w.reserve_msat), 0) FROM withdrawals w
              WHERE w.account_id = a.id AND w.status = 'pending')
               + (SELECT coalesce(sum(q.amount_msat + q.reserve_msat), 0) FROM purse_payments q
                  WHERE q.account_id = a.id AND q.status = 'pending')
         FROM accounts a LEFT JOIN account_balances b ON b.account_id = a.id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    })?;
    for row in rows {
        let (name, kept, pending, lines, rows, open): (String, i64, i64, i64, i64, i64) = row?;
        if kept != lines || kept != rows {
            problems.push(format!(
                "account {name}: its balance is {kept} msat, its statement says {lines} msat, its payments, withdrawals and purses {rows} msat"
            ));
        }
        if pending != open {
            problems.push(format!(
                "account {name}: {pending} msat are noted as under way, its withdrawals say {open} msat"
            ));
        }
    }
    Ok(problems)
}

/// Coins that were perhaps never sent: a person has to look.
fn lost_coins(open: &[OnchainPayout], now: UnixMillis) -> Vec<String> {
    let late = |send: &&OnchainPayout| {
        let asked = send.sent_at.filter(|_| send.status != CoinStatus::Queued);
        let wait =
            if send.status == CoinStatus::Sending { coins::UNSEEN_AFTER } else { coins::UNBURIED_AFTER };
        asked.is_some_and(|at| at.saturating_add(millis(wait)) <= now)
    };
    let tell = |send: &OnchainPayout| {
        let name = send
            .txid
            .as_deref()
            .map_or_else(|| "no transaction is known".into(), |txid| format!("transaction {txid}"));
        format!(
            "{} to {} were perhaps never sent ({name}): look for them in a block explorer, then tell with `satchel coins settle {}`",
            send.amount, send.address, send.id
        )
    };
    open.iter().filter(late).map(tell).collect()
}

fn counts(connection: &Connection, sql: &str) -> Result<Vec<StatusCount>, LedgerError> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok(StatusCount { name: row.get(0)?, count: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A service that owes more than it can send has promised what it can't keep: a matter of liquidity, not
/// of the books.
fn compare_with_node(audit: &mut Audit, balances: &Balances) {
    audit.spendable_msat = Some(balances.outbound_msat);
    let owed = u64::try_from(audit.owed_msat).ok().and_then(Msat::new).unwrap_or(Msat::ZERO);
    let spendable = Msat::new(balances.outbound_msat).unwrap_or(Msat::ZERO);
    if owed > spendable {
        audit.warnings.push(format!(
            "{owed} are owed, but the channels can send only {spendable}: open a channel or wait for peers to return"
        ));
    }
}
