//! LNURL as a wallet speaks it: withdraw (LUD-03), pay (LUD-06, 09, 12, 16) and auth (LUD-04, 05).
//!
//! Links, answers and derivations are parsed and made by `lnurl-rs`, which shares nothing with satchel. Requests are sent
//! here, since a refusal's reason has to reach whoever asked.

use std::str::FromStr;
use std::time::Duration;

use ::lnurl::lnurl::LnUrl;
use ::lnurl::pay::LnURLPayInvoice;
use ::lnurl::{AsyncClient, EventResponse, LnUrlResponse, Response, decode_ln_url_response};
use anyhow::{Context, Result};
use ldk_node::bitcoin::secp256k1::{Message, Secp256k1};
use ldk_node::lightning_invoice::Bolt11Invoice;
use reqwest::Url;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::WalletError;
use super::lnurl_rules::{
    check_description, link_url, linking_key, pay_url, unusable, withdraw_amount, without_nulls,
};
use super::payment_types::{InvoiceRequest, PayRequest};
use super::{Inner, Wallet};
use crate::{ports, runtime};

/// Longer than any honest service takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What to withdraw from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LnurlWithdrawRequest {
    /// Bech32 of either case, with or without `lightning:`, a plain URL, or an `lnurlw:` URL.
    pub lnurl: String,
    /// In sat; the most that the service offers, if missing.
    pub amount_sat: Option<u64>,
}

/// A withdrawal that the service accepted. The money arrives when it arrives: see [`Wallet::payment`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LnurlWithdrawDone {
    /// `OK`.
    pub status: String,
    /// Of the invoice that the service will pay, in hex.
    pub payment_hash: String,
    /// The invoice that the service will pay.
    pub invoice: String,
}

/// Whom to pay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LnurlPayRequest {
    /// As for withdrawing, or a Lightning address; one at a loopback host (`name@127.0.0.1:port`) is asked without TLS.
    pub lnurl_or_address: String,
    /// In sat.
    pub amount_sat: u64,
    /// For the recipient, if the service takes comments.
    pub comment: Option<String>,
}

/// A payment that the service's invoice got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LnurlPayDone {
    /// In hex.
    pub preimage: String,
    /// In hex.
    pub payment_hash: String,
    /// What routing cost, in msat.
    pub fee_msat: u64,
    /// What the service wants shown, as it sent it.
    pub success_action: Option<Value>,
}

/// A login that the service accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LnurlAuthDone {
    /// `OK`.
    pub status: String,
    /// What the service says happened, as `LOGGEDIN`.
    pub event: Option<String>,
    /// The wallet's key for this service, in hex.
    pub key: String,
}

impl Wallet {
    /// Withdraws by LNURL: asks what is offered, makes an invoice, hands it in.
    ///
    /// # Errors
    /// `BadRequest` if it is no such link or the amount isn't offered; `Failed` with the service's reason.
    pub async fn lnurl_withdraw(
        &self,
        lnurl: &str,
        amount_sat: Option<u64>,
    ) -> Result<LnurlWithdrawDone, WalletError> {
        let request = LnurlWithdrawRequest { lnurl: lnurl.to_owned(), amount_sat };
        self.inner.lnurl_withdraw(request).await
    }

    /// Pays by LNURL or to a Lightning address, and waits for the payment's end.
    ///
    /// # Errors
    /// As [`Wallet::lnurl_withdraw`] and [`Wallet::pay`].
    pub async fn lnurl_pay(
        &self,
        lnurl_or_address: &str,
        amount_sat: u64,
        comment: Option<&str>,
    ) -> Result<LnurlPayDone, WalletError> {
        let comment = comment.map(str::to_owned);
        let request = LnurlPayRequest { lnurl_or_address: lnurl_or_address.to_owned(), amount_sat, comment };
        self.inner.lnurl_pay(request).await
    }

    /// Logs in by LNURL, with a key that belongs to the service's domain.
    ///
    /// # Errors
    /// As [`Wallet::lnurl_withdraw`].
    pub async fn lnurl_auth(&self, lnurl: &str) -> Result<LnurlAuthDone, WalletError> {
        self.inner.lnurl_auth(lnurl).await
    }
}

/// The client of one wallet.
pub(super) fn client() -> Result<AsyncClient> {
    // A kept connection would be a dead one after each restart of the service.
    let http = reqwest::Client::builder().timeout(TIMEOUT).pool_max_idle_per_host(0).build();
    let http = http.context("can't make an HTTP client")?;
    Ok(AsyncClient::from_client(http))
}

impl Inner {
    pub(super) async fn lnurl_withdraw(
        &self,
        request: LnurlWithdrawRequest,
    ) -> Result<LnurlWithdrawDone, WalletError> {
        let offer = match self.first_leg(&link_url(&request.lnurl)?).await? {
            LnUrlResponse::LnUrlWithdrawResponse(offer) => offer,
            _ => {
                return Err(WalletError::BadRequest("that link isn't for withdrawing".to_owned()));
            }
        };
        let amount_msat = withdraw_amount(&offer, request.amount_sat)?;
        let invoice = InvoiceRequest::msat(amount_msat).description(&offer.default_description);
        let invoice = self.invoice(invoice).await?;
        let (client, bolt11) = (self.lnurl.clone(), invoice.invoice.clone());
        let answer = runtime::run(async move { client.do_withdrawal(&offer, &bolt11).await }).await?;
        match answer {
            Ok(Response::Ok(())) => Ok(LnurlWithdrawDone {
                status: "OK".to_owned(),
                payment_hash: invoice.payment_hash,
                invoice: invoice.invoice,
            }),
            Ok(Response::Error { reason }) => Err(WalletError::Failed(reason)),
            Err(error) => Err(WalletError::Failed(format!("the service's answer can't be used: {error}"))),
        }
    }

    pub(super) async fn lnurl_pay(&self, request: LnurlPayRequest) -> Result<LnurlPayDone, WalletError> {
        let offer = match self.first_leg(&link_url(&request.lnurl_or_address)?).await? {
            LnUrlResponse::LnUrlPayResponse(offer) => offer,
            _ => {
                return Err(WalletError::BadRequest("that link isn't for paying".to_owned()));
            }
        };
        let amount_msat = request.amount_sat.saturating_mul(1_000);
        let body = self.fetch(&pay_url(&offer, amount_msat, request.comment.as_deref())?).await?;
        let answer: LnURLPayInvoice = serde_json::from_str(&body).map_err(|error| unusable(&error))?;
        answer.verify_amount(amount_msat).map_err(|error| unusable(&error))?;
        let invoice = Bolt11Invoice::from_str(answer.invoice()).map_err(|error| unusable(&error))?;
        check_description(&invoice, &offer)?;
        let success_action = answer
            .success_action()
            .map(|action| serde_json::to_value(action.into_params()))
            .transpose()
            .map_err(|error| unusable(&error))?
            .map(without_nulls);
        let paid = self.pay(PayRequest { invoice: answer.pr, ..PayRequest::default() }).await?;
        Ok(LnurlPayDone {
            preimage: paid.preimage,
            payment_hash: paid.payment_hash,
            fee_msat: paid.fee_msat,
            success_action,
        })
    }

    pub(super) async fn lnurl_auth(&self, lnurl: &str) -> Result<LnurlAuthDone, WalletError> {
        let link = link_url(lnurl)?;
        let mut url = Url::parse(&link).map_err(|error| WalletError::BadRequest(error.to_string()))?;
        let k1 = url.query_pairs().find(|(name, _)| name == "k1").and_then(|(_, k1)| ports::hex32(&k1));
        let Some(k1) = k1.filter(|_| LnUrl::from_url(link).is_lnurl_auth()) else {
            return Err(WalletError::BadRequest("that link isn't for logging in".to_owned()));
        };
        let key = linking_key(&self.seed, &url)?;
        let secp = Secp256k1::signing_only();
        let signature = secp.sign_ecdsa(&Message::from_digest(k1), &key);
        let key = key.public_key(&secp).to_string();
        url.query_pairs_mut().append_pair("sig", &signature.to_string()).append_pair("key", &key);
        let body = self.fetch(url.as_str()).await?;
        match serde_json::from_str(&body).map_err(|error| unusable(&error))? {
            Response::Ok(EventResponse { event }) => {
                Ok(LnurlAuthDone { status: "OK".to_owned(), event, key })
            }
            Response::Error { reason } => Err(WalletError::Failed(reason)),
        }
    }

    async fn first_leg(&self, url: &str) -> Result<LnUrlResponse, WalletError> {
        let body = self.fetch(url).await?;
        decode_ln_url_response(&body).map_err(|error| unusable(&error))
    }

    /// The body of an answer that isn't an LNURL error, whatever its HTTP status is: LNURL gives that no meaning.
    async fn fetch(&self, url: &str) -> Result<String, WalletError> {
        let request = self.lnurl.client.get(url);
        let sent = async move {
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
        };
        let (status, body) = runtime::run(sent).await?.map_err(|error| {
            WalletError::Failed(format!("the service can't be reached: {}", error.without_url()))
        })?;
        if let Ok(Response::Error { reason }) = serde_json::from_str::<Response<IgnoredAny>>(&body) {
            return Err(WalletError::Failed(reason));
        }
        if !status.is_success() {
            return Err(WalletError::Failed(format!("the service answered with status {status}")));
        }
        Ok(body)
    }
}
