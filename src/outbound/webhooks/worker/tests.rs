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

const HOUR: i64 = 60 * 60 * 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_waits_alone_and_is_parked_in_the_end() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    receiver.disliked.lock().unwrap().insert("bad".into(), 410);
    let pauses = vec![Duration::from_millis(40), Duration::from_secs(1)];
    let settings = WorkerSettings { pauses, give_up_after: Duration::from_millis(1_500), ..quick() };
    let worker = post.work(settings);
    let began = Instant::now();
    let bad = post.send(&receiver, "shop", "bad").await;
    let good: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for number in &good {
        post.send(&receiver, "shop", number).await;
    }
    let parked = post.wait_until(&bad, MessageState::Parked).await;
    assert!(began.elapsed() >= Duration::from_millis(1_500), "not before its time");
    assert!(parked.attempts <= 4, "at 0, 40, 1040 and 1500 ms: {parked:?}");
    assert_eq!(parked.last_status, Some(410));
    let got = receiver.bodies("shop");
    assert_eq!(got.iter().filter(|body| *body != "bad").collect::<Vec<_>>(), good.iter().collect::<Vec<_>>());
    // All of them before its third try.
    assert!(got.iter().rposition(|body| body != "bad") < got.iter().rposition(|body| body == "bad"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_breaks_its_receiver_waits_alone_once_that_is_known() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    receiver.disliked.lock().unwrap().insert("bad".into(), 500);
    let pauses = vec![Duration::from_millis(40), Duration::from_millis(40), Duration::from_secs(3_600)];
    let worker = post.work(WorkerSettings { pauses, ..quick() });
    let bad = post.send(&receiver, "shop", "bad").await;
    let good: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    let mut last = bad.clone();
    for number in &good {
        last = post.send(&receiver, "shop", number).await;
    }
    // Twice in its turn, three times for itself, and then it is put off for an hour.
    let got = receiver.wait_for("shop", 25).await;
    assert_eq!(&got[..2], ["bad", "bad"]);
    assert_eq!(got.iter().filter(|body| *body != "bad").collect::<Vec<_>>(), good.iter().collect::<Vec<_>>());
    // What was received is written down a moment later.
    post.wait_for_attempts(&bad, 5).await;
    post.wait_until(&last, MessageState::Delivered).await;
    let (next, failures) = post.endpoint().await;
    assert_eq!((post.info(&bad).await.attempts, failures), (5, 0));
    assert!(next.unwrap() > now_ms() + HOUR / 2);
    // It holds up nobody.
    let late = post.send(&receiver, "shop", "late").await;
    post.wait_until(&late, MessageState::Delivered).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_down_for_long_is_asked_every_five_minutes_while_something_is_young() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    receiver.failing.lock().unwrap().insert("down".into(), u32::MAX);
    let id = post.send(&receiver, "down", "{}").await;
    post.sql("UPDATE webhook_messages SET attempts = ?1", 9).await;
    let mut failures = 0;
    let day = 24 * HOUR;
    for (age, failures_before, longest) in [(0, 9, HOUR / 12), (2 * HOUR, 3, HOUR / 2), (2 * HOUR, 9, day)] {
        failures += 1;
        post.sql("UPDATE webhook_messages SET created_at = ?1", now_ms() - age).await;
        post.sql("UPDATE webhook_endpoints SET next_try_at = 0, failures = ?1", failures_before).await;
        let worker = post.work(WorkerSettings::default());
        receiver.wait_for("down", failures).await;
        while post.info(&id).await.attempts < 9 + i64::try_from(failures).unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let pause = post.endpoint().await.0.unwrap() - now_ms();
        assert!(pause > longest * 2 / 5 && pause <= longest * 11 / 10, "{age}: {pause}");
        assert!(age > 0 || pause <= longest, "{pause}");
        worker.stop().await;
    }
    // It is down for a day, and something new happens.
    post.send(&receiver, "down", "{}").await;
    let pause = post.endpoint().await.0.unwrap() - now_ms();
    assert!(pause > 0 && pause <= HOUR / 12, "{pause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clock_that_ran_ahead_put_off_is_due_now() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let ahead = now_ms() + 28 * HOUR;
    let one = post.send(&receiver, "shop", "1").await;
    post.sql("UPDATE webhook_endpoints SET next_try_at = ?1", ahead).await;
    let worker = post.work(WorkerSettings::default());
    post.wait_until(&one, MessageState::Delivered).await;
    worker.stop().await;
    let two = post.send(&receiver, "shop", "2").await;
    post.sql("UPDATE webhook_messages SET next_try_at = ?1 WHERE state = 'waiting'", ahead).await;
    post.sql("UPDATE webhook_endpoints SET next_try_at = ?1", ahead).await;
    let worker = post.work(WorkerSettings::default());
    post.wait_until(&two, MessageState::Delivered).await;
    // And a day from now is a day from now.
    worker.stop().await;
    let three = post.send(&receiver, "shop", "3").await;
    post.sql("UPDATE webhook_endpoints SET next_try_at = ?1", now_ms() + 26 * HOUR).await;
    let worker = post.work(WorkerSettings::default());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(post.info(&three).await.attempts, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_at_once_by_a_replay() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    receiver.disliked.lock().unwrap().insert("refused".into(), 404);
    receiver.failing.lock().unwrap().insert("down".into(), 1);
    let worker = post.work(WorkerSettings::default());
    let ids = [post.send(&receiver, "up", "refused").await, post.send(&receiver, "down", "unanswered").await];
    receiver.wait_for("up", 1).await;
    receiver.wait_for("down", 1).await;
    for id in &ids {
        while post.info(id).await.attempts == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    receiver.disliked.lock().unwrap().clear();
    let began = Instant::now();
    for id in ids {
        post.outbox.replay(&post.store, id.clone()).await.unwrap();
        assert_eq!(post.wait_until(&id, MessageState::Delivered).await.attempts, 1);
    }
    assert!(began.elapsed() < Duration::from_secs(3));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_while_a_message_is_under_way_gets_it_at_the_new_place() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let worker = post.work(WorkerSettings::default());
    let listen = async |path: &str| {
        let (outbox, url) = (post.outbox.clone(), format!("http://127.0.0.1:{}/{path}", receiver.port));
        let write = post.store.write::<_, OutboxError>(move |tx| {
            let target = Target { family: "payments", url: &url, secret: None, owner: Owner::Stranger };
            outbox.listen(tx, "payments/1/webhook", Some(target))?;
            // The second has nothing to say: what waits goes with its listener.
            let first = url.ends_with("slow");
            first.then(|| outbox.enqueue_for(tx, "payments/1/webhook", target, "kind", "{}")).transpose()
        });
        write.await.unwrap()
    };
    let id = listen("slow").await.unwrap();
    receiver.wait_for("slow", 1).await;
    listen("new").await;
    receiver.wait_for("new", 1).await;
    let info = post.wait_until(&id, MessageState::Delivered).await;
    assert!(info.url.ends_with("/new"), "{info:?}");
    // The old place has timed out meanwhile, and nobody asks there again.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!((receiver.bodies("slow").len(), receiver.bodies("new").len()), (1, 1));
    assert_eq!(post.info(&id).await.state, MessageState::Delivered);
    worker.stop().await;
}

/// Deliveries to whatever of 127.0.0.0/8, whose networks stand for sites of strangers.
async fn deliver_beside_slow(count: u8, url: impl Fn(u8, u16) -> String) -> Duration {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let silent = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (open, most) = (Arc::new(std::sync::atomic::AtomicUsize::new(0)), Arc::default());
    let counted: Arc<std::sync::atomic::AtomicUsize> = Arc::clone(&most);
    tokio::spawn(async move {
        use std::sync::atomic::Ordering::SeqCst;
        use tokio::io::AsyncReadExt;
        while let Ok((mut stream, _)) = silent.accept().await {
            let open = Arc::clone(&open);
            counted.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                open.fetch_sub(1, SeqCst);
            });
        }
    });
    for number in 0..count {
        post.send_signed(url(number, port), Some(Secret::new(format!("secret {number}"))), "{}").await;
    }
    let guard = Guard::new(GuardSettings {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..GuardSettings::default()
    });
    let client = guard.client(Duration::from_secs(10)).unwrap();
    let worker = run(post.store.clone(), post.outbox.clone(), client, quick(), std::future::pending());
    let worker = tokio::spawn(worker);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    let (outbox, url) = (post.outbox.clone(), format!("http://127.0.0.1:{}/shop", receiver.port));
    let sent = post.store.write::<_, OutboxError>(move |tx| {
        let target =
            Target { family: "payments", url: &url, secret: None, owner: Owner::Account(AccountId(7)) };
        outbox.enqueue(tx, target, "payment.settled", "{}")
    });
    sent.await.unwrap();
    receiver.wait_for("shop", 1).await;
    let took = began.elapsed();
    let most = most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=16).contains(&most), "{most} at once");
    worker.abort();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_of_a_shop_is_not_held_up_by_slow_addresses_of_strangers() {
    // Each of a site of its own, and all of one.
    let took = deliver_beside_slow(192, |number, port| format!("http://127.0.{number}.1:{port}/")).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let took = deliver_beside_slow(192, |number, port| format!("http://127.0.9.{number}:{port}/")).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn queue_of_one_lane_hides_no_other_however_long_it_is() {
    let post = Post::open();
    let queued = post.store.write_blocking(|tx| {
        for (strangers, lane, count, at) in [
            (1, "site long.example", 60_000, 1),
            (1, "site other.example", 1, 2),
            (0, "account 1", 60_000, 1),
            (0, "account 2", 1, 2),
        ] {
            tx.prepare_cached(
                "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?3)
                 INSERT INTO webhook_endpoints (family, url, secret, next_try_at, strangers, lane)
                 SELECT 'gifts', ?2 || n, '', ?4, ?1, ?2 FROM numbers",
            )?
            .execute(rusqlite::params![strangers, lane, count, at])?;
        }
        Ok::<_, StoreError>(())
    });
    queued.unwrap();
    let chosen = |class| {
        let began = Instant::now();
        let due = post.store.read_blocking(move |connection| {
            queue::due(connection, class, Places::new(64), &mut UnderWay::default(), 1_000)
        });
        let lanes: Vec<_> = due.unwrap().0.into_iter().map(|due| due.lane).collect();
        let count = |lane: &str| lanes.iter().filter(|each| *each == lane).count();
        let took = began.elapsed();
        assert!(took < Duration::from_millis(500), "{took:?}");
        (count("site long.example"), count("site other.example"), count("account 1"), count("account 2"))
    };
    assert_eq!(chosen(Class::Strangers), (4, 1, 0, 0));
    assert_eq!(chosen(Class::Known), (0, 0, 8, 1));
}

/// Endpoints that are due, of these lanes, so many of each.
fn queued(strangers: bool, lanes: std::ops::Range<u32>, endpoints: u32, at: i64) -> Post {
    let post = Post::open();
    let written = post.store.write_blocking(move |tx| {
        for lane in lanes {
            let name = if strangers { format!("site {lane}.example") } else { format!("account {lane}") };
            for number in 0..endpoints {
                tx.execute(
                    "INSERT INTO webhook_endpoints (family, url, secret, next_try_at, strangers, lane)
                     VALUES ('gifts', ?1 || '/' || ?2, '', ?3, ?4, ?1)",
                    rusqlite::params![name, number, at, strangers],
                )?;
            }
        }
        tx.execute(
            "INSERT INTO webhook_endpoints (family, url, secret, next_try_at, strangers, lane)
             VALUES ('payments', 'waiting', '', ?1 + 1, 0, 'account 999')",
            [at],
        )?;
        Ok::<_, StoreError>(())
    });
    written.unwrap();
    post
}

/// Deliveries that begin before that of the account that waits, if each takes its place until all are taken, and then
/// one after the other ends and stays due.
fn begun_before_the_one_that_waits(post: &Post) -> usize {
    let (mut under_way, mut running, mut before) =
        (UnderWay::default(), std::collections::VecDeque::new(), 0);
    loop {
        let taken = under_way.clone();
        let read = post.store.read_blocking(move |connection| {
            let mut taken = taken;
            let (mut due, _) = queue::due(connection, Class::Strangers, Places::new(64), &mut taken, 1_000)?;
            due.extend(queue::due(connection, Class::Known, Places::new(64), &mut taken, 1_000)?.0);
            Ok::<_, StoreError>((due, taken))
        });
        let (due, taken) = read.unwrap();
        under_way = taken;
        for due in due {
            if due.lane == "account 999" {
                return before;
            }
            before += 1;
            running.push_back(due);
        }
        assert!(before < 2_000, "it never has its turn");
        let ended: queue::Due = running.pop_front().unwrap();
        under_way.end(ended.endpoint, &ended.lane, ended.class);
    }
}

#[test]
fn waiting_account_begins_within_a_bounded_number_of_places() {
    // What waits behind everything that was due before it, and is due ever again.
    for (strangers, lanes, most) in [
        // A place is left to it.
        (false, 4, 40),
        (false, 8, 40),
        (true, 500, 16),
        // All places are taken: it is behind one of each, and those that were begun.
        (false, 100, 100),
        (false, 300, 300),
    ] {
        let before = begun_before_the_one_that_waits(&queued(strangers, 0..lanes, 20, 1));
        assert!(before <= most, "{before} of {lanes} before it, strangers: {strangers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_of_another_site_is_not_held_up_by_a_slow_site() {
    let (post, receiver) = (Post::open(), Receiver::start(0).await);
    let silent = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for number in 0..100 {
        post.send_signed(format!("http://127.0.9.{number}:{port}/"), None, "{}").await;
    }
    let guard = Guard::new(GuardSettings {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..GuardSettings::default()
    });
    let client = guard.client(Duration::from_secs(10)).unwrap();
    let settings = WorkerSettings { strangers_timeout: Duration::from_millis(700), ..quick() };
    let worker = run(post.store.clone(), post.outbox.clone(), client, settings, std::future::pending());
    let worker = tokio::spawn(worker);
    let slow = post.send(&receiver, "slow", "{}").await;
    post.send(&receiver, "quick", "{}").await;
    receiver.wait_for("quick", 1).await;
    // The client would wait for ten seconds.
    let began = Instant::now();
    while post.info(&slow).await.attempts == 0 {
        assert!(began.elapsed() < Duration::from_secs(4));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(post.info(&slow).await.last_error.as_deref(), Some("the host takes too long to answer"));
    worker.abort();
}
