//! Where a proxy may lead: to the public internet by name, or where the operator's list says.

use url::{Host, Url};

use super::error::ProxyError;
use super::path::CleanPath;
use crate::outbound::guard::{Guard, GuardSettings};

/// Hosts of the operator's list, and the guard that every connection passes.
#[derive(Clone, Debug)]
pub struct Targets {
    guard: Guard,
    /// Hosts of the list that are named with a port: only that one is meant.
    ports: Vec<(String, u16)>,
    /// Hosts that are named without one.
    hosts: Vec<String>,
}

impl Targets {
    /// `settings.allow_hosts` may name a port behind each host: `localhost:8080`, `[::1]:8080`.
    pub fn new(settings: GuardSettings) -> Self {
        Self::with(settings, Guard::new)
    }

    /// Where no names are known, but for `inside.example`, which leads inside.
    #[cfg(test)]
    pub(crate) fn offline(settings: GuardSettings) -> Self {
        Self::with(settings, Guard::offline)
    }

    fn with(settings: GuardSettings, guard: impl FnOnce(GuardSettings) -> Guard) -> Self {
        let mut hosts = Vec::new();
        let mut ports = Vec::new();
        for entry in &settings.allow_hosts {
            match split_port(entry) {
                (host, Some(port)) => ports.push((host, port)),
                (host, None) => hosts.push(host),
            }
        }
        let allow_hosts = hosts.iter().chain(ports.iter().map(|(host, _)| host)).cloned().collect();
        let guard = guard(GuardSettings { allow_hosts, ..settings });
        Self { guard, ports, hosts }
    }

    /// The guard that connections pass.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The base URL of a new proxy in its one form: no slash at the end.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`]: anything but a plain web address; an address instead of a name, or a port besides
    /// those of HTTP, unless the operator listed it; a host that is not public.
    pub fn check(&self, text: &str) -> Result<String, ProxyError> {
        let mut url = self.guard.check_url(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("targetBaseUrl must have no query and no fragment"));
        }
        let bare = url.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned);
        if let Some(bare) = bare {
            url.set_host(Some(&bare)).map_err(|_| bad("targetBaseUrl: not a valid URL"))?;
        }
        self.may_use(&url)?;
        CleanPath::read(url.path())?;
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The URL of a request: the proxy's base, the path as it was matched, the query as it came.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`] if the base may not be used any more, or an address would say something else than what
    /// was matched.
    pub fn url(&self, base: &str, path: &CleanPath, query: Option<&str>) -> Result<Url, ProxyError> {
        let mut url = self.guard.check_url(base)?;
        self.may_use(&url)?;
        let whole = format!("{}{}", url.path().trim_end_matches('/'), path.sent());
        url.set_path(&whole);
        if url.path() != whole {
            return Err(ProxyError::invalid("invalid_path", "the path can be read in two ways"));
        }
        url.set_query(query);
        Ok(url)
    }

    fn may_use(&self, url: &Url) -> Result<(), ProxyError> {
        let Some(host) = url.host() else { return Err(bad("targetBaseUrl: the URL has no host")) };
        let port = url.port_or_known_default().unwrap_or(0);
        let (name, address) = match host {
            Host::Domain(name) => (name.trim_end_matches('.').to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(address.into())),
            Host::Ipv6(address) => (address.to_string(), Some(address.into())),
        };
        let same = |listed: &str| listed.eq_ignore_ascii_case(&name);
        let listed = self.hosts.iter().any(|host| same(host))
            || self.ports.iter().any(|(host, listed)| same(host) && *listed == port)
            || address.is_some_and(|address| self.guard.is_allowed_network(address));
        if listed {
            return Ok(());
        }
        if self.ports.iter().any(|(host, _)| same(host)) {
            return Err(bad("targetBaseUrl: the URL's port is not allowed"));
        }
        if address.is_some() {
            return Err(bad("targetBaseUrl must name its host; an address is not allowed"));
        }
        if matches!(port, 80 | 443) {
            Ok(())
        } else {
            Err(bad("targetBaseUrl: only the ports 80 and 443 are allowed"))
        }
    }
}

fn bad(message: &str) -> ProxyError {
    ProxyError::invalid("invalid_target", message)
}

/// A host of the list, and the port behind it.
fn split_port(entry: &str) -> (String, Option<u16>) {
    if let Some((host, port)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host.to_owned(), port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        // More than one colon is an IPv6 address.
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host.to_owned(), Some(port)),
            Err(_) => (entry.to_owned(), None),
        },
        _ => (entry.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(hosts: &[&str], networks: &[&str]) -> Targets {
        Targets::new(GuardSettings {
            allow_hosts: hosts.iter().map(ToString::to_string).collect(),
            allow_networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            own_addresses: Vec::new(),
        })
    }

    #[test]
    fn only_public_names_and_the_ports_of_http_pass() {
        let targets = targets(&[], &[]);
        for (given, kept) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.Example.com./", "https://api.example.com"),
            ("http://api.example.com:80/v1/", "http://api.example.com/v1"),
        ] {
            assert_eq!(targets.check(given), Ok(kept.into()), "{given}");
        }
        for bad in [
            "api.example.com",
            "ftp://api.example.com",
            "https://user:pass@api.example.com",
            "https://api.example.com?x=1",
            "https://api.example.com#x",
            "https://api.example.com:8443",
            "https://api.example.com:22",
            "https://8.8.8.8",
            "https://[2001:4860:4860::8888]",
            "http://127.0.0.1",
            "http://2130706433",
            "http://0x7f.1",
            "http://[::ffff:127.0.0.1]",
            "http://169.254.169.254/latest",
            "http://localhost",
            "http://printer.local",
            "http://db.internal",
            "http://intranet",
            "https://api.example.com/a%2fb",
            "https://api.example.com/a;b",
        ] {
            assert!(targets.check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_operator_s_list_opens_what_it_names_and_no_other_port() {
        let targets = targets(&["localhost:8080", "box.lan", "[::1]:9000", "127.0.0.9:70"], &["10.0.0.0/8"]);
        for good in [
            "http://localhost:8080/x",
            "http://LOCALHOST.:8080",
            "http://box.lan:1234",
            "http://[::1]:9000",
            "http://127.0.0.9:70",
            "http://10.1.2.3:8080",
        ] {
            assert!(targets.check(good).is_ok(), "{good}");
        }
        for bad in ["http://localhost", "http://localhost:8081", "http://[::1]:9001", "http://127.0.0.1:8080"]
        {
            assert!(targets.check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_s_url_says_what_was_matched() {
        let targets = targets(&[], &[]);
        let url = |base: &str, path: &str, query: Option<&str>| {
            targets.url(base, &CleanPath::read(path).unwrap(), query).unwrap().to_string()
        };
        assert_eq!(url("https://a.example", "/", None), "https://a.example/");
        assert_eq!(
            url("https://a.example/v1", "/x/", Some("q=1&r=%2F..")),
            "https://a.example/v1/x/?q=1&r=%2F.."
        );
        assert_eq!(url("https://a.example/v1", "/caf%c3%a9", Some("")), "https://a.example/v1/caf%C3%A9?");
    }
}
