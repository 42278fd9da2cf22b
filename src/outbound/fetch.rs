//! Requests to addresses that strangers gave: checked, without redirects, bounded in time and size.

use std::error::Error as _;
use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::outbound::guard::{BadUrl, Guard, NoPublicAddress};

/// How we name ourselves.
const USER_AGENT: &str = concat!("satchel/", env!("CARGO_PKG_VERSION"));

/// Redirects that are followed where they are.
const MOST_REDIRECTS: usize = 3;

/// A client that goes only where its guard lets it. Cheap to clone.
///
/// It checks every URL itself: an address written in a URL is never looked up, so the resolver alone would
/// let it pass.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    guard: Guard,
    client: Client,
    timeout: Duration,
}

/// Why a request got no usable answer. The texts name neither the URL nor an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL itself is refused.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The host's name leads to no public address. Whoever gave it is told no more than if it were down.
    #[error("the host can't be reached")]
    Refused,
    /// The host can't be found or reached, or breaks off.
    #[error("the host can't be reached")]
    Unreachable,
    /// It takes too long.
    #[error("the host takes too long to answer")]
    TimedOut,
    /// An answer of this status, where one of 2xx is needed.
    #[error("the host answered with HTTP status {0}")]
    Status(u16),
    /// More bytes than the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// Redirects without end.
    #[error("the host redirects too often")]
    Redirects,
    /// From https to http.
    #[error("the host redirects from https to http")]
    Downgrade,
    /// The answer isn't JSON.
    #[error("the answer is not JSON")]
    NotJson,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.is::<NoPublicAddress>() {
                tracing::debug!("a host has no public address");
                return Self::Refused;
            }
            cause = inner.source();
        }
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable }
    }
}

/// The TLS library can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client can't be set up: {0}")]
pub struct NoClient(reqwest::Error);

/// What connections to a proxy's upstream may take. Bodies have limits of their own.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// For the look-up of the name and the connection.
    pub connect_timeout: Duration,
    /// Connections kept open for the next request, to one host.
    pub idle_connections: usize,
}

impl Guard {
    /// A client for bodies of any length: goes only where this guard lets it, and bounds nothing but the time for a
    /// connection. Whoever uses it bounds the rest.
    ///
    /// # Errors
    /// [`NoClient`]: at start, or never.
    pub fn streaming_client(&self, settings: StreamSettings) -> Result<GuardedClient, NoClient> {
        let client = Client::builder()
            .dns_resolver(std::sync::Arc::new(self.clone()))
            .redirect(Policy::none())
            // As below.
            .no_proxy()
            .referer(false)
            // What is passed on stays as it came.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .http1_only()
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(settings.idle_connections)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(NoClient)?;
        Ok(GuardedClient { guard: self.clone(), client, timeout: Duration::MAX })
    }

    /// A client that goes only where this guard lets it, and takes no longer than `timeout` from the look-up of
    /// the name to the last byte of the answer.
    ///
    /// # Errors
    /// [`NoClient`]: at start, or never.
    pub fn client(&self, timeout: Duration) -> Result<GuardedClient, NoClient> {
        let client = Client::builder()
            .dns_resolver(std::sync::Arc::new(self.clone()))
            .redirect(Policy::none())
            // A proxy from the environment would look the names up itself, unguarded.
            .no_proxy()
            .referer(false)
            .timeout(timeout)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(USER_AGENT)
            .build()
            .map_err(NoClient)?;
        Ok(GuardedClient { guard: self.clone(), client, timeout })
    }
}

impl GuardedClient {
    /// How long a request may take, if it says nothing else.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Begins a request, if the URL may be used.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, BadUrl> {
        Ok(self.client.request(method, self.guard.check_url(url)?))
    }

    /// Begins a request to a URL that has been read, of any length, if it may be used.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn request_url(&self, method: Method, url: url::Url) -> Result<RequestBuilder, BadUrl> {
        self.guard.check(&url)?;
        Ok(self.client.request(method, url))
    }

    /// Fetches JSON of at most `max_bytes`. A redirect is a [`FetchError::Status`].
    ///
    /// # Errors
    /// Every [`FetchError`].
    pub async fn get_json(&self, url: &str, max_bytes: usize) -> Result<Value, FetchError> {
        let response = self.request(Method::GET, url)?.send().await?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let body = read_body(response, max_bytes).await?;
        serde_json::from_slice(&body).map_err(|_| FetchError::NotJson)
    }

    /// The same as LNURL has it: the answer counts whatever its status says (LUD-01), and up to three redirects are
    /// followed, each checked like the first URL, and none from https to http.
    ///
    /// # Errors
    /// Every [`FetchError`].
    pub async fn get_answer(&self, url: &str, max_bytes: usize) -> Result<Value, FetchError> {
        let mut url = self.guard.check_url(url)?;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.request_url(Method::GET, url.clone())?.send().await?;
            let status = response.status();
            if !status.is_redirection() {
                let body = read_body(response, max_bytes).await?;
                let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
                return match serde_json::from_slice(json) {
                    Ok(answer @ Value::Object(_)) => Ok(answer),
                    _ if status.is_success() => Err(FetchError::NotJson),
                    _ => Err(FetchError::Status(status.as_u16())),
                };
            }
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = target.and_then(|target| url.join(target).ok());
            let next = next.ok_or(FetchError::Status(status.as_u16()))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(FetchError::Downgrade);
            }
            url = self.guard.check_url(next.as_str())?;
        }
        Err(FetchError::Redirects)
    }

    /// Where it may go.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }
}

/// The body of an answer.
///
/// # Errors
/// [`FetchError::TooLarge`], or what happened on the way.
pub(crate) async fn read_body(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > max_bytes {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads a little of an answer that nobody needs, so that the connection may be used again.
pub(super) async fn drain(mut response: Response, max_bytes: usize, within: Duration) {
    let began = Instant::now();
    let mut read = 0_usize;
    while let Some(left) = within.checked_sub(began.elapsed()) {
        match tokio::time::timeout(left, response.chunk()).await {
            Ok(Ok(Some(chunk))) if read.saturating_add(chunk.len()) <= max_bytes => read += chunk.len(),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;
    use crate::outbound::guard::{GuardSettings, Lookup};

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// Answers each question with the next of its answers, and the last for ever.
    struct Liar {
        answers: Vec<Vec<IpAddr>>,
        asked: Arc<AtomicUsize>,
    }

    impl Lookup for Liar {
        fn lookup(
            &self,
            _host: String,
        ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
            let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
            let answer = self.answers[turn].clone();
            Box::pin(async move { Ok(answer) })
        }
    }

    fn liar(settings: GuardSettings, answers: &[&[&str]]) -> (GuardedClient, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let answers = answers.iter().map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        let guard = Guard::with_lookup(settings, Box::new(Liar { answers, asked: Arc::clone(&asked) }));
        (guard.client(TIMEOUT).unwrap(), asked)
    }

    fn loopback() -> GuardSettings {
        GuardSettings { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..GuardSettings::default() }
    }

    async fn host() -> (u16, Arc<AtomicUsize>) {
        let hits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&hits);
        let endless = || async {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1000)));
            axum::body::Body::from_stream(chunks)
        };
        let json = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(r#"{"tag":"payRequest"}"#)
        };
        let router = Router::new()
            .route("/json", get(json))
            .route("/text", get(|| async { "<html>" }))
            .route("/endless", get(endless))
            .route("/moved", get(|| async { Redirect::temporary("http://127.0.0.1/json") }))
            .route("/missing", get(|| async { axum::http::StatusCode::NOT_FOUND }))
            .route("/sent-on", get(|| async { Redirect::temporary("/json") }))
            .route("/round", get(|| async { Redirect::temporary("/round") }))
            .route("/inside", get(|| async { Redirect::temporary("http://10.0.0.1/json") }))
            .route(
                "/no-such-user",
                get(|| async { (axum::http::StatusCode::NOT_FOUND, "\u{feff}{\"status\":\"ERROR\"}") }),
            )
            .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum_serve(listener, router).await });
        (port, hits)
    }

    async fn axum_serve(listener: TcpListener, router: Router) {
        crate::http::server::serve(listener, router, Default::default(), std::future::pending()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_that_leads_inside_is_refused_at_the_connection() {
        let (port, hits) = host().await;
        let url = format!("http://pay.example:{port}/json");
        for inside in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "fd00::1",
        ] {
            let (client, _) = liar(GuardSettings::default(), &[&[inside]]);
            assert_eq!(client.get_json(&url, 1000).await, Err(FetchError::Refused), "{inside}");
        }
        assert_eq!(hits.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_several_addresses_only_the_allowed_are_tried() {
        let (port, hits) = host().await;
        let (client, _) = liar(loopback(), &[&["10.255.255.1", "169.254.169.254", "127.0.0.1", "fd00::1"]]);
        let began = Instant::now();
        client.get_json(&format!("http://pay.example:{port}/json"), 1000).await.unwrap();
        assert!(began.elapsed() < TIMEOUT / 2, "nothing was tried but the one that is allowed");
        assert_eq!(hits.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_that_changes_its_mind_gains_nothing() {
        let (port, hits) = host().await;
        // First an address that passes (127.0.0.2 stands for a public one), then one that must not.
        let only = GuardSettings {
            allow_networks: vec!["127.0.0.2/32".parse().unwrap()],
            ..GuardSettings::default()
        };
        let (client, asked) = liar(only, &[&["127.0.0.2"], &["127.0.0.1"]]);
        let url = format!("http://pay.example:{port}/json");
        let listener = TcpListener::bind(("127.0.0.2", port)).await;
        if let Ok(listener) = listener {
            // Closes each connection at once, so that every request needs a new one.
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    drop(stream);
                }
            });
        }
        assert_eq!(client.get_json(&url, 1000).await, Err(FetchError::Unreachable));
        for _ in 0..3 {
            assert_eq!(client.get_json(&url, 1000).await, Err(FetchError::Refused));
        }
        assert_eq!(hits.load(Ordering::SeqCst), 0);
        assert!(asked.load(Ordering::SeqCst) >= 4, "one look-up a connection");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_address_in_the_url_is_checked_without_a_look_up() {
        let (port, hits) = host().await;
        let (client, asked) = liar(GuardSettings::default(), &[&["8.8.8.8"]]);
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "127.0.0.1."] {
            let refused = client.get_json(&format!("http://{host}:{port}/json"), 1000).await;
            assert_eq!(refused, Err(FetchError::Url(BadUrl::Refused)), "{host}");
        }
        assert_eq!((hits.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (0, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answers_are_bounded_and_redirects_end_the_request() {
        let (port, hits) = host().await;
        let (client, _) = liar(loopback(), &[&["127.0.0.1"]]);
        let get = async |path: &str| client.get_json(&format!("http://pay.example:{port}{path}"), 1000).await;
        assert_eq!(get("/json").await.unwrap()["tag"], "payRequest");
        assert_eq!(get("/text").await, Err(FetchError::NotJson));
        assert_eq!(get("/endless").await, Err(FetchError::TooLarge));
        assert_eq!(get("/moved").await, Err(FetchError::Status(307)));
        assert_eq!(get("/missing").await, Err(FetchError::Status(404)));
        assert_eq!(get("/slow").await, Err(FetchError::TimedOut));
        assert_eq!(hits.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answer_counts_whatever_its_status_and_redirects_are_checked_one_by_one() {
        let (port, hits) = host().await;
        let (client, _) = liar(loopback(), &[&["127.0.0.1"]]);
        let get =
            async |path: &str| client.get_answer(&format!("http://pay.example:{port}{path}"), 1000).await;
        assert_eq!(get("/sent-on").await.unwrap()["tag"], "payRequest");
        assert_eq!(get("/no-such-user").await.unwrap()["status"], "ERROR");
        assert_eq!(get("/missing").await, Err(FetchError::Status(404)));
        assert_eq!(get("/text").await, Err(FetchError::NotJson));
        assert_eq!(get("/endless").await, Err(FetchError::TooLarge));
        assert_eq!(get("/round").await, Err(FetchError::Redirects));
        assert_eq!(get("/inside").await, Err(FetchError::Url(BadUrl::Refused)));
        assert_eq!(hits.load(Ordering::SeqCst), 1);
    }
}
