//! Refunds to an address.

use axum::http::StatusCode;

use super::request::NewRefund;
use super::store::{self, Carrier, Draft, Refund};
use super::{Wallet, owed};
use crate::ledger::Family;
use crate::ledger::coins::{self, CoinsWanted};
use crate::money::Msat;
use crate::payments::ids::RefundId;
use crate::payments::store::Payment;
use crate::payments::{PaymentError, Payments};
use crate::store::Tx;

/// What is kept free for the miners beside the amount, in sat, before the wallet is asked to do it: it says no by
/// itself if that is too little.
const FOR_MINERS: u64 = 200;

impl Payments {
    pub(super) fn to_address(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        new: &NewRefund,
        text: &str,
        wallet: &Wallet,
    ) -> Result<(StatusCode, Refund), PaymentError> {
        if self.rules().min_onchain == Msat::ZERO {
            let message = "This server refunds to a lightningInvoice only";
            return Err(PaymentError::invalid("ONCHAIN_NOT_SUPPORTED", message));
        }
        let address = coins::read_address(text, self.rules().network)
            .map_err(|why| PaymentError::invalid("INVALID_ADDRESS", format!("bitcoinAddress is {why}")))?;
        if let Some(send) = coins::by_address(tx, &address)? {
            let known = store::by_coins(tx, send.id)?.filter(|refund| {
                refund.payment == payment.id && refund.amount == new.amount && refund.unit == new.unit
            });
            return known.map(|same| (StatusCode::OK, same)).ok_or(PaymentError::Conflict {
                code: "ADDRESS_USED",
                message: "This address was used for another refund; ask for a fresh one",
            });
        }
        let sats = owed(tx, payment, new)?;
        let (amount, least) =
            (sats.sat_floor(), coins::least(&address).max(self.rules().min_onchain.sat_floor()));
        if amount < least {
            let message =
                format!("{amount} sat are too little for a bitcoinAddress, which takes {least} sat or more");
            return Err(PaymentError::invalid("AMOUNT_TOO_SMALL", message));
        }
        if !wallet.running {
            return Err(PaymentError::NodeUnavailable);
        }
        let promised = coins::promised(tx)?.sat_floor();
        let needed = amount.saturating_add(FOR_MINERS).saturating_add(promised);
        if wallet.spendable.is_none_or(|spendable| spendable < needed) {
            return Err(PaymentError::NoCoins);
        }
        let wanted = CoinsWanted { family: Family::Payments, address: &address, amount: sats };
        let id = coins::queue(tx, self.ledger(), &wanted)?;
        let text = address.to_string();
        let draft = Draft {
            public_id: RefundId::random()?,
            payment,
            carrier: Carrier::Coins(id, &text),
            amount: new.amount,
            sats,
            reason: &new.reason,
        };
        let refund = self.begun(tx, &draft)?;
        Ok((StatusCode::CREATED, refund))
    }
}
