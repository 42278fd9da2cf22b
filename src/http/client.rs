//! Who is asking: the address a request came from, seen through the proxies we trust and no others.
//!
//! The server puts the peer's address on every request; limits, idempotency and the log ask here.
//! Never read `X-Forwarded-For` anywhere else: a stranger can write anything into it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use super::keys::Caller;
use super::noticed::Noticed;
use crate::core::ids::AccountId;

/// The other end of the connection a request came in on. An extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// One client for the purposes of limiting: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// The neighbourhood of this client: what one owner of many addresses has, a /48 of IPv6 and a /24 of IPv4.
    pub fn neighbourhood(&self) -> IpAddr {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                IpAddr::from([a, b, c, 0])
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
            }
        }
    }

    /// The region of this client: what one provider has, a /32 of IPv6 and a /16 of IPv4.
    pub fn region(&self) -> IpAddr {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, ..] = address.octets();
                IpAddr::from([a, b, 0, 0])
            }
            IpAddr::V6(address) => {
                let [a, b, ..] = address.segments();
                IpAddr::from([a, b, 0, 0, 0, 0, 0, 0])
            }
        }
    }

    /// The client that an address stands for.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => Self(IpAddr::V6(first_64(address))),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where requests without a peer come from: in tests, and in calls of the process itself.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What reverse proxies write about their clients.
const FORWARDING_HEADERS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

tokio::task_local! {
    /// From where the request of this task came: see [`address`].
    static ADDRESS: IpAddr;
    /// Whose request this task answers: see [`asker`].
    static ASKER: Asker;
}

/// For whom a request is: what budgets and payouts are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Somebody with a valid API key.
    Account(AccountId),
    /// Anybody else, from this address.
    Stranger(IpAddr),
}

/// For whom the request of this task is. `None` outside of a request.
pub fn asker() -> Option<Asker> {
    ASKER.try_with(|asker| *asker).ok()
}

/// For whom the request of this task is, as payouts are counted: the account of its API key, or the client's
/// neighbourhood. None outside of a request.
pub fn source() -> Option<String> {
    Some(match asker()? {
        Asker::Account(account) => format!("account {}", account.0),
        Asker::Stranger(address) => Client::of(address).neighbourhood().to_string(),
    })
}

/// Whether what [`source`] said of two askers is of one region. All accounts are, since making one may cost nothing.
pub fn is_of_one_region(one: &str, other: &str) -> bool {
    let region = |source: &str| source.parse().ok().map(|address| Client::of(address).region());
    region(one) == region(other)
}

/// From where the request of this task came, through the proxies that are trusted. `None` outside of a request.
pub fn address() -> Option<IpAddr> {
    ADDRESS.try_with(|address| *address).ok()
}

/// Runs `asked` as a request from this address.
#[cfg(test)]
pub async fn at_address<T>(address: IpAddr, asked: impl Future<Output = T>) -> T {
    ADDRESS.scope(address, asked).await
}

/// Runs `asked` as a request of this asker's.
#[cfg(test)]
pub async fn asked_by<T>(asker: Asker, asked: impl Future<Output = T>) -> T {
    ASKER.scope(asker, asked).await
}

/// Middleware: lets [`address`] know. Goes outside of whatever reads API keys.
pub async fn note_address(State(proxies): State<Arc<Proxies>>, request: Request, next: Next) -> Response {
    proxies.noticed.asked(request.uri());
    match request.extensions().get::<Peer>() {
        Some(peer) => {
            proxies.note_untrusted(peer.0.ip().to_canonical(), request.headers());
            let address = proxies.address(peer.0.ip(), request.headers());
            ADDRESS.scope(address, next.run(request)).await
        }
        None => next.run(request).await,
    }
}

/// Middleware: lets [`asker`] and [`source`] know. Goes inside [`note_address`] and
/// [`recognise`](super::keys::recognise).
pub async fn note_source(request: Request, next: Next) -> Response {
    let asker = match request.extensions().get::<Caller>() {
        Some(caller) => Asker::Account(caller.account),
        None => Asker::Stranger(address().unwrap_or(NOWHERE)),
    };
    ASKER.scope(asker, next.run(request)).await
}

/// Which proxies may tell us whom they speak for.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    untrusted: UntrustedForwarding,
    noticed: Noticed,
}

/// Requests whose forwarding headers were not believed.
#[derive(Debug, Default)]
struct UntrustedForwarding {
    requests: AtomicU64,
    last_peer: Mutex<Option<IpAddr>>,
}

/// Between two warnings about them, in requests.
const WARN_EVERY: u64 = 10_000;

impl Proxies {
    /// Trusts these networks and nobody else.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted, untrusted: UntrustedForwarding::default(), noticed: Noticed::default() }
    }

    /// What requests have shown of a set-up that gives secrets away.
    pub fn noticed(&self) -> &Noticed {
        &self.noticed
    }

    /// How many requests with forwarding headers came from peers that are not trusted, and the last of those peers.
    pub fn untrusted_forwarding(&self) -> Option<(u64, IpAddr)> {
        let peer = *self.untrusted.last_peer.lock().unwrap_or_else(PoisonError::into_inner);
        peer.map(|peer| (self.untrusted.requests.load(Ordering::Relaxed), peer))
    }

    /// Counts a request whose forwarding headers are not believed, and logs the first of them.
    fn note_untrusted(&self, peer: IpAddr, headers: &HeaderMap) {
        if self.trusts(peer) || !FORWARDING_HEADERS.iter().any(|name| headers.contains_key(*name)) {
            return;
        }
        *self.untrusted.last_peer.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer);
        if self.untrusted.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(WARN_EVERY) {
            tracing::warn!(
                %peer,
                "requests carry forwarding headers, but http.trusted_proxies does not name this peer: if it is your \
                 reverse proxy, all its visitors share one rate limit"
            );
        }
    }

    /// The address behind a request: the peer, or, if the peer is a trusted proxy, the right-most entry of
    /// `X-Forwarded-For` that isn't one. What can't be read ends the search: nobody further out is believed.
    pub fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut known = peer.to_canonical();
        if !self.trusts(known) {
            return known;
        }
        let lines = headers.get_all("x-forwarded-for");
        for line in lines.iter().rev() {
            let Ok(line) = line.to_str() else {
                return known;
            };
            for entry in line.rsplit(',') {
                let Some(address) = entry_address(entry) else {
                    return known;
                };
                known = address;
                if !self.trusts(known) {
                    return known;
                }
            }
        }
        known
    }

    /// The client behind a request whose extensions carry [`Peer`]. Without a peer (tests, in-process
    /// calls) all requests are one client.
    pub fn client(&self, extensions: &Extensions, headers: &HeaderMap) -> Client {
        let peer = extensions.get::<Peer>().map_or(NOWHERE, |peer| peer.0.ip());
        Client::of(self.address(peer, headers))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// The first 64 bits of an IPv6 address, which is what one customer of a provider usually has.
fn first_64(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))
}

/// One entry of the list, with or without a port.
fn entry_address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let address = entry
        .parse::<IpAddr>()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies.address(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(seen("203.0.113.9", &["1.2.3.4"]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_entry_counts() {
        assert_eq!(seen("10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(seen("::1", &["[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(seen("::ffff:10.0.0.1", &["1.2.3.4:5555"]), "1.2.3.4");
    }

    #[test]
    fn nonsense_and_nothing_leave_the_last_one_known() {
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4, unknown, 10.2.2.2"]), "10.2.2.2");
        assert_eq!(seen("10.0.0.1", &["10.1.1.1, 10.2.2.2"]), "10.1.1.1");
    }

    #[test]
    fn forwarding_headers_of_strangers_are_counted() {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut forwarded = HeaderMap::new();
        forwarded.insert("x-forwarded-for", "1.2.3.4".parse().unwrap());
        let note = |peer: &str, headers: &HeaderMap| proxies.note_untrusted(peer.parse().unwrap(), headers);
        note("10.0.0.1", &forwarded);
        note("172.17.0.1", &HeaderMap::new());
        assert_eq!(proxies.untrusted_forwarding(), None);
        note("172.17.0.1", &forwarded);
        note("172.17.0.1", &forwarded);
        assert_eq!(proxies.untrusted_forwarding(), Some((2, "172.17.0.1".parse().unwrap())));
    }

    #[test]
    fn networks_of_one_provider_are_of_one_region() {
        for (one, other, same) in [
            ("8.8.8.0", "8.8.9.0", true),
            ("8.8.8.0", "8.9.8.0", false),
            ("2001:db8:1::", "2001:db8:ffff::", true),
            ("2001:db8::", "2001:db8:ffff::", true),
            ("2001:db8:1::", "2001:db9:1::", false),
            ("account 1", "account 2", true),
            ("account 1", "8.8.8.0", false),
        ] {
            assert_eq!(is_of_one_region(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_provider_s_customer_is_one_client() {
        let of = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
