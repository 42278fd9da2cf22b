//! Paying BOLT12 offers.

use std::str::FromStr;
use std::time::Duration;

use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::offers::offer::Offer;
use ldk_node::payment::PaymentStatus;

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
