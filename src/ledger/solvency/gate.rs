//! Decides whether something may be sold. The node and the books are read at most about once a second, whatever the
//! number of requests.
//!
//! The last reading is reused for `Ages::fresh`. Until `Ages::stale` it still allows a sale, and a new one is taken
//! in the background. After that the request waits for a new reading. A refusal always comes from a new reading.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{Owed, WhenShort};
use crate::core::money::Msat;
use crate::ledger::Ledger;
use crate::lightning::{Model, Node, Shortfall};
use crate::storage::Store;

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
    Ages { fresh: Duration::from_secs(1), stale: Duration::from_secs(3), patience: Duration::from_secs(2) };

/// Never asked.
const NEVER: i64 = -1;

/// Why something is not sold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapacity {
    /// The node isn't running.
    #[error("the node is not running")]
    NotRunning,
    /// So much can't come in.
    #[error("{0}")]
    Inbound(Shortfall),
    /// It could come in, but never go out again in one payment.
    #[error("{0}")]
    Outbound(Shortfall),
    /// What is owed already can't be paid out, by so much.
    #[error("the channels can send {} sat less than is owed", .0.sat_floor().max(1))]
    Short(Msat),
}

/// What is to be sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sale {
    /// Somebody will be paid out `largest` in one payment, and others the rest.
    Vouchers {
        /// What comes in for them all, fees included.
        comes: Msat,
        /// What they hold together.
        owed: Msat,
        /// The largest payment that one of them can ask for.
        largest: Msat,
    },
    /// What comes in is owed to a merchant, who may take it out in parts.
    Merchant {
        /// What comes in.
        comes: Msat,
    },
    /// What comes in is the operator's.
    Own {
        /// What comes in.
        comes: Msat,
    },
}

impl Sale {
    /// What comes in.
    pub const fn comes(self) -> Msat {
        match self {
            Self::Vouchers { comes, .. } | Self::Merchant { comes } | Self::Own { comes } => comes,
        }
    }
}

/// Says whether something can be sold.
pub struct Gate(Arc<State>);

struct State {
    node: Node,
    store: Store,
    when_short: WhenShort,
    began: Instant,
    known: RwLock<(Model, Owed)>,
    /// Milliseconds since `began` of the last answer.
    asked_at: AtomicI64,
    asking: AtomicBool,
    /// Held by the request that takes a new reading; other requests wait for it.
    turn: Mutex<()>,
    ages: Ages,
}

impl Gate {
    /// Of this node and these books.
    pub fn new(node: Node, ledger: &Ledger) -> Self {
        Self::with(node, ledger, AGES)
    }

    pub(crate) fn with(node: Node, ledger: &Ledger, ages: Ages) -> Self {
        Self(Arc::new(State {
            node,
            store: ledger.store.clone(),
            when_short: ledger.settings.when_short,
            began: Instant::now(),
            known: RwLock::default(),
            asked_at: AtomicI64::new(NEVER),
            asking: AtomicBool::new(false),
            turn: Mutex::new(()),
            ages,
        }))
    }

    /// Whether this can be sold now: paid for, and what is promised for it kept.
    ///
    /// # Errors
    /// [`NoCapacity`].
    pub async fn check(&self, sale: Sale) -> Result<(), NoCapacity> {
        let ages = self.0.ages;
        // A no is never given from memory: a channel may have opened just now. Nor is an old yes.
        if let Some(age) = self.0.age().filter(|age| *age <= ages.stale)
            && self.0.judge(sale).is_ok()
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
        match self.0.judge(sale) {
            Err(why @ (NoCapacity::Outbound(_) | NoCapacity::Short(_)))
                if self.0.when_short == WhenShort::Warn =>
            {
                tracing::warn!(%why, "something was sold that may not be redeemable now");
                Ok(())
            }
            judged => judged,
        }
    }
}

/// What these channels and books say to a sale.
pub(super) fn judge(model: &Model, owed: &Owed, sale: Sale) -> Result<(), NoCapacity> {
    let comes = sale.comes();
    if let Some(shortfall) = model.no_way_in(comes) {
        return Err(NoCapacity::Inbound(shortfall));
    }
    let (resting, total) = (owed.resting(), owed.total().saturating_sub(owed.fee_reserve));
    let short = match sale {
        Sale::Own { .. } => return Ok(()),
        Sale::Vouchers { owed: new, largest, .. } => {
            if let Some(shortfall) = model.no_way_out_after(comes, largest) {
                return Err(NoCapacity::Outbound(shortfall));
            }
            let remains = model.remains_of(comes);
            let missing = |owed: u64, has: u64| {
                owed.saturating_add(new.get()).saturating_sub(has.saturating_add(remains))
            };
            missing(resting, model.in_hand_msat).min(missing(total, model.spendable_msat))
        }
        // Reserves come back when a channel is closed: they cover what is not to be redeemed at once.
        Sale::Merchant { .. } => {
            let in_hand = model.owned_msat.saturating_sub(model.pending_msat);
            resting.saturating_sub(in_hand).min(total.saturating_sub(model.owned_msat))
        }
    };
    match Msat::new(short) {
        Some(Msat::ZERO) => Ok(()),
        short => Err(NoCapacity::Short(short.unwrap_or(Msat::MAX))),
    }
}

impl State {
    fn judge(&self, sale: Sale) -> Result<(), NoCapacity> {
        let (model, owed) = *self.known.read().unwrap_or_else(PoisonError::into_inner);
        judge(&model, &owed, sale)
    }

    fn age(&self) -> Option<Duration> {
        let asked_at = u64::try_from(self.asked_at.load(Ordering::Acquire)).ok()?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(asked_at)))
    }

    async fn ask_unless_younger(&self, age: Duration) -> Result<(), NoCapacity> {
        let _turn = self.turn.lock().await;
        if self.age().is_some_and(|known| known <= age) { Ok(()) } else { self.ask().await }
    }

    async fn ask(&self) -> Result<(), NoCapacity> {
        let asked = self.node.ask(|node| node.is_running().then(|| Model::of(&node.channel_rooms()))).await;
        let model = asked.ok().flatten().ok_or(NoCapacity::NotRunning)?;
        let owed = self.store.read(Owed::read).await.map_err(|error| {
            tracing::warn!(%error, "what is owed can't be read");
            NoCapacity::NotRunning
        })?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = (model, owed);
        let now = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.asked_at.store(now, Ordering::Release);
        Ok(())
    }
}
