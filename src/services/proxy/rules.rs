//! The service's limits, as the configuration sets them.

use std::time::Duration;

use crate::config::Config;
use crate::http::extract::base_path;

/// Each costs as much as an owner's patterns do.
const UNPAID_PER_MINUTE: u32 = 600;

/// Limits and windows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether anything is passed on.
    pub enabled: bool,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Proxies of one account.
    pub max_proxies: u64,
    /// Requests of one proxy that are on their way at once.
    pub max_in_flight: usize,
    /// Requests without a good credential that one client may make in a minute; 0 sets no limit.
    pub unpaid_per_minute: u32,
    /// Bytes of a request's body.
    pub max_request_bytes: u64,
    /// Bytes of an answer's body.
    pub max_answer_bytes: u64,
    /// For a connection to the upstream.
    pub connect_timeout: Duration,
    /// For the next bytes of a body, either way.
    pub idle_timeout: Duration,
    /// The longest that a proxy may wait for an answer to begin.
    pub max_timeout: Duration,
    /// For everything that happens before the upstream is asked.
    pub request_timeout: Duration,
}

impl Rules {
    /// The path part of [`Rules::public_url`].
    pub fn base_path(&self) -> &str {
        base_path(&self.public_url)
    }

    /// As the operator configured them.
    pub fn from_config(config: &Config) -> Self {
        let proxy = &config.l402.proxy;
        Self {
            enabled: proxy.enabled,
            public_url: config.http.public_url.trim_end_matches('/').to_owned(),
            max_proxies: proxy.max_proxies,
            max_in_flight: proxy.max_in_flight,
            unpaid_per_minute: if config.http.rate_limits { UNPAID_PER_MINUTE } else { 0 },
            max_request_bytes: proxy.max_request_bytes,
            max_answer_bytes: proxy.max_answer_bytes,
            connect_timeout: Duration::from_secs(proxy.connect_timeout_secs),
            idle_timeout: Duration::from_secs(proxy.idle_timeout_secs),
            max_timeout: Duration::from_secs(proxy.max_timeout_secs),
            request_timeout: Duration::from_secs(config.http.request_timeout_secs),
        }
    }
}
