//! Taking a gift: one transaction decides, or says why not.

use axum::http::StatusCode;
use lightning_invoice::Bolt11Invoice;

use super::codes::Guess;
use super::error::GiftError;
use super::ids::OrderId;
use super::lock::Verdict;
use super::store::{self, Gift};
use super::view::{self, RedeemedView};
use super::{Done, Gifts, judge_and_count};
use crate::clock::UnixMillis;
use crate::http::client::source;
use crate::http::idempotency::{Ask, remember, seen};
use crate::ledger::{Family, Payout, PayoutStatus, charges, payouts};
use crate::lightning::invoice;
use crate::store::Tx;
use crate::vouchers::{self, Change, Claim, Refused, Taker, Voucher, VoucherListener, VoucherState};

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

impl Gifts {
    /// Pays a gift to an invoice. The order of the checks is the contract's.
    ///
    /// # Errors
    /// The first check that fails; a wrong code is counted all the same.
    pub async fn redeem(
        &self,
        order_id: OrderId,
        text: Option<String>,
        proof: Proof,
        ask: Option<Ask>,
    ) -> Result<Done<Vec<u8>>, GiftError> {
        let read = invoice::read(text.as_deref().unwrap_or_default()).map_err(GiftError::from);
        let running = self.0.node.ask(|node| node.is_running()).await.unwrap_or(false);
        let (gifts, source) = (self.clone(), source());
        let written = self.store().write(move |tx| -> Result<Result<Done<Vec<u8>>, GiftError>, GiftError> {
            if let Some(recorded) = seen(tx, ask.as_ref())? {
                return Ok(Ok(Done::Before(recorded)));
            }
            // A refusal is a result, not a failure: what it counted must be kept.
            match gifts.redeem_in(tx, order_id, read, &proof, running, source.as_deref())? {
                Err(refused) => Ok(Err(refused)),
                Ok(payout) => {
                    payouts::note_source(tx, payout.id, source.as_deref())?;
                    let body = view::json(&RedeemedView::new(&payout.public_id))?;
                    remember(tx, ask.as_ref(), StatusCode::OK, &body, gifts.now())?;
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
        read: Result<Bolt11Invoice, GiftError>,
        proof: &Proof,
        running: bool,
        asker: Option<&str>,
    ) -> Result<Result<Payout, GiftError>, GiftError> {
        let Some(gift) = store::by_order_id(tx, order_id)? else { return Ok(Err(GiftError::NotFound)) };
        let invoice = match read {
            Ok(invoice) => invoice,
            Err(error) => return Ok(Err(error)),
        };
        // The same invoice again is the same redemption, also after the invoice has expired.
        let used = payouts::by_hash(tx, charges::hash_of(&invoice))?;
        if let Some(payout) = used.filter(|payout| payout.status != PayoutStatus::Failed)
            && vouchers::redeems(tx, payout.id, &[gift.id])?
        {
            return Ok(Ok(payout));
        }
        let voucher = vouchers::by_id(tx, gift.id)?;
        if let Err(refused) = self.check(tx, &gift, &voucher, (&invoice, proof), asker)? {
            return Ok(Err(refused));
        }
        if !running {
            return Ok(Err(GiftError::NodeUnavailable));
        }
        let taker = match proof {
            Proof::Link { .. } | Proof::Wallet { .. } => Taker::Recipient,
            Proof::Sender => Taker::Sender,
        };
        let max_fee = self.0.rules.max_fee(gift.amount);
        let claim = vouchers::redeem(tx, &self.0.ledger, &[gift.id], taker, &invoice, max_fee)?;
        let payout = match claim {
            Ok(Claim::Started(payout)) => payout,
            Ok(Claim::Same(payout)) => return Ok(Ok(payout)),
            Err(refused) => return Ok(Err(refused.into())),
        };
        let claimed = vouchers::by_id(tx, gift.id)?;
        let change = Change::Claiming(payout.clone());
        self.0.teller.changed(tx, &claimed, &change)?;
        Ok(Ok(payout))
    }

    /// Everything between "there is such a gift" and the payout.
    fn check(
        &self,
        tx: &Tx<'_>,
        gift: &Gift,
        voucher: &Voucher,
        (invoice, proof): (&Bolt11Invoice, &Proof),
        asker: Option<&str>,
    ) -> Result<Result<(), GiftError>, GiftError> {
        let (now, rules) = (self.now(), &self.0.rules);
        if let Err(error) = invoice::check_payable(invoice, rules.network, now, rules.min_invoice_expiry) {
            return Ok(Err(error.into()));
        }
        if invoice.amount_milli_satoshis() != Some(gift.amount.get()) {
            return Ok(Err(GiftError::BadInvoiceAmount));
        }
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

    /// The invoice of a withdrawal and how far it is, as JSON.
    ///
    /// # Errors
    /// [`GiftError::NoWithdrawal`], the store's.
    pub async fn withdrawal_json(&self, id: String) -> Result<Vec<u8>, GiftError> {
        let found = self.store().read(move |connection| payouts::by_public_id(connection, &id)).await?;
        let payout = found.filter(|payout| payout.family == Family::Gifts).ok_or(GiftError::NoWithdrawal)?;
        let status = view::withdrawal_status(payout.status);
        let failed = payout.status == PayoutStatus::Failed;
        let error = failed.then(|| payout.error.as_deref().unwrap_or("the payment failed"));
        view::json(&view::WithdrawalStatusView { reference: &payout.invoice, status, error })
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
