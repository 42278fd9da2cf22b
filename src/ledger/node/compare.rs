//! Reads the node, lays it beside the books, and books what follows.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::super::books::{Account, Journal, Kind};
use super::verdict::{self, Closed, Finding, Verdict};
use super::{ChannelState, Forward, Known, Role, Sums, explain, rows, wallet};
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::ledger::{Ledger, LedgerError};
use crate::lightning::{ClaimKind, Holdings};
use crate::storage::Tx;

/// How long a difference must stay as it is before it counts: longer than an event of LDK takes to be written down.
const STEADY: Duration = Duration::from_secs(2);

/// How long to wait between two readings.
const PAUSE: Duration = Duration::from_millis(250);

/// How the books stand to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Equal, to the msat and to the sat.
    Equal,
    /// Something is under way; what can be compared agrees.
    NotAtRest,
    /// They differ, and nothing explains it.
    Drift,
    /// The node can't be read.
    Unknown,
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// How they stand.
    pub state: State,
    /// What is under way, what differs, or why the node can't be read.
    pub why: Vec<String>,
    /// What the node has.
    pub node: Option<Sums>,
    /// What the books have there.
    pub booked: Option<Sums>,
    /// In HTLCs of both directions, in msat: in neither of the two.
    pub in_flight_msat: Option<i64>,
    /// The node's best block.
    pub height: Option<u32>,
    /// When they were last equal, unix milliseconds.
    pub last_equal_at: Option<UnixMillis>,
}

impl Comparison {
    fn unknown(why: String) -> Self {
        Self {
            state: State::Unknown,
            why: vec![why],
            node: None,
            booked: None,
            in_flight_msat: None,
            height: None,
            last_equal_at: None,
        }
    }

    fn of(state: State, why: Vec<String>, verdict: &Verdict, height: u32) -> Self {
        Self {
            state,
            why,
            node: Some(verdict.node),
            booked: Some(verdict.booked),
            in_flight_msat: Some(verdict.in_flight_msat),
            height: Some(height),
            last_equal_at: None,
        }
    }
}

/// One comparison at a time: `satchel audit` and the repeated one would book the same close twice, and the second be
/// refused. A process has one node.
static COMPARING: Mutex<()> = Mutex::new(());

/// Compares, and books what explains a difference. Blocks, for `patience` at most where the two differ: a difference
/// that changes meanwhile is something under way.
///
/// # Errors
/// The store's.
pub fn compare(ledger: &Ledger, patience: Duration) -> Result<Comparison, LedgerError> {
    compare_steady(ledger, patience, STEADY)
}

/// The same with another time that a difference must stay as it is.
pub(super) fn compare_steady(
    ledger: &Ledger,
    patience: Duration,
    steady_for: Duration,
) -> Result<Comparison, LedgerError> {
    let _one = COMPARING.lock().unwrap_or_else(PoisonError::into_inner);
    let until = Instant::now() + patience;
    let mut seen: Option<(Instant, Verdict)> = None;
    let mut comparison = loop {
        let (verdict, known, holdings) = match read(ledger)? {
            Ok(reading) => reading,
            Err(why) => break Comparison::unknown(why),
        };
        let height = holdings.height;
        match &verdict.finding {
            Finding::Equal => {
                note_equal(ledger, &verdict, &known, holdings)?;
                break Comparison::of(State::Equal, Vec::new(), &verdict, height);
            }
            Finding::NotAtRest(why) => {
                break Comparison::of(State::NotAtRest, why.clone(), &verdict, height);
            }
            Finding::Forwarded { real, repeated } if !real.is_empty() => {
                note_forwards(ledger, &verdict, real.clone(), repeated.clone())?;
                continue;
            }
            _ => {}
        }
        let steady = matches!(&seen, Some((at, before)) if *before == verdict && at.elapsed() >= steady_for);
        if steady {
            match verdict.finding.clone() {
                Finding::Drift(more) => {
                    let why = tell_drift(ledger, &known, &holdings, &verdict, more)?;
                    break Comparison::of(State::Drift, why, &verdict, height);
                }
                Finding::Forwarded { real, repeated } => note_forwards(ledger, &verdict, real, repeated)?,
                _ => post(ledger, &verdict, &holdings)?,
            }
            seen = None;
            continue;
        }
        if !matches!(&seen, Some((_, before)) if *before == verdict) {
            seen = Some((Instant::now(), verdict.clone()));
        }
        if Instant::now() >= until {
            let why = vec!["the node's balances are changing".into()];
            break Comparison::of(State::NotAtRest, why, &verdict, height);
        }
        std::thread::sleep(PAUSE.min(steady_for));
    };
    comparison.last_equal_at = ledger.store.read_blocking(rows::last_equal)?.map(|look| look.at);
    Ok(comparison)
}

type Reading = (Verdict, Known, Holdings);

/// One reading, after what needs no difference is booked.
fn read(ledger: &Ledger) -> Result<Result<Reading, String>, LedgerError> {
    if !ledger.lightning.is_running() {
        return Ok(Err("the node is not running".into()));
    }
    let events_wait = || ledger.lightning.next_event(Duration::ZERO).is_some();
    // Before and after: one that comes between is about what was read, or about what was not.
    let waited = events_wait();
    let holdings = match ledger.lightning.holdings() {
        Ok(holdings) => holdings,
        Err(why) => return Ok(Err(why)),
    };
    let mut known = ledger.store.read_blocking(rows::known)?;
    let noted = note_new_channels(ledger, &known, &holdings)?;
    if noted {
        known = ledger.store.read_blocking(rows::known)?;
    }
    let booked = if known.is_open {
        wallet::book(ledger, &known, &holdings)?
    } else {
        count_channels(ledger, &known, &holdings)?
    };
    if booked {
        known = ledger.store.read_blocking(rows::known)?;
    }
    let verdict = verdict::judge(&known, &holdings, waited || events_wait());
    Ok(Ok((verdict, known, holdings)))
}

/// Writes channels down that nobody knows, and what closing one may take. Whether any was new.
pub(super) fn note_new_channels(
    ledger: &Ledger,
    known: &Known,
    holdings: &Holdings,
) -> Result<bool, LedgerError> {
    let new: Vec<_> =
        holdings.channels.iter().filter(|held| known.channel(&held.channel).is_none()).cloned().collect();
    let cost = |claim: &crate::lightning::Claim| match claim.kind {
        ClaimKind::Unconfirmed { cost_sat } => Some((claim.channel.clone(), claim.amount_sat, cost_sat)),
        _ => None,
    };
    let unconfirmed: Vec<_> = holdings.claims.iter().filter_map(cost).collect();
    let is_news = |(channel, _, cost_sat): &(String, u64, u64)| {
        known.channel(channel).map_or(!known.is_open, |row| row.cost_sat < *cost_sat)
    };
    let unconfirmed: Vec<_> = unconfirmed.into_iter().filter(is_news).collect();
    if new.is_empty() && unconfirmed.is_empty() {
        return Ok(false);
    }
    let (is_open, now) = (known.is_open, ledger.clock.now());
    ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
        for held in &new {
            rows::add_channel(tx, held, ChannelState::Opening, now)?;
        }
        for (channel, amount_sat, cost_sat) in &unconfirmed {
            if !is_open {
                rows::add_closed_channel(tx, channel, *amount_sat, now)?;
            }
            rows::raise_cost(tx, channel, *cost_sat)?;
        }
        Ok(())
    })?;
    Ok(true)
}

/// Before the first comparison is over: channels that can be used are part of what is there.
fn count_channels(ledger: &Ledger, known: &Known, holdings: &Holdings) -> Result<bool, LedgerError> {
    let listed = |txid| holdings.transactions.iter().any(|listed| listed.txid == txid);
    let counts = |held: &&crate::lightning::ChannelHolding| {
        let usable = if held.outbound { listed(held.funding.txid) } else { held.ready };
        let opening = known.channel(&held.channel).is_some_and(|row| row.state == ChannelState::Opening);
        usable && opening
    };
    let ids: Vec<_> = holdings
        .channels
        .iter()
        .filter(counts)
        .filter_map(|held| known.channel(&held.channel).map(|row| row.id))
        .collect();
    if ids.is_empty() {
        return Ok(false);
    }
    ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
        for id in &ids {
            rows::advance_channel(tx, *id, ChannelState::Opening, ChannelState::Open)?;
        }
        Ok(())
    })?;
    Ok(true)
}

/// Writes down that all is equal; a look like the last only renews it.
fn note_equal(
    ledger: &Ledger,
    verdict: &Verdict,
    known: &Known,
    holdings: Holdings,
) -> Result<(), LedgerError> {
    let is_over = |channel: &str| {
        let listed = |txid| holdings.transactions.iter().any(|listed| listed.txid == txid);
        holdings.claims.iter().all(|claim| claim.channel != channel)
            && holdings
                .sweeps
                .iter()
                .all(|sweep| sweep.channel.as_deref() != Some(channel) || sweep.txid.is_some_and(listed))
    };
    let over: Vec<_> = known
        .channels
        .iter()
        .filter(|row| row.state == ChannelState::Closing && is_over(&row.channel))
        .map(|row| row.id)
        .collect();
    let channels = channels_text(&holdings);
    let (node, now) = (verdict.node, ledger.clock.now());
    ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
        match rows::last_equal(tx)? {
            Some(last) if last.node == node && last.channels == channels => {
                rows::renew_look(tx, last.id, holdings.height, now)?;
            }
            _ => {
                rows::add_look(tx, "equal", holdings.height, (&node, &node), &channels, now)?;
                for held in &holdings.channels {
                    rows::note_channel(tx, held)?;
                }
            }
        }
        for id in over {
            rows::advance_channel(tx, id, ChannelState::Closing, ChannelState::Closed)?;
        }
        Ok(())
    })
}

fn channels_text(holdings: &Holdings) -> String {
    let ours: BTreeMap<_, _> =
        holdings.channels.iter().map(|held| (held.channel.as_str(), held.ours_msat)).collect();
    serde_json::to_string(&ours).unwrap_or_default()
}

/// What a reading explains is booked only if the books still stand where they were.
fn unchanged(tx: &Tx<'_>, booked: Sums) -> Result<bool, LedgerError> {
    Ok(rows::sums(tx)? == booked)
}

fn note_forwards(
    ledger: &Ledger,
    verdict: &Verdict,
    real: Vec<Forward>,
    repeated: Vec<Forward>,
) -> Result<(), LedgerError> {
    let (booked, now) = (verdict.booked, ledger.clock.now());
    ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
        if !unchanged(tx, booked)? {
            return Ok(());
        }
        for forward in &repeated {
            rows::settle_forward(tx, forward.id, false)?;
        }
        post_forwards(tx, &real, now)
    })
}

fn post_forwards(tx: &Tx<'_>, real: &[Forward], now: UnixMillis) -> Result<(), LedgerError> {
    let mut fees = 0_i64;
    for forward in real {
        if rows::settle_forward(tx, forward.id, true)? {
            fees = fees.saturating_add(forward.fee_msat);
        }
    }
    let Some(last) = real.iter().map(|forward| forward.id).max() else { return Ok(()) };
    Journal::new(Kind::Forwarded, last)
        .signed(Account::Channels, fees)
        .signed(Account::ForwardingIncome, fees.saturating_neg())
        .post(tx, now)
}

/// Books what was found by difference, with the look that found it.
fn post(ledger: &Ledger, verdict: &Verdict, holdings: &Holdings) -> Result<(), LedgerError> {
    let (verdict, holdings, now) = (verdict.clone(), holdings.clone(), ledger.clock.now());
    ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
        if !unchanged(tx, verdict.booked)? {
            return Ok(());
        }
        let (node, booked) = (&verdict.node, &verdict.booked);
        let text = channels_text(&holdings);
        let look = rows::add_look(tx, "equal", holdings.height, (node, booked), &text, now)?;
        for held in &holdings.channels {
            rows::note_channel(tx, held)?;
        }
        crash_point!("books.before_commit");
        match &verdict.finding {
            Finding::Opening => open_books(tx, &verdict, &holdings, now),
            Finding::Closed(closed) => close_channels(tx, closed, look, now),
            Finding::Settled(msat) => Journal::new(Kind::ClosingSettled, look)
                .signed(Account::Closing, *msat)
                .signed(Account::ChainFees, msat.saturating_neg())
                .post(tx, now),
            _ => Ok(()),
        }
    })?;
    crash_point!("books.after_commit");
    Ok(())
}

/// What is there at first is what the operator put in, but for what the services' payments left.
fn open_books(
    tx: &Tx<'_>,
    verdict: &Verdict,
    holdings: &Holdings,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let more = verdict.node.less(verdict.booked);
    let all = more.channels_msat.saturating_add(more.closing_msat).saturating_add(more.wallet_msat);
    for listed in &holdings.transactions {
        rows::add_transaction(tx, listed, Role::Before, None, now)?;
    }
    rows::mark_opening(tx)?;
    Journal::new(Kind::NodeOpening, 1)
        .signed(Account::Channels, more.channels_msat)
        .signed(Account::Closing, more.closing_msat)
        .signed(Account::Onchain, more.wallet_msat)
        .signed(Account::Capital, all.saturating_neg())
        .post(tx, now)?;
    tracing::info!(?more, "the books know the node from now on");
    Ok(())
}

fn close_channels(tx: &Tx<'_>, closed: &Closed, look: i64, now: UnixMillis) -> Result<(), LedgerError> {
    for id in &closed.rows {
        if !rows::advance_channel(tx, *id, ChannelState::Open, ChannelState::Closing)? {
            return Err(LedgerError::Broken(format!("the channel of row {id} was closed already")));
        }
    }
    post_forwards(tx, &closed.forwards, now)?;
    tracing::info!(?closed, "closed channels are booked");
    Journal::new(Kind::ChannelsClosed, look)
        .signed(Account::Channels, closed.from_channels_msat.saturating_neg())
        .signed(Account::Closing, closed.to_closing_msat)
        .signed(Account::ChainFees, closed.cost_msat)
        .post(tx, now)
}

/// A difference that nothing explains: what a person needs to look into it.
fn tell_drift(
    ledger: &Ledger,
    known: &Known,
    holdings: &Holdings,
    verdict: &Verdict,
    more: Sums,
) -> Result<Vec<String>, LedgerError> {
    let why = {
        let (known, holdings) = (known.clone(), holdings.clone());
        ledger.store.read_blocking(move |connection| explain::drift(connection, &known, &holdings, more))?
    };
    let (node, booked, now) = (verdict.node, verdict.booked, ledger.clock.now());
    let (height, text) = (holdings.height, channels_text(holdings));
    ledger.store.write_blocking(move |tx| {
        rows::add_look(tx, "drift", height, (&node, &booked), &text, now).map(drop)
    })?;
    Ok(why)
}
