//! Which headers pass, either way. A gateway is not a wire: what is meant for this server stays here.

use axum::http::header::{
    ACCEPT_ENCODING, ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, COOKIE,
    EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::store::UpstreamAuth;

/// Headers of a message, either way.
const MOST: usize = 100;

/// Bytes of all headers of a message.
const MOST_BYTES: usize = 64 * 1_024;

/// Meant for the next hop alone (RFC 9110, section 7.6.1), besides those that `Connection` names.
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Of a request, what the upstream must not see: what authorises at this server, and who is in front of it.
/// Cookies are this origin's, and several proxies share it.
static NOT_UPSTREAM: [HeaderName; 9] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HOST,
    EXPECT,
    FORWARDED,
    // The client that is used writes it itself.
    CONTENT_LENGTH,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-real-ip"),
];

/// The same by their names' beginnings: forwarding, and tokens as other L402 servers take them.
const NOT_UPSTREAM_PREFIXES: [&str; 8] = [
    "x-forwarded-",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "grpc-metadata-macaroon",
    "macaroon",
];

/// Ways to ask for another path or method than the one that was matched and paid for.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
];

/// Of an answer, what would speak for this whole server and not for one of its proxies, or ask for credentials that
/// never pass.
static NOT_DOWNSTREAM: [HeaderName; 8] = [
    WWW_AUTHENTICATE,
    PROXY_AUTHENTICATE,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    ALT_SVC,
    HeaderName::from_static("set-cookie2"),
    HeaderName::from_static("payment-receipt"),
    HeaderName::from_static("clear-site-data"),
];

/// The same, some more: what a web server or a cache in front of this one would obey (serve that file of yours, keep
/// this for everybody), reporting, service workers, and who may read it (everybody: see `http::cors`).
const NOT_DOWNSTREAM_PREFIXES: [&str; 13] = [
    "x-accel-",
    "x-sendfile",
    "x-lighttpd-send",
    "x-litespeed-",
    "surrogate-",
    "cdn-cache-control",
    "access-control-allow-",
    "service-worker-allowed",
    "public-key-pins",
    "report-to",
    "reporting-endpoints",
    "nel",
    "origin-agent-cluster",
];

/// What this server calls itself to those behind it.
const PSEUDONYM: &str = "satchel";
const OWN_VIA: &str = "1.1 satchel";

/// Servers like this one that a request may have come through: a proxy may be sold by another.
const MOST_HOPS: usize = 3;

/// What a browser makes of a page that somebody else's service sent from this server's address: a stranger.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-scripts allow-forms");

/// Whether the number and size of headers are within reason.
pub fn fit(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    headers.len() <= MOST && bytes <= MOST_BYTES
}

/// Whether an owner may have this header put on every request.
pub fn may_be_set(name: &HeaderName) -> bool {
    let own = [HOST, CONTENT_LENGTH, EXPECT, VIA].contains(name) || HOP_BY_HOP.contains(name);
    !own && !OVERRIDES.contains(&name.as_str())
}

/// Whether a request has come through servers like this one so often that it must be going round.
pub fn goes_round(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(VIA).iter().filter_map(|line| line.to_str().ok());
    lines.map(|line| line.matches(PSEUDONYM).count()).sum::<usize>() >= MOST_HOPS
}

/// The headers that go upstream.
pub fn upstream(given: &HeaderMap, auth: Option<&UpstreamAuth>) -> HeaderMap {
    let named = named_by_connection(given);
    let passes = |name: &HeaderName| {
        !HOP_BY_HOP.contains(name)
            && !NOT_UPSTREAM.contains(name)
            && !OVERRIDES.contains(&name.as_str())
            && !begins(name, &NOT_UPSTREAM_PREFIXES)
            && !is_spelled_with_underscores(name)
            && !named.contains(name)
    };
    let mut headers = HeaderMap::with_capacity(given.len() + 2);
    for (name, value) in given.iter().filter(|(name, _)| passes(name)) {
        headers.append(name, value.clone());
    }
    headers.append(VIA, HeaderValue::from_static(OWN_VIA));
    // Without any the upstream would be free to choose.
    if !headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let Some(auth) = auth {
        let name = HeaderName::try_from(auth.header.as_str());
        if let (Ok(name), Ok(mut value)) = (name, HeaderValue::try_from(auth.value.expose())) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

/// The headers that go back to whoever asked. A length that stands beside another framing is none (RFC 9112, 6.3):
/// passed on, it would make one answer look like two.
pub fn downstream(given: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(given);
    let framed_otherwise = given.contains_key(TRANSFER_ENCODING);
    let passes = |name: &HeaderName| {
        !HOP_BY_HOP.contains(name)
            && (!framed_otherwise || *name != CONTENT_LENGTH)
            && !NOT_DOWNSTREAM.contains(name)
            && !begins(name, &NOT_DOWNSTREAM_PREFIXES)
            && !named.contains(name)
    };
    let mut headers = HeaderMap::with_capacity(given.len() + 4);
    for (name, value) in given.iter().filter(|(name, _)| passes(name)) {
        headers.append(name, value.clone());
    }
    headers.append(CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

/// The headers that a message's `Connection` names.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|name| HeaderName::try_from(name.trim()).ok()).collect()
}

fn begins(name: &HeaderName, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// Some servers take `X_API_KEY` for `X-API-KEY`: spelled so, no header passes.
fn is_spelled_with_underscores(name: &HeaderName) -> bool {
    name.as_str().contains('_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::Secret;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn nothing_that_is_meant_for_us_goes_upstream() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-api-key",
            "x_api_key",
            "cookie",
            "host",
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "expect",
            "content-length",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "true-client-ip",
            "macaroon",
            "grpc-metadata-macaroon",
            "x-http-method-override",
            "x-original-url",
            "x-rewrite-url",
        ] {
            assert!(!upstream(&map(&[(name, "x")]), None).contains_key(name), "{name}");
        }
        let given = map(&[
            ("connection", "close, X-Private"),
            ("connection", "x-other"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("x-kept", "1"),
            ("content-type", "text/plain"),
        ]);
        let sent = upstream(&given, None);
        let names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-kept", "content-type", "via", "accept-encoding"]);
    }

    #[test]
    fn the_owner_s_header_replaces_what_a_client_sent() {
        let auth = UpstreamAuth { header: "X-Upstream-Key".into(), value: Secret::new("hunter2") };
        let sent = upstream(&map(&[("x-upstream-key", "mine")]), Some(&auth));
        assert_eq!(sent.get_all("x-upstream-key").iter().collect::<Vec<_>>(), ["hunter2"]);
        assert!(!format!("{sent:?}").contains("hunter2"), "nor is it in a debug line");
    }

    #[test]
    fn an_answer_speaks_for_itself_alone() {
        for name in [
            "set-cookie",
            "www-authenticate",
            "strict-transport-security",
            "clear-site-data",
            "alt-svc",
            "service-worker-allowed",
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "payment-receipt",
            "x-accel-redirect",
            "x-sendfile",
            "surrogate-control",
            "connection",
            "transfer-encoding",
            "upgrade",
        ] {
            assert!(!downstream(&map(&[(name, "x")])).contains_key(name), "{name}");
        }
        let answer = downstream(&map(&[("connection", "x-hop"), ("x-hop", "1"), ("etag", "\"1\"")]));
        assert_eq!(answer["etag"], "\"1\"");
        assert!(!answer.contains_key("x-hop"));
        assert_eq!(answer["content-security-policy"], SANDBOX);
    }
}
