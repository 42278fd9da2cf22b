//! What the log of acts keeps.

use serde_json::json;

use super::*;

fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open_without_sync(&folder.path().join("satchel.db")).unwrap(), folder)
}

fn all(store: &Store) -> Vec<Recorded> {
    let wanted = Wanted { limit: 100, ..Wanted::default() };
    store.read_blocking(move |connection| list(connection, &wanted)).unwrap()
}

fn act(kind: ActKind) -> Act {
    Act::new(KeyId(7), kind).to("p1").with("amount_msat", 5_000)
}

#[tokio::test]
async fn act_of_a_transaction_is_recorded_with_it_or_not_at_all() {
    let (store, _folder) = store();
    let pay = act(ActKind::Pay);
    store.write(move |tx| pay.done(tx, 10)).await.unwrap();
    let other = act(ActKind::Send);
    let undone: Result<(), StoreError> = store
        .write(move |tx| {
            other.done(tx, 11)?;
            Err(StoreError::Closed)
        })
        .await;
    assert!(undone.is_err());
    let log = all(&store);
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].act.as_str(), log[0].outcome.as_str(), log[0].ended_at), ("pay", "done", Some(10)));
    assert_eq!((log[0].key_id, log[0].key_name.as_str()), (7, "?"), "a key that is not in the file");
    assert_eq!(log[0].details, json!({ "amount_msat": 5_000 }));
}

#[tokio::test]
async fn act_without_an_end_is_unknown_after_a_start() {
    let (store, _folder) = store();
    let first = begin(&store, act(ActKind::ChannelOpen), 1).await.unwrap();
    let second = begin(&store, act(ActKind::ChannelClose), 2).await.unwrap();
    end(&store, first, Some("17".into()), Outcome::Done, None, 3).await.unwrap();
    let blocking = store.clone();
    let doubted = tokio::task::spawn_blocking(move || doubt(&blocking, 4).unwrap()).await.unwrap();
    assert_eq!(doubted, 1);
    end(&store, second, None, Outcome::Done, None, 5).await.unwrap();
    let log = all(&store);
    let ends: Vec<_> = log.iter().map(|row| (row.outcome.as_str(), row.subject.as_str())).collect();
    assert_eq!(ends, [("unknown", "p1"), ("done", "17")]);
}

#[tokio::test]
async fn recorded_act_can_not_be_changed_or_removed() {
    let (store, _folder) = store();
    let pay = act(ActKind::Pay);
    store.write(move |tx| pay.done(tx, 1)).await.unwrap();
    for sql in ["DELETE FROM operator_acts", "UPDATE operator_acts SET subject = 'x'"] {
        let tried = store.write(move |tx| tx.execute(sql, []).map_err(StoreError::from)).await;
        assert!(matches!(tried, Err(StoreError::Sql(_))), "{sql}: {tried:?}");
    }
}

#[tokio::test]
async fn acts_are_listed_by_kind_subject_and_time() {
    let (store, _folder) = store();
    for (at, kind, subject) in [(1, ActKind::Pay, "a"), (2, ActKind::Send, "b"), (3, ActKind::Pay, "b")] {
        let one = Act::new(KeyId(1), kind).to(subject);
        store.write(move |tx| one.done(tx, at)).await.unwrap();
    }
    let ask = |wanted: Wanted| {
        let wanted = Wanted { limit: 10, ..wanted };
        let found = store.read_blocking(move |connection| list(connection, &wanted)).unwrap();
        found.into_iter().map(|row| row.at).collect::<Vec<_>>()
    };
    assert_eq!(ask(Wanted { act: Some("pay".into()), ..Wanted::default() }), [3, 1]);
    assert_eq!(ask(Wanted { subject: Some("b".into()), ..Wanted::default() }), [3, 2]);
    assert_eq!(ask(Wanted { since: Some(2), ..Wanted::default() }), [3, 2]);
    assert_eq!(ask(Wanted { before: Some(3), ..Wanted::default() }), [2, 1]);
}
