//! How long satchel takes to start, and how much memory it holds, with many gifts and with none.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{self, Connection};
use crate::memory::Memory;
use crate::seed::{self, Kind};
use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, progress};

/// Starts of each kind; the middle one counts.
const STARTS: usize = 3;
/// How much longer a start with many gifts may take.
const LONGER: Duration = Duration::from_secs(3);
/// Resident memory that is allowed, in MB of 1,024 × 1,024 bytes.
const MEMORY_MB: f64 = 150.0;
/// How long a start may take at all.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Between two looks whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Measures starts if `wanted`, fills the database, and gives the ids of gifts that can be redeemed; satchel runs
/// afterwards.
///
/// # Errors
/// Satchel doesn't start, or its database can't be filled.
pub(crate) async fn measure(site: &Site, size: Size, wanted: bool, table: &mut Table) -> Result<Vec<String>> {
    site.satchel().stop().await?;
    let empty = if wanted { Some(starts(site, "no gifts").await?) } else { None };
    fill(site, Kind::Unpaid, size.gifts).await?;
    fill(site, Kind::Redeemed, size.gifts).await?;
    if let Some(empty) = empty {
        let full = starts(site, "many gifts").await?;
        start(site).await?;
        let at_once = Memory::of(site)?;
        tokio::time::sleep(Duration::from_secs(size.settle_seconds)).await;
        let later = Memory::of(site)?;
        site.satchel().stop().await?;
        report(size, (empty, full), (at_once, later), table);
    }
    let open = fill(site, Kind::Open, size.gifts).await?;
    start(site).await?;
    site.wait_usable().await?;
    Ok(open)
}

fn report(
    size: Size,
    (empty, full): (Duration, Duration),
    (at_once, later): (Memory, Memory),
    table: &mut Table,
) {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let longer = full.saturating_sub(empty);
    let gifts = size.gifts;
    let mut row =
        Row::plain(format!("start to ready, {gifts} unpaid and {gifts} redeemed gifts"), seconds(full));
    row.baseline = format!("{} with none", seconds(empty));
    row.ratio = format!("+{}", seconds(longer));
    table.add(row.target("< 3 s more", longer < LONGER));
    let most = at_once.resident_mb.max(later.resident_mb);
    let measured = format!(
        "{:.0} MB ready, {:.0} MB after {} s, {:.0} MB at most",
        at_once.resident_mb, later.resident_mb, size.settle_seconds, later.peak_mb
    );
    table.add(Row::plain("memory with them", measured).target("within 150 MB", most <= MEMORY_MB));
}

async fn fill(site: &Site, kind: Kind, count: usize) -> Result<Vec<String>> {
    progress(&format!("writing {count} gifts into the database: {kind:?}"));
    let path = site.satchel().data_dir().join("satchel.db");
    tokio::task::spawn_blocking(move || seed::seed(&path, kind, count))
        .await
        .context("filling ended early")?
}

/// The middle of some starts; satchel is stopped before and after.
async fn starts(site: &Site, what: &str) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(start(site).await?);
        site.satchel().stop().await?;
    }
    times.sort_unstable();
    progress(&format!("starts with {what}: {times:.2?}"));
    times.get(STARTS / 2).copied().context("no start")
}

/// Starts satchel; gives the time from the program's start until it says it is ready.
async fn start(site: &Site) -> Result<Duration> {
    let began = Instant::now();
    site.satchel().spawn_with(&[]).await?;
    let request = http::get(site.address, "/health/ready");
    while !is_ready(site, &request).await {
        if began.elapsed() > START_LIMIT {
            bail!(
                "satchel isn't ready after {START_LIMIT:?}; the end of its log:\n{}",
                site.satchel().log_tail()
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(began.elapsed())
}

async fn is_ready(site: &Site, request: &[u8]) -> bool {
    let Ok(mut connection) = Connection::open(site.address).await else { return false };
    connection.ask(request).await.is_ok_and(|answer| answer.status == 200)
}
