//! After the soak one entry is taken out of a copy of the database by hand, and `satchel audit` says which.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value;

use super::common::choices::Choices;
use super::world::World;

/// An entry of the books.
struct Entry {
    journal: i64,
    kind: String,
    account: String,
    msat: i64,
}

/// Stops satchel, and starts it on a copy of its database that lacks one entry, of a kind that the seed chooses; the
/// audit must name the entry's journal, and nothing else that is missing. The network is at its end.
pub async fn entry_is_named(world: &Arc<World>, seed: u64) {
    let satchel = &world.scene.network.satchel;
    satchel.stop().await.unwrap();
    let (whole, copy) = (database(world), database(world).with_extension("copy"));
    fs::copy(&whole, &copy).unwrap();
    let entry = remove_one(&copy, &mut Choices::of(seed, 6));
    let told = format!(
        "the entry of {} msat in {}, journal {} ({})",
        entry.msat, entry.account, entry.journal, entry.kind
    );
    eprintln!("   removed by hand: {told}");
    fs::rename(&whole, whole.with_extension("whole")).unwrap();
    fs::rename(&copy, &whole).unwrap();
    super::common::rises(satchel).await;
    let output = satchel.command("audit", &["--json"]).await.unwrap();
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = audit["problems"].as_array().cloned().unwrap_or_default();
    let about_journals: Vec<_> =
        problems.iter().filter(|problem| problem.to_string().contains("an entry is missing")).collect();
    let named = format!("journal {} ({} of ", entry.journal, entry.kind);
    let names_it = about_journals.len() == 1 && about_journals[0].to_string().contains(&named);
    if audit["clean"] != false || !names_it {
        world.fault(&world.counts.books, format!("the audit does not name {told}: {}", audit["problems"]));
    }
}

/// The database of a satchel that has stopped, with all that was written in the one file.
fn database(world: &World) -> PathBuf {
    let folder = world.scene.network.satchel.data_dir();
    let inside = folder.join("node-data").join("satchel.db");
    let file = if inside.exists() { inside } else { folder.join("satchel.db") };
    let db = Connection::open(&file).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    file
}

/// Every kind of journal is as likely as any other, however many there are of it.
fn remove_one(file: &Path, choices: &mut Choices) -> Entry {
    let db = Connection::open(file).unwrap();
    let mut kinds = db.prepare("SELECT DISTINCT kind FROM journals ORDER BY kind").unwrap();
    let kinds: Vec<String> = kinds.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let kind = kinds[usize::try_from(choices.below(kinds.len() as u64)).unwrap()].clone();
    let of_kind = "FROM entries e JOIN journals j ON j.id = e.journal WHERE j.kind = ?1 AND e.msat <> 0";
    let count: u64 = db.query_row(&format!("SELECT count(*) {of_kind}"), [&kind], |row| row.get(0)).unwrap();
    let place = choices.below(count);
    let sql = format!(
        "SELECT e.journal, e.account, e.msat {of_kind} ORDER BY e.journal, e.account LIMIT 1 OFFSET {place}"
    );
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (journal, account, msat) = db.query_row(&sql, [&kind], read).unwrap();
    let entry = Entry { journal, kind, account, msat };
    let gone = db
        .execute("DELETE FROM entries WHERE journal = ?1 AND account = ?2", (entry.journal, &entry.account));
    assert_eq!(gone.unwrap(), 1);
    entry
}
