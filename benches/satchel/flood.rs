//! Strangers who ask twenty times as often as their budget allows, from 40,000 addresses that a trusted proxy tells of:
//! a shop with a key and a few honest strangers go on beside them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::load::Latencies;
use crate::memory::{self, Memory};
use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, http, progress};

/// What strangers may have made in a minute, and how many times as often they ask.
const BUDGET: u32 = 1_200;
const TIMES: u32 = 20;

const ADDRESSES: u32 = 40_000;

/// Connections of the proxy that the flood comes through.
const CONNECTIONS: u32 = 32;

/// Requests a second of the shop, and of all honest strangers.
const SHOP_RATE: u32 = 20;
const HONEST_RATE: u32 = 2;

/// Honest strangers, each of a network of its own.
const HONEST: u32 = 20;

/// What the shop's requests stay within, and what satchel's process stays under.
const SHOP_WITHIN: Duration = Duration::from_millis(50);
const MEMORY_MB: f64 = 250.0;

/// What satchel runs with: limits, and this machine as the proxy in front.
pub(crate) const SETTINGS: &str = "[http]\nrate_limits = true\ntrusted_proxies = [\"127.0.0.1\"]\n\
    [limits]\ninvoices_per_minute = 1_200\naccount_invoices_per_minute = 6_000\nkey_write = 1_000_000";

/// Measures, and adds its lines.
///
/// # Errors
/// A connection breaks, or satchel gives an answer that is neither a gift nor a refusal.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let time = Duration::from_secs(size.seconds * size.seconds * 3);
    let network = |n: u32| Ipv4Addr::from_bits(0x1405_0000 + n).into();
    flood(site, "from one /16", network, time, table).await?;
    // A /16 or so of its own for each.
    let everywhere = |n: u32| Ipv4Addr::from_bits(0x1800_0000 + n * 40_009).into();
    flood(site, "from everywhere", everywhere, time, table).await
}

/// What one kind of asker was told.
#[derive(Default)]
struct Told {
    made: u32,
    refused: u32,
    took: Vec<Duration>,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.made += other.made;
        self.refused += other.refused;
        self.took.extend(other.took);
    }

    fn share(&self) -> f64 {
        f64::from(self.made) / f64::from((self.made + self.refused).max(1))
    }
}

async fn flood(
    site: &Site,
    from: &str,
    address: fn(u32) -> IpAddr,
    time: Duration,
    table: &mut Table,
) -> Result<()> {
    let rate = BUDGET * TIMES / 60;
    progress(&format!("{ADDRESSES} strangers {from}, {rate} requests a second for {} s", time.as_secs()));
    memory::forget_peak(site)?;
    let start = Instant::now() + Duration::from_millis(200);
    let mut flooding = JoinSet::new();
    for number in 0..CONNECTIONS {
        let pace = Pace { start, time, rate, first: number, step: CONNECTIONS };
        let host = site.address;
        flooding.spawn(ask(site.connect().await?, pace, move |index| {
            create(host, address(index.wrapping_mul(7_919) % ADDRESSES))
        }));
    }
    let pace = Pace { start, time, rate: SHOP_RATE, first: 0, step: 1 };
    let (host, key) = (site.address, site.satchel().admin_key().to_owned());
    let from_name = from.replace([' ', '/'], "-");
    let shop = tokio::spawn(ask(site.connect().await?, pace, move |index| {
        let order =
            format!("{{\"orderId\":\"flood-{from_name}-{index}\",\"amount\":500,\"currency\":\"sats\"}}");
        http::post_as(host, "/api/payments", &key, &order)
    }));
    let pace = Pace { start, time, rate: HONEST_RATE, first: 0, step: 1 };
    let honest = tokio::spawn(ask(site.connect().await?, pace, move |index| {
        create(host, Ipv4Addr::from_bits(0x0808_0000 + index % HONEST * 0x1_0100).into())
    }));
    let mut strangers = Told::default();
    while let Some(told) = flooding.join_next().await {
        strangers.add(told.context("a client ended early")??);
    }
    let (shop, honest) = (shop.await.context("the shop ended early")??, honest.await.context("a client")??);
    let peak = Memory::of(site)?.peak_mb;
    let orders = Latencies::new(shop.took.clone());
    let unhurt = shop.refused == 0 && orders.percentile(99) < SHOP_WITHIN;
    let what = format!("a shop beside {ADDRESSES} strangers {from}, {TIMES} × their budget");
    table.add(
        Row::plain(what, format!("{} of {} refused, {orders}", shop.refused, shop.made + shop.refused))
            .target("none refused, p99 < 50 ms", unhurt),
    );
    let percent = |told: &Told| {
        let (made, refused) = (told.made, told.refused);
        format!("{:.1} % ({made} made, {refused} told 429)", told.share() * 100.0)
    };
    let what = "  requests let through: strangers of the flood, honest ones";
    // By chance a few of the honest ones are among those who came too late.
    let fair = honest.share() * 2.0 >= strangers.share();
    table.add(
        Row::plain(what, format!("{}, {}", percent(&strangers), percent(&honest)))
            .target("honest ones no less, but for chance", fair),
    );
    table.add(
        Row::plain("  satchel's memory, at most", format!("{peak:.0} MB"))
            .target("< 250 MB", peak < MEMORY_MB),
    );
    Ok(())
}

/// When one client asks.
#[derive(Clone, Copy)]
struct Pace {
    start: Instant,
    time: Duration,
    rate: u32,
    first: u32,
    step: u32,
}

async fn ask(mut connection: http::Connection, pace: Pace, request: impl Fn(u32) -> Vec<u8>) -> Result<Told> {
    let mut told = Told::default();
    let mut index = pace.first;
    loop {
        let planned = Duration::from_secs(u64::from(index)) / pace.rate;
        if planned >= pace.time {
            return Ok(told);
        }
        tokio::time::sleep_until((pace.start + planned).into()).await;
        let sent = Instant::now();
        let answer = connection.ask(&request(index)).await?;
        told.took.push(sent.elapsed());
        match answer.status {
            200 | 201 => told.made += 1,
            429 => told.refused += 1,
            other => ensure!(false, "status {other}: {}", String::from_utf8_lossy(answer.body)),
        }
        index += pace.step;
    }
}

/// A gift that somebody at this address orders through the proxy.
fn create(host: SocketAddr, address: IpAddr) -> Vec<u8> {
    let body = r#"{"amount":1000}"#;
    let length = body.len();
    format!(
        "POST /create HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
