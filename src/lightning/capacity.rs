//! What the node can receive, asked once a second at most, however many ask for invoices.
//!
//! A yes is given from memory at once while it is young; a new one is fetched meanwhile if it isn't quite. One that
//! is old is worth nothing: the node is asked first, and who asks waits a moment for it. A no is never given from
//! memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Node;
use crate::money::Msat;

/// How old an answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    /// A younger one is as good as new.
    pub(crate) fresh: Duration,
    /// An older one doesn't count.
    pub(crate) stale: Duration,
    /// How long the node may take for a new one.
    pub(crate) patience: Duration,
}

const AGES: Ages =
    Ages { fresh: Duration::from_secs(1), stale: Duration::from_secs(10), patience: Duration::from_secs(2) };

/// Never asked.
const NEVER: i64 = -1;

/// Why an invoice could not be paid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapacity {
    /// The node isn't running.
    #[error("the node is not running")]
    NotRunning,
    /// No channel can receive that much.
    #[error("no channel can receive that much")]
    TooLittle,
}

/// The node's room for money that comes in.
pub struct Capacity(Arc<State>);

struct State {
    node: Node,
    began: Instant,
    /// The largest payment that could come in, in msat.
    inbound: AtomicU64,
    /// Milliseconds since `began` of the last answer.
    asked_at: AtomicI64,
    asking: AtomicBool,
    /// Who has it asks; the others wait for what it brings.
    turn: Mutex<()>,
    ages: Ages,
}

impl Capacity {
    /// Of this node.
    pub fn new(node: Node) -> Self {
        Self::with(node, AGES)
    }

    pub(crate) fn with(node: Node, ages: Ages) -> Self {
        Self(Arc::new(State {
            node,
            began: Instant::now(),
            inbound: AtomicU64::new(0),
            asked_at: AtomicI64::new(NEVER),
            asking: AtomicBool::new(false),
            turn: Mutex::new(()),
            ages,
        }))
    }

    /// Whether an invoice over `amount` could be paid.
    ///
    /// # Errors
    /// [`NoCapacity::NotRunning`], [`NoCapacity::TooLittle`].
    pub async fn check(&self, amount: Msat) -> Result<(), NoCapacity> {
        let fits = |state: &State| amount.get() <= state.inbound.load(Ordering::Acquire);
        let ages = self.0.ages;
        // A no is never given from memory: a channel may have opened just now. Nor is an old yes.
        if let Some(age) = self.0.age().filter(|age| *age <= ages.stale)
            && fits(&self.0)
        {
            if age > ages.fresh && !self.0.asking.swap(true, Ordering::AcqRel) {
                let state = Arc::clone(&self.0);
                tokio::spawn(async move {
                    let asked = state.ask().await;
                    state.asking.store(false, Ordering::Release);
                    asked
                });
            }
            return Ok(());
        }
        let asked = tokio::time::timeout(ages.patience, self.0.ask_unless_younger(ages.fresh / 10)).await;
        asked.unwrap_or(Err(NoCapacity::NotRunning))?;
        if fits(&self.0) { Ok(()) } else { Err(NoCapacity::TooLittle) }
    }
}

impl State {
    fn age(&self) -> Option<Duration> {
        let asked_at = u64::try_from(self.asked_at.load(Ordering::Acquire)).ok()?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(asked_at)))
    }

    async fn ask_unless_younger(&self, age: Duration) -> Result<(), NoCapacity> {
        let _turn = self.turn.lock().await;
        if self.age().is_some_and(|known| known <= age) { Ok(()) } else { self.ask().await }
    }

    async fn ask(&self) -> Result<(), NoCapacity> {
        let asked = self.node.ask(|node| node.is_running().then(|| node.balances())).await;
        let balances = asked.ok().flatten().ok_or(NoCapacity::NotRunning)?;
        self.inbound.store(balances.inbound_max_msat, Ordering::Release);
        let now = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.asked_at.store(now, Ordering::Release);
        Ok(())
    }
}
