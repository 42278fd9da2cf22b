//! What nobody redeemed in time goes back to where its sender wanted it, by itself.
//!
//! ```text
//! expired ──due──▶ put off ──address asked──▶ invoice ──one transaction──▶ returning ──paid──▶ returned
//!                     ▲                                                       │
//!                     └────────────────────── failed ─────────────────────────┘
//! ```
//!
//! An address gives another invoice at each asking, so the invoice is written down with the payout before
//! anything is paid, and while that payout lives the voucher isn't due: there are never two. The next try is
//! put off, durably, before this one begins: whatever happens in between, an address is not asked in a
//! hurry.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use lightning_invoice::Bolt11Invoice;

use super::{Change, Claim, Redeemer, Voucher, Vouchers, by_id, put_off_return, redeem, to_return};
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, millis};
use crate::ledger::{Ledger, LedgerError};
use crate::lightning::invoice;

/// The first pause between two tries; each pause is as long as all the time before it.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Vouchers looked at in one round.
const ROUND: usize = 64;

/// Addresses asked at once.
const AT_ONCE: usize = 8;

/// Turns an address into an invoice over exactly this amount. Checked by the implementation: network,
/// signature, expiry.
pub trait Resolve: Send + Sync + 'static {
    /// Asks. The error's text is for the log and names no address.
    fn invoice<'a>(&'a self, address: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>>;
}

/// The most that routing a payout of some amount may cost.
pub type MaxFee = Arc<dyn Fn(Msat) -> Msat + Send + Sync>;

/// Gives back what is due.
#[derive(Clone)]
pub struct Returns {
    /// Books, store, clock, node.
    pub ledger: Ledger,
    /// Whom to tell.
    pub vouchers: Vouchers,
    /// Asks addresses.
    pub resolve: Arc<dyn Resolve>,
    /// What it may cost.
    pub max_fee: MaxFee,
}

impl Returns {
    /// Tries every voucher whose time has come, some at once; answers how many payouts began.
    ///
    /// # Errors
    /// The store's. What an address does wrong is logged and tried again later.
    pub async fn round(&self) -> Result<usize, LedgerError> {
        let now = self.ledger.clock.now();
        let due = self.ledger.store.read(move |connection| to_return(connection, now, ROUND)).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let lightning = Arc::clone(&self.ledger.lightning);
        let running = tokio::task::spawn_blocking(move || lightning.is_running()).await;
        if !running.unwrap_or(false) {
            return Ok(0);
        }
        let tries = stream::iter(due).map(|voucher| self.try_one(voucher)).buffer_unordered(AT_ONCE);
        let outcomes: Vec<_> = tries.collect().await;
        outcomes
            .into_iter()
            .try_fold(0_usize, |begun, outcome| Ok(begun.saturating_add(usize::from(outcome?))))
    }

    async fn try_one(&self, voucher: Voucher) -> Result<bool, LedgerError> {
        let Some(address) = voucher.return_to.clone() else { return Ok(false) };
        let (id, next) = (voucher.id, next_try(&voucher, self.ledger.clock.now()));
        self.ledger.store.write(move |tx| put_off_return(tx, id, next)).await?;
        let invoice = match self.resolve.invoice(&address, voucher.amount).await {
            Ok(invoice) => invoice,
            Err(error) => {
                tracing::info!(voucher = %id, %error, "an expired voucher can't go back yet");
                return Ok(false);
            }
        };
        // Whoever gives the address could hold what goes there, as any recipient could.
        let (network, now) = (self.ledger.lightning.network(), self.ledger.clock.now());
        if invoice::check_payable(&invoice, network, now, Duration::ZERO).is_err() {
            tracing::info!(voucher = %id, "an address gives an invoice for an expired voucher that is not paid: it is over, of another network, or may be held for days");
            return Ok(false);
        }
        let (this, max_fee) = (self.clone(), (self.max_fee)(voucher.amount));
        let begun = self.ledger.store.write(move |tx| {
            let claim = redeem(tx, &this.ledger, &[id], Redeemer::Sender, &invoice, max_fee)?;
            let payout = match claim {
                Ok(Claim::Started(payout)) => payout,
                Ok(Claim::Same(_)) => return Ok(false),
                Err(refused) => {
                    tracing::info!(voucher = %id, %refused, "an expired voucher did not go back");
                    return Ok(false);
                }
            };
            this.vouchers.tell(tx, id, &Change::Claiming(payout))?;
            Ok::<_, LedgerError>(by_id(tx, id)?.payout.is_some())
        });
        begun.await
    }
}

/// When a voucher is tried again: after as long as it has been waiting already.
fn next_try(voucher: &Voucher, now: UnixMillis) -> UnixMillis {
    let since = voucher.expires_at.unwrap_or(voucher.created_at);
    let waited = now.saturating_sub(since).clamp(millis(SHORTEST_PAUSE), millis(LONGEST_PAUSE));
    now.saturating_add(waited)
}
