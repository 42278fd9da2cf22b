//! What people give as a place to pay to, read once for every service: an invoice, an offer, a lightning address, an
//! LNURL, a bitcoin address, or a `bitcoin:` URI of these. Pure: nothing is asked, and nothing is checked against a
//! network.
//!
//! What is pasted comes with what was around it: blanks, quotes, line ends, `lightning:`, and characters that nobody
//! sees. Blanks inside are taken out only where a checksum tells whether the rest is whole; a lightning address with a
//! blank in it is none.

use std::fmt;
use std::net::Ipv4Addr;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;
use lightning_invoice::Bolt11Invoice;
use url::Url;

use crate::core::text::is_format;

/// Longest text that is looked at, in bytes; real invoices stay far below, and parsing costs time.
pub const LONGEST: usize = 8_192;

/// Longest lightning address, in bytes.
const LONGEST_ADDRESS: usize = 320;

/// What a name that is looked for in the DNS alone (BIP 353) may begin with.
const BITCOIN_SIGN: char = '₿';

/// What may stand around a text without belonging to it.
const QUOTES: &[char] = &[
    '"', '\'', '`', '<', '>', '\u{ab}', '\u{bb}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201c}', '\u{201d}',
    '\u{201e}',
];

/// Where somebody wants to be paid.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A BOLT11 invoice, whose signature is right.
    Invoice(Box<Bolt11Invoice>),
    /// Begins like a BOLT12 offer; without blanks.
    Offer(String),
    /// `name@host`.
    Address(LightningAddress),
    /// `₿name@host`: only to be looked for in the DNS (BIP 353).
    DnsName(LightningAddress),
    /// An LNURL: the URL in it, over https but for hosts that have no certificates.
    Lnurl(Url),
    /// A bitcoin address, of any network.
    Onchain(String),
}

/// The text is none of what can be paid to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an invoice, an offer, a lightning address or a bitcoin address")]
pub struct Unreadable;

/// A lightning address (LUD-16), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightningAddress {
    name: String,
    /// With its port, if it has one.
    host: String,
}

impl fmt::Display for LightningAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.host)
    }
}

impl LightningAddress {
    /// Reads one, with nothing around it.
    pub fn read(text: &str) -> Option<Self> {
        let (name, host) = text.split_once('@')?;
        let named = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
        let hosted = !host.is_empty()
            && text.len() <= LONGEST_ADDRESS
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte))
            && !host.starts_with(['.', '-', ':']);
        let read = Self { name: name.to_ascii_lowercase(), host: host.to_ascii_lowercase() };
        (named && hosted && read.parse_url().is_some()).then_some(read)
    }

    /// Where to ask it.
    ///
    /// # Errors
    /// None in practice: [`LightningAddress::read`] has made sure.
    pub fn url(&self) -> Result<Url, Unreadable> {
        self.parse_url().ok_or(Unreadable)
    }

    fn parse_url(&self) -> Option<Url> {
        let bare = self.host.split(':').next().unwrap_or_default();
        let scheme = if has_no_certificate(bare) { "http" } else { "https" };
        let url = format!("{scheme}://{}/.well-known/lnurlp/{}", self.host, self.name);
        Url::parse(&url).ok().filter(Url::has_host)
    }
}

impl Target {
    /// As it is kept, to be read again later.
    pub fn canonical(&self) -> String {
        match self {
            Self::Invoice(invoice) => invoice.to_string(),
            Self::Offer(text) | Self::Onchain(text) => text.clone(),
            Self::Address(address) => address.to_string(),
            Self::DnsName(address) => format!("{BITCOIN_SIGN}{address}"),
            Self::Lnurl(url) => {
                let rest = url.as_str().strip_prefix(url.scheme()).unwrap_or_default();
                format!("lnurlp{rest}")
            }
        }
    }
}

/// Whether a host is asked over http: hidden services have no certificates; and this machine's own names are for
/// tests, past the address guard alone.
pub fn has_no_certificate(host: &str) -> bool {
    host.ends_with(".onion") || host == "localhost" || host.parse::<Ipv4Addr>().is_ok()
}

/// The text without what is around it: blanks, line ends, quotes, characters that nobody sees, and `lightning:`.
pub fn clean(text: &str) -> String {
    let seen: String =
        text.chars().filter(|c| !is_format(*c) && !matches!(c, '\u{fe00}'..='\u{fe0f}')).collect();
    let mut rest = trim(&seen);
    while let Some(bare) = without_scheme(rest, "lightning") {
        rest = trim(bare);
    }
    rest.to_owned()
}

/// Reads what somebody gave. Of a `bitcoin:` URI the way that costs least: an invoice, an LNURL, an offer, an address.
///
/// # Errors
/// [`Unreadable`].
pub fn read(text: &str) -> Result<Target, Unreadable> {
    if text.len() > LONGEST {
        return Err(Unreadable);
    }
    let text = clean(text);
    match without_scheme(&text, "bitcoin") {
        Some(uri) => read_uri(uri),
        None => read_plain(&text),
    }
}

/// The bitcoin address in a text: the text itself, or that of a `bitcoin:` URI, without blanks. Whether it is one is
/// not looked at.
pub fn onchain(text: &str) -> String {
    let text = clean(text);
    let address = without_scheme(&text, "bitcoin").unwrap_or(&text);
    compact(address.split('?').next().unwrap_or_default())
}

fn read_uri(uri: &str) -> Result<Target, Unreadable> {
    let (address, query) = uri.split_once('?').unwrap_or((uri, ""));
    let params: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let param = |wanted: &str| -> Vec<String> {
        let named = params.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| clean(value)).collect()
    };
    // What it says must be understood, and isn't: then none of it may be used.
    let is_required = |name: &str| name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("req-"));
    if params.iter().any(|(name, _)| is_required(name)) {
        return Err(Unreadable);
    }
    let by_lightning = param("lightning").iter().find_map(|text| read_plain(text).ok());
    let by_offer = || {
        let texts = param("lno");
        texts.iter().map(|text| compact(text)).find(|text| is_offer(text)).map(Target::Offer)
    };
    let found = by_lightning.or_else(by_offer);
    found.map_or_else(|| bitcoin_address(&compact(address)), Ok)
}

fn read_plain(text: &str) -> Result<Target, Unreadable> {
    // Its URL may hold an @ too.
    if let Some(url) = lnurl(text) {
        return Ok(Target::Lnurl(url));
    }
    if text.contains('@') {
        let bare = text.strip_prefix(BITCOIN_SIGN);
        // `lightning:me@example.com?label=…`: what follows is for people.
        let address = bare.unwrap_or(text).split('?').next().unwrap_or_default();
        let read = LightningAddress::read(address).ok_or(Unreadable)?;
        return Ok(if bare.is_some() { Target::DnsName(read) } else { Target::Address(read) });
    }
    let bare = compact(text.split('?').next().unwrap_or_default());
    if is_offer(&bare) {
        return Ok(Target::Offer(bare));
    }
    match bare.parse::<Bolt11Invoice>() {
        Ok(invoice) => Ok(Target::Invoice(Box::new(invoice))),
        Err(_) => bitcoin_address(&bare),
    }
}

fn bitcoin_address(text: &str) -> Result<Target, Unreadable> {
    match text.parse::<Address<NetworkUnchecked>>() {
        Ok(_) => Ok(Target::Onchain(text.to_owned())),
        Err(_) => Err(Unreadable),
    }
}

/// The URL of an LNURL: in bech32 (LUD-01), as `lnurlp://` (LUD-17), or as the `lightning=` of a web address.
fn lnurl(text: &str) -> Option<Url> {
    let bech32 = |text: &str| {
        let text = compact(text);
        let begins = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("lnurl1"));
        let (_, data) = begins.then(|| bech32::decode(&text).ok()).flatten()?;
        Url::parse(std::str::from_utf8(&data).ok()?).ok()
    };
    let url = if let Some(rest) = without_scheme(text, "lnurlp") {
        let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
        let scheme = if has_no_certificate(host) { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{rest}")).ok()
    } else if let Some(found) = bech32(text) {
        Some(found)
    } else {
        let page = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let shown = page.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("lightning"));
        bech32(&clean(&shown?.1))
    }?;
    let host = url.host_str()?;
    // `lnurlp://` names no scheme: what is kept so must be asked as it was given.
    (url.scheme() == if has_no_certificate(host) { "http" } else { "https" }).then_some(url)
}

/// Letters and digits, with `+` where it was broken (BOLT 12): what holds an `@` would be read as an address next time.
fn is_offer(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("lno1"))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
}

/// What follows `scheme:`, in whatever case, with or without slashes.
fn without_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = text.split_once(':')?;
    given.trim().eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches('/'))
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || QUOTES.contains(&c))
}

fn compact(text: &str) -> String {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lightning::invoice::tests::invoice;
    use lightning_invoice::Currency;

    const OFFER: &str = "lno1zcss9mk8y3wkklfvevcrszlmu23kfrxh49px20665dqwmn4p72pksese";
    const ONCHAIN: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    /// `https://service.com/api?q=3fc3…`, of LUD-01.
    const LNURL: &str = "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS";

    fn kept(text: &str) -> String {
        read(text).map_or_else(|_| "none".into(), |target| target.canonical())
    }

    #[test]
    fn address_is_read_as_people_give_it() {
        for text in [
            "me@example.com",
            " Me@Example.com\r\n",
            "lightning:me@example.com",
            "LIGHTNING:ME@EXAMPLE.COM",
            "lightning://me@example.com",
            "lightning: me@example.com",
            "\u{feff}me@exam\u{200b}ple.com\u{a0}",
            "\"me@example.com\"",
            "\u{201c}me@example.com\u{201d}",
            "<me@example.com>",
            "'lightning:me@example.com'",
            "lightning:me@example.com?label=Me",
            "bitcoin:?lightning=me%40example.com",
        ] {
            assert_eq!(kept(text), "me@example.com", "{text:?}");
        }
        assert_eq!(kept("₿me@example.com"), "₿me@example.com");
        for none in ["me @example.com", "me@exa mple.com", "a\u{a0}b@c.d", "me@", "@example.com", ""] {
            assert_eq!(kept(none), "none", "{none:?}");
        }
    }

    #[test]
    fn address_in_a_label_is_no_target() {
        let text = format!("bitcoin:{ONCHAIN}?label=a@b.example");
        assert_eq!(kept(&text), ONCHAIN);
        assert_eq!(kept(&format!("bitcoin:{ONCHAIN}?req-x=1")), "none");
    }

    #[test]
    fn uri_gives_the_way_that_costs_least() {
        let bolt11 = invoice(Currency::Regtest, Some(1_000_000), 1_000, 3_600, 1).to_string();
        let upper = bolt11.to_uppercase();
        for uri in [
            format!("bitcoin:{ONCHAIN}?amount=0.1&lightning={bolt11}"),
            format!("BITCOIN:?LIGHTNING={upper}&LNO={OFFER}"),
            format!("bitcoin:?lno={OFFER}&lightning=lightning:{bolt11}"),
            format!("lightning:{bolt11}?label=x"),
            format!("  \u{200b}{}\n  {}\u{a0}", &bolt11[..30], &bolt11[30..]),
        ] {
            assert_eq!(kept(&uri), bolt11, "{uri}");
        }
        assert_eq!(kept(&format!("bitcoin:?lno={OFFER}")), OFFER);
        assert_eq!(kept(&format!("bitcoin:{ONCHAIN}?lightning=nonsense")), ONCHAIN);
        assert_eq!(kept(&format!("{}\n{}", &OFFER[..20], &OFFER[20..])), OFFER);
    }

    #[test]
    fn bitcoin_address_is_found_in_what_is_around_it() {
        for text in [
            format!(" {ONCHAIN}\n"),
            format!("bitcoin:{ONCHAIN}"),
            format!("BITCOIN:{ONCHAIN}?amount=0.5&label=a@b"),
            format!("\u{201e}{ONCHAIN}\u{201c}"),
            format!("{} {}", &ONCHAIN[..10], &ONCHAIN[10..]),
        ] {
            assert_eq!(onchain(&text), ONCHAIN, "{text}");
        }
    }

    /// In a URI anything may stand behind `lno=`.
    #[test]
    fn address_that_begins_like_an_offer_is_none_in_a_uri() {
        for text in ["bitcoin:?lno=lno1abc@evil.example", "bitcoin:?lno=lno1abc%3Fx", "lno1abc!"] {
            assert_eq!(kept(text), "none", "{text}");
        }
        let broken = format!("{}+{}", &OFFER[..20], &OFFER[20..]);
        assert_eq!(kept(&format!("bitcoin:?lno={}", broken.replace('+', "%2B"))), broken);
    }

    /// What is kept as somebody's address is read again at each payment.
    #[test]
    fn lnurl_that_is_kept_leads_to_the_same_url_again() {
        for text in [
            "lnurlp://host.example/pay/al@ice",
            "lnurlp://host.example/pay?u=a@b",
            "lnurlp://127.0.0.1:3000/pay",
        ] {
            let target = read(text).unwrap();
            assert!(matches!(target, Target::Lnurl(_)), "{text}");
            assert_eq!(read(&target.canonical()), Ok(target), "{text}");
        }
        // Kept without its scheme it would be asked over http.
        let by_https = bech32::encode_lower::<bech32::Bech32>(
            bech32::Hrp::parse("lnurl").unwrap(),
            b"https://203.0.113.7/x",
        );
        assert!(read(&by_https.unwrap()).is_err());
    }

    #[test]
    fn lnurl_is_read_in_each_of_its_spellings() {
        let url =
            "lnurlp://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df";
        for text in [
            LNURL.to_owned(),
            LNURL.to_lowercase(),
            format!("lightning:{LNURL}"),
            format!("https://service.com/giftcard?id=123&lightning={LNURL}"),
            format!("bitcoin:?lightning={LNURL}"),
            url.to_owned(),
            url.replace("lnurlp", "LNURLP"),
        ] {
            assert_eq!(kept(&text), url, "{text}");
        }
        let asked = |text: &str| match read(text) {
            Ok(Target::Lnurl(url)) => url.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("lnurlp://example.com/pay/1"), "https://example.com/pay/1");
        assert_eq!(asked("lnurlp:abc.onion/pay/1"), "http://abc.onion/pay/1");
        for none in [
            "https://example.com/x",
            "http://example.com/x",
            "ftp://example.com/x",
            "lnurl1abc",
            "javascript:alert(1)",
        ] {
            assert_eq!(kept(none), "none", "{none}");
        }
    }

    #[test]
    fn address_leads_to_its_host() {
        let url = |text| LightningAddress::read(text).map(|address| address.url().unwrap().to_string());
        let expected = "https://example.com/.well-known/lnurlp/alice";
        assert_eq!(url("alice@example.com").as_deref(), Some(expected));
        assert_eq!(url("Alice@Example.COM").as_deref(), Some(expected));
        assert_eq!(url("a-b_c.d+e@x.y.z:8443").unwrap(), "https://x.y.z:8443/.well-known/lnurlp/a-b_c.d+e");
        assert_eq!(url("a@127.0.0.1:3000").unwrap(), "http://127.0.0.1:3000/.well-known/lnurlp/a");
        assert_eq!(url("a@abc.onion").unwrap(), "http://abc.onion/.well-known/lnurlp/a");
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
            OFFER,
            "a@c.d:99999",
            "a@user:pw@c.d",
            "a@c.d#e",
            "../x@c.d\n",
        ] {
            assert_eq!(url(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = (read(&text), onchain(&text));
        }

        #[test]
        fn what_is_kept_is_read_again(text in "(lightning:|bitcoin:|₿)?[a-z0-9.]{1,9}@[a-z.:0-9]{1,12}(\\?x=y)?") {
            if let Ok(target) = read(&text) {
                proptest::prop_assert_eq!(read(&target.canonical()), Ok(target));
            }
        }
    }
}
