//! How often a client may ask.
//!
//! Every client has a quota for writes and one for reads, and so has every API key, larger ones: `limit` at once,
//! refilled evenly over the window. Routes share the quota of their class. Besides there are budgets for new
//! invoices, each of which costs a durable row: one for all strangers, one for each account. `OPTIONS` is never counted.

mod budget;
mod fair;
mod layer;
mod recent;
mod table;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue};

pub use self::budget::{Budget, Rate};
pub use self::layer::{Limiter, Meter, limit};
pub use self::recent::Recent;
use self::table::{Name, Table};
use super::client::Client;

/// Clients remembered in each class (about 100 bytes each).
const REMEMBERED: usize = 100_000;

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
    Client(Name),
    Key(Name),
}

struct Quotas {
    table: Table,
    limit: u32,
    step: Duration,
    window: Duration,
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

    /// Counts one request of a client and says what is left.
    pub fn check(&self, class: Class, client: Client) -> Allowance {
        self.check_holder(class, self.client(client))
    }

    /// Counts one request of somebody who has no address.
    #[cfg(test)]
    fn check_named(&self, class: Class, name: impl Hash) -> Allowance {
        self.check_holder(class, Holder::Client(Name::of(self.hash(name))))
    }

    fn client(&self, client: Client) -> Holder {
        let (own, network) = (self.hash(client), self.hash(client.neighbourhood()));
        Holder::Client(Name { own, network, region: self.hash((client.region(), "region")) })
    }

    // A keyed hash, so that nobody can choose to share a quota with somebody else.
    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn check_holder(&self, class: Class, holder: Holder) -> Allowance {
        self.quotas(class, holder).map_or(Allowance::UNLIMITED, |(quotas, name)| quotas.check(name))
    }

    fn quotas(&self, class: Class, holder: Holder) -> Option<(&Quotas, Name)> {
        let (classes, name) = match holder {
            Holder::Client(name) => (&self.clients, name),
            Holder::Key(name) => (&self.keys, name),
        };
        let quotas = match (class, holder) {
            (Class::Verify, Holder::Key(_)) => classes.verify.as_ref(),
            (Class::Write | Class::Verify, _) => classes.write.as_ref(),
            (Class::Read, _) => classes.read.as_ref(),
        };
        quotas.map(|quotas| (quotas, name))
    }

    /// Forgets clients whose quota is full again. Takes milliseconds when there are many.
    pub fn sweep(&self) {
        let (clients, keys) = (&self.clients, &self.keys);
        let all = [&clients.write, &clients.read, &keys.write, &keys.read, &keys.verify];
        for quotas in all.into_iter().flatten() {
            quotas.table.sweep();
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
        let step = window.checked_div(limit).filter(|step| !step.is_zero())?;
        Some(Self { table: Table::new(limit, window, remembered), limit, step, window })
    }

    fn check(&self, name: Name) -> Allowance {
        let (limit, window_secs) = (self.limit, self.window.as_secs());
        match self.table.take(name, 1) {
            Ok(left) => {
                let remaining = left.remaining;
                let reset_epoch_secs = now_secs(self.step * self.limit.saturating_sub(remaining));
                Allowance { limit, window_secs, remaining, reset_epoch_secs, retry_after: None }
            }
            Err(wait) => {
                let retry_after = Some(whole_secs(wait).max(1));
                let reset_epoch_secs = now_secs(self.window);
                Allowance { limit, window_secs, remaining: 0, reset_epoch_secs, retry_after }
            }
        }
    }

    /// Counts more for a request that was let through; seconds to wait if there is not that much left.
    fn take(&self, name: Name, count: u32) -> Result<(), u64> {
        let taken = self.table.take(name, count.min(self.limit));
        taken.map(|_| ()).map_err(|wait| whole_secs(wait).max(1))
    }
}

fn now_secs(later: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    whole_secs(now.saturating_add(later))
}

/// Rounded up, so that who waits that long has waited long enough.
fn whole_secs(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
