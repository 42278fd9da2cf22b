//! What LNURL lets a wallet do: which URL a link leads to, which amounts an offer allows, which key a service gets.
//!
//! Nothing here sends anything; [`super::lnurl`] does.

use std::net::IpAddr;
use std::str::FromStr;

use ::lnurl::get_derivation_path;
use ::lnurl::lightning_address::LightningAddress;
use ::lnurl::lnurl::LnUrl;
use ::lnurl::pay::PayResponse;
use ::lnurl::withdraw::WithdrawalResponse;
use anyhow::Result;
use ldk_node::bitcoin::NetworkKind;
use ldk_node::bitcoin::bip32::{DerivationPath, Xpriv};
use ldk_node::bitcoin::hashes::Hash;
use ldk_node::bitcoin::secp256k1::{Secp256k1, SecretKey};
use ldk_node::lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef};
use reqwest::Url;
use serde_json::Value;

use super::error::WalletError;

/// The error for an answer that breaks the rules.
pub(super) fn unusable(error: &dyn std::fmt::Display) -> WalletError {
    WalletError::Failed(format!("the service's answer can't be used: {error}"))
}

/// The amount to withdraw, in msat.
pub(super) fn withdraw_amount(
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

pub(super) fn pay_url(
    offer: &PayResponse,
    amount_msat: u64,
    comment: Option<&str>,
) -> Result<String, WalletError> {
    let bad = |text: String| Err(WalletError::BadRequest(text));
    let (least, most) = (offer.min_sendable, offer.max_sendable);
    if amount_msat < least || amount_msat > most {
        return bad(format!("the service takes {least} to {most} msat, not {amount_msat}"));
    }
    let mut url = Url::parse(&offer.callback).map_err(|error| unusable(&error))?;
    url.query_pairs_mut().append_pair("amount", &amount_msat.to_string());
    if let Some(comment) = comment {
        let allowed = u64::from(offer.comment_allowed.unwrap_or(0));
        if u64::try_from(comment.chars().count()).unwrap_or(u64::MAX) > allowed {
            return bad(format!("the service takes comments of up to {allowed} characters"));
        }
        url.query_pairs_mut().append_pair("comment", comment);
    }
    Ok(url.into())
}

/// The invoice must commit to the metadata that was shown (LUD-06).
pub(super) fn check_description(invoice: &Bolt11Invoice, offer: &PayResponse) -> Result<(), WalletError> {
    match invoice.description() {
        Bolt11InvoiceDescriptionRef::Hash(hash) if hash.0.to_byte_array() == offer.metadata_hash() => Ok(()),
        _ => Err(unusable(&"the invoice doesn't commit to the metadata")),
    }
}

/// A success action as the service sent it, without the fields of other kinds.
pub(super) fn without_nulls(action: Value) -> Value {
    match action {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}

/// The key for one service (LUD-05): derived from the wallet's seed and the service's domain.
pub(super) fn linking_key(seed: &[u8; 64], service: &Url) -> Result<SecretKey, WalletError> {
    let derive = || -> Result<SecretKey> {
        let secp = Secp256k1::new();
        let master = Xpriv::new_master(NetworkKind::Test, seed)?;
        let hashing_path = DerivationPath::from_str("m/138'/0")?;
        let hashing_key = master.derive_priv(&secp, &hashing_path)?.private_key.secret_bytes();
        let path = get_derivation_path(hashing_key, service)?;
        Ok(master.derive_priv(&secp, &path)?.private_key)
    };
    Ok(derive()?)
}

/// The URL behind whatever form of link a person might paste.
pub(super) fn link_url(text: &str) -> Result<String, WalletError> {
    let bad = |what: &str| WalletError::BadRequest(format!("that is no LNURL or Lightning address: {what}"));
    let text = text.trim();
    let lower = text.to_lowercase();
    if lower.starts_with("lightning:") {
        return link_url(text.split_once(':').map_or("", |(_, rest)| rest));
    }
    if lower.starts_with("lnurl1") {
        return Ok(LnUrl::from_str(text).map_err(|error| bad(&error.to_string()))?.url);
    }
    // LUD-17: the scheme names the purpose, and TLS is understood except for hosts where there is none.
    if let Some((scheme, rest)) = text.split_once("://")
        && ["lnurlw", "lnurlp", "keyauth"].contains(&scheme.to_lowercase().as_str())
    {
        let https = format!("https://{rest}");
        let url = Url::parse(&https).map_err(|error| bad(&error.to_string()))?;
        let plain = url.host_str().is_some_and(speaks_plain_http);
        return Ok(if plain { format!("http://{rest}") } else { https });
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
        return Ok(LightningAddress::from_str(text).map_err(|error| bad(&error.to_string()))?.lnurlp_url());
    }
    Err(bad("unknown form"))
}

fn speaks_plain_http(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".onion") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
        assert_eq!(link_url("lnurlp://example.com/a").unwrap(), "https://example.com/a");
        assert_eq!(link_url("keyauth://x.onion/a").unwrap(), "http://x.onion/a");
    }

    #[test]
    fn lightning_addresses() {
        assert_eq!(link_url("ann@example.com").unwrap(), "https://example.com/.well-known/lnurlp/ann");
        assert_eq!(link_url("ann@127.0.0.1:81").unwrap(), "http://127.0.0.1:81/.well-known/lnurlp/ann");
        assert_eq!(link_url("ann@localhost:81").unwrap(), "http://localhost:81/.well-known/lnurlp/ann");
        for bad in ["", "ann", "@", "lnurl1qqqq", "ftp://x/y"] {
            assert!(matches!(link_url(bad), Err(WalletError::BadRequest(_))), "{bad}");
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
        assert_eq!(key("https://a.example/x?k1=1"), key("https://a.example/y?k1=2"));
        assert_ne!(key("https://a.example/x"), key("https://b.example/x"));
    }
}
