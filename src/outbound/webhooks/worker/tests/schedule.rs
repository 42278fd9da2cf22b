//! When a message is sent again, and when it is parked.

use super::*;

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
