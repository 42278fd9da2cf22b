use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::core::ids::AccountId;
use crate::core::ids::Secret;
use crate::outbound::guard::{Guard, GuardSettings};
use crate::outbound::webhooks::store::{
    MessageId, MessageInfo, MessageState, OutboxError, Owner, Target, list,
};

mod places;
mod schedule;

/// What a receiver got: its path, the headers, the body.
type Got = (String, HeaderMap, Bytes);

/// A receiver whose paths behave as their names say.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    /// Paths that answer 500, so many times more.
    failing: Arc<Mutex<HashMap<String, u32>>>,
    /// Bodies that are answered with this status.
    disliked: Arc<Mutex<HashMap<String, u16>>>,
    port: u16,
}

impl Receiver {
    async fn start(port: u16) -> Self {
        let mut receiver = Self::default();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        receiver.port = listener.local_addr().unwrap().port();
        let router = axum::Router::new().route("/{path}", post(receive)).with_state(receiver.clone());
        tokio::spawn(crate::http::server::serve(
            listener,
            router,
            Default::default(),
            std::future::pending(),
        ));
        receiver
    }

    fn bodies(&self, path: &str) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let here = got.iter().filter(|(at, ..)| at == path);
        here.map(|(_, _, body)| String::from_utf8(body.to_vec()).unwrap()).collect()
    }

    async fn wait_for(&self, path: &str, count: usize) -> Vec<String> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let bodies = self.bodies(path);
            if bodies.len() >= count {
                return bodies;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{path} got only {:?}", self.bodies(path));
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let disliked = receiver.disliked.lock().unwrap().get(&*String::from_utf8_lossy(&body)).copied();
    receiver.got.lock().unwrap().push((path.clone(), headers, body));
    if let Some(status) = disliked {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if let Some(left) = receiver.failing.lock().unwrap().get_mut(&path)
        && *left > 0
    {
        *left -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match path.as_str() {
        "slow" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::OK.into_response()
        }
        "redirect" => Redirect::temporary("/redirected").into_response(),
        "endless" => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(10_000)));
            Body::from_stream(chunks).into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

struct Post {
    store: Store,
    outbox: Outbox,
    folder: tempfile::TempDir,
}

struct Running {
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }
}

fn quick() -> WorkerSettings {
    WorkerSettings { pauses: vec![Duration::from_millis(40)], ..WorkerSettings::default() }
}

impl Post {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
        Self { store, outbox: Outbox::default(), folder }
    }

    fn work(&self, settings: WorkerSettings) -> Running {
        self.work_patiently(settings, Duration::from_millis(500))
    }

    fn work_patiently(&self, settings: WorkerSettings, timeout: Duration) -> Running {
        let guard = Guard::new(GuardSettings {
            allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
            ..GuardSettings::default()
        });
        let client = guard.client(timeout).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let worker =
            run(self.store.clone(), self.outbox.clone(), client, settings, async { drop(stopped.await) });
        Running { stop, ended: tokio::spawn(worker) }
    }

    async fn send_signed(&self, url: String, secret: Option<Secret>, payload: &str) -> MessageId {
        let (outbox, payload) = (self.outbox.clone(), payload.to_owned());
        self.store
            .write::<_, OutboxError>(move |tx| {
                let target =
                    Target { family: "gifts", url: &url, secret: secret.as_ref(), owner: Owner::Stranger };
                outbox.enqueue(tx, target, "gift.redeemed", &payload)
            })
            .await
            .unwrap()
    }

    async fn send(&self, receiver: &Receiver, path: &str, payload: &str) -> MessageId {
        self.send_signed(format!("http://127.0.0.1:{}/{path}", receiver.port), None, payload).await
    }

    /// The only endpoint's next try and failures.
    async fn endpoint(&self) -> (Option<i64>, i64) {
        let sql = "SELECT next_try_at, failures FROM webhook_endpoints";
        let read = self.store.read(move |connection| {
            let row = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
            row.map_err(StoreError::from)
        });
        read.await.unwrap()
    }

    async fn sql(&self, sql: &'static str, value: i64) {
        let write = self.store.write(move |tx| Ok::<_, StoreError>(tx.execute(sql, [value])?));
        assert_eq!(write.await.unwrap(), 1);
    }

    async fn info(&self, id: &MessageId) -> MessageInfo {
        let all = self.store.read(|connection| list(connection, false, None, 1000)).await.unwrap();
        all.into_iter().find(|message| message.id == *id).unwrap()
    }

    async fn wait_for_attempts(&self, id: &MessageId, count: i64) {
        let began = Instant::now();
        while self.info(id).await.attempts < count {
            assert!(began.elapsed() < Duration::from_secs(10), "still {:?}", self.info(id).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn wait_until(&self, id: &MessageId, state: MessageState) -> MessageInfo {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let info = self.info(id).await;
            if info.state == state {
                return info;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("still {:?}", self.info(id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_was_written_and_signed_as_the_receiver_checks_it() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let own: OwnHeaders = |signable| {
        let value = format!("{}:{}", signable.id, signable.body.len());
        vec![(HeaderName::from_static("x-family"), HeaderValue::from_str(&value).unwrap())]
    };
    let worker = post.work(WorkerSettings { own_headers: vec![("gifts", own)], ..quick() });
    let secret = sign::new_secret().unwrap();
    let payload = r#"{"id":"ü⚡","orderId":"1","amount":100,"spent":true}"#;
    let url = format!("http://127.0.0.1:{}/signed", receiver.port);
    let id = post.send_signed(url, Some(secret.clone()), payload).await;
    receiver.wait_for("signed", 1).await;
    let (_, headers, body) = receiver.got.lock().unwrap()[0].clone();
    assert_eq!(body, payload.as_bytes());
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], id.as_str());
    assert_eq!(headers["x-family"], format!("{id}:{}", payload.len()));
    let timestamp: i64 = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    assert!((now_ms() / 1000 - timestamp).abs() < 10);
    assert_eq!(
        headers["webhook-signature"],
        sign::signature(&secret, id.as_str(), timestamp, payload.as_bytes())
    );
    let info = post.wait_until(&id, MessageState::Delivered).await;
    assert_eq!((info.attempts, info.last_status), (1, Some(204)));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_for_a_while_gets_everything_in_order() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    receiver.failing.lock().unwrap().insert("flaky".into(), 1);
    let worker = post.work(quick());
    for number in 0..40 {
        post.send(&receiver, "flaky", &number.to_string()).await;
    }
    let got = receiver.wait_for("flaky", 41).await;
    assert_eq!(&got[..2], ["0", "0"]);
    let numbers: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(&got[1..], numbers);
    let ids: HashSet<_> =
        receiver.got.lock().unwrap().iter().map(|(_, headers, _)| headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 40, "a second try has the id of the first");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_it_when_it_is_back() {
    let post = Post::open();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let worker = post.work(quick());
    let id = post.send_signed(format!("http://127.0.0.1:{port}/up"), None, "{}").await;
    post.wait_for_attempts(&id, 1).await;
    let info = post.info(&id).await;
    assert!(info.attempts >= 1 && info.state == MessageState::Waiting, "{info:?}");
    assert_eq!(info.last_error.as_deref(), Some("the host can't be reached"));
    let receiver = Receiver::start(port).await;
    receiver.wait_for("up", 1).await;
    assert!(receiver.got.lock().unwrap()[0].1.get("webhook-signature").is_none());
    post.wait_until(&id, MessageState::Delivered).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_endless_receiver_holds_up_nobody_else() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let worker = post.work_patiently(quick(), Duration::from_secs(4));
    let slow = post.send(&receiver, "slow", "{}").await;
    let endless = post.send(&receiver, "endless", "{}").await;
    receiver.wait_for("slow", 1).await;
    let began = Instant::now();
    for number in 0..20 {
        post.send(&receiver, "quick", &number.to_string()).await;
    }
    receiver.wait_for("quick", 20).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    post.wait_until(&endless, MessageState::Delivered).await;
    receiver.wait_for("slow", 2).await;
    assert_eq!(post.info(&slow).await.last_error.as_deref(), Some("the host takes too long to answer"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let worker = post.work(quick());
    let id = post.send(&receiver, "redirect", "{}").await;
    receiver.wait_for("redirect", 2).await;
    assert!(receiver.bodies("redirected").is_empty());
    assert_eq!(post.info(&id).await.last_status, Some(307));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_allowed_any_more_is_not_called() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let worker = post.work(quick());
    let id = post.send_signed(format!("http://[::1]:{}/inner", receiver.port), None, "{}").await;
    while post.info(&id).await.attempts == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        post.info(&id).await.last_error.as_deref(),
        Some("the URL's host is not allowed: it must lead to the public internet")
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_too_long_is_parked_and_the_next_has_its_turn_and_it_can_be_replayed() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    receiver.failing.lock().unwrap().insert("dead".into(), u32::MAX);
    let worker = post.work(WorkerSettings { give_up_after: Duration::from_millis(300), ..quick() });
    let first = post.send(&receiver, "dead", "first").await;
    let second = post.send(&receiver, "dead", "second").await;
    let parked = post.wait_until(&first, MessageState::Parked).await;
    assert!(parked.attempts >= 2, "{parked:?}");
    assert_eq!(parked.last_error.as_deref(), Some("the host answered with HTTP status 500"));
    assert!(post.wait_until(&second, MessageState::Parked).await.attempts >= 1, "a try of its own");
    receiver.failing.lock().unwrap().clear();
    post.outbox.replay(&post.store, first.clone()).await.unwrap();
    let replayed = post.wait_until(&first, MessageState::Delivered).await;
    assert_eq!(replayed.attempts, 1);
    assert_eq!(post.info(&second).await.state, MessageState::Parked);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing() {
    let post = Post::open();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let worker = post.work(quick());
    let ids = [
        post.send_signed(format!("http://127.0.0.1:{port}/a"), None, "a").await,
        post.send_signed(format!("http://127.0.0.1:{port}/b"), None, "b").await,
    ];
    tokio::time::sleep(Duration::from_millis(100)).await;
    worker.stop().await;
    let path = post.folder.path().join("satchel.db");
    let Post { store, outbox, folder } = post;
    drop((store, outbox));
    let store = Store::open_in_test(&path).unwrap();
    let post = Post { store, outbox: Outbox::default(), folder };
    let receiver = Receiver::start(port).await;
    let worker = post.work(quick());
    receiver.wait_for("a", 1).await;
    receiver.wait_for("b", 1).await;
    for id in &ids {
        post.wait_until(id, MessageState::Delivered).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_endpoints_are_served_with_few_seats() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let worker = post.work(WorkerSettings { at_once: 3, ..quick() });
    for number in 0..60 {
        post.send(&receiver, &format!("path{}", number % 20), &number.to_string()).await;
    }
    for path in 0..20 {
        let expected: Vec<_> = (0..3).map(|round| (path + 20 * round).to_string()).collect();
        assert_eq!(receiver.wait_for(&format!("path{path}"), 3).await, expected);
    }
    worker.stop().await;
}
