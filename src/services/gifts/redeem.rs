//! Taking a gift: one transaction decides, or says why not.
//!
//! A lightning address or a name is asked before that transaction, once it is known that the gift may be taken. Its
//! invoice, or its offer, is written down with the payout, in the transaction that takes the voucher, and paid after it:
//! whatever dies in between, an address is paid once or not at all. An offer can be paid any number of times; the gift
//! can't, and the same offer again is the same redemption.

use axum::http::StatusCode;

use super::codes::Guess;
use super::error::GiftError;
use super::ids::OrderId;
use super::lock::Verdict;
use super::store::{self, Gift};
use super::view::{self, RedeemedView};
use super::{Done, Gifts, judge_and_count};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::http::client::source;
use crate::http::idempotency::{IdempotencyKey, Recorded, lookup, save};
use crate::ledger::{Family, Outgoing, PayoutStatus, outgoing};
use crate::lightning::invoice::{self, BadInvoice};
use crate::outbound::lnurl::payee::{PayTo, Payee};
use crate::storage::Tx;
use crate::vouchers::{
    self, Change, Claim, Redeemer, Refused, ToOffer, Voucher, VoucherListener, VoucherState,
};

/// How somebody shows that a gift is theirs to take.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The gift's id alone, and its code if it has one.
    Link {
        /// What was given as its code.
        guess: Option<Guess>,
    },
    /// The `k1` that a wallet was given. It was only given to who showed the code, and stands for it.
    Wallet {
        /// What was given as its `k1`.
        k1: String,
    },
    /// The sender's key, already found right.
    Sender,
}

/// What is known of a gift before its address is asked.
enum Looked {
    /// It may be taken now, and holds so much.
    Takeable(Msat),
    /// What the same request was answered before.
    Before(Recorded),
}

impl Gifts {
    /// Pays a gift to an invoice, an offer, a lightning address or a name. The order of the checks is the contract's.
    ///
    /// # Errors
    /// The first check that fails; a wrong code is counted all the same.
    pub async fn redeem(
        &self,
        order_id: OrderId,
        text: Option<String>,
        proof: Proof,
        ask: Option<IdempotencyKey>,
    ) -> Result<Done<Vec<u8>>, GiftError> {
        let running = self.0.node.ask(|node| node.is_running()).await.unwrap_or(false);
        let read = match self.0.payees.read(text.as_deref().unwrap_or_default()) {
            Ok(Payee::Invoice(invoice)) => Ok(PayTo::Invoice(invoice)),
            // A wallet's callback brings an invoice and nothing else (LUD-03).
            Ok(Payee::Offer(_) | Payee::Address(_)) if matches!(proof, Proof::Wallet { .. }) => {
                Err(BadInvoice::Unreadable.into())
            }
            Ok(Payee::Offer(offer)) => Ok(PayTo::Offer(offer)),
            Ok(Payee::Address(address)) => {
                let amount = match self.look(order_id, &proof, ask.as_ref(), running).await? {
                    Looked::Takeable(amount) => amount,
                    Looked::Before(recorded) => return Ok(Done::Before(recorded)),
                };
                let found = self.0.payees.find(&address, amount).await?;
                crash_point!("gift.address_asked");
                Ok(found)
            }
            Err(why) => Err(GiftError::from(why)),
        };
        let done = self.redeem_to(order_id, read, proof, ask, running).await?;
        crash_point!("gift.after_redeem");
        Ok(done)
    }

    /// Whether a gift may be taken now, before a stranger's host is asked for it: nobody who can't take it makes us
    /// ask. The transaction that takes it looks again.
    async fn look(
        &self,
        order_id: OrderId,
        proof: &Proof,
        ask: Option<&IdempotencyKey>,
        running: bool,
    ) -> Result<Looked, GiftError> {
        let (gifts, proof, ask, source) = (self.clone(), proof.clone(), ask.cloned(), source());
        let looked = self.store().write(move |tx| -> Result<Result<Looked, GiftError>, GiftError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Ok(Looked::Before(recorded)));
            }
            let Some(gift) = store::by_order_id(tx, order_id)? else { return Ok(Err(GiftError::NotFound)) };
            let voucher = vouchers::by_id(tx, gift.id)?;
            // A refusal is a result, not a failure: what it counted must be kept.
            if let Err(refused) = gifts.check_taker(tx, &gift, &voucher, &proof, source.as_deref())? {
                return Ok(Err(refused));
            }
            Ok(if running { Ok(Looked::Takeable(gift.amount)) } else { Err(GiftError::NodeUnavailable) })
        });
        looked.await?
    }

    async fn redeem_to(
        &self,
        order_id: OrderId,
        read: Result<PayTo, GiftError>,
        proof: Proof,
        ask: Option<IdempotencyKey>,
        running: bool,
    ) -> Result<Done<Vec<u8>>, GiftError> {
        let (gifts, source) = (self.clone(), source());
        let written = self.store().write(move |tx| -> Result<Result<Done<Vec<u8>>, GiftError>, GiftError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Ok(Done::Before(recorded)));
            }
            // A refusal is a result, not a failure: what it counted must be kept.
            match gifts.redeem_in(tx, order_id, read, &proof, running, source.as_deref())? {
                Err(refused) => Ok(Err(refused)),
                Ok(payout) => {
                    outgoing::note_source(tx, payout.key(), source.as_deref())?;
                    let body = view::json(&RedeemedView::new(payout.public_id()))?;
                    save(tx, ask.as_ref(), StatusCode::OK, &body, gifts.now())?;
                    Ok(Ok(Done::Now(body)))
                }
            }
        });
        written.await?
    }

    fn redeem_in(
        &self,
        tx: &Tx<'_>,
        order_id: OrderId,
        read: Result<PayTo, GiftError>,
        proof: &Proof,
        running: bool,
        asker: Option<&str>,
    ) -> Result<Result<Outgoing, GiftError>, GiftError> {
        let Some(gift) = store::by_order_id(tx, order_id)? else { return Ok(Err(GiftError::NotFound)) };
        let to = match read {
            Ok(to) => to,
            Err(error) => return Ok(Err(error)),
        };
        let taker = match proof {
            Proof::Link { .. } | Proof::Wallet { .. } => Redeemer::Recipient,
            Proof::Sender => Redeemer::Sender,
        };
        if let Some(same) = same(tx, &gift, taker, &to)? {
            return Ok(Ok(same));
        }
        let voucher = vouchers::by_id(tx, gift.id)?;
        if let Err(refused) = self.check_target(&gift, &to) {
            return Ok(Err(refused));
        }
        if let Err(refused) = self.check_taker(tx, &gift, &voucher, proof, asker)? {
            return Ok(Err(refused));
        }
        if !running {
            return Ok(Err(GiftError::NodeUnavailable));
        }
        let (ledger, max_fee) = (&self.0.ledger, |amount| self.0.rules.max_fee(amount));
        let claim = match &to {
            PayTo::Invoice(invoice) => {
                vouchers::redeem(tx, ledger, &[gift.id], taker, invoice, max_fee(gift.amount))?
            }
            PayTo::Offer(offer) => {
                let to = ToOffer { offer, taker, max_fee: &max_fee };
                vouchers::redeem_to_offer(tx, ledger, &[gift.id], to)?
            }
        };
        let payout = match claim {
            Ok(Claim::Started(payout)) => payout,
            Ok(Claim::Same(payout)) => return Ok(Ok(payout)),
            Err(refused) => return Ok(Err(refused.into())),
        };
        let claimed = vouchers::by_id(tx, gift.id)?;
        let change = Change::Claiming(payout.clone());
        self.0.notifier.changed(tx, &claimed, &change)?;
        Ok(Ok(payout))
    }

    /// Whether an invoice or offer could be paid with a gift.
    fn check_target(&self, gift: &Gift, to: &PayTo) -> Result<(), GiftError> {
        let rules = &self.0.rules;
        let invoice = match to {
            PayTo::Invoice(invoice) => invoice,
            PayTo::Offer(offer) => return Ok(offer.check_amount(gift.amount)?),
        };
        invoice::check_payable(invoice, rules.network, self.now(), rules.min_invoice_expiry)?;
        let fits = invoice.amount_milli_satoshis() == Some(gift.amount.get());
        if fits { Ok(()) } else { Err(GiftError::BadInvoiceAmount) }
    }

    /// Whether a gift can be taken now, by whoever asks. Counts a wrong code.
    fn check_taker(
        &self,
        tx: &Tx<'_>,
        gift: &Gift,
        voucher: &Voucher,
        proof: &Proof,
        asker: Option<&str>,
    ) -> Result<Result<(), GiftError>, GiftError> {
        let (now, rules) = (self.now(), &self.0.rules);
        if let Err(error) = takeable(voucher.state, voucher.expires_at, matches!(proof, Proof::Sender), now) {
            return Ok(Err(error));
        }
        let guess = match proof {
            Proof::Sender => return Ok(Ok(())),
            Proof::Link { guess } => *guess,
            Proof::Wallet { k1 } => {
                let known = self.0.keyring.k1_matches(gift.order_id, voucher.payout, k1);
                return Ok(if known { Ok(()) } else { Err(GiftError::BadK1) });
            }
        };
        let verdict = judge_and_count(tx, gift.id, guess, now, rules.lock, asker)?;
        Ok(match verdict {
            Verdict::Open => Ok(()),
            other => Err(other.error(now).unwrap_or(GiftError::BadCode)),
        })
    }

    /// The invoice or offer of a withdrawal and how far it is, as JSON.
    ///
    /// # Errors
    /// [`GiftError::NoWithdrawal`], the store's.
    pub async fn withdrawal_json(&self, id: String) -> Result<Vec<u8>, GiftError> {
        let found = self.store().read(move |connection| outgoing::by_public_id(connection, &id)).await?;
        let payout =
            found.filter(|payout| payout.family() == Family::Gifts).ok_or(GiftError::NoWithdrawal)?;
        let status = view::withdrawal_status(payout.status());
        let failed = payout.status() == PayoutStatus::Failed;
        let error = failed.then(|| payout.error().unwrap_or("the payment failed"));
        view::json(&view::WithdrawalStatusView { reference: payout.target(), status, error })
    }
}

/// The redemption that this is once more: the same invoice again, also after it has expired, or the same offer while the
/// gift is paid to it.
fn same(tx: &Tx<'_>, gift: &Gift, taker: Redeemer, to: &PayTo) -> Result<Option<Outgoing>, GiftError> {
    match to {
        PayTo::Invoice(invoice) => {
            Ok(vouchers::same_invoice(tx, &[gift.id], invoice)?.map(Outgoing::Invoice))
        }
        PayTo::Offer(offer) => Ok(vouchers::same_offer(tx, &[gift.id], taker, offer)?.map(Outgoing::Offer)),
    }
}

/// Whether a gift in this state can be taken now, by its recipient or its sender.
pub(super) fn takeable(
    state: VoucherState,
    expires_at: Option<UnixMillis>,
    by_sender: bool,
    now: UnixMillis,
) -> Result<(), GiftError> {
    match vouchers::refusal_of(state) {
        Some(Refused::Expired) if by_sender => Ok(()),
        Some(refused) => Err(refused.into()),
        None if !by_sender && expires_at.is_some_and(|at| at <= now) => Err(GiftError::Expired),
        None => Ok(()),
    }
}
