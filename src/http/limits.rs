//! How often a client may ask.
//!
//! Every client has a quota for writes and one for reads, and so has every API key, larger ones: `limit` at once,
//! refilled evenly over the window. Routes share the quota of their class. Over all clients there is a budget for new
//! invoices, each of which costs a durable row. `OPTIONS` is never counted.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::header::{HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::client::Proxies;
use super::keys::Caller;
use crate::telemetry::metrics::HTTP_LIMITED;

/// Clients remembered apart from each other, in each class (about 100 bytes each).
const REMEMBERED: usize = 100_000;

/// Quotas that clients share by lot while there are more of them than can be remembered.
const SHARED: u64 = 65_536;

/// Checks between two looks at how many clients are remembered.
const LOOK_EVERY: u32 = 1024;

/// How often the forgotten are swept out.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What a request does, and with it which quota it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Creates, redeems, asks for an invoice.
    Write,
    /// Looks something up.
    Read,
    /// Asks whether what somebody else showed is good: once for every request that a shop gets.
    Verify,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Verify => "verify",
        }
    }
}

/// The quotas.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// `false` lets everything through.
    pub enabled: bool,
    /// The window in which a quota refills.
    pub window: Duration,
    /// Writes in a window.
    pub write: u32,
    /// Reads in a window.
    pub read: u32,
    /// Writes in a window with an API key.
    pub key_write: u32,
    /// Reads in a window with one.
    pub key_read: u32,
}

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a window.
    pub limit: u32,
    /// The window, in seconds.
    pub window_secs: u64,
    /// How many more may follow at once.
    pub remaining: u32,
    /// When the whole quota is back, in unix seconds.
    pub reset_epoch_secs: u64,
    /// `Some` if this request is one too many: seconds until the next may come.
    pub retry_after: Option<u64>,
}

impl Allowance {
    /// What everybody gets when limits are off.
    const UNLIMITED: Self =
        Self { limit: u32::MAX, window_secs: 0, remaining: u32::MAX, reset_epoch_secs: 0, retry_after: None };

    /// Writes `X-RateLimit-Limit`, `-Remaining`, `-Reset` and, for a refusal, `Retry-After`. With limits off: nothing.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        if *self != Self::UNLIMITED {
            headers.insert(HeaderName::from_static("x-ratelimit-limit"), self.limit.into());
            headers.insert(HeaderName::from_static("x-ratelimit-remaining"), self.remaining.into());
            headers.insert(HeaderName::from_static("x-ratelimit-reset"), self.reset_epoch_secs.into());
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

type Keyed = RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>;

/// The quotas of all clients and keys.
pub struct Limits {
    clients: Classes,
    keys: Classes,
    hasher: RandomState,
}

struct Classes {
    write: Option<Quotas>,
    read: Option<Quotas>,
    /// Without a key it is no question but a guess, which counts as a write.
    verify: Option<Quotas>,
}

/// Whose quota.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Client(u64),
    Key(u64),
}

struct Quotas {
    limiter: Keyed,
    limit: u32,
    step: Duration,
    window: Duration,
    remembered: usize,
    crowded: AtomicBool,
    checks: AtomicU32,
}

impl Limits {
    /// Quotas by the settings. A limit or a window of zero means none.
    pub fn new(settings: LimitSettings) -> Self {
        Self::with_memory(settings, REMEMBERED)
    }

    fn with_memory(settings: LimitSettings, remembered: usize) -> Self {
        let quotas = |limit| Quotas::new(limit, settings.window, remembered).filter(|_| settings.enabled);
        let classes = |write, read| Classes { write: quotas(write), read: quotas(read), verify: None };
        Self {
            clients: classes(settings.write, settings.read),
            keys: classes(settings.key_write, settings.key_read),
            hasher: RandomState::new(),
        }
    }

    /// The same, where an API key has so many verifications in the window of `settings`; 0 sets no limit.
    pub fn verifying(mut self, settings: LimitSettings, count: u32) -> Self {
        self.keys.verify = Quotas::new(count, settings.window, REMEMBERED).filter(|_| settings.enabled);
        self
    }

    /// Counts one request of a client (a [`Client`](super::client::Client), or whatever tells it from others) and
    /// says what is left.
    pub fn check(&self, class: Class, client: impl Hash) -> Allowance {
        self.check_holder(class, Holder::Client(self.hash(client)))
    }

    // A keyed hash, so that nobody can choose to share a quota with somebody else.
    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn check_holder(&self, class: Class, holder: Holder) -> Allowance {
        self.quotas(class, holder).map_or(Allowance::UNLIMITED, |(quotas, hash)| quotas.check(hash))
    }

    fn quotas(&self, class: Class, holder: Holder) -> Option<(&Quotas, u64)> {
        let (classes, hash) = match holder {
            Holder::Client(hash) => (&self.clients, hash),
            Holder::Key(hash) => (&self.keys, hash),
        };
        let quotas = match (class, holder) {
            (Class::Verify, Holder::Key(_)) => classes.verify.as_ref(),
            (Class::Write | Class::Verify, _) => classes.write.as_ref(),
            (Class::Read, _) => classes.read.as_ref(),
        };
        quotas.map(|quotas| (quotas, hash))
    }

    /// Forgets clients whose quota is full again. Takes milliseconds when there are many.
    pub fn sweep(&self) {
        let (clients, keys) = (&self.clients, &self.keys);
        let all = [&clients.write, &clients.read, &keys.write, &keys.read, &keys.verify];
        for quotas in all.into_iter().flatten() {
            quotas.limiter.retain_recent();
            quotas.limiter.shrink_to_fit();
            quotas.look();
        }
    }

    /// Sweeps every minute, on a thread that may block, until `shutdown` ends.
    pub async fn keep_tidy(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
            let limits = Arc::clone(&self);
            if tokio::task::spawn_blocking(move || limits.sweep()).await.is_err() {
                tracing::error!("sweeping the rate limits failed");
            }
        }
    }
}

impl Quotas {
    fn new(limit: u32, window: Duration, remembered: usize) -> Option<Self> {
        let burst = NonZeroU32::new(limit)?;
        let step = window / limit;
        let quota = Quota::with_period(step)?.allow_burst(burst);
        let limiter = RateLimiter::dashmap(quota).with_middleware();
        let (crowded, checks) = (AtomicBool::new(false), AtomicU32::new(0));
        Some(Self { limiter, limit, step, window, remembered, crowded, checks })
    }

    fn check(&self, key: u64) -> Allowance {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            self.look();
        }
        let (limit, window_secs) = (self.limit, self.window.as_secs());
        match self.limiter.check_key(&self.own_or_shared(key)) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity().min(self.limit);
                let reset_epoch_secs = now_secs(self.step * self.limit.saturating_sub(remaining));
                Allowance { limit, window_secs, remaining, reset_epoch_secs, retry_after: None }
            }
            Err(refusal) => {
                let wait = refusal.wait_time_from(self.limiter.clock().now());
                let retry_after = Some(whole_secs(wait).max(1));
                let reset_epoch_secs = now_secs(self.window);
                Allowance { limit, window_secs, remaining: 0, reset_epoch_secs, retry_after }
            }
        }
    }

    /// Counts more for a request that was let through; seconds to wait if there is not that much left.
    fn take(&self, key: u64, count: u32) -> Result<(), u64> {
        let Some(count) = NonZeroU32::new(count.min(self.limit)) else { return Ok(()) };
        match self.limiter.check_key_n(&self.own_or_shared(key), count) {
            Ok(Err(refusal)) => Err(whole_secs(refusal.wait_time_from(self.limiter.clock().now())).max(1)),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    fn own_or_shared(&self, key: u64) -> u64 {
        if self.crowded.load(Ordering::Relaxed) { key % SHARED } else { key }
    }

    fn look(&self) {
        self.crowded.store(self.limiter.len() >= self.remembered, Ordering::Relaxed);
    }
}

/// A budget over all clients, per minute.
pub struct Budget(Option<DefaultDirectRateLimiter>);

impl Budget {
    /// So many in a minute, and as many at once; 0 means no budget at all: everything passes.
    pub fn per_minute(count: u32) -> Self {
        Self(NonZeroU32::new(count).map(|count| RateLimiter::direct(Quota::per_minute(count))))
    }

    /// Takes one.
    ///
    /// # Errors
    /// Seconds to wait if the budget is used up.
    pub fn take(&self) -> Result<(), u64> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter.check().map_err(|refusal| {
            let wait = refusal.wait_time_from(limiter.clock().now());
            whole_secs(wait).max(1)
        })
    }
}

/// The quota that [`limit`] counted a request on, among the request's extensions: a handler counts more on
/// it for what costs more than one.
#[derive(Clone)]
pub struct Meter {
    limits: Arc<Limits>,
    class: Class,
    holder: Holder,
}

impl Meter {
    /// Takes so many more; never more than the whole quota.
    ///
    /// # Errors
    /// Seconds to wait until there is that much; then nothing was taken.
    pub fn take(&self, count: u32) -> Result<(), u64> {
        self.limits.quotas(self.class, self.holder).map_or(Ok(()), |(quotas, hash)| quotas.take(hash, count))
    }
}

/// What the middleware [`limit`] needs; one for each class and family.
#[derive(Clone)]
pub struct Limiter {
    /// The quotas.
    pub limits: Arc<Limits>,
    /// Whom to believe about the client's address.
    pub proxies: Arc<Proxies>,
    /// Which quota.
    pub class: Class,
    /// Words the refusal in the family's shape; the headers are added to it.
    pub refusal: fn(&Allowance) -> Response,
}

/// Middleware: counts the request, refuses it or passes it on, and puts the headers on the answer.
/// Use with `axum::middleware::from_fn_with_state`. Counts by API key if an outer layer
/// ([`recognise`](super::keys::recognise)) found a valid one.
pub async fn limit(State(limiter): State<Limiter>, mut request: Request, next: Next) -> Response {
    if *request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let holder = match request.extensions().get::<Caller>() {
        Some(caller) => Holder::Key(limiter.limits.hash(caller.key)),
        None => {
            let client = limiter.proxies.client(request.extensions(), request.headers());
            Holder::Client(limiter.limits.hash(client))
        }
    };
    let allowance = limiter.limits.check_holder(limiter.class, holder);
    request.extensions_mut().insert(Meter {
        limits: Arc::clone(&limiter.limits),
        class: limiter.class,
        holder,
    });
    let mut response = match allowance.retry_after {
        Some(_) => {
            metrics::counter!(HTTP_LIMITED, "limit" => limiter.class.name()).increment(1);
            (limiter.refusal)(&allowance)
        }
        None => next.run(request).await,
    };
    allowance.write_headers(response.headers_mut());
    response
}

fn now_secs(later: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    whole_secs(now.saturating_add(later))
}

/// Rounded up, so that who waits that long has waited long enough.
fn whole_secs(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client::Client;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::{Router, middleware, routing};
    use tower::ServiceExt;

    const SETTINGS: LimitSettings = LimitSettings {
        enabled: true,
        window: Duration::from_secs(900),
        write: 3,
        read: 1000,
        key_write: 5,
        key_read: 1000,
    };

    fn client(text: &str) -> Client {
        Client::of(text.parse().unwrap())
    }

    #[test]
    fn the_fourth_of_three_is_refused_and_others_are_not() {
        let limits = Limits::new(SETTINGS);
        for remaining in [2, 1, 0] {
            let allowance = limits.check(Class::Write, client("192.0.2.1"));
            assert_eq!((allowance.remaining, allowance.retry_after), (remaining, None));
            assert_eq!(allowance.limit, 3);
        }
        let refused = limits.check(Class::Write, client("192.0.2.1"));
        assert_eq!(refused.remaining, 0);
        assert!((299..=300).contains(&refused.retry_after.unwrap()), "{refused:?}");
        let full = refused.reset_epoch_secs - now_secs(Duration::ZERO);
        assert!((899..=901).contains(&full), "{full}");
        assert_eq!(limits.check(Class::Read, client("192.0.2.1")).retry_after, None);
        assert_eq!(limits.check(Class::Write, client("192.0.2.2")).retry_after, None);
    }

    #[test]
    fn the_quota_refills() {
        let limits = Limits::new(LimitSettings { window: Duration::from_millis(300), ..SETTINGS });
        for _ in 0..3 {
            limits.check(Class::Write, 1);
        }
        assert!(limits.check(Class::Write, 1).retry_after.is_some());
        std::thread::sleep(Duration::from_millis(120));
        assert!(limits.check(Class::Write, 1).retry_after.is_none());
    }

    #[test]
    fn switched_off_nothing_is_counted_or_said() {
        let limits = Limits::new(LimitSettings { enabled: false, ..SETTINGS });
        let mut headers = HeaderMap::new();
        for _ in 0..100 {
            limits.check(Class::Write, 1).write_headers(&mut headers);
        }
        assert!(headers.is_empty());
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let limits = Limits::with_memory(LimitSettings { write: 2, ..SETTINGS }, 1000);
        for stranger in 0..200_000 {
            limits.check(Class::Write, stranger);
        }
        let remembered = limits.clients.write.as_ref().unwrap().limiter.len();
        assert!(remembered <= 1000 + 1024 + 65_536, "{remembered}");
        // Sharing, but still limited.
        assert!((0..3).any(|_| limits.check(Class::Write, 7).retry_after.is_some()));
    }

    #[test]
    fn the_sweep_forgets_who_has_a_full_quota() {
        let limits = Limits::with_memory(LimitSettings { window: Duration::from_millis(3), ..SETTINGS }, 10);
        for stranger in 0..100 {
            limits.check(Class::Write, stranger);
        }
        std::thread::sleep(Duration::from_millis(20));
        limits.sweep();
        assert!(limits.clients.write.as_ref().unwrap().limiter.is_empty());
    }

    #[test]
    fn the_budget_ends() {
        let budget = Budget::per_minute(2);
        assert_eq!((budget.take(), budget.take()), (Ok(()), Ok(())));
        assert!((29..=30).contains(&budget.take().unwrap_err()));
        let none = Budget::per_minute(0);
        assert!((0..1000).all(|_| none.take().is_ok()));
    }

    #[tokio::test]
    async fn the_middleware_refuses_in_the_family_s_words_and_never_counts_options() {
        let limiter = Limiter {
            limits: Arc::new(Limits::new(SETTINGS)),
            proxies: Arc::default(),
            class: Class::Write,
            refusal: |_| (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response(),
        };
        use axum::response::IntoResponse;
        let layer = middleware::from_fn_with_state(limiter, limit);
        let app = Router::new().route("/", routing::any(|| async {})).layer(layer);
        let ask = async |method: Method| {
            let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap()
        };
        for _ in 0..10 {
            assert_eq!(ask(Method::OPTIONS).await.status(), StatusCode::OK);
        }
        for _ in 0..3 {
            assert_eq!(ask(Method::POST).await.status(), StatusCode::OK);
        }
        let refused = ask(Method::POST).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["x-ratelimit-limit"], "3");
        assert_eq!(refused.headers()["x-ratelimit-remaining"], "0");
        assert!(refused.headers().contains_key("x-ratelimit-reset"));
        assert!(refused.headers().contains_key("retry-after"));
    }
}
