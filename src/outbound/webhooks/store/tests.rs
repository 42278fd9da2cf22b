use super::*;

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
    (folder, store)
}

fn send(store: &Store, url: &'static str) -> MessageId {
    let target = Target { family: "gifts", url, secret: None, owner: Owner::Stranger };
    store.write_blocking(move |tx| Outbox::default().enqueue(tx, target, "gift.redeemed", "{}")).unwrap()
}

fn finish(store: &Store, id: &MessageId, state: &'static str, at: i64) {
    let id = id.0.clone();
    store
        .write_blocking::<_, StoreError>(move |tx| {
            let sql = "UPDATE webhook_messages SET state = ?2, finished_at = ?3 WHERE public_id = ?1";
            tx.execute(sql, params![id, state, at])?;
            tx.execute("UPDATE webhook_endpoints SET next_try_at = NULL", [])?;
            Ok(())
        })
        .unwrap();
}

fn count(store: &Store, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.read_blocking(move |c| c.query_row(&sql, [], |row| row.get(0)).map_err(StoreError::from)).unwrap()
}

#[test]
fn a_message_lives_and_dies_with_its_cause() {
    let (_folder, store) = open();
    let failed: Result<(), OutboxError> = store.write_blocking(|tx| {
        let target =
            Target { family: "gifts", url: "https://a.example/", secret: None, owner: Owner::Stranger };
        Outbox::default().enqueue(tx, target, "gift.redeemed", "{}")?;
        Err(OutboxError::NoSuchMessage)
    });
    assert!(failed.is_err());
    assert_eq!((count(&store, "webhook_messages"), count(&store, "webhook_endpoints")), (0, 0));
    assert_ne!(send(&store, "https://a.example/"), send(&store, "https://a.example/"));
    send(&store, "https://b.example/");
    assert_eq!((count(&store, "webhook_messages"), count(&store, "webhook_endpoints")), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_became_of_a_message_it_can_be_replayed() {
    let (_folder, store) = open();
    let outbox = Outbox::default();
    let sender = store.clone();
    let id = tokio::task::spawn_blocking(move || send(&sender, "https://a.example/")).await.unwrap();
    outbox.replay(&store, id.clone()).await.unwrap();
    assert!(matches!(outbox.replay(&store, MessageId::new("msg_x")).await, Err(OutboxError::NoSuchMessage)));
    tokio::task::block_in_place(|| finish(&store, &id, "parked", 1));
    let parked = store.read(|connection| list(connection, true, None, 10)).await.unwrap();
    assert_eq!((parked.len(), parked[0].state), (1, MessageState::Parked));
    outbox.replay(&store, id).await.unwrap();
    assert!(store.read(|connection| list(connection, true, None, 10)).await.unwrap().is_empty());
    assert_eq!(store.read(|connection| list(connection, false, None, 10)).await.unwrap()[0].attempts, 0);
}

#[test]
fn lists_go_page_by_page_from_the_newest() {
    let (_folder, store) = open();
    let ids: Vec<_> = (0..5).map(|_| send(&store, "https://a.example/")).collect();
    let page = |before| store.read_blocking(move |connection| list(connection, false, before, 2)).unwrap();
    let (first, second) = (page(None), page(page(None).last().map(|last| last.row)));
    assert_eq!([&first[0].id, &first[1].id, &second[0].id], [&ids[4], &ids[3], &ids[2]]);
    let row = |id: MessageId| store.read_blocking(move |connection| row_of(connection, &id)).unwrap();
    assert_eq!(row(ids[3].clone()), Some(first[1].row));
    assert_eq!(row(MessageId::new("msg_x")), None);
}

#[test]
fn pruning_takes_what_is_finished_and_old_and_what_is_left_without_messages() {
    let (_folder, store) = open();
    let now = 100 * 24 * 60 * 60 * 1000;
    let (old, young) = (send(&store, "https://a.example/"), send(&store, "https://b.example/"));
    let (parked, waiting) = (send(&store, "https://c.example/"), send(&store, "https://d.example/"));
    finish(&store, &old, "delivered", now - DELIVERED_KEPT_MS - 1);
    finish(&store, &young, "delivered", now - DELIVERED_KEPT_MS);
    finish(&store, &parked, "parked", now - DELIVERED_KEPT_MS - 1);
    assert!(!store.write_blocking(move |tx| prune(tx, now)).unwrap());
    let left = store.read_blocking(|connection| list(connection, false, None, 10)).unwrap();
    assert_eq!(left.into_iter().map(|message| message.id).collect::<Vec<_>>(), [waiting, parked, young]);
    assert_eq!(count(&store, "webhook_endpoints"), 3);
}

/// The listener listens at this address of the shop's, or nowhere.
fn listen(store: &Store, listener: &'static str, url: Option<&'static str>) {
    let target = url.map(|url| Target { family: "payments", url, secret: None, owner: Owner::Stranger });
    store.write_blocking(move |tx| Outbox::default().listen(tx, listener, target)).unwrap();
}

fn tell(store: &Store, listener: &'static str, url: &'static str) -> MessageId {
    let target = Target { family: "payments", url, secret: None, owner: Owner::Stranger };
    let tell =
        move |tx: &Tx<'_>| Outbox::default().enqueue_for(tx, listener, target, "payment.completed", "{}");
    store.write_blocking(tell).unwrap()
}

/// Where each message goes and how it is doing, the newest first; and what is due.
fn places(store: &Store) -> (Vec<(String, MessageState)>, Vec<String>) {
    let all = store.read_blocking(|connection| list(connection, false, None, 100)).unwrap();
    let due = store.read_blocking(|connection| -> Result<_, StoreError> {
        let sql = "SELECT url FROM webhook_endpoints WHERE next_try_at IS NOT NULL ORDER BY url";
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map([], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    });
    (all.into_iter().map(|message| (message.url, message.state)).collect(), due.unwrap())
}

const OLD: &str = "https://old.example/";
const NEW: &str = "https://new.example/";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_goes_with_its_listener_and_nobody_else_s() {
    let (_folder, store) = open();
    tokio::task::block_in_place(|| {
        use MessageState::{Delivered, Parked, Waiting};
        // The same account's other address, and another account, at the very same place.
        for listener in ["1/webhook", "1/callback", "2/webhook"] {
            listen(&store, listener, Some(OLD));
        }
        let [delivered, parked, _waiting] = [(); 3].map(|()| tell(&store, "1/webhook", OLD));
        finish(&store, &delivered, "delivered", 1);
        finish(&store, &parked, "parked", 1);
        tell(&store, "1/callback", OLD);
        tell(&store, "2/webhook", OLD);
        listen(&store, "1/webhook", Some(NEW));
        let (all, due) = places(&store);
        let expected = [(OLD, Waiting), (OLD, Waiting), (NEW, Waiting), (NEW, Parked), (OLD, Delivered)];
        assert_eq!(all, expected.map(|(url, state)| (url.to_owned(), state)));
        assert_eq!(due, [NEW, OLD]);
        let replay = |id: &MessageId| {
            let replay = Outbox::default();
            let id = id.clone();
            tokio::runtime::Handle::current().block_on(async { replay.replay(&store, id).await })
        };
        replay(&delivered).unwrap();
        replay(&parked).unwrap();
        let (all, _) = places(&store);
        assert_eq!(all.iter().filter(|(url, state)| (url.as_str(), *state) == (NEW, Waiting)).count(), 3);
        // Nowhere: what waits is given up, and can be had at the next address.
        listen(&store, "1/webhook", None);
        let parked: Vec<_> = places(&store).0.into_iter().filter(|(_, state)| *state == Parked).collect();
        assert_eq!(parked.len(), 3);
        assert!(matches!(replay(&delivered), Err(OutboxError::NobodyListens)));
        listen(&store, "1/webhook", Some(OLD));
        replay(&delivered).unwrap();
        assert_eq!(places(&store).0.iter().filter(|(url, _)| url == OLD).count(), 5);
    });
}

#[test]
fn addresses_that_were_left_are_forgotten_and_those_that_are_listened_at_are_kept() {
    let (_folder, store) = open();
    for url in ["https://a.example/", "https://b.example/", "https://c.example/"] {
        listen(&store, "1/webhook", Some(url));
    }
    assert_eq!(count(&store, "webhook_endpoints"), 1);
    let told = tell(&store, "1/webhook", "https://c.example/");
    finish(&store, &told, "delivered", 1);
    store.write_blocking(|tx| prune(tx, PARKED_KEPT_MS * 2)).unwrap();
    assert_eq!((count(&store, "webhook_messages"), count(&store, "webhook_endpoints")), (0, 1));
}
