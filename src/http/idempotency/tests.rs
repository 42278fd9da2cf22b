use super::*;
use crate::core::ids::AccountId;
use crate::http::keys::KeyId;
use crate::storage::Store;

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
    (folder, store)
}

fn ask(key: &str, caller: &str, route: &str, body: &str) -> IdempotencyKey {
    let mut headers = HeaderMap::new();
    headers.insert("Idempotency-Key", key.parse().unwrap());
    IdempotencyKey::read(&headers, caller, route, body.as_bytes()).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_done_and_all_are_answered_alike() {
    let (_folder, store) = open();
    let tries = (0..50).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write::<_, StoreError>(move |tx| {
                    let ask = ask("k", "shop", "POST /create", "{}");
                    if let Some(recorded) = lookup(tx, Some(&ask)).expect("it is the same request") {
                        return Ok(recorded.body);
                    }
                    let body = format!("{{\"n\":{number}}}").into_bytes();
                    save(tx, Some(&ask), StatusCode::CREATED, &body, 1)?;
                    Ok(body)
                })
                .await
                .unwrap()
        })
    });
    let mut answers = Vec::new();
    for answer in tries.collect::<Vec<_>>() {
        answers.push(answer.await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[test]
fn another_request_under_the_key_is_a_mismatch_and_another_caller_is_fresh() {
    let (_folder, store) = open();
    let first = ask("k", "shop", "POST /create", "{}");
    store
        .write_blocking::<_, StoreError>(move |tx| {
            save(tx, Some(&first), StatusCode::CREATED, b"{}", 1)?;
            let seen = |ask: IdempotencyKey| lookup(tx, Some(&ask));
            let before = Recorded { status: 201, body: b"{}".to_vec() };
            assert_eq!(seen(first.clone()).unwrap(), Some(before));
            for other in [("POST /create", r#"{"a":1}"#), ("POST /redeem", "{}")] {
                let mismatch = seen(ask("k", "shop", other.0, other.1)).unwrap_err();
                assert!(matches!(mismatch, IdempotencyError::KeyReused));
            }
            assert_eq!(seen(ask("k", "other", "POST /create", "{}")).unwrap(), None);
            assert!(save(tx, Some(&first), StatusCode::OK, b"{}", 1).is_err());
            Ok(())
        })
        .unwrap();
}

#[test]
fn answers_are_kept_for_two_days() {
    let (_folder, store) = open();
    store
        .write_blocking::<_, StoreError>(|tx| {
            let (old, new) = (ask("old", "", "", ""), ask("new", "", "", ""));
            save(tx, Some(&old), StatusCode::OK, b"", 0)?;
            save(tx, Some(&new), StatusCode::OK, b"", 1)?;
            assert!(!prune(tx, KEPT_MS + 1)?);
            assert!(lookup(tx, Some(&old)).unwrap().is_none());
            assert!(lookup(tx, Some(&new)).unwrap().is_some());
            Ok(())
        })
        .unwrap();
}

#[test]
fn keys_have_a_length() {
    let read = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("X-Idempotency-Key", value.parse().unwrap());
        IdempotencyKey::read(&headers, "", "", b"")
    };
    assert!(read(&"k".repeat(256)).unwrap().is_some());
    assert_eq!(read(&"k".repeat(257)), Err(BadKey::Unreadable));
    assert_eq!(read(" "), Err(BadKey::Unreadable));
    assert_eq!(IdempotencyKey::read(&HeaderMap::new(), "", "", b""), Ok(None));
}

#[test]
fn without_an_api_key_only_a_key_that_nobody_guesses_will_do() {
    let read = |value: &str, caller: Option<Caller>| {
        let mut headers = HeaderMap::new();
        headers.insert("Idempotency-Key", value.parse().unwrap());
        let caller = caller.as_ref();
        IdempotencyKey::read_for_anybody(&headers, caller, "gifts", "POST /create", b"{}")
    };
    let nobody = None;
    for guessable in
        ["1", "order-1", "order-0000000123", "invoice-for-the-year-2026", &"a".repeat(30), &"ab1".repeat(10)]
    {
        assert_eq!(read(guessable, nobody.clone()), Err(BadKey::Guessable), "{guessable}");
    }
    for fine in
        ["6c0f2c1e-6c5f-4f0b-9d0e-3f1f7f6f5a11", "9f86d081884c7d659a2feaa0c55ad015", "n4bQgYhMfWWaL-qgxVrQFw"]
    {
        assert!(read(fine, nobody.clone()).unwrap().is_some(), "{fine}");
    }
    let shop = Caller { key: KeyId(1), account: AccountId(7), scopes: [].into() };
    assert!(read("order-1", Some(shop)).unwrap().is_some(), "the account keeps it apart");
}

#[test]
fn the_database_shows_neither_keys_nor_answers() {
    let (_folder, store) = open();
    let asked = ask("a-key-of-the-client", "tip c0ffee", "POST /create", "{}");
    let (kept, secret) = (asked.clone(), br#"{"manageKey":"deadbeef"}"#);
    store
        .write_blocking::<_, StoreError>(move |tx| save(tx, Some(&kept), StatusCode::OK, secret, 1))
        .unwrap();
    let row: (String, String, Vec<u8>) = store
        .write_blocking::<_, StoreError>(|tx| {
            let sql = "SELECT caller, key, response FROM idempotency";
            Ok(tx.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
        })
        .unwrap();
    let kept = format!("{} {} {}", row.0, row.1, String::from_utf8_lossy(&row.2));
    for hidden in ["a-key", "c0ffee", "manageKey", "deadbeef"] {
        assert!(!kept.contains(hidden), "{hidden}");
    }
    let read = store.write_blocking(move |tx| Ok::<_, StoreError>(lookup(tx, Some(&asked)).unwrap()));
    assert_eq!(read.unwrap().unwrap().body, secret);
}

#[test]
fn a_row_from_before_the_answers_were_sealed_is_found() {
    let (_folder, store) = open();
    let body = r#"{ "a": 1 }"#;
    let asked = ask("k", "shop", "POST /create", body);
    store
        .write_blocking::<_, StoreError>(move |tx| {
            tx.execute(
                "INSERT INTO idempotency (caller, key, route, body_hash, status, response, created_at)
                 VALUES ('shop', 'k', 'POST /create', ?1, 201, seal(CAST(?2 AS BLOB)), 1)",
                params![digest(&[body.as_bytes()]), b"made"],
            )?;
            assert_eq!(lookup(tx, Some(&asked)).unwrap().unwrap().body, b"made");
            let other = ask("k", "shop", "POST /create", "{}");
            assert!(matches!(lookup(tx, Some(&other)), Err(IdempotencyError::KeyReused)));
            Ok(())
        })
        .unwrap();
}

#[test]
fn white_space_between_tokens_makes_no_other_request() {
    let hash = |body: &str| ask("k", "shop", "POST /create", body).body_hash();
    assert_eq!(hash(r#"{"a": [1, "x y"],"b":"\\\" "}"#), hash("{\"a\":[1,\"x y\"],\n \"b\":\"\\\\\\\" \"}"));
    assert_ne!(hash(r#"{"a":"x y"}"#), hash(r#"{"a":"xy"}"#));
    assert_ne!(hash(r#"{"a":"\\" }"#), hash(r#"{"a":"\\ "}"#));
}
