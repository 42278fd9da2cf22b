//! Who is asked: one file a source, and here what those over HTTP share.
//!
//! The operator chose their addresses, so the address guard for strangers' URLs does not apply to them.

pub mod coinbase;
pub mod fixed;
pub mod kraken;
pub mod mempool;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Client;
use reqwest::redirect::Policy;

use super::{Prices, RateSource, SourceError};
use crate::outbound::fetch::{FetchError, read_body};

/// More than any honest answer.
const LARGEST_ANSWER: usize = 256 * 1024;

/// How we name ourselves.
const USER_AGENT: &str = concat!("satchel/", env!("CARGO_PKG_VERSION"));

/// The TLS library can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for rates can't be set up: {0}")]
pub struct NoClient(#[from] reqwest::Error);

/// A public server that we know how to read.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What follows its base URL.
    path: &'static str,
    /// Reads its answer.
    pub(crate) read: fn(&[u8]) -> Result<Prices, SourceError>,
}

/// One that is asked over HTTP.
struct Web {
    kind: Kind,
    url: String,
    client: Client,
}

/// Sources at these base URLs (without a slash at their end). `timeout` is for each answer as a whole.
///
/// # Errors
/// [`NoClient`]: at start, or never.
pub fn over_http(places: &[(Kind, &str)], timeout: Duration) -> Result<Vec<Arc<dyn RateSource>>, NoClient> {
    let client = Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .timeout(timeout)
        .pool_max_idle_per_host(1)
        .user_agent(USER_AGENT)
        .build()?;
    let source = |(kind, base): &(Kind, &str)| -> Arc<dyn RateSource> {
        Arc::new(Web { kind: *kind, url: format!("{base}{}", kind.path), client: client.clone() })
    };
    Ok(places.iter().map(source).collect())
}

impl RateSource for Web {
    fn name(&self) -> &'static str {
        self.kind.name
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Prices, SourceError>> {
        async { (self.kind.read)(&self.body().await?) }.boxed()
    }
}

impl Web {
    async fn body(&self) -> Result<Vec<u8>, SourceError> {
        let response = self.client.get(&self.url).send().await?;
        if !response.status().is_success() {
            return Err(SourceError::Status(response.status().as_u16()));
        }
        read_body(response, LARGEST_ANSWER).await.map_err(|error| match error {
            FetchError::TooLarge => SourceError::TooLarge,
            FetchError::TimedOut => SourceError::TimedOut,
            _ => SourceError::Unreachable,
        })
    }
}

impl From<reqwest::Error> for SourceError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable }
    }
}

/// What is said when an answer doesn't have the form we know.
const OTHER_JSON: SourceError = SourceError::Nonsense("not the JSON that is documented");
