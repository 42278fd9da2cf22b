//! Live pages: a topic a public object, a stream of its states to whoever watches.
//!
//! Whoever changes an object calls [`Hub::tell`] after the commit; it costs nothing while nobody watches.
//! A stream reads the state itself, so a missed or doubled call does no harm: what is sent is what is so.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::client::Client;

/// A comment this often tells proxies that the stream lives, and us when the watcher is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a browser waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(2);

/// How many streams there may be.
#[derive(Clone, Copy, Debug)]
pub struct HubSettings {
    /// For one client; tabs of one household share it.
    pub streams_per_client: usize,
    /// For all clients of one network, a /24 of IPv4 or a /48 of IPv6.
    pub streams_per_network: usize,
    /// Of strangers in all. Each holds a connection, so keep it well under the server's limit.
    pub streams: usize,
    /// Of the operator's event log, besides.
    pub operator_streams: usize,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self { streams_per_client: 20, streams_per_network: 100, streams: 1000, operator_streams: 100 }
    }
}

/// There are too many streams, of this client or in all: 429 or 503, and the page asks now and then instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many open streams")]
pub struct TooMany;

/// Who watches what. One for the process.
pub struct Hub {
    settings: HubSettings,
    // Read without the lock by `tell`.
    watching: AtomicUsize,
    topics: Mutex<HashMap<String, Topic>>,
    permits: Mutex<StreamPermits>,
    closed: watch::Sender<bool>,
}

/// Streams that are open.
#[derive(Default)]
struct StreamPermits {
    strangers: usize,
    clients: HashMap<Client, usize>,
    networks: HashMap<IpAddr, usize>,
    operator: usize,
}

struct Topic {
    changes: watch::Sender<u64>,
    watchers: usize,
}

impl Hub {
    /// A hub that nobody watches yet.
    pub fn new(settings: HubSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            watching: AtomicUsize::new(0),
            topics: Mutex::default(),
            permits: Mutex::default(),
            closed: watch::Sender::new(false),
        })
    }

    /// Says that the object of this topic changed. Quick; made for [`Tx::after_commit`](crate::storage::Tx::after_commit).
    pub fn tell(&self, topic: &str) {
        // Who starts to watch counts first and reads the state then: either it is seen here, or it reads
        // what was committed before this call.
        if self.watching.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(topic) = lock(&self.topics).get(topic) {
            topic.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Watches a topic.
    pub fn subscribe(self: &Arc<Self>, topic: &str) -> Subscription {
        self.watching.fetch_add(1, Ordering::SeqCst);
        let mut topics = lock(&self.topics);
        let known = topics
            .entry(topic.to_owned())
            .or_insert_with(|| Topic { changes: watch::Sender::new(0), watchers: 0 });
        known.watchers = known.watchers.saturating_add(1);
        let changes = known.changes.subscribe();
        Subscription {
            changes,
            closed: self.closed.subscribe(),
            topic: topic.to_owned(),
            hub: Arc::clone(self),
        }
    }

    /// Ends all streams, now and from now on: the first step of a shutdown.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// How many watch.
    pub fn watching(&self) -> usize {
        self.watching.load(Ordering::SeqCst)
    }

    /// Takes a place for a stream; it is given back when the permit is dropped.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn permit(self: &Arc<Self>, client: Client) -> Result<StreamPermit, TooMany> {
        let (mut permits, settings) = (lock(&self.permits), self.settings);
        let of = |taken: Option<&usize>| taken.copied().unwrap_or(0);
        let network = client.neighbourhood();
        if permits.strangers >= settings.streams
            || of(permits.clients.get(&client)) >= settings.streams_per_client
            || of(permits.networks.get(&network)) >= settings.streams_per_network
        {
            return Err(TooMany);
        }
        permits.strangers = permits.strangers.saturating_add(1);
        one_more(permits.clients.entry(client).or_default());
        one_more(permits.networks.entry(network).or_default());
        Ok(StreamPermit { client: Some(client), hub: Arc::clone(self) })
    }

    /// The same for the operator, who has places of their own: strangers can't take those.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn operator_permit(self: &Arc<Self>) -> Result<StreamPermit, TooMany> {
        let mut permits = lock(&self.permits);
        if permits.operator >= self.settings.operator_streams {
            return Err(TooMany);
        }
        one_more(&mut permits.operator);
        Ok(StreamPermit { client: None, hub: Arc::clone(self) })
    }
}

fn one_more(count: &mut usize) {
    *count = count.saturating_add(1);
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count = count.saturating_sub(1),
        _ => drop(counts.remove(key)),
    }
}

/// Hears of changes until dropped.
pub struct Subscription {
    changes: watch::Receiver<u64>,
    closed: watch::Receiver<bool>,
    topic: String,
    hub: Arc<Hub>,
}

impl Subscription {
    /// Waits for a change since the last call. Many changes in between count as one. `false`: the hub closed.
    pub async fn changed(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => false,
            changed = self.changes.changed() => changed.is_ok(),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = lock(&self.hub.topics);
        if let Some(topic) = topics.get_mut(&self.topic) {
            topic.watchers = topic.watchers.saturating_sub(1);
            if topic.watchers == 0 {
                topics.remove(&self.topic);
            }
        }
        drop(topics);
        self.hub.watching.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place for one stream.
pub struct StreamPermit {
    /// `None`: the operator's.
    client: Option<Client>,
    hub: Arc<Hub>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut permits = lock(&self.hub.permits);
        let Some(client) = self.client else {
            permits.operator = permits.operator.saturating_sub(1);
            return;
        };
        permits.strangers = permits.strangers.saturating_sub(1);
        one_less(&mut permits.clients, &client);
        one_less(&mut permits.networks, &client.neighbourhood());
    }
}

/// A stream of an object's states: the present one at once, then each that differs from the one before.
/// `read_state` answers JSON on one line; `None` (gone, or not readable now) ends the stream.
///
/// # Errors
/// [`TooMany`].
pub fn sse_stream<F, Fut>(
    hub: &Arc<Hub>,
    client: Client,
    topic: &str,
    read_state: F,
) -> Result<Response, TooMany>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = Option<String>> + Send + 'static,
{
    struct Watch<F> {
        subscription: Subscription,
        read_state: F,
        sent: Option<String>,
        _permit: StreamPermit,
    }
    let permit = hub.permit(client)?;
    let watch = Watch { subscription: hub.subscribe(topic), read_state, sent: None, _permit: permit };
    let states = stream::unfold(watch, |mut watch| async move {
        loop {
            if watch.sent.is_some() && !watch.subscription.changed().await {
                return None;
            }
            let state = (watch.read_state)().await?;
            if watch.sent.as_ref() != Some(&state) {
                let event = Event::default().event("state").retry(COME_BACK).data(&state);
                watch.sent = Some(state);
                return Some((event, watch));
            }
        }
    });
    Ok(sse_response(states))
}

/// Events as a response that caches and proxies pass on as they come.
pub(super) fn sse_response(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures_util::StreamExt;
    let events = events.map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    super::respond::no_store(response)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    fn client(last: u8) -> Client {
        Client::of([192, 0, 2, last].into())
    }

    struct Page {
        stream: axum::body::BodyDataStream,
    }

    impl Page {
        async fn next(&mut self) -> Option<String> {
            let wait = tokio::time::timeout(Duration::from_millis(200), self.stream.next());
            let bytes = wait.await.ok()??.unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.lines().find_map(|line| line.strip_prefix("data: ").map(str::to_owned))
        }
    }

    fn watch(hub: &Arc<Hub>, state: &Arc<Mutex<Option<String>>>) -> Page {
        let state = Arc::clone(state);
        let read = move || std::future::ready(lock(&state).clone());
        let response = sse_stream(hub, client(1), "gift", read).unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Page { stream: response.into_body().into_data_stream() }
    }

    #[tokio::test]
    async fn a_watcher_gets_the_state_at_once_and_each_new_one() {
        let hub = Hub::new(HubSettings::default());
        let state = Arc::new(Mutex::new(Some("{\"spent\":false}".to_owned())));
        let mut page = watch(&hub, &state);
        assert_eq!(page.next().await.unwrap(), "{\"spent\":false}");
        hub.tell("gift");
        assert_eq!(page.next().await, None);
        *lock(&state) = Some("{\"spent\":true}".to_owned());
        hub.tell("another gift");
        assert_eq!(page.next().await, None);
        hub.tell("gift");
        assert_eq!(page.next().await.unwrap(), "{\"spent\":true}");
        *lock(&state) = None;
        hub.tell("gift");
        assert!(page.stream.next().await.is_none());
    }

    #[tokio::test]
    async fn who_leaves_leaves_nothing_behind() {
        let hub = Hub::new(HubSettings::default());
        let state = Arc::new(Mutex::new(Some("{}".to_owned())));
        let (mut one, two) = (watch(&hub, &state), watch(&hub, &state));
        one.next().await.unwrap();
        assert_eq!(hub.watching(), 2);
        drop(one);
        assert_eq!(lock(&hub.topics).len(), 1);
        drop(two);
        assert_eq!((hub.watching(), lock(&hub.topics).len(), lock(&hub.permits).clients.len()), (0, 0, 0));
        hub.tell("gift");
    }

    #[tokio::test]
    async fn streams_are_limited_for_one_for_a_network_and_for_all() {
        let settings =
            HubSettings { streams_per_client: 2, streams_per_network: 3, streams: 4, operator_streams: 1 };
        let hub = Hub::new(settings);
        let (one, _two) = (hub.permit(client(1)).unwrap(), hub.permit(client(1)).unwrap());
        assert!(hub.permit(client(1)).is_err());
        let _three = hub.permit(client(2)).unwrap();
        assert!(hub.permit(client(3)).is_err(), "the network is full");
        let elsewhere = |last| Client::of([198, 51, 100, last].into());
        let _four = hub.permit(elsewhere(1)).unwrap();
        assert!(hub.permit(elsewhere(2)).is_err());
        drop(one);
        assert!(hub.permit(client(3)).is_ok());
    }

    #[tokio::test]
    async fn strangers_never_take_the_operator_s_places() {
        let hub = Hub::new(HubSettings { streams: 3, operator_streams: 2, ..HubSettings::default() });
        let _strangers: Vec<_> = (0..3).map(|last| hub.permit(client(last)).unwrap()).collect();
        assert!(hub.permit(client(9)).is_err());
        let (one, _two) = (hub.operator_permit().unwrap(), hub.operator_permit().unwrap());
        assert!(hub.operator_permit().is_err());
        drop(one);
        assert!(hub.operator_permit().is_ok());
        assert!(hub.permit(client(9)).is_err(), "nor the operator theirs");
    }

    #[tokio::test]
    async fn closing_ends_every_stream() {
        let hub = Hub::new(HubSettings::default());
        let state = Arc::new(Mutex::new(Some("{}".to_owned())));
        let mut page = watch(&hub, &state);
        page.next().await.unwrap();
        hub.close();
        assert!(page.stream.next().await.is_none());
        let mut late = watch(&hub, &state);
        assert_eq!(late.next().await.unwrap(), "{}");
        assert!(late.stream.next().await.is_none());
    }
}
