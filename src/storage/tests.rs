use super::*;
use crate::storage::kv::{KvChange, KvKey};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
    (folder, store)
}

fn count(store: &Store) -> i64 {
    store
        .read_blocking(|connection| {
            connection
                .query_row("SELECT count(*) FROM counters", [], |row| row.get(0))
                .map_err(StoreError::from)
        })
        .unwrap()
}

fn insert(tx: &Tx<'_>, name: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO counters (name, value) VALUES (?1, 1)", [name])?;
    Ok(())
}

#[test]
fn a_failed_job_leaves_nothing_and_harms_no_other() {
    let (_folder, store) = open();
    store.write_blocking(|tx| insert(tx, "a")).unwrap();
    let failed = store.write_blocking(|tx| {
        insert(tx, "b")?;
        insert(tx, "a")
    });
    assert!(matches!(failed, Err(StoreError::Sql(_))));
    store.write_blocking(|tx| insert(tx, "c")).unwrap();
    assert_eq!(count(&store), 2);
}

#[test]
fn after_commit_runs_only_for_what_was_kept() {
    let (_folder, store) = open();
    let (told, heard) = std::sync::mpsc::channel();
    let quiet = told.clone();
    let failed: Result<(), StoreError> = store.write_blocking(move |tx| {
        tx.after_commit(move || {
            let _ = quiet.send("rolled back");
        });
        Err(StoreError::Closed)
    });
    assert!(failed.is_err());
    store
        .write_blocking(move |tx| {
            tx.after_commit(move || {
                let _ = told.send("kept");
            });
            insert(tx, "a")
        })
        .unwrap();
    assert_eq!(heard.iter().collect::<Vec<_>>(), ["kept"]);
}

#[test]
fn rows_of_ldk_keep_their_order_and_survive_a_reopening() {
    let (folder, store) = open();
    let at = |key: &str| KvKey { primary: "p".into(), secondary: String::new(), key: key.into() };
    for value in 0..100_u8 {
        store.kv_change_queued(at("x"), KvChange::Put(vec![value])).unwrap();
    }
    store.kv_change_blocking(at("y"), KvChange::Put(vec![1])).unwrap();
    store.kv_change_blocking(at("y"), KvChange::Remove).unwrap();
    drop(store);
    let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
    assert_eq!(store.kv_read(at("x")).unwrap(), Some(vec![99]));
    assert_eq!(store.kv_read(at("y")).unwrap(), None);
    assert_eq!(store.kv_list("p".into(), String::new()).unwrap(), ["x"]);
}

#[test]
fn nobody_but_the_owner_can_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("satchel.db");
    let modes = || {
        let files = std::fs::read_dir(folder.path()).unwrap();
        let mode = |file: std::io::Result<std::fs::DirEntry>| {
            let file = file.unwrap();
            (file.file_name().into_string().unwrap(), file.metadata().unwrap().permissions().mode() & 0o777)
        };
        files.map(mode).collect::<Vec<_>>()
    };
    let open_and_write = |name: &'static str| {
        let store = Store::open_in_test(&path).unwrap();
        store.write_blocking(move |tx| insert(tx, name)).unwrap();
        store
    };
    let store = open_and_write("a");
    assert!(modes().len() >= 4 && modes().iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes());
    drop(store);
    // A database from before is closed to others at the next start.
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let store = open_and_write("b");
    assert!(modes().iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes());
    drop(store);
}

#[test]
fn a_second_process_is_kept_out() {
    let (folder, _store) = open();
    assert!(matches!(Store::open_in_test(&folder.path().join("satchel.db")), Err(StoreError::InUse(_))));
}

#[test]
fn readers_cannot_write() {
    let (_folder, store) = open();
    let refused = store.read_blocking(|connection| {
        connection.execute("INSERT INTO counters VALUES ('a', 1)", []).map_err(StoreError::from)
    });
    assert!(refused.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_commits_and_all_are_answered() {
    let (_folder, store) = open();
    let jobs = (0..500).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.write(move |tx| insert(tx, &number.to_string())).await })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await.unwrap().unwrap();
    }
    assert_eq!(count(&store), 500);
}
