//! What agents offer: how long a search takes among many capabilities.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, http, open_loop, progress};

/// Searches a second.
const STEADY: u32 = 200;
/// What 99 of 100 answers shall stay within.
const WITHIN: Duration = Duration::from_millis(10);
/// Capabilities of one account at most.
const AN_ACCOUNT: usize = 1_000;
/// Connections that fill the database.
const WRITERS: usize = 20;

/// Words of descriptions: the first are in many of them.
const WORDS: [&str; 16] = [
    "translation",
    "weather",
    "summaries",
    "images",
    "speech",
    "search",
    "maps",
    "prices",
    "traffic",
    "code",
    "music",
    "news",
    "sports",
    "health",
    "travel",
    "cooking",
];

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    // As many as there shall be gifts.
    let count = size.gifts;
    progress(&format!("publishing {count} capabilities"));
    let began = Instant::now();
    fill(site, count).await?;
    let rate = f64::from(u32::try_from(count)?) / began.elapsed().as_secs_f64();
    table.add(Row::plain("capabilities published, each signed", format!("{}/s", number(rate))));
    let (address, time) = (site.address, Duration::from_secs(size.seconds));
    for (what, queries) in [
        ("any", vec![String::new()]),
        ("a word in every description", vec!["q=offers".into()]),
        ("a word", WORDS.map(|word| format!("q={word}")).to_vec()),
        (
            "the beginning of a word",
            WORDS.map(|word| format!("q={}", word.get(..4).unwrap_or(word))).to_vec(),
        ),
        ("two words", WORDS.map(|word| format!("q=offers+{word}")).to_vec()),
        (
            "category, hashtags and a word",
            (0..10).map(|tag| format!("category=c{tag}&hashtags=h{tag},h1&q=offers")).collect(),
        ),
        ("one of all", (0..100).map(|one| format!("q=unique{}", one * count / 100)).collect()),
        ("nothing fits", vec!["q=translation+weather+nowhere".into()]),
    ] {
        let requests: Vec<_> = queries
            .iter()
            .map(|query| http::get(address, &format!("/api/agents/capabilities?{query}")))
            .collect();
        tokio::task::block_in_place(|| measure_one(address, &requests, time, (what, count), table))?;
    }
    Ok(())
}

fn measure_one(
    address: SocketAddr,
    requests: &[Vec<u8>],
    time: Duration,
    (what, count): (&str, usize),
    table: &mut Table,
) -> Result<()> {
    progress(&format!("capability search, {what}: {STEADY} requests a second"));
    let good = |body: &[u8]| body.starts_with(b"{\"items\":[");
    let latencies = open_loop::steady(address, requests, STEADY, time, good).context(what.to_owned())?;
    let count = u32::try_from(count).map_or_else(|_| count.to_string(), |count| number(f64::from(count)));
    let row = Row::plain(format!("capability search among {count}: {what}"), latencies.to_string());
    table.add(row.target("p99 < 10 ms", latencies.percentile(99) < WITHIN));
    Ok(())
}

/// Publishes them through the API, by as many accounts as it takes.
async fn fill(site: &Site, count: usize) -> Result<()> {
    let mut keys = Vec::new();
    for number in 0..count.div_ceil(AN_ACCOUNT) {
        let account = format!("agents-{number}");
        let order = json!({ "name": account, "scopes": ["l402"], "account": account });
        let made = site.satchel().admin_post("/admin/v1/keys", order).await?;
        keys.push(made.get("key").and_then(Value::as_str).context("no key")?.to_owned());
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (keys, address) = (keys.clone(), site.address);
        writers.spawn(async move {
            let mut connection = http::Connection::open(address).await?;
            for number in (writer..count).step_by(WRITERS) {
                let key = keys.get(number / AN_ACCOUNT).context("no key")?;
                let request =
                    http::post_as(address, "/api/agents/capabilities", key, &capability(number).to_string());
                let answer = connection.ask(&request).await?;
                ensure!(answer.status == 201, "{}", String::from_utf8_lossy(answer.body));
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

fn capability(number: usize) -> Value {
    let word = |step: usize| WORDS.get(number / step % WORDS.len()).copied().unwrap_or("other");
    json!({
        "serviceId": format!("service-{number}"),
        "categories": [format!("c{}", number % 10), word(1)],
        "content": format!("Agent number {number} offers {} and {} to whoever pays, unique{number}", word(3), word(7)),
        "priceSats": number % 100,
        "l402Endpoint": format!("https://agent-{number}.example/api"),
        "hashtags": [format!("h{}", number % 10), word(11)],
    })
}
