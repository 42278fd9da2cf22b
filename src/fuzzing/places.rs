//! Paths and their patterns, URLs, and who a request is from.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{text, two};
use crate::http::client::{Client, Proxies};
use crate::outbound::guard::{Guard, GuardSettings, is_inside};
use crate::services::proxy::Targets;
use crate::services::proxy::glob::{Glob, Letters};
use crate::services::proxy::path::{CleanPath, LONGEST};
use crate::services::users::cookies;

pub(super) fn paths(data: &[u8]) {
    let raw = text(data);
    let Ok(path) = CleanPath::read(raw) else { return };
    assert!(raw.len() <= LONGEST);
    assert_eq!(CleanPath::read(path.sent()).as_ref(), Ok(&path), "one form");
    let (sent, matched) = (path.sent(), path.matched());
    assert!(sent.starts_with('/') && sent.is_ascii() && !sent.contains(['\\', ';', '?', '#', ' ']), "{sent}");
    assert!(matched.starts_with('/') && !matched.contains(['\\', ';']), "{matched}");
    assert!(!matched.chars().any(char::is_control));
    let mut segments = matched.split('/').skip(1);
    assert!(matched == "/" || segments.all(|segment| !matches!(segment, "" | "." | "..")), "{matched}");
    // A URL parser leaves it alone.
    let url = url::Url::parse(&format!("http://a.example{sent}")).unwrap();
    assert_eq!((url.path(), url.query(), url.fragment()), (sent, None, None));
}

/// A pattern, and behind a line's end a path.
pub(super) fn globs(data: &[u8]) {
    let (pattern, path) = two(data);
    let (pattern, path) = (text(pattern), text(path));
    let Ok(glob) = Glob::new(pattern) else {
        assert!(Glob::heeding_case(pattern).is_err(), "{pattern}");
        return;
    };
    let heeding = Glob::heeding_case(pattern).unwrap();
    // What was an escape is none in the normal form, and might begin one.
    if !glob.normal().contains('%') {
        let again = Glob::new(glob.normal()).expect("a normal form is a pattern");
        assert_eq!((again.normal(), again.rank()), (glob.normal(), glob.rank()), "{pattern}");
    }
    let Ok(path) = CleanPath::read(path) else { return };
    let letters = Letters::of(path.matched());
    let matches = glob.matches(&letters);
    assert_eq!(matches, slowly(glob.normal(), path.matched()), "{} {}", glob.normal(), path.matched());
    assert!(!heeding.matches(&letters) || matches, "narrower by case");
    assert!(!matches || glob.covers(&letters), "what matches is covered");
}

/// The same by another way: which of the pattern's places can be reached, letter by letter.
fn slowly(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    // From the end of both: `fits[p][q]`.
    let mut below: Vec<bool> = Vec::new();
    let star = |at: usize| pattern.get(at) == Some(&'*');
    let stars = |at: usize| star(at) && star(at + 1);
    for q in (0..=path.len()).rev() {
        let mut here = vec![false; pattern.len() + 5];
        for p in (0..=pattern.len()).rev() {
            let next = path.get(q);
            here[p] = if p == pattern.len() {
                q == path.len()
            } else if stars(p) {
                here[p + 2] || (next.is_some() && below[p])
            } else if star(p) {
                here[p + 1] || (next.is_some_and(|letter| *letter != '/') && below[p])
            } else if pattern[p] == '?' {
                next.is_some_and(|letter| *letter != '/') && below[p + 1]
            } else {
                // `/**/` is also `/`.
                let none = pattern[p] == '/' && stars(p + 1) && pattern.get(p + 3) == Some(&'/');
                let behind = q < path.len() && (below[p + 1] || (none && below[p + 4]));
                let same = next.is_some_and(|letter| fold(*letter) == fold(pattern[p])) && behind;
                // `/a/**` is `/a` too.
                let ends = pattern[p] == '/' && stars(p + 1) && p + 3 == pattern.len() && q == path.len();
                same || ends
            };
        }
        below = here;
    }
    below[0]
}

fn fold(letter: char) -> char {
    let mut small = letter.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) => small,
        _ => letter,
    }
}

pub(super) fn urls(data: &[u8]) {
    let text = text(data);
    let guard = Guard::new(GuardSettings::default());
    let Ok(url) = guard.check_url(text) else { return };
    assert!(
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    );
    assert!(!is_inside(&url), "{url}");
    let port = url.port_or_known_default().unwrap();
    assert!(matches!(port, 80 | 443) || port >= 1_024, "{url}");
    if url.as_str().len() <= 2_048 {
        assert_eq!(guard.check_url(url.as_str()).as_ref(), Ok(&url), "one form");
    }
    let targets = Targets::new(GuardSettings::default());
    let Ok(base) = targets.check(text) else { return };
    assert!(!base.ends_with('/') && !base.contains(['?', '#']), "{base}");
    if base.len() <= 2_048 {
        assert_eq!(targets.check(&base).unwrap(), base, "one form");
        let path = CleanPath::read("/a%20b/c").unwrap();
        let asked = targets.url(&base, &path, Some("q=1")).expect("what was taken can be asked");
        assert_eq!(asked.as_str(), format!("{base}/a%20b/c?q=1"));
    }
}

/// Forwarding headers and cookies, one a line.
pub(super) fn clients(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(40) {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (b"x-forwarded-for".as_slice(), line),
        };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let peer = IpAddr::from([10, 0, 0, 1]);
    assert_eq!(Proxies::new(Vec::new()).address(peer, &headers), peer, "nobody is believed");
    let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
    let address = proxies.address(peer, &headers);
    assert_eq!(address.to_canonical(), address);
    let stranger = IpAddr::from(Ipv4Addr::new(203, 0, 113, 1));
    assert_eq!(proxies.address(stranger, &headers), stranger);
    let _ = Client::of(address).neighbourhood();
    for secure in [false, true] {
        if cookies::shown(&headers, cookies::SESSION, secure).is_some() {
            let name = if secure { "__Host-satchel_tips=" } else { "satchel_tips=" };
            let all: Vec<_> = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()).collect();
            assert!(all.join(";").contains(name), "{all:?}");
        }
    }
}
