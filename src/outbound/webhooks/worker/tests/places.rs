//! Who gets places when some receivers are slow.

use super::*;

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
