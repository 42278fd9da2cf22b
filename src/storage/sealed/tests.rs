use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::*;
use crate::storage::{Store, migrations};
use crate::testing::{database_bytes, holds, stolen_copy};

/// Changes of the last version that kept everything in the clear.
const IN_THE_CLEAR: usize = 31;

/// Everything that opens something, each a text that occurs nowhere else.
const SECRETS: [&str; 25] = [
    "secret-of-gifts-secret-of-gifts0",
    "secret-of-tips-secret-of-tips000",
    "secret-of-l402-secret-of-l402000",
    "secret-of-purses-secret-of-purse",
    "preimage-preimage-preimage-preim",
    "order-id-order-id-order0",
    "notify-secret-of-a-gift",
    "cclaimidofatip00000000000",
    "cidofagroupoftips00000000",
    "cidofalinkoftips",
    "cidoftipinaloginbyletter0",
    "CLAIMTOKENOFANORDER0",
    "claim-hash-claim-hash-claim-hash",
    "statustokenofanorder",
    "webhook-secret-of-a-shop",
    "webhook-secret-of-an-address",
    "payload-with-an-id",
    "credential-for-upstream",
    "answer-to-a-request",
    "subject-of-an-event",
    "data-of-an-event",
    "subject-of-an-act",
    "details-of-an-act",
    "subject-of-an-act-under-way",
    "lnbc1invoicethatnamesagift",
];

const ROWS: &str = "
    INSERT INTO accounts (id, name, created_at) VALUES (1, 'a', 0);
    INSERT INTO charges (id, payment_hash, family, invoice, status, created_at, expires_at, preimage)
        VALUES (1, x'01', 'gifts', 'lnbc', 'paid', 0, 0, CAST(?5 AS BLOB));
    INSERT INTO payouts (public_id, family, payment_hash, invoice, amount_msat, max_fee_msat, status, created_at, deadline,
        next_try_at) VALUES ('po', 'gifts', x'01', ?25, 1, 0, 'failed', 0, 0, 0);
    INSERT INTO vouchers (id, family, charge_id, amount_msat, state, created_at) VALUES
        (1, 'gifts', 1, 1000, 'open', 0), (2, 'tips', 1, 1000, 'open', 0), (3, 'gifts', 1, 1000, 'open', 0);
    INSERT INTO gift_secret (id, secret) VALUES (1, CAST(?1 AS BLOB));
    INSERT INTO tip_secret (id, secret) VALUES (1, CAST(?2 AS BLOB));
    INSERT INTO l402_secret (id, secret) VALUES (1, CAST(?3 AS BLOB));
    INSERT INTO purse_secret (id, secret) VALUES (1, CAST(?4 AS BLOB));
    INSERT INTO gifts (id, order_id, verify_code, notify_secret) VALUES (1, CAST(?6 AS BLOB), 42, ?7);
    INSERT INTO gifts (id, order_id) VALUES (3, x'03');
    INSERT INTO tip_users (id, public_id, created_at) VALUES (1, 'cuser', 0);
    INSERT INTO tip_groups (id, public_id, user_id, quantity, charge_id, static_link, created_at, updated_at)
        VALUES (1, ?9, 1, 1, 1, 0, 0, 0);
    INSERT INTO tips (id, public_id, user_id, group_id, fee_msat, expires_at, onboarding_flow, anonymous, updated_at)
        VALUES (2, ?8, 1, 1, 0, 0, 'SKIP', 0, 0);
    INSERT INTO tip_links (id, flow, amount_msat, created_at) VALUES (CAST(?10 AS BLOB), 'anonymous', 1, 0);
    INSERT INTO tip_link_tips (link_id, tip_id) VALUES (CAST(?10 AS BLOB), 2);
    INSERT INTO tip_mail_logins (link, browser, code, email, mailbox, tip, created_at)
        VALUES (x'01', x'01', x'01', 'a@b.example', 'a@b.example', ?11, 0);
    INSERT INTO shop_stores (id, account_id, slug, name, currency, country, when_sold_out, created_at)
        VALUES (1, 1, 's', 's', 'sats', 'CH', 'refund', 0);
    INSERT INTO shop_orders (public_id, store_id, account_id, charge_id, payment_hash, token_id, claim_token, claim_hash,
        status_token, status, currency, subtotal, shipping, tax, total, total_msat, country, state, ships, created_at,
        expires_at)
        VALUES ('o', 1, 1, 1, x'01', x'01', ?12, CAST(?13 AS BLOB), ?14, 'processing', 'sats', 1, 0, 0, 1, 1, 'CH', '', 1,
        0, 0);
    INSERT INTO payment_merchants (account_id, webhook_secret, updated_at) VALUES (1, ?15, 0);
    INSERT INTO webhook_endpoints (id, family, url, secret) VALUES (1, 'gifts', 'https://a.example', ?16);
    INSERT INTO webhook_messages (public_id, endpoint_id, kind, payload, state, created_at, queued_at)
        VALUES ('msg_1', 1, 'gift.paid', ?17, 'waiting', 0, 0);
    INSERT INTO l402_proxies (public_id, name, target_url, default_price_sat, is_active, auth_header, auth_value,
        timeout_secs, allowed_methods, allowed_paths, blocked_paths, manifest_enabled, manifest_listed, categories,
        created_at, updated_at)
        VALUES ('p', 'p', 'https://b.example', 1, 1, 'authorization', ?18, 1, '[]', '[]', '[]', 0, 0, '[]', 0, 0);
    INSERT INTO idempotency (caller, key, route, body_hash, status, response, created_at)
        VALUES ('c', 'k', 'r', x'01', 200, CAST(?19 AS BLOB), 0);
    INSERT INTO event_log (at, kind, subject, data) VALUES (0, 'gift.paid', ?20, ?21);
    INSERT INTO operator_acts (at, key_id, key_name, act, subject, details, outcome)
        VALUES (0, 1, 'k', 'tip_reclaim', ?22, ?23, 'done'), (0, 1, 'k', 'tip_reclaim', ?24, '{}', 'begun');
";

/// The columns of [`ROWS`] in the order of [`SECRETS`], as they are read now.
const READ: [&str; 25] = [
    "unseal(secret) FROM gift_secret",
    "unseal(secret) FROM tip_secret",
    "unseal(secret) FROM l402_secret",
    "unseal(secret) FROM purse_secret",
    "unseal(preimage) FROM charges WHERE preimage IS NOT NULL",
    "unseal(order_id) FROM gifts WHERE id = 1",
    "unseal(notify_secret, id) FROM gifts WHERE id = 1",
    "unseal(public_id) FROM tips",
    "unseal(public_id) FROM tip_groups",
    "unseal(l.id) FROM tip_links l JOIN tip_link_tips x ON x.link_id = l.id",
    "unseal(tip) FROM tip_mail_logins",
    "unseal(claim_token) FROM shop_orders",
    "unseal(claim_hash) FROM shop_orders",
    "unseal(status_token) FROM shop_orders",
    "unseal(webhook_secret) FROM payment_merchants",
    "unseal(secret) FROM webhook_endpoints",
    "unseal(payload) FROM webhook_messages",
    "unseal(auth_value) FROM l402_proxies",
    "unseal(response) FROM idempotency",
    "unseal(subject) FROM event_log",
    "unseal(data) FROM event_log",
    "unseal(subject) FROM operator_acts WHERE outcome = 'done'",
    "unseal(details) FROM operator_acts WHERE outcome = 'done'",
    "unseal(subject) FROM operator_acts WHERE outcome = 'begun'",
    "unseal(invoice) FROM payouts",
];

/// A database as the version before left it.
fn from_before(folder: &Path) -> (PathBuf, Connection) {
    let path = folder.join("satchel.db");
    let mut connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;").unwrap();
    migrations::migrate_to(&mut connection, IN_THE_CLEAR);
    for (at, secret) in SECRETS.iter().enumerate() {
        assert!(ROWS.contains(&format!("?{}", at + 1)), "{secret}");
    }
    let mut rows = ROWS.to_owned();
    for (at, secret) in SECRETS.iter().enumerate().rev() {
        rows = rows.replace(&format!("?{}", at + 1), &format!("'{secret}'"));
    }
    connection.execute_batch(&rows).unwrap();
    (path, connection)
}

fn found(path: &Path) -> Vec<&'static str> {
    let bytes = database_bytes(path);
    let is_there = |secret: &&str| holds(&bytes, secret);
    SECRETS.into_iter().filter(is_there).collect()
}

fn read_all(store: &Store) -> Vec<String> {
    let all = READ.map(|from| {
        store
            .read_blocking::<_, StoreError>(move |connection| {
                let sql = format!("SELECT {from}").replacen("SELECT ", "SELECT CAST(", 1).replacen(
                    " FROM ",
                    " AS TEXT) FROM ",
                    1,
                );
                Ok(connection.query_row(&sql, [], |row| row.get::<_, String>(0))?)
            })
            .unwrap()
    });
    all.to_vec()
}

#[test]
fn database_from_before_is_sealed_at_the_start_and_nothing_is_left_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let (path, connection) = from_before(folder.path());
    drop(connection);
    assert_eq!(found(&path), SECRETS);
    let store = Store::open_in_test(&path).unwrap();
    assert_eq!(found(&path), Vec::<&str>::new());
    assert_eq!(read_all(&store), SECRETS);
    let code = store.read_blocking::<_, StoreError>(|connection| {
        Ok(connection.query_row(
            "SELECT unseal(sealed_code, id), (SELECT sealed_code IS NULL AND notify_secret IS NULL FROM gifts WHERE id = 3)
             FROM gifts WHERE order_id = seal(CAST(?1 AS BLOB))",
            [SECRETS[5]],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)),
        )?)
    });
    assert_eq!(code.unwrap(), ("0042".to_owned(), true));
    drop(store);
    // A second start changes nothing, and acts are still kept as they are.
    let store = Store::open_in_test(&path).unwrap();
    assert_eq!(read_all(&store), SECRETS);
    let changed = store.write_blocking::<_, StoreError>(|tx| {
        Ok(tx.execute("UPDATE operator_acts SET subject = 'x' WHERE outcome = 'done'", [])?)
    });
    assert!(changed.is_err());
}

#[test]
fn sealing_that_was_cut_off_is_done_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, connection) = from_before(folder.path());
    // The process ends in the middle: what it wrote until then is in the files, without a commit.
    DatabaseKey::for_tests().register(&connection).unwrap();
    connection.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
    connection.execute_batch(include_str!("../migrations/0034_sealed.sql")).unwrap();
    let killed = folder.path().join("killed");
    std::fs::create_dir(&killed).unwrap();
    for name in ["satchel.db", "satchel.db-wal"] {
        std::fs::copy(folder.path().join(name), killed.join(name)).unwrap();
    }
    drop(connection);
    let store = Store::open_in_test(&killed.join("satchel.db")).unwrap();
    assert_eq!(
        (read_all(&store), found(&killed.join("satchel.db"))),
        (SECRETS.map(String::from).to_vec(), vec![])
    );
    drop(store);

    // It ends after the commit, before the old pages are gone.
    let mut connection = Connection::open(&path).unwrap();
    DatabaseKey::for_tests().register(&connection).unwrap();
    migrations::migrate(&mut connection, &path).unwrap();
    drop(connection);
    assert!(!found(&path).is_empty(), "nothing is left to clean");
    let store = Store::open_in_test(&path).unwrap();
    assert_eq!((read_all(&store), found(&path)), (SECRETS.map(String::from).to_vec(), vec![]));
}

#[test]
fn another_seed_opens_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let (path, connection) = from_before(folder.path());
    drop(connection);
    drop(Store::open_in_test(&path).unwrap());
    let (_folder, thief) = stolen_copy(&path);
    for from in READ {
        let opened = thief.read_blocking::<Vec<u8>, StoreError>(move |connection| {
            Ok(connection
                .query_row(&format!("SELECT {from}"), [], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))?)
        });
        assert!(opened.is_err(), "{from}");
    }
}

#[test]
fn database_of_another_node_is_not_sealed_with_this_seed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, connection) = from_before(folder.path());
    let (ours, theirs) = ([2; 33], [3; 33]);
    let manager = [&[9; 50], ours.as_slice(), &[9; 50]].concat();
    connection
        .execute(
            "INSERT INTO ldk_kv (primary_ns, secondary_ns, key, value) VALUES ('', '', 'manager', ?1)",
            [manager],
        )
        .unwrap();
    drop(connection);
    let words = Secret::new("a seed for tests");
    let key = |node_id| DatabaseKey::of_seed(&words, Some(node_id)).unwrap();
    assert!(matches!(Store::open(&path, &key(theirs)), Err(StoreError::OtherSeed(_))));
    assert_eq!(found(&path), SECRETS, "nothing was sealed");
    let store = Store::open(&path, &key(ours)).unwrap();
    assert_eq!(read_all(&store), SECRETS);
}

#[test]
fn sealed_is_equal_for_equal_values_of_a_row_and_different_for_others() {
    let key = DatabaseKey::for_tests();
    let connection = Connection::open_in_memory().unwrap();
    key.register(&connection).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("SELECT seal('a')"), text("SELECT seal('a')"));
    assert_ne!(text("SELECT seal('a')"), text("SELECT seal('b')"));
    assert_ne!(text("SELECT seal('a', 1)"), text("SELECT seal('a', 2)"));
    assert_eq!(
        text(
            "SELECT unseal(seal('a', 1), 1) || unseal(seal('')) || typeof(seal(NULL)) || typeof(seal(x'01'))"
        ),
        "anullblob"
    );
    for refused in [
        "unseal(seal('a', 1), 2)",
        "unseal(seal('a', 1))",
        "unseal('a')",
        "unseal(x'01')",
        "seal(1)",
        "seal('a', 'b')",
    ] {
        let tried = connection.query_row(&format!("SELECT {refused}"), params![], |_| Ok(()));
        assert!(tried.is_err(), "{refused}");
    }
    let sealed = key.seal(b"a secret", b"").unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(key.open(&changed, b"").is_err(), "{at}");
    }
    assert_eq!(format!("{key:?}"), "DatabaseKey(..)");
}
