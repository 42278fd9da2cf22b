use super::*;

#[test]
fn the_operator_s_own_networks_are_all_read() {
    assert_eq!(ConnectionCaps::default().exempt.len(), OWN_NETWORKS.len());
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn caps(per_client: u32, per_network: u32) -> ConnectionCaps {
    ConnectionCaps { per_client, per_network, ..ConnectionCaps::default() }
}

/// Takes places until refused, each with a turn of its own.
fn fill(admission: &Arc<Admission>, peers: impl Iterator<Item = IpAddr>) -> Vec<(Turn, Admitted)> {
    let admit = |peer| {
        let turn = Turn::default();
        admission.admit(peer, &turn).ok().map(|admitted| (turn, admitted))
    };
    peers.filter_map(admit).collect()
}

/// So many addresses of each of these networks, by turns.
fn of_networks(networks: &'static [&'static str], each: u8) -> impl Iterator<Item = IpAddr> + Clone {
    (1..=each).flat_map(|host| networks.iter().map(move |network| address(&format!("{network}.{host}"))))
}

#[test]
fn a_client_and_its_network_have_caps_of_their_own() {
    let admission = Admission::new(caps(2, 3), 1_000);
    let turn = Turn::default();
    let admit = |text| admission.admit(address(text), &turn).ok();
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
fn proxies_of_the_operator_are_not_capped_and_nothing_is_kept_of_who_left() {
    let admission = Admission::new(caps(1, 1), 100);
    let admit = |text| admission.admit(address(text), &Turn::default());
    for peer in ["127.0.0.1", "10.1.2.3", "172.17.0.1", "::1", "fd00::1", "::ffff:192.168.0.9"] {
        let both = (admit(peer), admit(peer));
        assert!(both.0.is_ok() && both.1.is_ok(), "{peer}");
    }
    drop(admit("203.0.113.1"));
    let held = admission.held();
    assert!(held.counts.is_empty() && held.places.is_empty() && (held.networks, held.regions) == (0, 0));
}

#[test]
fn a_proxy_has_a_high_cap_of_its_own() {
    let admission = Admission::new(ConnectionCaps { per_exempt: 90, ..caps(1, 1) }, 100);
    let held = fill(&admission, std::iter::repeat_n(address("127.0.0.1"), 1_000));
    assert_eq!(held.len(), 90);
    assert!(admission.admit(address("127.0.0.2"), &Turn::default()).is_ok());
    assert!(admission.admit(address("203.0.113.1"), &Turn::default()).is_ok());
}

#[test]
fn four_networks_leave_places_and_get_their_fair_share_alone_when_few_are_left() {
    let admission = Admission::new(caps(128, 512), 2_048);
    let attackers = of_networks(&["198.51.1", "203.0.2", "192.0.3", "100.64.4"], 250).cycle().take(10_000);
    let held = fill(&admission, attackers);
    assert!(held.len() < 2_048, "{} places are taken", held.len());
    let visitor = admission.admit(address("8.8.8.8"), &Turn::default());
    assert!(visitor.is_ok());
    assert!(held.iter().all(|(turn, _)| !turn.is_closing()), "there was room");
}

#[test]
fn when_all_places_are_taken_a_newcomer_gets_that_of_the_idlest_of_the_largest() {
    let admission = Admission::new(caps(0, 0), 10);
    let honest = fill(&admission, [address("8.8.8.8")].into_iter());
    let large = fill(&admission, of_networks(&["198.51.100"], 9));
    let busy: Vec<_> = large.iter().skip(1).map(|(turn, _)| turn.begin()).collect();
    let visitor = (Turn::default(), admission.admit(address("9.9.9.9"), &Turn::default()));
    assert!(visitor.1.is_ok());
    let closing = |held: &[(Turn, Admitted)]| held.iter().filter(|(turn, _)| turn.is_closing()).count();
    assert_eq!((closing(&honest), closing(&large)), (0, 1));
    assert!(large.first().is_some_and(|(turn, _)| turn.is_closing() && !turn.is_broken()));
    // What has just begun is broken off if its region has more than its share, and for no other of the same region.
    let second = admission.admit(address("8.8.8.9"), &Turn::default());
    assert!(second.is_ok());
    assert_eq!(large.iter().filter(|(turn, _)| turn.is_broken()).count(), 1);
    drop(busy);
    assert_eq!(admission.admit(address("198.51.100.200"), &Turn::default()).err(), Some(Refusal::Full));
    assert_eq!(closing(&honest), 0);
}

#[test]
fn an_owner_of_many_networks_of_one_region_takes_no_place_of_another() {
    let admission = Admission::new(caps(128, 512), 100);
    let honest = fill(&admission, (1..=10_u8).map(|number| IpAddr::from([number + 20, 1, 1, 1])));
    let many = (0..60_000_u16).map(|network| IpAddr::from([0x2001, 0xdb8, network, 0, 0, 0, 0, 1]));
    let attackers = fill(&admission, many);
    assert!(attackers.len() >= 60, "{}", attackers.len());
    assert!(honest.iter().all(|(turn, _)| !turn.is_closing()));
    assert!(admission.admit(address("9.9.9.9"), &Turn::default()).is_ok());
}

#[test]
fn an_owner_of_many_regions_never_keeps_a_newcomer_out() {
    let admission = Admission::new(caps(128, 512), 100);
    let regions = (0..50_u8).cycle().zip(0..10_000_u16);
    let held = fill(
        &admission,
        regions.map(|(region, host)| {
            let [high, low] = host.to_be_bytes();
            IpAddr::from([60, region, high, low])
        }),
    );
    assert!(held.len() >= 75);
    for newcomer in 1..20 {
        let turn = Turn::default();
        let admitted = admission.admit(IpAddr::from([9, newcomer, 1, 1]), &turn);
        assert!(admitted.is_ok(), "newcomer {newcomer}");
    }
}

#[test]
fn requests_are_counted_and_none_is_taken_from_anybody() {
    let admission = Admission::of_requests(caps(0, 0), 2);
    let held = fill(&admission, of_networks(&["198.51.100"], 3));
    assert_eq!(held.len(), 2);
    assert_eq!(admission.admit(address("9.9.9.9"), &Turn::default()).err(), Some(Refusal::Full));
    assert!(held.iter().all(|(turn, _)| !turn.is_closing()));
}

#[test]
fn newcomer_gets_a_place_among_those_who_are_always_busy() {
    let admission = Admission::new(caps(0, 0), 40);
    let mut held = fill(&admission, of_networks(&["198.51.100", "203.0.113"], 20));
    assert_eq!(held.len(), 40);
    let serving: Vec<_> = held.iter().map(|(turn, _)| turn.begin()).collect();
    let honest: Vec<_> = (1..=12)
        .filter_map(|host| {
            let turn = Turn::default();
            let admitted = admission.admit(address(&format!("192.0.2.{host}")), &turn).ok()?;
            Some((turn.begin(), turn, admitted))
        })
        .collect();
    // Two regions have twenty places each, of which the third part of all is theirs.
    assert_eq!(honest.len(), 12);
    assert_eq!(held.iter().filter(|(turn, _)| turn.is_broken()).count(), 12);
    // Who has no more than that keeps it.
    let honest_lost = honest.iter().filter(|(_, turn, _)| turn.is_broken()).count();
    assert_eq!(honest_lost, 0);
    drop(serving);
    held.clear();
}
