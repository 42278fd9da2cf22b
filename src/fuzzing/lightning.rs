//! Invoices, offers, addresses, LNURLs and their answers, names in the DNS.

use bitcoin::Network;
use lightning_invoice::Bolt11Invoice;
use serde_json::Value;

use super::{text, two};
use crate::core::money::Msat;
use crate::lightning::target::{self, LONGEST, Target};
use crate::lightning::{bolt12, invoice};
use crate::outbound::lnurl::pay::{PayRequest, accepted, invoice_in, read_target};
use crate::outbound::lnurl::{self, dns};

/// November 2023, when the invoices of the seeds are payable.
const NOW: i64 = 1_700_000_000_000;

pub(super) fn payment_targets(data: &[u8]) {
    let text = text(data);
    let clean = target::clean(text);
    assert_eq!(target::clean(&clean), clean, "clean twice");
    assert!(clean.len() <= text.len());
    let onchain = target::onchain(text);
    assert!(!onchain.contains(char::is_whitespace) && onchain.len() <= text.len());
    let read = target::read(text);
    if text.len() > LONGEST {
        assert!(read.is_err(), "more than {LONGEST} bytes");
        return;
    }
    let kept = read_target(text);
    let Ok(read) = read else {
        assert!(kept.is_err());
        return;
    };
    let canonical = read.canonical();
    assert_eq!(target::read(&canonical).as_ref(), Ok(&read), "{canonical:?} is read as it was kept");
    assert!(!canonical.contains(char::is_whitespace), "{canonical:?}");
    let pasted = format!(" \u{200b}\"lightning:{canonical}\"\r\n");
    if pasted.len() <= LONGEST {
        assert_eq!(target::read(&pasted).as_ref(), Ok(&read), "{pasted:?}");
    }
    match &read {
        Target::Invoice(given) => {
            assert_eq!(canonical.parse::<Bolt11Invoice>().as_ref(), Ok(given.as_ref()));
            assert!(kept.is_err());
            let amount = given.amount_milli_satoshis().and_then(Msat::new);
            assert!(amount.is_none_or(|amount| amount <= Msat::MAX));
            for network in [Network::Bitcoin, Network::Regtest] {
                let _ = invoice::check_payable(given, network, NOW, std::time::Duration::from_secs(30));
            }
        }
        Target::Address(address) | Target::DnsName(address) => {
            let url = address.url().unwrap();
            assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty(), "{url}");
            assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
            assert!(url.path().starts_with("/.well-known/lnurlp/"), "{url}");
        }
        Target::Lnurl(url) => {
            assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{url}");
            if let Ok(encoded) = lnurl::encode(url.as_str()) {
                assert_eq!(target::read(&encoded.to_uppercase()).as_ref(), Ok(&read), "{encoded}");
            }
        }
        Target::Offer(_) => {
            assert!(kept.is_err());
            for network in [Network::Bitcoin, Network::Regtest] {
                if let Ok(offer) = bolt12::read(text, network, NOW) {
                    assert_eq!(bolt12::read(&offer.text, network, NOW).as_ref(), Ok(&offer));
                }
            }
        }
        Target::Onchain(_) => assert!(kept.is_err()),
    }
}

/// The answer of an address, and behind a line's end that of its callback.
pub(super) fn lnurl_answers(data: &[u8]) {
    let (first, second) = two(data);
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    if let Some(Ok(request)) =
        json(first).map(|answer| accepted(answer).and_then(|answer| PayRequest::read(&answer)))
    {
        let (least, most) = request.limits();
        for amount in [least, most, least / 2 + most / 2, 1, u64::MAX / 2].into_iter().filter_map(Msat::new) {
            let Ok(url) = request.question(amount, "Thank you & goodbye") else {
                assert!(amount.get() < least || amount.get() > most);
                continue;
            };
            assert!((least..=most).contains(&amount.get()));
            // A URL without a host may have no query to add to; it is refused when it is used.
            let told = url
                .query_pairs()
                .filter(|(name, _)| name == "amount")
                .last()
                .map(|(_, value)| value.into_owned());
            assert_eq!(told.as_deref(), Some(amount.get().to_string().as_str()), "{url}");
        }
    }
    let Some(answer) = json(second) else { return };
    match accepted(answer) {
        Ok(answer) => {
            for amount in [1_000, 250_000_000, 2_500_000_000].into_iter().filter_map(Msat::new) {
                if let Ok(invoice) = invoice_in(&answer, Network::Bitcoin, NOW, amount) {
                    assert_eq!(invoice.amount_milli_satoshis(), Some(amount.get()));
                }
            }
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 300 && !told.contains(char::is_control), "{told:?}");
        }
    }
}

/// Answers of name servers, bare and with their proofs.
pub(super) fn dns_names(data: &[u8]) {
    if let Some(texts) = dns::plain_texts(data) {
        let all: usize = texts.iter().map(Vec::len).sum();
        assert!(all <= data.len(), "no text from nowhere");
        if let Ok(instructions) = dns::only_one(texts) {
            let _ = target::read(&instructions);
        }
    }
    let name = "bob.user._bitcoin-payment.example.com.".to_owned().try_into().unwrap();
    let proven = dns::texts_of(&name, data, 1_700_000_000);
    assert!(proven.is_err(), "nobody but the root's owner can prove a name");
}
