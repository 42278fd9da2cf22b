//! Paying to a lightning address (LUD-16): from `name@host` to an invoice over an exact amount (LUD-06).
//!
//! Used for what goes back to senders. The hosts are strangers' choice, so every request goes through the
//! address guard. Each call may get another invoice: whoever pays one must have written it down first.

use std::time::Duration;

use bitcoin::Network;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lightning_invoice::{Bolt11Invoice, Currency};
use serde_json::Value;
use url::Url;

use crate::clock::Clock;
use crate::lightning::invoice::check_payable;
use crate::money::Msat;
use crate::vouchers::returns::Resolve;
use crate::webhooks::fetch::{FetchError, GuardedClient};

/// More than any honest answer; metadata may hold a picture.
const LARGEST_ANSWER: usize = 256 * 1024;

/// How long an invoice must be payable at least: a payout may have to wait its turn.
const LASTS_AT_LEAST: Duration = Duration::from_secs(30);

/// Why an address gave no invoice. Nothing was paid; another try may do better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// The text is no lightning address.
    #[error("not a lightning address")]
    BadAddress,
    /// The host gave no usable answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The host answered with an error of its own.
    #[error("the address refused")]
    Refused,
    /// The host takes other amounts.
    #[error("the address does not take this amount")]
    Amount,
    /// The host's answer is not what the specification asks for.
    #[error("the address answered nonsense: {0}")]
    Nonsense(&'static str),
}

/// The URL behind a lightning address; `None` if the text is none.
pub fn address_url(address: &str) -> Option<Url> {
    let (name, host) = address.split_once('@')?;
    let named = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
    let hosted = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte))
        && !host.starts_with(['.', '-', ':']);
    if !named || !hosted {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let bare = host.split(':').next().unwrap_or_default();
    // Hidden services have no certificates; and this machine's own names are for tests, past the guard alone.
    let plain = bare.ends_with(".onion") || bare == "localhost" || bare.parse::<std::net::Ipv4Addr>().is_ok();
    let scheme = if plain { "http" } else { "https" };
    let name = name.to_ascii_lowercase();
    Url::parse(&format!("{scheme}://{host}/.well-known/lnurlp/{name}")).ok().filter(Url::has_host)
}

/// Whether a text has the form of a lightning address.
pub fn is_address(text: &str) -> bool {
    address_url(text).is_some()
}

/// Asks addresses on behalf of vouchers that go back.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Goes only where the address guard lets it.
    pub client: GuardedClient,
    /// Whose invoices we pay.
    pub network: Network,
    /// The time.
    pub clock: Clock,
    /// What the recipient reads, where their address takes a comment.
    pub comment: String,
}

/// What an address takes.
#[derive(Clone, Debug)]
pub struct PayRequest {
    callback: Url,
    /// In msat.
    least: u64,
    /// In msat.
    most: u64,
    /// Characters of a comment.
    comment: usize,
}

impl Resolve for Addresses {
    fn invoice<'a>(&'a self, address: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
        let asked = self.ask(address, amount);
        asked.map(|result| result.map_err(|error| error.to_string())).boxed()
    }
}

impl Addresses {
    /// Asks an address for an invoice over exactly `amount`, on our network, signed, and not about to expire.
    ///
    /// # Errors
    /// [`PayError`].
    pub async fn ask(&self, address: &str, amount: Msat) -> Result<Bolt11Invoice, PayError> {
        let request = self.pay_request(address).await?;
        self.invoice_of(&request, amount).await
    }

    /// What an address takes, and where to ask it for an invoice.
    ///
    /// # Errors
    /// [`PayError`].
    pub async fn pay_request(&self, address: &str) -> Result<PayRequest, PayError> {
        let url = address_url(address).ok_or(PayError::BadAddress)?;
        let offer = fetch(&self.client, url.as_str()).await?;
        if offer.get("tag").and_then(Value::as_str) != Some("payRequest") {
            return Err(PayError::Nonsense("not a payRequest"));
        }
        let number = |name| offer.get(name).and_then(Value::as_u64);
        let limit = |name| number(name).ok_or(PayError::Nonsense("no limits"));
        let (least, most) = (limit("minSendable")?, limit("maxSendable")?);
        let callback =
            offer.get("callback").and_then(Value::as_str).ok_or(PayError::Nonsense("no callback"))?;
        let callback = Url::parse(callback).map_err(|_| PayError::Nonsense("no callback"))?;
        let comment = number("commentAllowed").and_then(|most| usize::try_from(most).ok()).unwrap_or(0);
        Ok(PayRequest { callback, least, most, comment })
    }

    /// Asks for an invoice over exactly `amount`, on our network, signed, and not about to expire.
    ///
    /// # Errors
    /// [`PayError`].
    pub async fn invoice_of(&self, request: &PayRequest, amount: Msat) -> Result<Bolt11Invoice, PayError> {
        if !(request.least..=request.most).contains(&amount.get()) {
            return Err(PayError::Amount);
        }
        let mut callback = request.callback.clone();
        callback.query_pairs_mut().append_pair("amount", &amount.get().to_string());
        if !self.comment.is_empty() && self.comment.chars().count() <= request.comment {
            callback.query_pairs_mut().append_pair("comment", &self.comment);
        }
        let answer = fetch(&self.client, callback.as_str()).await?;
        let text = answer.get("pr").and_then(Value::as_str).ok_or(PayError::Nonsense("no invoice"))?;
        let invoice: Bolt11Invoice = text.parse().map_err(|_| PayError::Nonsense("not an invoice"))?;
        check(&invoice, self.network, &self.clock, amount)?;
        Ok(invoice)
    }
}

async fn fetch(client: &GuardedClient, url: &str) -> Result<Value, PayError> {
    let answer = client.get_json(url, LARGEST_ANSWER).await?;
    match answer.get("status").and_then(Value::as_str) {
        Some("ERROR") => Err(PayError::Refused),
        _ => Ok(answer),
    }
}

fn check(invoice: &Bolt11Invoice, network: Network, clock: &Clock, amount: Msat) -> Result<(), PayError> {
    if invoice.amount_milli_satoshis() != Some(amount.get()) {
        return Err(PayError::Nonsense("an invoice over another amount"));
    }
    if invoice.currency() != Currency::from(network) {
        return Err(PayError::Nonsense("an invoice of another network"));
    }
    let now = Duration::from_millis(u64::try_from(clock.now()).unwrap_or(0));
    if invoice.expires_at().is_some_and(|end| end < now.saturating_add(LASTS_AT_LEAST)) {
        return Err(PayError::Nonsense("an invoice that is about to expire"));
    }
    check_payable(invoice, network, clock.now(), LASTS_AT_LEAST)
        .map_err(|_| PayError::Nonsense("an invoice that may be held for days"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_host() {
        let url = |address| address_url(address).map(String::from);
        let expected = "https://example.com/.well-known/lnurlp/alice";
        assert_eq!(url("alice@example.com").as_deref(), Some(expected));
        assert_eq!(url("Alice@Example.COM").as_deref(), Some(expected));
        assert_eq!(url("a-b_c.d+e@x.y.z:8443").unwrap(), "https://x.y.z:8443/.well-known/lnurlp/a-b_c.d+e");
        assert_eq!(url("a@127.0.0.1:3000").unwrap(), "http://127.0.0.1:3000/.well-known/lnurlp/a");
        assert_eq!(url("a@abc.onion").unwrap(), "http://abc.onion/.well-known/lnurlp/a");
    }

    #[test]
    fn other_texts_are_no_address() {
        for text in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a@b@c",
            "a/b@c.d",
            "a@c.d/e",
            "a@c.d?x",
            "a b@c.d",
            "ä@c.d",
            "a@.com",
            "lno1qcp4256ypq",
            "a@c.d:99999",
            "a@user:pw@c.d",
            "a@c.d#e",
            "../x@c.d\n",
        ] {
            assert_eq!(address_url(text), None, "{text}");
        }
    }
}
