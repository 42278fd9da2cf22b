//! Invoices and payments of a wallet.

use std::str::FromStr;
use std::time::Duration;

use ldk_node::NodeError;
use ldk_node::bitcoin::hashes::{Hash, sha256};
use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::routing::router::RouteParametersConfig;
use ldk_node::lightning_invoice::Bolt11Invoice;
use ldk_node::lightning_types::payment::{PaymentHash, PaymentPreimage};
use ldk_node::payment::PaymentDirection;

use super::error::WalletError;
use super::events::Outcome;
use super::holds::HoldState;
use super::payment_types::{Invoice, InvoiceRequest, Paid, PayRequest, Payment, PaymentStatus};
use super::{Inner, Wallet};
use crate::ports;

/// How long claiming and failing wait for the held payment to arrive.
const HOLD_WAIT: Duration = Duration::from_secs(10);
const DEFAULT_EXPIRY_SECS: u32 = 3_600;

impl Wallet {
    /// Makes an invoice.
    ///
    /// # Errors
    /// `BadRequest` for amounts and texts that no invoice can carry.
    pub async fn invoice(&self, request: InvoiceRequest) -> Result<Invoice, WalletError> {
        self.inner.invoice(request).await
    }

    /// Pays an invoice and waits for the end, however long it takes.
    ///
    /// # Errors
    /// `Failed` with the reason if it didn't succeed; `Stopped` if the wallet was stopped while it was on its way.
    pub async fn pay(&self, invoice: &str) -> Result<Paid, WalletError> {
        self.pay_with(PayRequest { invoice: invoice.to_owned(), ..PayRequest::default() }).await
    }

    /// The same with an amount or a limit on the fee.
    ///
    /// # Errors
    /// As [`Wallet::pay`].
    pub async fn pay_with(&self, request: PayRequest) -> Result<Paid, WalletError> {
        self.inner.pay(request).await
    }

    /// The wallet's own record of a payment.
    ///
    /// # Errors
    /// `NotFound` if it never heard of the hash.
    pub async fn payment(&self, payment_hash: &str) -> Result<Payment, WalletError> {
        self.inner.payment(payment_hash).await
    }

    /// Payment hashes, in hex, of what the wallet receives from now on, as soon as it has it: for a caller who would
    /// otherwise have to ask again and again. One who is thousands behind misses some.
    pub fn received(&self) -> tokio::sync::broadcast::Receiver<String> {
        self.inner.outcomes.received()
    }

    /// Waits until a payment for a hold invoice has arrived and is locked; gives its amount in msat.
    ///
    /// # Errors
    /// `NotFound` for an unknown hash, `Conflict` if nothing arrives within `limit` or it has been decided already.
    pub async fn wait_held(&self, payment_hash: &str, limit: Duration) -> Result<u64, WalletError> {
        let hash = payment_hash.to_lowercase();
        Ok(self.inner.holds.wait_held(&hash, limit).await?.1)
    }

    /// The preimage of a hold invoice, in hex, whatever became of it.
    ///
    /// # Errors
    /// `NotFound` for an unknown hash.
    pub fn preimage(&self, payment_hash: &str) -> Result<String, WalletError> {
        let hold = self.inner.holds.get(&payment_hash.to_lowercase());
        let preimage = hold.and_then(|hold| hold.preimage().ok());
        preimage
            .map(|preimage| ports::hex(&preimage))
            .ok_or_else(|| WalletError::NotFound(format!("{payment_hash} is no hold invoice of this wallet")))
    }

    /// Takes a held payment; waits up to ten seconds for it to arrive.
    ///
    /// # Errors
    /// As [`Wallet::wait_held`].
    pub async fn claim(&self, payment_hash: &str) -> Result<(), WalletError> {
        self.inner.claim(payment_hash).await
    }

    /// Gives a held payment back; waits up to ten seconds for it to arrive.
    ///
    /// # Errors
    /// As [`Wallet::wait_held`].
    pub async fn fail(&self, payment_hash: &str) -> Result<(), WalletError> {
        self.inner.fail(payment_hash).await
    }
}

impl Inner {
    pub(super) async fn invoice(&self, request: InvoiceRequest) -> Result<Invoice, WalletError> {
        let amount = request.checked_msat()?;
        let description = request.checked_description()?;
        let expiry = request.expiry_secs.unwrap_or(DEFAULT_EXPIRY_SECS);
        let held_hash = if request.hold {
            let preimage = ports::random_bytes::<32>()?;
            let hash = sha256::Hash::hash(&preimage).to_byte_array();
            self.holds.insert(&ports::hex(&hash), &preimage)?;
            Some(PaymentHash(hash))
        } else {
            None
        };
        let invoice = self
            .call(move |node| {
                let bolt11 = node.bolt11_payment();
                match (amount, held_hash) {
                    (Some(amount), None) => bolt11.receive(amount, &description, expiry),
                    (Some(amount), Some(hash)) => bolt11.receive_for_hash(amount, &description, expiry, hash),
                    (None, None) => bolt11.receive_variable_amount(&description, expiry),
                    (None, Some(hash)) => bolt11.receive_variable_amount_for_hash(&description, expiry, hash),
                }
            })
            .await?
            .map_err(|error| WalletError::BadRequest(format!("no invoice for that: {error}")))?;
        Ok(Invoice { payment_hash: hash_of(&invoice), invoice: invoice.to_string() })
    }

    pub(super) async fn pay(&self, request: PayRequest) -> Result<Paid, WalletError> {
        let invoice = Bolt11Invoice::from_str(request.invoice.trim())
            .map_err(|error| WalletError::BadRequest(format!("that is no BOLT11 invoice: {error}")))?;
        let payment_hash = hash_of(&invoice);
        let too_large = || WalletError::BadRequest("the amount is too large".to_owned());
        let to_msat = |sat: u64| sat.checked_mul(1_000).ok_or_else(too_large);
        let amount = request.amount_sat.map(to_msat).transpose()?;
        if amount.is_none() && invoice.amount_milli_satoshis().is_none() {
            return Err(WalletError::BadRequest("the invoice has no amount; give amount_sat".to_owned()));
        }
        let route = request.max_fee_sat.map(to_msat).transpose()?.map(|max_fee_msat| RouteParametersConfig {
            max_total_routing_fee_msat: Some(max_fee_msat),
            ..RouteParametersConfig::default()
        });
        let end = self.outcomes.expect(invoice.payment_hash().to_byte_array());
        self.call(move |node| match amount {
            Some(amount) => node.bolt11_payment().send_using_amount(&invoice, amount, route),
            None => node.bolt11_payment().send(&invoice, route),
        })
        .await?
        .map_err(|error| match error {
            NodeError::DuplicatePayment => WalletError::Failed(
                "this invoice is paid or on its way already, or the wallet's own".to_owned(),
            ),
            NodeError::InvalidAmount => {
                WalletError::BadRequest("the amount is below the invoice's".to_owned())
            }
            other => WalletError::Failed(other.to_string()),
        })?;
        match end.await {
            Ok(Outcome::Paid { preimage, fee_msat }) => {
                Ok(Paid { preimage: preimage.unwrap_or_default(), payment_hash, fee_msat })
            }
            Ok(Outcome::Failed { reason }) => Err(WalletError::Failed(reason)),
            Err(_) => Err(WalletError::Stopped),
        }
    }

    pub(super) async fn payment(&self, payment_hash: &str) -> Result<Payment, WalletError> {
        let hash = parse_hash(payment_hash)?;
        let details = self
            .call(move |node| node.payment(&PaymentId(hash)))
            .await?
            .ok_or_else(|| WalletError::NotFound(format!("no payment {payment_hash}")))?;
        let mut payment = Payment::from(&details);
        // The node's record may lag behind its event.
        if details.direction == PaymentDirection::Outbound {
            match self.outcomes.get(&hash) {
                Some(Outcome::Paid { preimage, fee_msat }) => {
                    payment.status = PaymentStatus::Succeeded;
                    payment.fee_msat = Some(fee_msat);
                    payment.preimage = preimage.or(payment.preimage);
                }
                Some(Outcome::Failed { .. }) => payment.status = PaymentStatus::Failed,
                None => {}
            }
        }
        Ok(payment)
    }

    pub(super) async fn claim(&self, payment_hash: &str) -> Result<(), WalletError> {
        let hash = parse_hash(payment_hash)?;
        let name = ports::hex(&hash);
        let (hold, amount_msat) = self.holds.wait_held(&name, HOLD_WAIT).await?;
        let preimage = PaymentPreimage(hold.preimage()?);
        self.call(move |node| node.bolt11_payment().claim_for_hash(PaymentHash(hash), amount_msat, preimage))
            .await?
            .map_err(|error| WalletError::Failed(error.to_string()))?;
        Ok(self.holds.set_state(&name, HoldState::Claimed)?)
    }

    pub(super) async fn fail(&self, payment_hash: &str) -> Result<(), WalletError> {
        let hash = parse_hash(payment_hash)?;
        let name = ports::hex(&hash);
        self.holds.wait_held(&name, HOLD_WAIT).await?;
        self.call(move |node| node.bolt11_payment().fail_for_hash(PaymentHash(hash)))
            .await?
            .map_err(|error| WalletError::Failed(error.to_string()))?;
        Ok(self.holds.set_state(&name, HoldState::Failed)?)
    }
}

fn hash_of(invoice: &Bolt11Invoice) -> String {
    ports::hex(&invoice.payment_hash().to_byte_array())
}

fn parse_hash(text: &str) -> Result<[u8; 32], WalletError> {
    ports::hex32(text).ok_or_else(|| WalletError::BadRequest("a payment hash is 64 hex digits".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_64_hex_digits() {
        assert!(parse_hash(&"0a".repeat(32)).is_ok());
        assert!(parse_hash("0a").is_err());
        assert!(parse_hash("").is_err());
    }
}
