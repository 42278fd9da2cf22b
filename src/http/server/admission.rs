//! Who may have how many connections: a cap for each client and for its network, so that one of them can't take all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::http::client::Client;

/// Caps on connections that are open at once. 0 is no cap.
#[derive(Clone, Debug)]
pub struct ConnectionCaps {
    /// Of one client: an IPv4 address, or the /64 of an IPv6 address.
    pub per_client: u32,
    /// Of all clients of a /24 (IPv4) or /48 (IPv6).
    pub per_network: u32,
    /// Whom they don't apply to: a reverse proxy has the connections of all its clients.
    pub exempt: Vec<IpNet>,
}

impl ConnectionCaps {
    /// Caps for clients on the internet. Peers on this machine or in the operator's own networks, which may be reverse
    /// proxies, have none, and nor have `proxies`; a network may have four times what a client may.
    pub fn on_the_internet(per_client: u32, proxies: &[IpNet]) -> Self {
        let own = OWN_NETWORKS.iter().filter_map(|network| network.parse().ok());
        let exempt = own.chain(proxies.iter().copied()).collect();
        Self { per_client, per_network: per_client.saturating_mul(4), exempt }
    }
}

impl Default for ConnectionCaps {
    fn default() -> Self {
        Self::on_the_internet(128, &[])
    }
}

/// Loopback, private (RFC 1918, RFC 4193) and link-local networks.
const OWN_NETWORKS: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// Counts open connections.
#[derive(Debug)]
pub(super) struct Admission {
    caps: ConnectionCaps,
    open: Mutex<HashMap<Holder, u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Client(Client),
    Network(IpAddr),
}

/// One counted connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    holders: Option<[Holder; 2]>,
}

impl Admission {
    pub(super) fn new(caps: ConnectionCaps) -> Arc<Self> {
        Arc::new(Self { caps, open: Mutex::default() })
    }

    /// Counts a connection; `None` if its peer has as many as it may.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Admitted> {
        let peer = peer.to_canonical();
        if self.caps.exempt.iter().any(|network| network.contains(&peer)) {
            return Some(Admitted { admission: Arc::clone(self), holders: None });
        }
        let client = Client::of(peer);
        let holders = [Holder::Client(client), Holder::Network(client.neighbourhood())];
        let mut open = self.open();
        for (holder, cap) in holders.iter().zip([self.caps.per_client, self.caps.per_network]) {
            if cap > 0 && open.get(holder).is_some_and(|count| *count >= cap) {
                return None;
            }
        }
        for holder in holders {
            let count = open.entry(holder).or_default();
            *count = count.saturating_add(1);
        }
        drop(open);
        Some(Admitted { admission: Arc::clone(self), holders: Some(holders) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Holder, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        for holder in self.holders.into_iter().flatten() {
            match open.get_mut(&holder) {
                Some(count) if *count > 1 => *count = count.saturating_sub(1),
                _ => drop(open.remove(&holder)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_s_own_networks_are_all_read() {
        assert_eq!(ConnectionCaps::default().exempt.len(), OWN_NETWORKS.len());
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_and_its_network_have_caps_of_their_own() {
        let caps = ConnectionCaps { per_client: 2, per_network: 3, ..ConnectionCaps::default() };
        let admission = Admission::new(caps);
        let admit = |text| admission.admit(address(text));
        let (first, _second) = (admit("203.0.113.1").unwrap(), admit("203.0.113.1").unwrap());
        assert!(admit("203.0.113.1").is_none());
        let _third = admit("203.0.113.2").unwrap();
        assert!(admit("203.0.113.3").is_none(), "the network is full");
        assert!(admit("203.0.114.1").is_some());
        drop(first);
        assert!(admit("203.0.113.3").is_some());
        let _v6 = (admit("2001:db8:1:2::1").unwrap(), admit("2001:db8:1:2::9").unwrap());
        assert!(admit("2001:db8:1:2::5").is_none(), "a /64 is one client");
    }

    #[test]
    fn proxies_of_the_operator_are_not_counted_and_nothing_is_kept_of_who_left() {
        let caps = ConnectionCaps { per_client: 1, per_network: 1, ..ConnectionCaps::default() };
        let admission = Admission::new(caps);
        for peer in ["127.0.0.1", "10.1.2.3", "172.17.0.1", "::1", "fd00::1", "::ffff:192.168.0.9"] {
            let both = (admission.admit(address(peer)), admission.admit(address(peer)));
            assert!(both.0.is_some() && both.1.is_some(), "{peer}");
        }
        drop(admission.admit(address("203.0.113.1")));
        assert!(admission.open().is_empty());
    }
}
