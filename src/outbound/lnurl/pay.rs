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
use url::{Host, Url};

use crate::core::decimal;
use crate::core::money::Msat;
use crate::core::text;
use crate::core::time::{Clock, UnixMillis};
use crate::lightning::invoice::{self, check_payable};
use crate::lightning::target::{self, Target, Unreadable};
use crate::outbound::fetch::{FetchError, GuardedClient};
use crate::outbound::guard::{BadUrl, Guard};
use crate::vouchers::returns::Resolve;

/// More than any honest answer; metadata may hold a picture.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Bytes of a host's reason that are passed on.
const LONGEST_REASON: usize = 200;

/// How long an invoice must be payable at least: a payout may have to wait its turn.
const LASTS_AT_LEAST: Duration = Duration::from_secs(30);

/// Why an address gave no invoice. Nothing was paid; another try may do better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// Nothing can be paid to this text.
    #[error(transparent)]
    BadAddress(#[from] NotPayable),
    /// The host gave no usable answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The host answered with an error of its own; its reason, cut and without control characters.
    #[error("the address refused{}", because(.0))]
    Refused(String),
    /// The host takes other amounts.
    #[error("the address does not take this amount")]
    Amount,
    /// An LNURL that gives sats instead of taking them.
    #[error("this LNURL is one to withdraw from, not one to pay to")]
    Withdrawal,
    /// The host's answer is not what the specification asks for.
    #[error("the address answered nonsense: {0}")]
    Nonsense(&'static str),
}

/// Why a text can't be kept as the place that later payments go to. The texts are for whoever gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPayable {
    /// It is nothing that can be paid to.
    #[error("this is not a lightning address like name@example.com")]
    Unreadable,
    /// It can be paid once.
    #[error(
        "this is an invoice, which expires and can be paid once; give a lightning address like name@example.com"
    )]
    Invoice,
    /// An offer: what goes back by itself is paid to addresses alone.
    #[error("this is a BOLT12 offer; give a lightning address like name@example.com")]
    Offer,
    /// A bitcoin address.
    #[error("this is a bitcoin address; give a lightning address like name@example.com")]
    Onchain,
    /// Only the DNS knows it.
    #[error("a name with ₿ is only looked for in the DNS; give a lightning address like name@example.com")]
    DnsName,
    /// A name of BIP 353 that isn't there.
    #[error("there is no such name in the DNS, or nothing there that its signatures (DNSSEC) prove")]
    NoName,
    /// A name of BIP 353 with something wrong.
    #[error("{0}")]
    Name(&'static str),
    /// A name of BIP 353 that stands for a bitcoin address.
    #[error(
        "the name stands for a bitcoin address alone, and nothing is paid to those; give one with an offer"
    )]
    NameOfCoins,
    /// A name of BIP 353 that stands for nothing that is known here.
    #[error("what the name stands for can't be paid from here; give one with an offer")]
    NameUnreadable,
    /// No Tor here.
    #[error("this server can't reach onion addresses")]
    Onion,
    /// A name of a network that isn't the internet.
    #[error("the host's name exists in a local network only, where this server can't ask it")]
    LocalName,
    /// An address of a network that isn't the internet.
    #[error("the host's IP address is not a public one, so this server can't ask it")]
    PrivateAddress,
    /// A port that the guard refuses.
    #[error("the host's port is not allowed: it must be 80, 443, or 1024 or above")]
    Port,
    /// Something else is wrong with the URL.
    #[error("the host can't be asked")]
    Host,
}

/// Reads what somebody wants later payments to go to, a lightning address or an LNURL, as it is kept: refused when it
/// is given and not when it is needed. What its name leads to is not looked up, so the answer tells nothing of the
/// network that the server is in.
///
/// # Errors
/// Why nothing could ever be paid to it.
pub fn check_target(guard: &Guard, text: &str) -> Result<String, NotPayable> {
    let target = read_target(text)?;
    check_url(guard, &url_of(&target)?)?;
    Ok(target.canonical())
}

/// The form alone, as [`check_target`].
///
/// # Errors
/// What else it is.
pub fn read_target(text: &str) -> Result<Target, NotPayable> {
    match target::read(text) {
        Ok(target @ (Target::Address(_) | Target::Lnurl(_))) => Ok(target),
        Ok(Target::Invoice(_)) => Err(NotPayable::Invoice),
        Ok(Target::Offer(_)) => Err(NotPayable::Offer),
        Ok(Target::Onchain(_)) => Err(NotPayable::Onchain),
        Ok(Target::DnsName(_)) => Err(NotPayable::DnsName),
        Err(Unreadable) => Err(NotPayable::Unreadable),
    }
}

fn url_of(target: &Target) -> Result<Url, NotPayable> {
    match target {
        Target::Address(address) => address.url().map_err(|_| NotPayable::Unreadable),
        Target::Lnurl(url) => Ok(url.clone()),
        _ => Err(NotPayable::Unreadable),
    }
}

/// Whether this server can ask there at all, by the text of the URL.
///
/// # Errors
/// Why not.
pub fn check_url(guard: &Guard, url: &Url) -> Result<(), NotPayable> {
    let Err(refused) = guard.check(url) else { return Ok(()) };
    Err(match (refused, url.host()) {
        (BadUrl::Port, _) => NotPayable::Port,
        (BadUrl::Refused, Some(Host::Domain(name))) if name.trim_end_matches('.').ends_with(".onion") => {
            NotPayable::Onion
        }
        (BadUrl::Refused, Some(Host::Domain(_))) => NotPayable::LocalName,
        (BadUrl::Refused, Some(_)) => NotPayable::PrivateAddress,
        _ => NotPayable::Host,
    })
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
        asked.map(|result| result.map_err(|error| told(&error))).boxed()
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
        let target = read_target(address)?;
        self.pay_request_at(&url_of(&target)?).await
    }

    /// The same for an LNURL's URL.
    ///
    /// # Errors
    /// [`PayError`].
    pub async fn pay_request_at(&self, url: &Url) -> Result<PayRequest, PayError> {
        check_url(self.client.guard(), url)?;
        PayRequest::read(&fetch(&self.client, url.as_str()).await?)
    }

    /// Asks for an invoice over exactly `amount`, on our network, signed, and not about to expire.
    ///
    /// # Errors
    /// [`PayError`].
    pub async fn invoice_of(&self, request: &PayRequest, amount: Msat) -> Result<Bolt11Invoice, PayError> {
        let callback = request.question(amount, &self.comment)?;
        let answer = fetch(&self.client, callback.as_str()).await?;
        invoice_in(&answer, self.network, self.clock.now(), amount)
    }
}

impl PayRequest {
    /// Reads what an address answers.
    ///
    /// # Errors
    /// [`PayError::Nonsense`].
    pub(crate) fn read(offer: &Value) -> Result<Self, PayError> {
        match offer.get("tag").and_then(Value::as_str) {
            Some("payRequest") => {}
            Some("withdrawRequest") => return Err(PayError::Withdrawal),
            _ => return Err(PayError::Nonsense("not a payRequest")),
        }
        let number = |name| offer.get(name).and_then(whole);
        let limit = |name| number(name).ok_or(PayError::Nonsense("no limits"));
        let (least, most) = (limit("minSendable")?, limit("maxSendable")?);
        let callback =
            offer.get("callback").and_then(Value::as_str).ok_or(PayError::Nonsense("no callback"))?;
        let callback = Url::parse(callback.trim()).map_err(|_| PayError::Nonsense("no callback"))?;
        let comment = number("commentAllowed").and_then(|most| usize::try_from(most).ok()).unwrap_or(0);
        Ok(Self { callback, least, most, comment })
    }

    /// Where to ask for an invoice over this amount.
    ///
    /// # Errors
    /// [`PayError::Amount`].
    pub(crate) fn question(&self, amount: Msat, comment: &str) -> Result<Url, PayError> {
        if !(self.least..=self.most).contains(&amount.get()) {
            return Err(PayError::Amount);
        }
        let mut callback = self.callback.clone();
        callback.query_pairs_mut().append_pair("amount", &amount.get().to_string());
        if !comment.is_empty() && comment.chars().count() <= self.comment {
            callback.query_pairs_mut().append_pair("comment", comment);
        }
        Ok(callback)
    }

    /// Least and most, in msat.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn limits(&self) -> (u64, u64) {
        (self.least, self.most)
    }
}

/// The invoice in an answer, if it is the one that was asked for.
pub(crate) fn invoice_in(
    answer: &Value,
    network: Network,
    now: UnixMillis,
    amount: Msat,
) -> Result<Bolt11Invoice, PayError> {
    let text = answer.get("pr").and_then(Value::as_str).ok_or(PayError::Nonsense("no invoice"))?;
    let invoice = invoice::read(text).map_err(|_| PayError::Nonsense("not an invoice"))?;
    check(&invoice, network, now, amount)?;
    Ok(invoice)
}

async fn fetch(client: &GuardedClient, url: &str) -> Result<Value, PayError> {
    accepted(client.get_answer(url, LARGEST_ANSWER).await?)
}

/// An answer that is no refusal.
pub(crate) fn accepted(answer: Value) -> Result<Value, PayError> {
    let status = answer.get("status").and_then(Value::as_str).unwrap_or_default();
    if !status.eq_ignore_ascii_case("ERROR") {
        return Ok(answer);
    }
    let reason = answer.get("reason").and_then(Value::as_str).unwrap_or_default();
    Err(PayError::Refused(text::beginning(&text::plain_line(reason), LONGEST_REASON).to_owned()))
}

/// Why there is no invoice, for whoever gave the address: what a name leads to inside of this network is not told.
fn told(error: &PayError) -> String {
    match error {
        PayError::Fetch(FetchError::Refused | FetchError::Unreachable | FetchError::TimedOut) => {
            FetchError::Unreachable.to_string()
        }
        other => other.to_string(),
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// A whole number, however it was written: `1000`, `1000.0`, `"1000"`.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => decimal::whole_number(number).and_then(|whole| u64::try_from(whole).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn check(invoice: &Bolt11Invoice, network: Network, now: UnixMillis, amount: Msat) -> Result<(), PayError> {
    if invoice.amount_milli_satoshis() != Some(amount.get()) {
        return Err(PayError::Nonsense("an invoice over another amount"));
    }
    if invoice.currency() != Currency::from(network) {
        return Err(PayError::Nonsense("an invoice of another network"));
    }
    let until = Duration::from_millis(u64::try_from(now).unwrap_or(0)).saturating_add(LASTS_AT_LEAST);
    if invoice.expires_at().is_some_and(|end| end < until) {
        return Err(PayError::Nonsense("an invoice that is about to expire"));
    }
    check_payable(invoice, network, now, LASTS_AT_LEAST)
        .map_err(|_| PayError::Nonsense("an invoice that may be held for days"))
}

#[cfg(test)]
mod tests;
