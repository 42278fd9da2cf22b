//! Paying tips out: to an invoice, an offer, a lightning address or a name, to a wallet that scanned a code.
//!
//! All ways end in [`Tips::pay_in`], one transaction: which tips are meant, whether they may go, the payout. A
//! second withdrawal of a tip whose payout runs is refused, unless it carries the same invoice or offer: then it is the
//! same withdrawal. An offer can be paid any number of times: what can be withdrawn by then is withdrawn to it, and
//! each tip goes once.

use std::str::FromStr;
use std::time::Duration;

use axum::http::StatusCode;
use rusqlite::Connection;
use tokio::time::Instant;

use super::ids::Cuid;
use super::status::OnboardingFlow;
use super::store::{self, Tip};
use super::{TipError, Tips, lookup, save};
use crate::core::ids::{UserId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::http::client::source;
use crate::http::idempotency::IdempotencyKey;
use crate::ledger::{Family, Outgoing, PayoutKey, PayoutStatus, charges, offer_payouts, outgoing, payouts};
use crate::lightning::bolt12::PayableOffer;
use crate::lightning::invoice;
use crate::outbound::lnurl::payee::{PayTo, Payee};
use crate::storage::Tx;
use crate::vouchers::{self, Change, Claim, Redeemer, Refused, ToOffer, VoucherListener, VoucherState};

/// Tips paid out together at most.
pub(super) const MOST_TIPS: usize = 500;

/// The code of [`nothing`].
pub(super) const NOTHING: &str = "NOTHING_TO_WITHDRAW";

/// Tips that may be tried again at once after a failure; more only after a while, because each try costs rows.
const FEW: usize = 10;

/// How long after a try many tips may be tried again.
const RETRY_MS: i64 = 30_000;

/// How often it looks by itself, should it miss the news.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whose sats go where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// What somebody has claimed.
    Tippee,
    /// What a tipper has got back.
    Tipper,
    /// One tip that anybody with its link may withdraw.
    Anonymous,
}

impl Flow {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tippee => "tippee",
            Self::Tipper => "tipper",
            Self::Anonymous => "anonymous",
        }
    }

    /// Who takes the sats, as the vouchers see it.
    pub(super) const fn taker(self) -> Redeemer {
        match self {
            Self::Tippee | Self::Anonymous => Redeemer::Recipient,
            Self::Tipper => Redeemer::Sender,
        }
    }
}

impl FromStr for Flow {
    type Err = TipError;

    fn from_str(name: &str) -> Result<Self, TipError> {
        [Self::Tippee, Self::Tipper, Self::Anonymous].into_iter().find(|flow| flow.name() == name).ok_or_else(
            || TipError::Invalid {
                code: "FLOW_INVALID",
                message: "flow must be \"tippee\", \"tipper\" or \"anonymous\"".into(),
            },
        )
    }
}

/// What somebody wants to withdraw.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose sats.
    pub flow: Flow,
    /// Who asks, if they are known.
    pub user: Option<UserId>,
    /// Only this tip.
    pub tip: Option<Cuid>,
}

impl Asked {
    /// Whether a payout of this tip may be one that this same asker began.
    fn may_have_begun(&self, tip: &Tip) -> bool {
        match self.flow {
            Flow::Tippee => tip.tippee.map(|(id, _)| id) == self.user && self.user.is_some(),
            Flow::Tipper => Some(tip.tipper) == self.user,
            Flow::Anonymous => tip.tippee.is_none() && Some(tip.public_id) == self.tip,
        }
    }
}

/// Tips that can be withdrawn together.
pub(super) struct Withdrawable {
    pub(super) tips: Vec<VoucherId>,
    pub(super) amount: Msat,
}

/// How a withdrawal stands when the answer is given.
pub enum Outcome {
    /// The sats have arrived.
    Paid,
    /// They are still under way.
    Pending {
        /// The withdrawal's id.
        id: String,
    },
}

impl Tips {
    /// Pays to an invoice, or to an offer, a lightning address or a name whatever can be withdrawn, and waits a while for
    /// the end.
    ///
    /// # Errors
    /// [`TipError::Unauthorized`], [`TipError::NotFound`], [`TipError::Invalid`], [`TipError::Conflict`],
    /// [`TipError::AddressRefuses`], [`TipError::Unavailable`]; the store's. After an error the sats are where they
    /// were.
    pub async fn withdraw(
        &self,
        asked: Asked,
        target: &str,
        ask: Option<IdempotencyKey>,
    ) -> Result<Outcome, TipError> {
        let end = Instant::now() + self.rules().patience;
        let asked_before = ask.clone();
        let begun = self.store().read(move |connection| begun(connection, asked_before.as_ref())).await?;
        if let Some(payout) = begun {
            return self.wait(payout, end).await;
        }
        let to = match self.0.parts.payees.read(target)? {
            Payee::Invoice(invoice) => PayTo::Invoice(invoice),
            Payee::Offer(offer) => PayTo::Offer(offer),
            Payee::Address(address) => {
                let wanted = asked.clone();
                let now = self.now();
                let purse =
                    self.store().read(move |connection| purse(connection, &wanted, now, MOST_TIPS)).await?;
                self.ask_address(&address, purse.amount).await?
            }
        };
        let payout = self.begin(asked, to, ask).await?;
        crash_point!("tip.after_withdraw");
        self.wait(payout, end).await
    }

    pub(super) async fn ask_address(&self, address: &str, amount: Msat) -> Result<PayTo, TipError> {
        Ok(self.0.parts.payees.find(address, amount).await?)
    }

    /// Queues the payout.
    async fn begin(
        &self,
        asked: Asked,
        to: PayTo,
        ask: Option<IdempotencyKey>,
    ) -> Result<Outgoing, TipError> {
        let running = self.0.parts.node.ask(|node| node.is_running()).await.unwrap_or(false);
        let (tips, now, source) = (self.clone(), self.now(), source());
        let written = self.store().write(move |tx| -> Result<Outgoing, TipError> {
            if let Some(same) = match begun(tx, ask.as_ref())? {
                Some(before) => Some(before),
                None => same(tx, &asked, &to)?,
            } {
                return Ok(same);
            }
            let purse = match (purse(tx, &asked, now, MOST_TIPS), &to) {
                (Ok(purse), _) => purse,
                // What there was goes to this very offer already.
                (Err(refused), PayTo::Offer(offer)) => {
                    return same_offer(tx, &asked, offer)?.ok_or(refused);
                }
                (Err(refused), PayTo::Invoice(_)) => return Err(refused),
            };
            if !running {
                return Err(TipError::Unavailable);
            }
            let payout = tips.pay_in(tx, &purse.tips, asked.flow.taker(), &to, now)?;
            outgoing::note_source(tx, payout.key(), source.as_deref())?;
            save(tx, ask.as_ref(), StatusCode::ACCEPTED, payout.public_id().as_bytes(), now)?;
            Ok(payout)
        });
        written.await
    }

    /// One payout for these tips.
    pub(super) fn pay_in(
        &self,
        tx: &Tx<'_>,
        ids: &[VoucherId],
        taker: Redeemer,
        to: &PayTo,
        now: UnixMillis,
    ) -> Result<Outgoing, TipError> {
        let rules = self.rules();
        let tried = match ids {
            [first, ..] if ids.len() > FEW => store::tip(tx, *first)?.and_then(|tip| tip.withdrawal_at),
            _ => None,
        };
        if tried.is_some_and(|at| at > now.saturating_sub(RETRY_MS)) {
            return Err(TipError::TooMany { retry_after: 30 });
        }
        let max_fee = |amount| rules.max_fee(amount);
        let claim = match to {
            PayTo::Invoice(invoice) => {
                invoice::check_payable(invoice, rules.network, now, rules.min_invoice_expiry)?;
                let amount = invoice.amount_milli_satoshis().and_then(Msat::new).unwrap_or(Msat::ZERO);
                vouchers::redeem(tx, self.ledger(), ids, taker, invoice, max_fee(amount))??
            }
            PayTo::Offer(offer) => {
                let to = ToOffer { offer, taker, max_fee: &max_fee };
                match vouchers::redeem_to_offer(tx, self.ledger(), ids, to)? {
                    Err(Refused::WrongAmount) => return Err(OFFER_AMOUNT),
                    claim => claim?,
                }
            }
        };
        let payout = match claim {
            Claim::Same(payout) => return Ok(payout),
            Claim::Started(payout) => payout,
        };
        for id in ids {
            store::note_withdrawal(tx, *id, now)?;
            let voucher = vouchers::by_id(tx, *id)?;
            self.notifier().changed(tx, &voucher, &Change::Claiming(payout.clone()))?;
        }
        Ok(payout)
    }

    /// Waits for a payout's end, but not for ever.
    async fn wait(&self, payout: Outgoing, end: Instant) -> Result<Outcome, TipError> {
        let key = payout.key();
        let topic = {
            let first = self.store().read(move |connection| store::first_of_payout(connection, key)).await?;
            first.map(|id| id.topic()).unwrap_or_default()
        };
        let mut news = self.notifier().hub().subscribe(&topic);
        loop {
            let current = self.store().read(move |connection| outgoing::by_key(connection, key)).await?;
            match current.status() {
                PayoutStatus::Paid => return Ok(Outcome::Paid),
                PayoutStatus::Failed => {
                    return Err(TipError::Conflict {
                        code: "WITHDRAWAL_FAILED",
                        message: match key {
                            PayoutKey::Invoice(_) => {
                                "The payment failed and the sats are where they were; try a fresh invoice"
                            }
                            PayoutKey::Offer(_) => {
                                "The payment failed and the sats are where they were; try again, or give an invoice"
                            }
                        },
                    });
                }
                _ if Instant::now() >= end => {
                    return Ok(Outcome::Pending { id: current.public_id().to_owned() });
                }
                _ => {
                    // The server is about to stop: the sats go on by themselves.
                    if tokio::time::timeout(LOOK_EVERY, news.changed()).await == Ok(false) {
                        return Ok(Outcome::Pending { id: current.public_id().to_owned() });
                    }
                }
            }
        }
    }
}

/// The payout that a request with this `Idempotency-Key` began before: what is kept of its answer is the payout's
/// id, since how it ends is not known when it begins.
fn begun(connection: &Connection, ask: Option<&IdempotencyKey>) -> Result<Option<Outgoing>, TipError> {
    let Some(recorded) = lookup(connection, ask)? else { return Ok(None) };
    let id = String::from_utf8(recorded.body).map_err(|_| TipError::Internal)?;
    Ok(Some(outgoing::by_public_id(connection, &id)?.ok_or(TipError::Internal)?))
}

/// The payout that this very request began before, by its invoice.
fn same(tx: &Tx<'_>, asked: &Asked, to: &PayTo) -> Result<Option<Outgoing>, TipError> {
    let PayTo::Invoice(invoice) = to else { return Ok(None) };
    let known = payouts::by_hash(tx, charges::hash_of(invoice))?;
    let Some(payout) = known.filter(|payout| payout.family == Family::Tips) else { return Ok(None) };
    if payout.status == PayoutStatus::Failed {
        return Ok(None);
    }
    let tips = store::tips_of_payout(tx, payout.id)?;
    let theirs = tips.first().is_some_and(|tip| asked.may_have_begun(tip));
    Ok(theirs.then_some(Outgoing::Invoice(payout)))
}

/// The payout to this same offer of what is asked for: of one tip, if that was not in vain; of all, if it is under way.
/// An offer may be paid again and again, so what has arrived says nothing of what there is now.
fn same_offer(tx: &Tx<'_>, asked: &Asked, offer: &PayableOffer) -> Result<Option<Outgoing>, TipError> {
    let taker = asked.flow.taker();
    let Some(id) = asked.tip else {
        let Some(user) = asked.user else { return Ok(None) };
        let found = store::under_way_to_offer(tx, user, taker, &offer.text)?;
        return Ok(match found {
            Some(id) => Some(Outgoing::Offer(offer_payouts::by_id(tx, id)?)),
            None => None,
        });
    };
    let Some(tip) = store::by_public_id(tx, id)? else { return Ok(None) };
    let theirs = asked.may_have_begun(&tip)
        && (asked.flow != Flow::Anonymous || tip.onboarding_flow == OnboardingFlow::Skip);
    if !theirs {
        return Ok(None);
    }
    Ok(vouchers::same_offer(tx, &[tip.id], taker, offer)?.map(Outgoing::Offer))
}

/// What can be withdrawn now.
pub(super) fn purse(
    connection: &Connection,
    asked: &Asked,
    now: UnixMillis,
    most: usize,
) -> Result<Withdrawable, TipError> {
    let found: Vec<(VoucherId, Msat)> = match asked.flow {
        Flow::Anonymous => {
            let id = asked.tip.ok_or_else(|| TipError::bad_request("tipId must name the tip"))?;
            let tip = store::by_public_id(connection, id)?.ok_or(TipError::NotFound)?;
            anonymous(&tip, now)?;
            vec![(tip.id, tip.amount)]
        }
        flow => {
            let user = asked.user.ok_or(TipError::Unauthorized)?;
            let only = match asked.tip {
                None => None,
                Some(id) => Some(store::by_public_id(connection, id)?.ok_or(TipError::NotFound)?.id),
            };
            match flow {
                // Who can't have all of it has a better chance with what is small.
                Flow::Tipper => store::reclaimed(connection, user, only, most, most < MOST_TIPS)?,
                _ => store::withdrawable(connection, user, now, only, most)?,
            }
        }
    };
    if found.is_empty() {
        return Err(nothing());
    }
    let sum = found.iter().try_fold(Msat::ZERO, |sum, (_, amount)| sum.checked_add(*amount));
    let tips = found.into_iter().map(|(id, _)| id).collect();
    Ok(Withdrawable { tips, amount: sum.ok_or(TipError::Internal)? })
}

/// An offer asks for another amount.
const OFFER_AMOUNT: TipError = TipError::Conflict {
    code: "AMOUNT_MISMATCH",
    message: "The offer must be for exactly what can be withdrawn, or leave the amount open",
};

/// There is nothing to withdraw.
pub(super) const fn nothing() -> TipError {
    TipError::Conflict { code: NOTHING, message: "No tips are available to withdraw" }
}

/// Whether anybody with its link may withdraw a tip now.
pub(super) fn anonymous(tip: &Tip, now: UnixMillis) -> Result<(), TipError> {
    if tip.onboarding_flow != OnboardingFlow::Skip {
        return Err(TipError::NotFound);
    }
    if let Some(refused) = vouchers::refusal_of(tip.state) {
        return Err(refused.into());
    }
    if tip.tippee.is_some() {
        return Err(TipError::Conflict { code: "TIP_CLAIMED", message: "Somebody has claimed the tip" });
    }
    if tip.state == VoucherState::Open && tip.expires_at <= now {
        return Err(vouchers::Refused::Expired.into());
    }
    Ok(())
}
