//! LNURL as a wallet speaks it: withdraw (LUD-03), pay (LUD-06, 09, 12, 16) and auth (LUD-04, 05).
//!
//! Links, answers and derivations are parsed and made by `lnurl-rs`, which shares nothing with satchel. Requests are sent
//! here, since a refusal's reason has to reach whoever asked.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ::lnurl::lightning_address::LightningAddress;
use ::lnurl::lnurl::LnUrl;
use ::lnurl::pay::{LnURLPayInvoice, PayResponse};
use ::lnurl::withdraw::WithdrawalResponse;
use ::lnurl::{
    AsyncClient, EventResponse, LnUrlResponse, Response, decode_ln_url_response,
    get_derivation_path,
};
use anyhow::{Context, Result};
use ldk_node::bitcoin::bip32::{DerivationPath, Xpriv};
use ldk_node::bitcoin::hashes::Hash;
use ldk_node::bitcoin::secp256k1::{Message, Secp256k1};
use ldk_node::bitcoin::{NetworkKind, secp256k1};
use ldk_node::lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef};
use reqwest::Url;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::WalletError;
use super::payments::{InvoiceRequest, PayRequest};
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
        let request = LnurlWithdrawRequest {
            lnurl: lnurl.to_owned(),
            amount_sat,
        };
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
        let request = LnurlPayRequest {
            lnurl_or_address: lnurl_or_address.to_owned(),
            amount_sat,
            comment,
        };
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
    let http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(0)
        .build();
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
                return Err(WalletError::BadRequest(
                    "that link isn't for withdrawing".to_owned(),
                ));
            }
        };
        let amount_msat = withdraw_amount(&offer, request.amount_sat)?;
        let invoice = InvoiceRequest::msat(amount_msat).description(&offer.default_description);
        let invoice = self.invoice(invoice).await?;
        let (client, bolt11) = (self.lnurl.clone(), invoice.invoice.clone());
        let answer =
            runtime::run(async move { client.do_withdrawal(&offer, &bolt11).await }).await?;
        match answer {
            Ok(Response::Ok(())) => Ok(LnurlWithdrawDone {
                status: "OK".to_owned(),
                payment_hash: invoice.payment_hash,
                invoice: invoice.invoice,
            }),
            Ok(Response::Error { reason }) => Err(WalletError::Failed(reason)),
            Err(error) => Err(WalletError::Failed(format!(
                "the service's answer can't be used: {error}"
            ))),
        }
    }

    pub(super) async fn lnurl_pay(
        &self,
        request: LnurlPayRequest,
    ) -> Result<LnurlPayDone, WalletError> {
        let offer = match self
            .first_leg(&link_url(&request.lnurl_or_address)?)
            .await?
        {
            LnUrlResponse::LnUrlPayResponse(offer) => offer,
            _ => {
                return Err(WalletError::BadRequest(
                    "that link isn't for paying".to_owned(),
                ));
            }
        };
        let amount_msat = request.amount_sat.saturating_mul(1_000);
        let body = self
            .fetch(&pay_url(&offer, amount_msat, request.comment.as_deref())?)
            .await?;
        let answer: LnURLPayInvoice =
            serde_json::from_str(&body).map_err(|error| unusable(&error))?;
        answer
            .verify_amount(amount_msat)
            .map_err(|error| unusable(&error))?;
        let invoice =
            Bolt11Invoice::from_str(answer.invoice()).map_err(|error| unusable(&error))?;
        check_description(&invoice, &offer)?;
        let success_action = answer
            .success_action()
            .map(|action| serde_json::to_value(action.into_params()))
            .transpose()
            .map_err(|error| unusable(&error))?
            .map(without_nulls);
        let paid = self
            .pay(PayRequest {
                invoice: answer.pr,
                ..PayRequest::default()
            })
            .await?;
        Ok(LnurlPayDone {
            preimage: paid.preimage,
            payment_hash: paid.payment_hash,
            fee_msat: paid.fee_msat,
            success_action,
        })
    }

    pub(super) async fn lnurl_auth(&self, lnurl: &str) -> Result<LnurlAuthDone, WalletError> {
        let link = link_url(lnurl)?;
        let mut url =
            Url::parse(&link).map_err(|error| WalletError::BadRequest(error.to_string()))?;
        let k1 = url
            .query_pairs()
            .find(|(name, _)| name == "k1")
            .and_then(|(_, k1)| ports::hex32(&k1));
        let Some(k1) = k1.filter(|_| LnUrl::from_url(link).is_lnurl_auth()) else {
            return Err(WalletError::BadRequest(
                "that link isn't for logging in".to_owned(),
            ));
        };
        let key = linking_key(&self.seed, &url)?;
        let secp = Secp256k1::signing_only();
        let signature = secp.sign_ecdsa(&Message::from_digest(k1), &key);
        let key = key.public_key(&secp).to_string();
        url.query_pairs_mut()
            .append_pair("sig", &signature.to_string())
            .append_pair("key", &key);
        let body = self.fetch(url.as_str()).await?;
        match serde_json::from_str(&body).map_err(|error| unusable(&error))? {
            Response::Ok(EventResponse { event }) => Ok(LnurlAuthDone {
                status: "OK".to_owned(),
                event,
                key,
            }),
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
            WalletError::Failed(format!(
                "the service can't be reached: {}",
                error.without_url()
            ))
        })?;
        if let Ok(Response::Error { reason }) = serde_json::from_str::<Response<IgnoredAny>>(&body)
        {
            return Err(WalletError::Failed(reason));
        }
        if !status.is_success() {
            return Err(WalletError::Failed(format!(
                "the service answered with status {status}"
            )));
        }
        Ok(body)
    }
}

fn unusable(error: &dyn std::fmt::Display) -> WalletError {
    WalletError::Failed(format!("the service's answer can't be used: {error}"))
}

/// The amount to withdraw, in msat.
fn withdraw_amount(
    offer: &WithdrawalResponse,
    wanted_sat: Option<u64>,
) -> Result<u64, WalletError> {
    let (least, most) = (offer.min_withdrawable.unwrap_or(1), offer.max_withdrawable);
    let amount = wanted_sat.map_or(most, |sat| sat.saturating_mul(1_000));
    if amount < least || amount > most {
        let text = format!("the service offers {least} to {most} msat, not {amount}");
        return Err(WalletError::BadRequest(text));
    }
    Ok(amount)
}

fn pay_url(
    offer: &PayResponse,
    amount_msat: u64,
    comment: Option<&str>,
) -> Result<String, WalletError> {
    let bad = |text: String| Err(WalletError::BadRequest(text));
    let (least, most) = (offer.min_sendable, offer.max_sendable);
    if amount_msat < least || amount_msat > most {
        return bad(format!(
            "the service takes {least} to {most} msat, not {amount_msat}"
        ));
    }
    let mut url = Url::parse(&offer.callback).map_err(|error| unusable(&error))?;
    url.query_pairs_mut()
        .append_pair("amount", &amount_msat.to_string());
    if let Some(comment) = comment {
        let allowed = u64::from(offer.comment_allowed.unwrap_or(0));
        if u64::try_from(comment.chars().count()).unwrap_or(u64::MAX) > allowed {
            return bad(format!(
                "the service takes comments of up to {allowed} characters"
            ));
        }
        url.query_pairs_mut().append_pair("comment", comment);
    }
    Ok(url.into())
}

/// The invoice must commit to the metadata that was shown (LUD-06).
fn check_description(invoice: &Bolt11Invoice, offer: &PayResponse) -> Result<(), WalletError> {
    match invoice.description() {
        Bolt11InvoiceDescriptionRef::Hash(hash)
            if hash.0.to_byte_array() == offer.metadata_hash() =>
        {
            Ok(())
        }
        _ => Err(unusable(&"the invoice doesn't commit to the metadata")),
    }
}

/// A success action as the service sent it, without the fields of other kinds.
fn without_nulls(action: Value) -> Value {
    match action {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        ),
        other => other,
    }
}

/// The key for one service (LUD-05): derived from the wallet's seed and the service's domain.
fn linking_key(seed: &[u8; 64], service: &Url) -> Result<secp256k1::SecretKey, WalletError> {
    let derive = || -> Result<secp256k1::SecretKey> {
        let secp = Secp256k1::new();
        let master = Xpriv::new_master(NetworkKind::Test, seed)?;
        let hashing_path = DerivationPath::from_str("m/138'/0")?;
        let hashing_key = master
            .derive_priv(&secp, &hashing_path)?
            .private_key
            .secret_bytes();
        let path = get_derivation_path(hashing_key, service)?;
        Ok(master.derive_priv(&secp, &path)?.private_key)
    };
    Ok(derive()?)
}

/// The URL behind whatever form of link a person might paste.
fn link_url(text: &str) -> Result<String, WalletError> {
    let bad = |what: &str| {
        WalletError::BadRequest(format!("that is no LNURL or Lightning address: {what}"))
    };
    let text = text.trim();
    let lower = text.to_lowercase();
    if lower.starts_with("lightning:") {
        return link_url(text.split_once(':').map_or("", |(_, rest)| rest));
    }
    if lower.starts_with("lnurl1") {
        return Ok(LnUrl::from_str(text)
            .map_err(|error| bad(&error.to_string()))?
            .url);
    }
    // LUD-17: the scheme names the purpose, and TLS is understood except for hosts where there is none.
    if let Some((scheme, rest)) = text.split_once("://")
        && ["lnurlw", "lnurlp", "keyauth"].contains(&scheme.to_lowercase().as_str())
    {
        let https = format!("https://{rest}");
        let url = Url::parse(&https).map_err(|error| bad(&error.to_string()))?;
        let plain = url.host_str().is_some_and(speaks_plain_http);
        return Ok(if plain {
            format!("http://{rest}")
        } else {
            https
        });
    }
    if lower.starts_with("http://") || lower.starts_with("https://") {
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        // A link for cameras carries the LNURL as a parameter (LUD-01).
        return match url.query_pairs().find(|(name, _)| name == "lightning") {
            Some((_, inside)) if inside.to_lowercase().starts_with("lnurl1") => link_url(&inside),
            _ => Ok(text.to_owned()),
        };
    }
    if let Some((name, host)) = text.split_once('@') {
        let url = Url::parse(&format!("http://{host}")).map_err(|error| bad(&error.to_string()))?;
        if url.host_str().is_some_and(speaks_plain_http) {
            return Ok(format!("http://{host}/.well-known/lnurlp/{name}"));
        }
        return Ok(LightningAddress::from_str(text)
            .map_err(|error| bad(&error.to_string()))?
            .lnurlp_url());
    }
    Err(bad("unknown form"))
}

fn speaks_plain_http(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".onion")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:8080/gift/x?k=1";

    #[test]
    fn links_of_every_form_lead_to_the_url() {
        let bech32 = LnUrl::from_url(URL.to_owned()).encode();
        let upper = bech32.to_uppercase();
        for form in [
            bech32.clone(),
            upper.clone(),
            format!("lightning:{bech32}"),
            format!("LIGHTNING:{upper}"),
            format!(" {upper}\n"),
            format!("https://example.com/redeem/x?lightning={upper}"),
            URL.replace("http", "lnurlw"),
            URL.to_owned(),
        ] {
            assert_eq!(link_url(&form).unwrap(), URL, "{form}");
        }
        assert_eq!(
            link_url("lnurlp://example.com/a").unwrap(),
            "https://example.com/a"
        );
        assert_eq!(link_url("keyauth://x.onion/a").unwrap(), "http://x.onion/a");
    }

    #[test]
    fn lightning_addresses() {
        assert_eq!(
            link_url("ann@example.com").unwrap(),
            "https://example.com/.well-known/lnurlp/ann"
        );
        assert_eq!(
            link_url("ann@127.0.0.1:81").unwrap(),
            "http://127.0.0.1:81/.well-known/lnurlp/ann"
        );
        assert_eq!(
            link_url("ann@localhost:81").unwrap(),
            "http://localhost:81/.well-known/lnurlp/ann"
        );
        for bad in ["", "ann", "@", "lnurl1qqqq", "ftp://x/y"] {
            assert!(
                matches!(link_url(bad), Err(WalletError::BadRequest(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn withdrawals_stay_within_the_offer() {
        let offer = r#"{"tag":"withdrawRequest","callback":"http://127.0.0.1/","k1":"00","defaultDescription":"",
            "minWithdrawable":5000,"maxWithdrawable":9000}"#;
        let offer: WithdrawalResponse = serde_json::from_str(offer).unwrap();
        assert_eq!(withdraw_amount(&offer, None).unwrap(), 9_000);
        assert_eq!(withdraw_amount(&offer, Some(5)).unwrap(), 5_000);
        assert!(withdraw_amount(&offer, Some(4)).is_err());
        assert!(withdraw_amount(&offer, Some(u64::MAX)).is_err());
    }

    #[test]
    fn comments_are_escaped_and_limited() {
        let offer = r#"{"tag":"payRequest","callback":"http://127.0.0.1/p?a=1","metadata":"[]",
            "minSendable":1000,"maxSendable":2000,"commentAllowed":5}"#;
        let offer: PayResponse = serde_json::from_str(offer).unwrap();
        assert_eq!(
            pay_url(&offer, 1_000, Some("a&b =")).unwrap(),
            "http://127.0.0.1/p?a=1&amount=1000&comment=a%26b+%3D"
        );
        assert!(pay_url(&offer, 1_000, Some("äöüßéx")).is_err());
        assert!(pay_url(&offer, 999, None).is_err());
    }

    #[test]
    fn keys_differ_between_services_only() {
        let key = |url: &str| linking_key(&[3; 64], &Url::parse(url).unwrap()).unwrap();
        assert_eq!(
            key("https://a.example/x?k1=1"),
            key("https://a.example/y?k1=2")
        );
        assert_ne!(key("https://a.example/x"), key("https://b.example/x"));
    }
}
