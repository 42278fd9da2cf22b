//! Who shares places among deliveries.
//!
//! Each endpoint is in a lane: all of an account's in one, all of the operator's, and of what strangers gave those of
//! one site (the domain that was registered, or the /24 or /48 of an address). Strangers together have a part of the
//! places and each lane a part of those, so that slow endpoints of one hold up neither shops nor other strangers.
//!
//! Half of a class's places are for lanes with nothing under way, so that a few slow accounts can't take all of them. If
//! many slow lanes do, those that wait take turns: each lane has one delivery in a round before any has its next. So
//! whoever waits is behind two deliveries of each other lane at most, however many endpoints those have.
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

/// Lanes whose turn in a round is remembered; in a larger crowd a round ends early.
const LARGEST_ROUND: usize = 1_000;

/// Deliveries under way.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay {
    pub(super) endpoints: HashSet<EndpointId>,
    known: Lanes,
    strangers: Lanes,
}

/// Those of a class.
#[derive(Clone, Debug, Default)]
struct Lanes {
    /// How many of each lane.
    taken: HashMap<String, usize>,
    /// Of all of them.
    count: usize,
    /// The lanes that have had their turn in this round.
    round: HashSet<String>,
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
    fn of_lane(self, class: Class) -> usize {
        match class {
            Class::Strangers => (self.at_once / 16).max(1),
            Class::Known => (self.at_once / 8).max(1),
        }
    }

    /// Places that lanes may have together beyond one for each.
    fn beyond_first(self, class: Class) -> usize {
        self.of(class) / 2
    }

    /// Places that a class may take now.
    pub(super) fn free(self, class: Class, under_way: &UnderWay) -> usize {
        let taken = under_way.of(class).count;
        self.of(class).saturating_sub(taken).min(self.at_once.saturating_sub(under_way.endpoints.len()))
    }
}

impl UnderWay {
    fn of(&self, class: Class) -> &Lanes {
        match class {
            Class::Known => &self.known,
            Class::Strangers => &self.strangers,
        }
    }

    fn of_mut(&mut self, class: Class) -> &mut Lanes {
        match class {
            Class::Known => &mut self.known,
            Class::Strangers => &mut self.strangers,
        }
    }

    /// Whether one more of this lane may begin, in this round.
    pub(super) fn may_begin(&self, lane: &str, class: Class, places: Places) -> bool {
        let lanes = self.of(class);
        !lanes.round.contains(lane) && lanes.has_room(lane, class, places)
    }

    /// The lanes that may not begin more, as a JSON array.
    pub(super) fn passed_over(&self, class: Class, places: Places) -> String {
        let lanes = self.of(class);
        let full = lanes.taken.keys().filter(|lane| !lanes.has_room(lane, class, places));
        let full = full.filter(|lane| !lanes.round.contains(*lane));
        serde_json::Value::from_iter(full.chain(&lanes.round).map(String::as_str)).to_string()
    }

    /// Every lane may have its turn again; `false` if none has had it since the last round.
    pub(super) fn next_round(&mut self, class: Class) -> bool {
        let round = &mut self.of_mut(class).round;
        let had = !round.is_empty();
        round.clear();
        had
    }

    pub(super) fn begin(&mut self, endpoint: EndpointId, lane: &str, class: Class) {
        self.endpoints.insert(endpoint);
        let lanes = self.of_mut(class);
        let taken = lanes.taken.entry(lane.to_owned()).or_default();
        *taken = taken.saturating_add(1);
        lanes.count = lanes.count.saturating_add(1);
        if lanes.round.len() >= LARGEST_ROUND {
            lanes.round.clear();
        }
        lanes.round.insert(lane.to_owned());
    }

    pub(super) fn end(&mut self, endpoint: EndpointId, lane: &str, class: Class) {
        self.endpoints.remove(&endpoint);
        let lanes = self.of_mut(class);
        match lanes.taken.get_mut(lane) {
            Some(taken) if *taken > 1 => *taken = taken.saturating_sub(1),
            _ => drop(lanes.taken.remove(lane)),
        }
        lanes.count = lanes.count.saturating_sub(1);
    }
}

impl Lanes {
    fn has_room(&self, lane: &str, class: Class, places: Places) -> bool {
        let taken = self.taken.get(lane).copied().unwrap_or(0);
        let beyond_first = self.count.saturating_sub(self.taken.len());
        taken == 0 || (taken < places.of_lane(class) && beyond_first < places.beyond_first(class))
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
        let may = |under_way: &mut UnderWay, lane: &str| {
            under_way.next_round(Class::Strangers);
            under_way.may_begin(lane, Class::Strangers, places)
        };
        assert_eq!(places.free(Class::Strangers, &under_way), 16);
        assert_eq!(places.free(Class::Known, &under_way), 60);
        for number in 0..4 {
            assert!(may(&mut under_way, "site a.example"));
            under_way.begin(EndpointId(number), "site a.example", Class::Strangers);
        }
        assert!(!may(&mut under_way, "site a.example"));
        assert!(may(&mut under_way, "site b.example"));
        assert_eq!(places.free(Class::Strangers, &under_way), 12);
        under_way.end(EndpointId(0), "site a.example", Class::Strangers);
        assert!(may(&mut under_way, "site a.example"));
        for number in 10..70 {
            under_way.begin(EndpointId(number), &format!("account {number}"), Class::Known);
        }
        assert_eq!(
            (places.free(Class::Known, &under_way), places.free(Class::Strangers, &under_way)),
            (0, 1)
        );
    }

    #[test]
    fn slow_accounts_leave_half_of_the_places_to_others() {
        let (places, mut under_way, mut number) = (Places::new(64), UnderWay::default(), 0);
        for account in 0..8 {
            let lane = format!("account {account}");
            while under_way.next_round(Class::Known) || under_way.may_begin(&lane, Class::Known, places) {
                if !under_way.may_begin(&lane, Class::Known, places) {
                    break;
                }
                number += 1;
                under_way.begin(EndpointId(number), &lane, Class::Known);
            }
        }
        // One for each of the eight, and 30 besides.
        assert_eq!((number, places.free(Class::Known, &under_way)), (38, 22));
        assert!(under_way.may_begin("account 9", Class::Known, places));
    }

    #[test]
    fn round_that_is_too_large_ends_early() {
        let mut under_way = UnderWay::default();
        for number in 0..3_000 {
            under_way.begin(EndpointId(number), &format!("account {number}"), Class::Known);
            under_way.end(EndpointId(number), &format!("account {number}"), Class::Known);
        }
        assert!(under_way.known.round.len() <= LARGEST_ROUND && under_way.known.taken.is_empty());
    }
}
