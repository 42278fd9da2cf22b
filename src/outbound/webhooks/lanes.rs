//! Who shares places among deliveries.
//!
//! Each endpoint is in a lane: all of an account's in one, all of the operator's, and of what strangers gave those of
//! one site (the domain that was registered, or the /24 or /48 of an address). Strangers together have a part of the
//! places and each lane a part of those, so that slow endpoints of one hold up neither shops nor other strangers.
//!
//! Which domain was registered is told by its labels: the last two, or the last three below a country's second level
//! like `co.uk`. A list of all public suffixes (the Mozilla project's) has 10,000 entries and changes daily; without it,
//! customers of one hosting company (`a.pages.example`, `b.pages.example`) share a lane. They wait for each other and
//! for nobody else.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use url::{Host, Url};

use super::worker::EndpointId;
use crate::core::ids::AccountId;
use crate::http::client::Client;

/// Who gave an address to deliver to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The one who runs this.
    Operator,
    /// An account.
    Account(AccountId),
    /// Anybody.
    Stranger,
}

/// Places of deliveries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// In all.
    at_once: usize,
}

/// A part of the endpoints that share places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Known,
    Strangers,
}

/// Deliveries under way.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay {
    pub(super) endpoints: HashSet<EndpointId>,
    lanes: HashMap<String, usize>,
    strangers: usize,
}

impl Owner {
    /// The lane of an endpoint of theirs.
    pub(super) fn lane(self, url: &str) -> String {
        match self {
            Self::Operator => "operator".into(),
            Self::Account(account) => format!("account {}", account.0),
            Self::Stranger => format!("site {}", site(url)),
        }
    }

    pub(super) fn is_stranger(self) -> bool {
        self == Self::Stranger
    }
}

/// Second levels below which countries' registries sell names.
const SECOND_LEVELS: [&str; 18] = [
    "ac", "co", "com", "edu", "gob", "gov", "gv", "id", "info", "ltd", "ne", "net", "nom", "or", "org",
    "plc", "sch", "web",
];

/// The domain that most likely was registered for a host's name.
fn registered(name: &str) -> &str {
    let mut labels = name.rsplit('.');
    let (top, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    let kept = if top.len() == 2 && SECOND_LEVELS.contains(&second) { 2 } else { 1 };
    let from = name.rmatch_indices('.').nth(kept).map_or(0, |(at, dot)| at.saturating_add(dot.len()));
    name.get(from..).unwrap_or_default()
}

/// What most likely is one owner's of hosts: subdomains and neighbouring addresses cost nothing.
fn site(url: &str) -> String {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            registered(&name).to_owned()
        }
        Some(Host::Ipv4(address)) => network(address.into()),
        Some(Host::Ipv6(address)) => network(address.into()),
        None => String::new(),
    }
}

fn network(address: IpAddr) -> String {
    Client::of(address).neighbourhood().to_string()
}

impl Places {
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1) }
    }

    /// Places that a class may have.
    fn of(self, class: Class) -> usize {
        match class {
            Class::Strangers => (self.at_once / 4).max(1),
            // A few are left to strangers, whatever shops are slow.
            Class::Known => self.at_once.saturating_sub(self.at_once / 16).max(1),
        }
    }

    /// Places that one lane may have.
    pub(super) fn of_lane(self, class: Class) -> usize {
        match class {
            Class::Strangers => (self.at_once / 16).max(1),
            Class::Known => (self.at_once / 4).max(1),
        }
    }

    /// Places that a class may take now.
    pub(super) fn free(self, class: Class, under_way: &UnderWay) -> usize {
        let (all, strangers) = (under_way.endpoints.len(), under_way.strangers);
        let taken = match class {
            Class::Strangers => strangers,
            Class::Known => all.saturating_sub(strangers),
        };
        self.of(class).saturating_sub(taken).min(self.at_once.saturating_sub(all))
    }
}

impl UnderWay {
    /// Whether one more of this lane may begin.
    pub(super) fn has_room(&self, lane: &str, class: Class, places: Places) -> bool {
        self.lanes.get(lane).copied().unwrap_or(0) < places.of_lane(class)
    }

    /// The lanes that have no room for more, as a JSON array. There are few: each has a part of all places.
    pub(super) fn full_lanes(&self, class: Class, places: Places) -> String {
        let full = self.lanes.iter().filter(|(_, count)| **count >= places.of_lane(class));
        serde_json::Value::from_iter(full.map(|(lane, _)| lane.as_str())).to_string()
    }

    pub(super) fn begin(&mut self, endpoint: EndpointId, lane: &str, class: Class) {
        self.endpoints.insert(endpoint);
        let count = self.lanes.entry(lane.to_owned()).or_default();
        *count = count.saturating_add(1);
        if class == Class::Strangers {
            self.strangers = self.strangers.saturating_add(1);
        }
    }

    pub(super) fn end(&mut self, endpoint: EndpointId, lane: &str, class: Class) {
        self.endpoints.remove(&endpoint);
        match self.lanes.get_mut(lane) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => drop(self.lanes.remove(lane)),
        }
        if class == Class::Strangers {
            self.strangers = self.strangers.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_owner_has_for_nothing_is_one_lane() {
        let lane = |url| Owner::Stranger.lane(url);
        for (url, site) in [
            ("https://a.b.Example.com:8443/x", "site example.com"),
            ("https://example.com./", "site example.com"),
            ("http://8.8.8.8/", "site 8.8.8.0"),
            ("http://[2a00:1:2:3::4]/", "site 2a00:1:2::"),
            ("https://a.shop.co.uk/", "site shop.co.uk"),
            ("https://b.shop.co.uk/", "site shop.co.uk"),
            ("https://other.co.uk/", "site other.co.uk"),
            ("https://x.shop.com.au/", "site shop.com.au"),
            ("https://co.uk/", "site co.uk"),
            ("https://a.co.example/", "site co.example"),
            ("http://hooks/", "site hooks"),
            ("nonsense", "site "),
        ] {
            assert_eq!(lane(url), site, "{url}");
        }
        assert_eq!(Owner::Account(AccountId(7)).lane("https://x.example/"), "account 7");
    }

    #[test]
    fn strangers_and_each_lane_have_a_part_of_the_places() {
        let (places, mut under_way) = (Places::new(64), UnderWay::default());
        assert_eq!(places.free(Class::Strangers, &under_way), 16);
        assert_eq!(places.free(Class::Known, &under_way), 60);
        for number in 0..4 {
            assert!(under_way.has_room("site a.example", Class::Strangers, places));
            under_way.begin(EndpointId(number), "site a.example", Class::Strangers);
        }
        assert!(!under_way.has_room("site a.example", Class::Strangers, places));
        assert!(under_way.has_room("site b.example", Class::Strangers, places));
        assert_eq!(places.free(Class::Strangers, &under_way), 12);
        under_way.end(EndpointId(0), "site a.example", Class::Strangers);
        assert!(under_way.has_room("site a.example", Class::Strangers, places));
        for number in 10..70 {
            under_way.begin(EndpointId(number), &format!("account {number}"), Class::Known);
        }
        assert_eq!(
            (places.free(Class::Known, &under_way), places.free(Class::Strangers, &under_way)),
            (0, 1)
        );
    }
}
