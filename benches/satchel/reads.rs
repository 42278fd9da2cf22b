//! Look-ups of gifts, with many gifts in the database.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, http, open_loop, progress};

/// Requests a second of the steady load.
const STEADY: u32 = 2_000;
/// What 99 of 100 answers shall stay within.
const WITHIN: Duration = Duration::from_millis(5);
/// Answers a second that shall be possible.
const FLAT_OUT: f64 = 15_000.0;
/// A step through the gifts that meets all of them, far from each other: the number is prime.
const STRIDE: usize = 7_919;

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, ids: &[String], table: &mut Table) -> Result<()> {
    let (address, time) = (site.address, Duration::from_secs(size.seconds));
    let shuffled: Vec<_> =
        (0..ids.len()).filter_map(|index| ids.get(index.wrapping_mul(STRIDE) % ids.len())).cloned().collect();
    let mut lines = |path: &'static str, what: &'static str, good: fn(&[u8]) -> bool| -> Result<()> {
        let requests: Vec<_> = shuffled.iter().map(|id| http::get(address, &format!("{path}{id}"))).collect();
        measure_one(address, &requests, time, (what, ids.len()), good, table)
    };
    tokio::task::block_in_place(|| {
        lines("/gift/", "GET /gift/{id}", |body| contains(body, b"\"orderId\":"))?;
        lines("/lnurl/", "LNURL first leg", |body| contains(body, b"\"withdrawRequest\""))
    })
}

fn measure_one(
    address: SocketAddr,
    requests: &[Vec<u8>],
    time: Duration,
    (what, gifts): (&str, usize),
    good: fn(&[u8]) -> bool,
    table: &mut Table,
) -> Result<()> {
    progress(&format!("{what}: {STEADY} requests a second"));
    let latencies = open_loop::steady(address, requests, STEADY, time, good).context(what.to_owned())?;
    let within = latencies.percentile(99) < WITHIN;
    let row = Row::plain(format!("{what} at 2,000/s, {} gifts", number_of(gifts)), latencies.to_string());
    table.add(row.target("p99 < 5 ms", within));
    progress(&format!("{what}: flat out"));
    let rate = open_loop::flat_out(address, requests, time, good).context(what.to_owned())?;
    let row = Row::plain(format!("{what} flat out"), format!("{}/s", number(rate)));
    table.add(row.target("≥ 15,000/s", rate >= FLAT_OUT));
    Ok(())
}

fn number_of(gifts: usize) -> String {
    u32::try_from(gifts).map_or_else(|_| gifts.to_string(), |gifts| number(f64::from(gifts)))
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}
