//! What a request costs: the narrowest endpoint that fits method and path, or else the proxy's own price.

use std::fmt;

use axum::http::Method;

use super::glob::{BadGlob, Glob, Letters, Rank};
use super::store::{Endpoint, Proxy};

/// The methods that are passed on.
pub const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Some of [`METHODS`]; none is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods(pub Vec<String>);

impl Methods {
    /// Whether requests with this method are taken.
    pub fn allows(&self, method: &Method) -> bool {
        METHODS.contains(method) && (self.0.is_empty() || self.0.iter().any(|name| name == method.as_str()))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            let all: Vec<_> = METHODS.iter().map(Method::as_str).collect();
            return f.write_str(&all.join(","));
        }
        f.write_str(&self.0.join(","))
    }
}

/// What may be asked for, and what it costs: a proxy's lists, ready to be used.
#[derive(Clone, Debug)]
pub struct Tariff {
    allowed: Vec<Glob>,
    blocked: Vec<Glob>,
    entries: Vec<Entry>,
    default_sats: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    path: Glob,
    /// The same for whom `/A` and `/a` are two.
    spelled: Glob,
    /// `None` is any.
    method: Option<String>,
    sats: u64,
    says: Option<String>,
}

/// A price, 0 for what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Sats.
    pub sats: u64,
    /// What the endpoint says of itself.
    pub says: Option<&'a str>,
}

impl Tariff {
    /// The tariff of a proxy with these endpoints.
    ///
    /// # Errors
    /// [`BadGlob`]: none of those in the store has one.
    pub fn new(proxy: &Proxy, endpoints: &[Endpoint]) -> Result<Self, BadGlob> {
        let active = endpoints.iter().filter(|endpoint| endpoint.is_active);
        let entry = |endpoint: &Endpoint| {
            Ok(Entry {
                path: Glob::new(&endpoint.path)?,
                spelled: Glob::heeding_case(&endpoint.path)?,
                method: Some(endpoint.method.clone()).filter(|method| method != "*"),
                sats: endpoint.price_sat,
                says: endpoint.summary.clone(),
            })
        };
        Ok(Self {
            allowed: proxy
                .allowed_paths
                .iter()
                .map(|text| Glob::heeding_case(text))
                .collect::<Result<_, _>>()?,
            blocked: proxy.blocked_paths.iter().map(|text| Glob::new(text)).collect::<Result<_, _>>()?,
            entries: active.map(entry).collect::<Result<_, BadGlob>>()?,
            default_sats: proxy.default_price_sat,
        })
    }

    /// Whether a path is offered at all. What is blocked is so with all below it, and however it is spelled.
    pub fn offers(&self, path: &Letters) -> bool {
        let allowed = self.allowed.is_empty() || self.allowed.iter().any(|glob| glob.matches(path));
        allowed && !self.blocked.iter().any(|glob| glob.covers(path))
    }

    /// What a request costs. Of two endpoints whose paths are as narrow the one that names the method counts, and of
    /// two that do, or don't, the dearer. `HEAD` costs what `GET` does unless it has an endpoint of its own.
    ///
    /// Whether `/A` is `/a` is the service's to say, so it costs what the dearer of the two would.
    pub fn quote(&self, method: &Method, path: &Letters) -> Quote<'_> {
        // What matches as it is spelled matches all the same when case doesn't count.
        let like: Vec<_> = self.entries.iter().filter(|entry| entry.path.matches(path)).collect();
        let has_own = |entry: &&Entry| entry.method.as_deref() == Some("HEAD");
        let as_get = *method == Method::HEAD && !like.iter().any(has_own);
        let method = if as_get { &Method::GET } else { method };
        let one = self.narrowest(method.as_str(), like.iter().copied());
        let spelled = like.iter().copied().filter(|entry| entry.spelled.matches(path));
        let two = self.narrowest(method.as_str(), spelled);
        if two.sats > one.sats { two } else { one }
    }

    fn narrowest<'a>(&'a self, method: &str, of: impl Iterator<Item = &'a Entry>) -> Quote<'a> {
        let for_it = |entry: &&Entry| entry.method.as_deref().is_none_or(|named| named == method);
        let rank =
            |entry: &&Entry| -> (Rank, bool, u64) { (entry.path.rank(), entry.method.is_some(), entry.sats) };
        match of.filter(for_it).max_by_key(rank) {
            Some(entry) => Quote { sats: entry.sats, says: entry.says.as_deref() },
            None => Quote { sats: self.default_sats, says: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::proxy::store::tests::{endpoint, proxy};

    fn tariff(allowed: &[&str], blocked: &[&str], endpoints: &[(&str, &str, u64)]) -> Tariff {
        let mut of = proxy();
        of.allowed_paths = allowed.iter().map(ToString::to_string).collect();
        of.blocked_paths = blocked.iter().map(ToString::to_string).collect();
        let rows: Vec<_> =
            endpoints.iter().map(|(method, path, sats)| endpoint(method, path, *sats)).collect();
        Tariff::new(&of, &rows).unwrap()
    }

    #[test]
    fn the_narrowest_endpoint_counts_and_then_the_dearest() {
        let tariff = tariff(
            &[],
            &[],
            &[
                ("GET", "/**", 2),
                ("GET", "/data/*", 5),
                ("GET", "/data/gold", 50),
                ("POST", "/data/gold", 70),
                ("GET", "/{a}/x", 7),
                ("GET", "/{b}/x", 9),
                ("*", "/free", 0),
            ],
        );
        let sats = |method: Method, path: &str| tariff.quote(&method, &Letters::of(path)).sats;
        assert_eq!(sats(Method::GET, "/elsewhere"), 2);
        assert_eq!(sats(Method::GET, "/data/silver"), 5);
        assert_eq!(sats(Method::GET, "/data/gold"), 50);
        assert_eq!(sats(Method::GET, "/DATA/Gold"), 50, "however it is spelled");
        assert_eq!(sats(Method::GET, "/Free"), 2, "what is cheap is so as it is spelled alone");
        assert_eq!(sats(Method::HEAD, "/data/gold"), 50, "as GET does");
        assert_eq!(sats(Method::POST, "/data/gold"), 70);
        assert_eq!(sats(Method::POST, "/elsewhere"), 10, "the proxy's own");
        assert_eq!(sats(Method::GET, "/q/x"), 9);
        assert_eq!(sats(Method::DELETE, "/free"), 0);
    }

    #[test]
    fn a_method_that_is_named_counts_before_all_methods() {
        let tariff = tariff(
            &[],
            &[],
            &[("*", "/x", 100), ("GET", "/x", 5), ("*", "/**", 2), ("GET", "/gold", 50), ("HEAD", "/y", 1)],
        );
        let sats = |method: Method, path: &str| tariff.quote(&method, &Letters::of(path)).sats;
        assert_eq!((sats(Method::GET, "/x"), sats(Method::POST, "/x")), (5, 100));
        assert_eq!(sats(Method::HEAD, "/x"), 5, "as GET does");
        assert_eq!(sats(Method::HEAD, "/gold"), 50, "though there is an endpoint for all");
        assert_eq!((sats(Method::HEAD, "/y"), sats(Method::GET, "/y")), (1, 2));
    }

    #[test]
    fn what_is_blocked_is_so_however_it_is_spelled_and_what_is_allowed_is_meant_exactly() {
        let tariff = tariff(&["/api/**"], &["/api/admin", "/**/secret*"], &[]);
        for path in ["/api", "/api/x", "/api/x/y"] {
            assert!(tariff.offers(&Letters::of(path)), "{path}");
        }
        for path in [
            "/",
            "/other",
            "/API/x",
            "/api/admin",
            "/api/Admin/x",
            "/api/x/secrets",
            "/api/secret/y",
            "/apix",
        ] {
            assert!(!tariff.offers(&Letters::of(path)), "{path}");
        }
    }

    #[test]
    fn methods_that_nobody_named_are_all_seven() {
        assert!(METHODS.iter().all(|method| Methods::default().allows(method)));
        assert!(!Methods::default().allows(&Method::TRACE) && !Methods::default().allows(&Method::CONNECT));
        let two = Methods(vec!["GET".into(), "POST".into()]);
        assert!(two.allows(&Method::POST) && !two.allows(&Method::PUT));
        assert_eq!(two.to_string(), "GET,POST");
    }

    #[test]
    fn patterns_at_their_limits_cost_little() {
        let mut of = proxy();
        of.blocked_paths = (0..50).map(|number| format!("/**/b*{number}*c")).collect();
        of.allowed_paths =
            (0..50).map(|number| format!("/**/a{number}*")).chain(["/**".into()]).take(51).collect();
        let rows: Vec<_> =
            (0..200).map(|number| endpoint("GET", &format!("/**/x*{number}*y**y"), 2)).collect();
        let tariff = Tariff::new(&of, &rows).unwrap();
        let path = format!("/a/{}", "x12y".repeat(500));
        let began = std::time::Instant::now();
        for _ in 0..10 {
            let letters = Letters::of(&path);
            assert!(tariff.offers(&letters));
            assert_eq!(tariff.quote(&Method::GET, &letters).sats, 2);
        }
        // Some 2 ms each with optimisation; it was 19 ms before, and several hundred without.
        assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
    }
}
