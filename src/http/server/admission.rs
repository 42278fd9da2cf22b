//! Who may have how many connections: a cap for each client and for its network, so that one of them can't take all.
//!
//! Once three quarters of the places are taken, each network (a /24 or /48) and each region (a /16 or /32) gets no more
//! than its fair share: the places divided by how many of them are connected, and one more. When all are taken, a
//! newcomer gets the place of a connection of whoever has most: of the region with the most, its network with the most,
//! there the one that has been idle longest, or else the one whose request has been in service longest, if for over five
//! seconds. Nobody loses a place to somebody who has as many. (Where a peer is the only one of its region, the region
//! may have half of the places when they are scarce, so that there is room for others.)

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;

use super::turn::{Turn, Worth};
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
    /// Of one such peer.
    pub per_exempt: u32,
}

impl ConnectionCaps {
    /// Caps for clients on the internet. Peers on this machine or in the operator's own networks, which may be reverse
    /// proxies, have one of their own each, and so have `proxies`; a network may have four times what a client may.
    pub fn on_the_internet(per_client: u32, per_exempt: u32, proxies: &[IpNet]) -> Self {
        let own = OWN_NETWORKS.iter().filter_map(|network| network.parse().ok());
        let exempt = own.chain(proxies.iter().copied()).collect();
        Self { per_client, per_network: per_client.saturating_mul(4), exempt, per_exempt }
    }
}

impl Default for ConnectionCaps {
    fn default() -> Self {
        Self::on_the_internet(128, 1_920, &[])
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

/// However many networks are connected, one may have so many places while there are any.
const LEAST_SHARE: usize = 2;

/// Counts open connections, or open requests over HTTP/2.
#[derive(Debug)]
pub(super) struct Admission {
    caps: ConnectionCaps,
    places: usize,
    /// Whether a newcomer may get the place of somebody else's.
    evicts: bool,
    taken: AtomicUsize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    places: HashMap<u64, Place>,
    counts: HashMap<Holder, usize>,
    networks: usize,
    regions: usize,
}

/// A place that is taken.
#[derive(Debug)]
struct Place {
    /// Of a proxy the first alone.
    holders: Holders,
    turn: Turn,
}

/// Client, network and region of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holders {
    client: Holder,
    /// `None` of those whom the caps don't apply to.
    around: Option<[Holder; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Client(Client),
    Network(IpAddr),
    Region(IpAddr),
}

/// One counted connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    id: u64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The peer has as many as it may.
    Capped,
    /// All are taken, and none can be had of anybody with more.
    Full,
}

impl Holders {
    fn of(peer: IpAddr, exempt: bool) -> Self {
        let client = Client::of(peer);
        let around = [Holder::Network(client.neighbourhood()), Holder::Region(client.region())];
        Self { client: Holder::Client(client), around: (!exempt).then_some(around) }
    }

    fn all(&self) -> impl Iterator<Item = Holder> + use<> {
        std::iter::once(self.client).chain(self.around.into_iter().flatten())
    }
}

impl Admission {
    /// For connections.
    pub(super) fn new(caps: ConnectionCaps, places: usize) -> Arc<Self> {
        Self::counting(caps, places, true)
    }

    /// For requests over HTTP/2: no more at once than with one connection each, and none is taken from anybody.
    pub(super) fn of_requests(caps: ConnectionCaps, places: usize) -> Arc<Self> {
        Self::counting(caps, places, false)
    }

    fn counting(caps: ConnectionCaps, places: usize, evicts: bool) -> Arc<Self> {
        let (taken, held, freed) = (AtomicUsize::new(0), Mutex::default(), Notify::new());
        Arc::new(Self { caps, places, evicts, taken, held, freed })
    }

    /// Counts a connection of a peer.
    ///
    /// # Errors
    /// If it gets no place now.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, turn: &Turn) -> Result<Admitted, Refusal> {
        let peer = peer.to_canonical();
        let exempt = self.caps.exempt.iter().any(|network| network.contains(&peer));
        let holders = Holders::of(peer, exempt);
        let mut held = self.held();
        if !self.fits(&held, &holders) {
            return Err(Refusal::Capped);
        }
        if held.places.len() >= self.places {
            let evicted = self.evicts.then(|| held.place_of_the_largest(&holders)).flatten();
            let evicted = evicted.ok_or(Refusal::Full)?;
            if let Some(place) = held.release(evicted) {
                // It is no longer counted, and closed within moments.
                match place.turn.worth() {
                    Worth::Idle => place.turn.evict(),
                    Worth::Long | Worth::Busy => place.turn.break_off(),
                }
            }
        }
        let id = held.take(Place { holders, turn: turn.clone() });
        self.taken.store(held.places.len(), Ordering::Relaxed);
        drop(held);
        Ok(Admitted { admission: Arc::clone(self), id })
    }

    /// Waits until a place was given back, or a little.
    pub(super) async fn freed(&self) {
        // Some become old enough to be had meanwhile.
        let _ = tokio::time::timeout(Duration::from_millis(250), self.freed.notified()).await;
    }

    /// Whether half of the places are taken.
    pub(super) fn is_half_full(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.places / 2
    }

    fn fits(&self, held: &Held, holders: &Holders) -> bool {
        let of = |cap: u32| if cap == 0 { usize::MAX } else { usize::try_from(cap).unwrap_or(usize::MAX) };
        if holders.around.is_none() {
            return held.count(&holders.client) < of(self.caps.per_exempt);
        }
        let mut caps = [of(self.caps.per_client), of(self.caps.per_network), usize::MAX];
        let scarce = held.places.len() >= self.places / 4 * 3;
        if scarce && self.caps.per_network > 0 {
            let share = |others: usize| (self.places / others.saturating_add(1)).max(LEAST_SHARE);
            let (of_network, of_region) = (share(held.networks), share(held.regions));
            let lowered = [of_network.div_ceil(2), of_network, of_region];
            for (cap, lowered) in caps.iter_mut().zip(lowered) {
                *cap = lowered.min(*cap);
            }
        }
        holders.all().zip(caps).all(|(holder, cap)| held.count(&holder) < cap)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn count(&self, holder: &Holder) -> usize {
        self.counts.get(holder).copied().unwrap_or_default()
    }

    fn kind(&mut self, holder: Holder) -> Option<&mut usize> {
        match holder {
            Holder::Client(_) => None,
            Holder::Network(_) => Some(&mut self.networks),
            Holder::Region(_) => Some(&mut self.regions),
        }
    }

    fn take(&mut self, place: Place) -> u64 {
        for holder in place.holders.all() {
            let count = self.counts.entry(holder).or_default();
            *count = count.saturating_add(1);
            if *count == 1
                && let Some(kind) = self.kind(holder)
            {
                *kind = kind.saturating_add(1);
            }
        }
        self.next = self.next.wrapping_add(1);
        self.places.insert(self.next, place);
        self.next
    }

    fn release(&mut self, id: u64) -> Option<Place> {
        let place = self.places.remove(&id)?;
        for holder in place.holders.all() {
            match self.counts.get_mut(&holder) {
                Some(count) if *count > 1 => *count = count.saturating_sub(1),
                _ => {
                    self.counts.remove(&holder);
                    if let Some(kind) = self.kind(holder) {
                        *kind = kind.saturating_sub(1);
                    }
                }
            }
        }
        Some(place)
    }

    /// The place that is given to a newcomer.
    fn place_of_the_largest(&self, newcomer: &Holders) -> Option<u64> {
        let own = |around: [Holder; 2]| around.map(|holder| self.count(&holder));
        let [own_network, own_region] = newcomer.around.map(own).unwrap_or_default();
        let share = self.places.len().checked_div(self.regions.saturating_add(1)).unwrap_or_default();
        let rank = |(id, place): (&u64, &Place)| {
            let around = place.holders.around?;
            let [in_network, in_region] = own(around);
            let worth = place.turn.worth();
            // To take what is in service from one who has only one more would only turn the two round.
            let least = usize::from(worth != Worth::Idle);
            let of_own_region = newcomer.around.is_some_and(|[_, region]| around.contains(&region));
            let has_more = match of_own_region {
                true => in_network > own_network.saturating_add(least),
                false => in_region > own_region.saturating_add(least),
            };
            // What has just begun is left to all but those who have more than their share: one who always has something
            // just begun would keep all places for ever.
            let had = has_more && (worth != Worth::Busy || in_region > share);
            had.then(|| (in_region, in_network, Reverse(worth), place.turn.lasts(), *id))
        };
        self.places.iter().filter_map(rank).max().map(|(.., id)| id)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut held = self.admission.held();
        held.release(self.id);
        self.admission.taken.store(held.places.len(), Ordering::Relaxed);
        drop(held);
        self.admission.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;
