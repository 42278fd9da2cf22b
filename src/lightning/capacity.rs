//! What the node can receive, asked once a second at most, however many ask for invoices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Node;
use crate::money::Msat;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

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
}

impl Capacity {
    /// Of this node.
    pub fn new(node: Node) -> Self {
        Self(Arc::new(State {
            node,
            began: Instant::now(),
            inbound: AtomicU64::new(0),
            asked_at: AtomicI64::new(NEVER),
            asking: AtomicBool::new(false),
        }))
    }

    /// Whether an invoice over `amount` could be paid.
    ///
    /// # Errors
    /// [`NoCapacity::NotRunning`], [`NoCapacity::TooLittle`].
    pub async fn check(&self, amount: Msat) -> Result<(), NoCapacity> {
        let fits = |state: &State| amount.get() <= state.inbound.load(Ordering::Acquire);
        let age = self.0.age();
        // A no is never given from memory: a channel may have opened just now.
        if age.is_some() && fits(&self.0) {
            if age.is_some_and(|age| age > FRESH) && !self.0.asking.swap(true, Ordering::AcqRel) {
                let state = Arc::clone(&self.0);
                tokio::spawn(async move {
                    let asked = state.ask().await;
                    state.asking.store(false, Ordering::Release);
                    asked
                });
            }
            return Ok(());
        }
        if age.is_none_or(|age| age > FRESH / 10) {
            self.0.ask().await?;
        }
        if fits(&self.0) { Ok(()) } else { Err(NoCapacity::TooLittle) }
    }
}

impl State {
    fn age(&self) -> Option<Duration> {
        let asked_at = u64::try_from(self.asked_at.load(Ordering::Acquire)).ok()?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(asked_at)))
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
