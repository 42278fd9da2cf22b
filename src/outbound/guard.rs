//! The address guard: where requests that a stranger asked for may go.
//!
//! Used for webhooks, lightning addresses, and every other URL that isn't the operator's own. A URL's form is checked
//! when it is given ([`Guard::check_url`]) and whenever it is used. Names are resolved once per connection and never
//! before, and the connection goes to an address that was checked, so a name that changes its mind gains nothing, and
//! nobody learns by giving us a name what it leads to here.
//! Requests are made with a [`GuardedClient`](crate::outbound::fetch::GuardedClient) and with nothing else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Bytes of a URL. Longer ones are not addresses but payloads.
const LONGEST_URL: usize = 2048;

/// Below this only the ports of HTTP itself: the others belong to protocols that must not be spoken to.
const FIRST_FREE_PORT: u16 = 1024;

/// What the guard lets through besides public addresses, and what it never does.
#[derive(Clone, Debug, Default)]
pub struct GuardSettings {
    /// Hosts that may resolve to anything, by exact name.
    pub allow_hosts: Vec<String>,
    /// Networks that count as public.
    pub allow_networks: Vec<IpNet>,
    /// Public addresses of this very machine.
    pub own_addresses: Vec<IpAddr>,
}

/// Why a URL is refused. The texts are safe to send back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It can't be read as a URL, or is too long.
    #[error("not a valid URL")]
    Malformed,
    /// Neither http nor https.
    #[error("the URL must begin with http:// or https://")]
    Scheme,
    /// No host in it.
    #[error("the URL has no host")]
    NoHost,
    /// A name or password in it.
    #[error("the URL must not contain a user name or password")]
    Credentials,
    /// A port that isn't for HTTP.
    #[error("the URL's port is not allowed: it must be 80, 443, or 1024 or above")]
    Port,
    /// A host that is not public.
    #[error("the URL's host is not allowed: it must lead to the public internet")]
    Refused,
}

/// None of a name's addresses may be used. Travels through the HTTP client as the cause of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no public address")]
pub struct NoPublicAddress;

/// Looks names up. The system's resolver outside of tests.
pub trait Lookup: Send + Sync {
    /// All addresses of a name.
    fn lookup(&self, host: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
}

struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The guard. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    allow_hosts: Vec<String>,
    allow_networks: Vec<IpNet>,
    own_addresses: Vec<IpAddr>,
    lookup: Box<dyn Lookup>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("allow_hosts", &self.0.allow_hosts).finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard that asks the system's resolver.
    pub fn new(settings: GuardSettings) -> Self {
        Self::with_lookup(settings, Box::new(SystemLookup))
    }

    /// A guard that asks this resolver.
    pub fn with_lookup(settings: GuardSettings, lookup: Box<dyn Lookup>) -> Self {
        let allow_hosts = settings.allow_hosts.iter().map(|host| bare(host).to_ascii_lowercase()).collect();
        let own = settings.own_addresses.iter().map(IpAddr::to_canonical);
        Self(Arc::new(Inner {
            allow_hosts,
            allow_networks: settings.allow_networks,
            own_addresses: own.collect(),
            lookup,
        }))
    }

    /// Whether a URL may be used, by its form alone. Where its name leads is looked up and checked at every connection
    /// and not before: an answer that told names of this network from others would be an oracle of them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_url(&self, text: &str) -> Result<Url, BadUrl> {
        if text.len() > LONGEST_URL {
            return Err(BadUrl::Malformed);
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => BadUrl::NoHost,
            url::ParseError::RelativeUrlWithoutBase => BadUrl::Scheme,
            _ => BadUrl::Malformed,
        })?;
        self.check(&url)?;
        Ok(url)
    }

    /// The same for a URL that has been read, of any length.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, url: &Url) -> Result<(), BadUrl> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Credentials);
        }
        // The parser has turned every spelling of an IPv4 address (decimal, octal, hexadecimal) into one.
        let (host, fits) = match url.host().ok_or(BadUrl::NoHost)? {
            Host::Domain(name) => (bare(name).to_owned(), may_be_public(bare(name))),
            Host::Ipv4(address) => (address.to_string(), self.may_reach(address.into())),
            Host::Ipv6(address) => (address.to_string(), self.may_reach(address.into())),
        };
        if host.is_empty() {
            return Err(BadUrl::NoHost);
        }
        if self.is_named(&host) {
            return Ok(());
        }
        if !fits {
            return Err(BadUrl::Refused);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if matches!(port, 80 | 443) || port >= FIRST_FREE_PORT { Ok(()) } else { Err(BadUrl::Port) }
    }

    /// Whether a connection to this address may be made.
    pub fn may_reach(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let allowed = self.0.allow_networks.iter().any(|network| network.contains(&address));
        allowed || (is_public(address) && !self.0.own_addresses.contains(&address))
    }

    /// Whether the operator's list has a network with this address.
    pub fn is_allowed_network(&self, address: IpAddr) -> bool {
        self.0.allow_networks.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// Whether the operator allowed this very host.
    fn is_named(&self, host: &str) -> bool {
        self.0.allow_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// The addresses of a name that may be used.
    async fn resolve_public(
        &self,
        name: &str,
    ) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let mut found = self.0.lookup.lookup(name.to_owned()).await?;
        if !self.is_named(bare(name)) {
            found.retain(|address| self.may_reach(*address));
        }
        if found.is_empty() { Err(NoPublicAddress.into()) } else { Ok(found) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.resolve_public(name.as_str()).await?;
            // Port 0: the connector puts the URL's in.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// A host without the dot that may end it.
fn bare(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Names that by definition lead to this machine or network are refused before anybody is asked.
fn may_be_public(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or("");
    name.contains('.')
        && !matches!(last, "localhost" | "local" | "internal" | "lan" | "home" | "onion" | "")
        && !name.ends_with(".home.arpa")
}

/// Whether a URL's host says of itself that it is on this machine or network: what is sent there doesn't cross the
/// internet. Says nothing of whether it may be asked.
pub fn is_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => !may_be_public(bare(name)),
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        None => false,
    }
}

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private, loopback, multicast and everything above it.
        [0 | 10 | 127 | 224..=255, ..]
            // Carrier-grade NAT.
            | [100, 64..=127, ..]
            // Link-local, and with it the clouds' metadata.
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Protocol assignments, documentation, the 6to4 relay.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Benchmarks.
            | [198, 18 | 19, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    match [a, b] {
        // NAT64 leads to the IPv4 address in its end: so do hosts without IPv4 reach the IPv4 internet.
        [0x64, 0xff9b] if [c, d, e, f] == [0; 4] => is_public_v4(v4_of(g, h)),
        // 6to4 leads to the one in its middle.
        [0x2002, _] => is_public_v4(v4_of(b, c)),
        // Protocol assignments, Teredo among them, and documentation.
        [0x2001, 0..=0x01ff | 0xdb8] | [0x3fff, 0..=0x0fff] => false,
        // Outside of global unicast: loopback, local, unique local, multicast, discard, what isn't assigned.
        _ => (0x2000..=0x3fff).contains(&a),
    }
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests;
