use std::io::{Error, ErrorKind};

use super::*;

/// What a resolver says of every name.
#[derive(Clone)]
enum Says {
    Addresses(Vec<IpAddr>),
    NoSuchName,
}

impl Lookup for Says {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let says = self.clone();
        Box::pin(async move {
            match says {
                Self::Addresses(addresses) => Ok(addresses),
                Self::NoSuchName => Err(Error::from(ErrorKind::NotFound)),
            }
        })
    }
}

impl Guard {
    /// A guard that knows no names, as on a machine without a network, but for `inside.example`: that leads inside.
    pub(crate) fn offline(settings: GuardSettings) -> Self {
        Self::with_lookup(settings, Box::new(Offline))
    }
}

struct Offline;

impl Lookup for Offline {
    fn lookup(&self, host: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let inside = host == "inside.example";
        let says = if inside { Says::Addresses(vec![Ipv4Addr::LOCALHOST.into()]) } else { Says::NoSuchName };
        says.lookup(host)
    }
}

fn guard() -> Guard {
    Guard::new(GuardSettings::default())
}

#[test]
fn addresses_that_are_not_public() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:a9fe:a9fe::",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "4000::1",
        "5f00::1",
    ] {
        assert!(!is_public(text.parse().unwrap()), "{text}");
    }
}

#[test]
fn addresses_that_are() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2001:200::1",
        "2002:808:808::1",
        "64:ff9b::8.8.8.8",
        "3fff:1000::1",
    ] {
        assert!(is_public(text.parse().unwrap()), "{text}");
    }
}

#[test]
fn every_spelling_of_an_inner_address_is_refused() {
    for url in [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0177.0.0.01/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.1./",
        "http://0/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://10.0.0.1/",
        "http://192.168.0.1:8080/",
        "http://172.16.5.5/",
        "http://100.64.1.1/",
        "http://１２７.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://%31%32%37.0.0.1/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://router/",
        "https://router.lan./",
        "https://nas.home.arpa/",
        "https://abc.onion/",
    ] {
        assert_eq!(guard().check_url(url), Err(BadUrl::Refused), "{url}");
    }
}

#[test]
fn what_is_no_plain_http_url_is_refused_with_its_reason() {
    let long = format!("https://example.com/{}", "a".repeat(3000));
    for (url, reason) in [
        ("", BadUrl::Scheme),
        ("example.com/hook", BadUrl::Scheme),
        ("ftp://example.com/", BadUrl::Scheme),
        ("file:///etc/passwd", BadUrl::Scheme),
        ("gopher://example.com:70/", BadUrl::Scheme),
        ("javascript:alert(1)", BadUrl::Scheme),
        ("http://", BadUrl::NoHost),
        ("http://./", BadUrl::NoHost),
        ("https://user@example.com/", BadUrl::Credentials),
        ("https://:secret@example.com/", BadUrl::Credentials),
        ("https://example.com@127.0.0.1/", BadUrl::Credentials),
        ("https://example.com:0/", BadUrl::Port),
        ("https://example.com:22/", BadUrl::Port),
        ("https://example.com:25/", BadUrl::Port),
        ("https://example.com:99999/", BadUrl::Malformed),
        ("http://1.2.3.4.5/", BadUrl::Malformed),
        ("http://exa mple.com/", BadUrl::Malformed),
        ("http://[::1/", BadUrl::Malformed),
        (&long, BadUrl::Malformed),
    ] {
        assert_eq!(guard().check_url(url), Err(reason), "{url}");
    }
}

#[test]
fn public_urls_pass() {
    for url in [
        "https://example.com/hook?x=1#y",
        "http://example.com",
        "https://example.com:8443/",
        "https://example.com./",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://münchen.example/",
    ] {
        assert!(guard().check_url(url).is_ok(), "{url}");
    }
}

#[test]
fn the_operator_may_allow_hosts_and_networks_but_no_more_than_those() {
    let guard = Guard::new(GuardSettings {
        allow_hosts: vec!["Hooks.internal.".to_owned(), "10.9.9.9".to_owned()],
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        own_addresses: vec!["8.8.4.4".parse().unwrap()],
    });
    for url in [
        "http://hooks.INTERNAL:25/",
        "http://127.0.0.1:3000/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.9.9.9/",
    ] {
        assert!(guard.check_url(url).is_ok(), "{url}");
    }
    for url in [
        "http://other.internal/",
        "http://[::1]/",
        "http://10.9.9.8/",
        "http://8.8.4.4/",
        "http://[::ffff:8.8.4.4]/",
    ] {
        assert_eq!(guard.check_url(url), Err(BadUrl::Refused), "{url}");
    }
    assert_eq!(guard.check_url("http://127.0.0.1:22/"), Err(BadUrl::Port));
}

/// A resolver that must not be asked.
struct Unasked;

impl Lookup for Unasked {
    fn lookup(&self, host: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        panic!("asked for {host}")
    }
}

#[test]
fn url_is_checked_by_its_form_and_names_are_not_looked_up() {
    let guard = Guard::with_lookup(GuardSettings::default(), Box::new(Unasked));
    for url in ["https://shop.example/hook", "https://db.corp.example/", "https://nobody.example./hook"] {
        assert!(guard.check_url(url).is_ok(), "{url}");
    }
    assert_eq!(guard.check_url("http://127.0.0.1/"), Err(BadUrl::Refused));
}

#[tokio::test]
async fn name_that_leads_inside_is_not_connected_to() {
    for addresses in [&["127.0.0.1"][..], &["169.254.169.254"], &["::1", "10.0.0.1"], &["::ffff:127.0.0.1"]] {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let guard = Guard::with_lookup(GuardSettings::default(), Box::new(Says::Addresses(addresses)));
        assert!(guard.resolve_public("shop.example").await.unwrap_err().is::<NoPublicAddress>());
    }
    let both = vec!["10.0.0.1".parse().unwrap(), "8.8.8.8".parse().unwrap()];
    let guard = Guard::with_lookup(GuardSettings::default(), Box::new(Says::Addresses(both)));
    let used = guard.resolve_public("shop.example").await.unwrap();
    assert_eq!(used, ["8.8.8.8".parse::<IpAddr>().unwrap()], "of several the public ones are used");
}
