//! Refunds to an address.

use axum::http::StatusCode;

use super::request::NewRefund;
use super::store::{self, Carrier, Draft, Refund};
use super::{Wallet, no_balance, owed};
use crate::core::ids::FeeReserveId;
use crate::core::money::Msat;
use crate::ledger::coin_fees::{self, Quote};
use crate::ledger::coins::{self, CoinFee, CoinsWanted};
use crate::ledger::{Family, accounts};
use crate::services::payments::ids::RefundId;
use crate::services::payments::store::Payment;
use crate::services::payments::{PaymentError, Payments};
use crate::storage::Tx;

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
        let sats = owed(tx, payment, new, self.rules().return_fee)?;
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
        let quote = wallet.prices.as_ref().ok_or(PaymentError::NodeUnavailable)?.quote(sats);
        let public_id = RefundId::random()?;
        let reserve = self.miners_fee(tx, payment, sats, &quote, public_id)?;
        let promised = coins::promised(tx)?.sat_floor();
        let needed = amount.saturating_add(quote.max.sat_floor()).saturating_add(promised);
        if wallet.spendable.is_none_or(|spendable| spendable < needed) {
            return Err(PaymentError::NoCoins);
        }
        let fee = CoinFee { account: payment.account, quote, reserve };
        let wanted =
            CoinsWanted { family: Family::Payments, address: &address, amount: sats, fee: Some(fee) };
        let id = coins::queue(tx, self.ledger(), &wanted)?;
        let text = address.to_string();
        let draft = Draft {
            public_id,
            payment,
            carrier: Carrier::Coins(id, &text),
            amount: new.amount,
            sats,
            reason: &new.reason,
        };
        let refund = self.begun(tx, &draft)?;
        Ok((StatusCode::CREATED, refund))
    }

    /// What the miners may get for it: withheld from the account if it bears that, else within the operator's limits.
    fn miners_fee(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        sats: Msat,
        quote: &Quote,
        public_id: RefundId,
    ) -> Result<Option<FeeReserveId>, PaymentError> {
        let (rules, account, now) = (self.rules(), payment.account, self.now());
        let operator_bears = (!rules.account_pays_miners).then_some(account);
        let hour = self.ledger().clock.last_hour();
        if let Err(refused) = coin_fees::check(tx, &rules.onchain_fees, quote, operator_bears, &hour)? {
            return Err(PaymentError::MinersFee(refused));
        }
        if operator_bears.is_some() {
            return Ok(None);
        }
        let whole = sats.checked_add(quote.max).ok_or_else(no_balance)?;
        if accounts::balance(tx, account)?.available < whole {
            return Err(no_balance());
        }
        let reserve = accounts::withhold(tx, account, quote.max, &public_id.to_string(), now)?;
        reserve.map(Some).ok_or_else(no_balance)
    }
}
