//! Paying BOLT12 offers.

use std::str::FromStr;
use std::time::Duration;

use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::offers::offer::Offer;
use ldk_node::payment::{PaymentDirection, PaymentKind, PaymentStatus};

use super::Wallet;
use super::error::WalletError;
use crate::ports;

/// How often the node is asked whether it has paid.
const POLL: Duration = Duration::from_millis(50);

impl Wallet {
    /// Pays an offer, upper or lower case, and waits for the end, however long it takes. Answers the node's id of the
    /// payment, in hex, under which [`Wallet::payment`] knows it.
    ///
    /// # Errors
    /// `Failed` if it didn't succeed; `Stopped` if the wallet was stopped while it was on its way.
    pub async fn pay_offer(&self, offer: &str) -> Result<String, WalletError> {
        let offer = Offer::from_str(offer)
            .map_err(|error| WalletError::BadRequest(format!("that is no BOLT12 offer: {error:?}")))?;
        let sent = self.inner.call(move |node| node.bolt12_payment().send(&offer, None, None, None)).await?;
        let id = sent.map_err(|error| WalletError::Failed(error.to_string()))?;
        loop {
            let status = self.inner.call(move |node| node.payment(&PaymentId(id.0))).await?;
            match status.map(|details| details.status) {
                Some(PaymentStatus::Succeeded) => return Ok(ports::hex(&id.0)),
                Some(PaymentStatus::Failed) | None => {
                    return Err(WalletError::Failed("the offer could not be paid".to_owned()));
                }
                Some(PaymentStatus::Pending) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

impl Wallet {
    /// A new offer that leaves the amount to the payer.
    ///
    /// # Errors
    /// `Failed` while nobody could reach the wallet to ask for an invoice; `Stopped`.
    pub async fn offer(&self) -> Result<String, WalletError> {
        let made =
            self.inner.call(|node| node.bolt12_payment().receive_variable_amount("an offer", None)).await?;
        made.map(|offer| offer.to_string()).map_err(|error| WalletError::Failed(error.to_string()))
    }

    /// What came by an offer, each payment in msat, with its payment hash in hex.
    ///
    /// # Errors
    /// `BadRequest` for what is no offer; `Stopped`.
    pub async fn received_by(&self, offer: &str) -> Result<Vec<(String, u64)>, WalletError> {
        let wanted = Offer::from_str(offer)
            .map_err(|error| WalletError::BadRequest(format!("that is no BOLT12 offer: {error:?}")))?
            .id();
        let found = self.inner.call(move |node| {
            node.list_payments_with_filter(|payment| {
                payment.direction == PaymentDirection::Inbound
                    && payment.status == PaymentStatus::Succeeded
                    && matches!(&payment.kind, PaymentKind::Bolt12Offer { offer_id, .. } if *offer_id == wanted)
            })
        });
        let found = found.await?;
        Ok(found
            .iter()
            .map(|payment| (ports::hex(&payment.id.0), payment.amount_msat.unwrap_or(0)))
            .collect())
    }
}
