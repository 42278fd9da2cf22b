//! Where an answer sends whoever asked.
//!
//! What leads within the service leads back to the proxy. What leads elsewhere is not passed on: a link to this site
//! that redirects to any other would lend it this site's good name, and a page of the upstream's host that nobody here
//! can reach leads nowhere.

use axum::http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// A service behind a proxy, and what was asked for there.
struct Service<'a> {
    asked: &'a Url,
    base: Url,
    path: String,
}

/// Leads what a service says of places back to its proxy at `root`, or takes it away.
pub(super) fn relocate(headers: &mut HeaderMap, asked: &Url, base: &str, root: &str) {
    let service = Url::parse(base).ok().map(|base| Service { asked, base, path: root.to_owned() });
    for name in [LOCATION, CONTENT_LOCATION] {
        replace(headers, &name, |given| service.as_ref()?.back(given));
    }
    replace(headers, &REFRESH, |given| service.as_ref()?.refresh(given));
    replace(headers, &LINK, |given| service.as_ref()?.links(given));
}

/// Each line of a header as another; without one it goes.
fn replace(headers: &mut HeaderMap, name: &HeaderName, with: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(name) {
        return;
    }
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let kept: Vec<_> = lines.filter_map(|line| HeaderValue::try_from(with(line)?).ok()).collect();
    headers.remove(name);
    for line in kept {
        headers.append(name, line);
    }
}

impl Service<'_> {
    /// The same place below the proxy; `None` if it is not the service's.
    fn back(&self, given: &str) -> Option<String> {
        let target = self.asked.join(given).ok()?;
        // A service that insists on TLS sends http to https of the same host.
        let secured = target.scheme() == "https" && target.host() == self.base.host();
        if target.origin() != self.base.origin() && !secured {
            return None;
        }
        let root = self.base.path().trim_end_matches('/');
        let inside = target.path().strip_prefix(root)?;
        if !inside.is_empty() && !inside.starts_with('/') {
            return None;
        }
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        let fragment = target.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
        Some(format!("{}{inside}{query}{fragment}", self.path))
    }

    /// `5`, or `5; url=…`.
    fn refresh(&self, given: &str) -> Option<String> {
        let (wait, rest) = given.split_once([';', ',']).unwrap_or((given, ""));
        let wait = wait.trim();
        let is_time = !wait.is_empty() && wait.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !is_time {
            return None;
        }
        let rest = rest.trim();
        if rest.is_empty() {
            return Some(wait.to_owned());
        }
        let named = rest.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("url"));
        let url = rest.get(3..).filter(|_| named)?.trim_start().strip_prefix('=')?;
        let url = url.trim().trim_matches(['"', '\'']);
        Some(format!("{wait}; url={}", self.back(url)?))
    }

    /// `<place>; rel="next", <place>; …`: those that stay.
    fn links(&self, given: &str) -> Option<String> {
        let links: Vec<_> = apart(given).into_iter().filter_map(|link| self.link(link.trim())).collect();
        (!links.is_empty()).then(|| links.join(", "))
    }

    fn link(&self, link: &str) -> Option<String> {
        let (place, parameters) = link.strip_prefix('<')?.split_once('>')?;
        // What the link is from, said to be elsewhere.
        let anchored = parameters.to_ascii_lowercase().contains("anchor");
        if anchored { None } else { Some(format!("<{}>{parameters}", self.back(place.trim())?)) }
    }
}

/// The links of a line: commas in places and in quotes belong to them.
fn apart(line: &str) -> Vec<&str> {
    let (mut links, mut begin) = (Vec::new(), 0);
    let (mut in_place, mut in_quotes, mut escaped) = (false, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_quotes => escaped = true,
            b'"' if !in_place => in_quotes = !in_quotes,
            b'<' if !in_quotes => in_place = true,
            b'>' if !in_quotes => in_place = false,
            b',' if !in_place && !in_quotes => {
                links.extend(line.get(begin..at));
                begin = at.saturating_add(1);
            }
            _ => {}
        }
    }
    links.extend(line.get(begin..));
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: HeaderName, value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(&name, HeaderValue::from_static(value));
        let asked = Url::parse("https://a.example/v1/data/this").unwrap();
        relocate(&mut headers, &asked, "https://a.example/v1", "/l402/proxy/p-1");
        headers.get(&name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn redirects_within_the_service_lead_back_to_the_proxy_and_others_are_not_passed_on() {
        for name in [LOCATION, CONTENT_LOCATION] {
            for (location, back) in [
                ("/v1/login?x=1#y", Some("/l402/proxy/p-1/login?x=1#y")),
                ("https://a.example/v1", Some("/l402/proxy/p-1")),
                ("next", Some("/l402/proxy/p-1/data/next")),
                ("/elsewhere", None),
                ("/v12", None),
                ("http://a.example/v1/x", None),
                ("https://b.example/", None),
                ("//b.example/v1", None),
                ("https:\\\\b.example/v1", None),
                ("javascript:alert(1)", None),
                ("lightning:lnbc1", None),
            ] {
                assert_eq!(told(name.clone(), location).as_deref(), back, "{name}: {location}");
            }
        }
    }

    #[test]
    fn refresh_to_elsewhere_is_not_passed_on() {
        for (given, back) in [
            ("5", Some("5")),
            ("0; url=/v1/x", Some("0; url=/l402/proxy/p-1/x")),
            ("0;URL='https://a.example/v1/x'", Some("0; url=/l402/proxy/p-1/x")),
            ("0; url=https://b.example/", None),
            ("0, https://b.example/", None),
            ("0 https://b.example/", None),
        ] {
            assert_eq!(told(REFRESH, given).as_deref(), back, "{given}");
        }
    }

    #[test]
    fn links_to_elsewhere_are_taken_out() {
        for (given, back) in [
            (
                "</v1/items?page=2,3>; rel=\"next\", <https://b.example/x.css>; rel=preload",
                Some("</l402/proxy/p-1/items?page=2,3>; rel=\"next\""),
            ),
            ("<https://b.example/a>; rel=\"a, b\"", None),
            ("<next>; title=\"a\\\", <x>\"", Some("</l402/proxy/p-1/data/next>; title=\"a\\\", <x>\"")),
            ("<next>; anchor=\"https://b.example/\"", None),
            ("nonsense", None),
        ] {
            assert_eq!(told(LINK, given).as_deref(), back, "{given}");
        }
    }
}
