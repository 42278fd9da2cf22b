//! A service that is sold by the request: what the proxy adds to its time, and what a large body costs in memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::routing::get;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::load::Latencies;
use crate::memory::{self, Memory};
use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, http, l402, progress};

/// What half of the requests may take longer than the service alone.
const ADDED: Duration = Duration::from_millis(1);

const MB: usize = 1 << 20;
/// Bytes of a large body.
const LARGE: usize = 100 * MB;
/// What satchel may grow by while it passes.
const GROWTH_MB: f64 = 16.0;

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer, or the wallet can't pay.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let service = listener.local_addr()?;
    let serving = tokio::spawn(async move { axum::serve(listener, routes()).await });
    let proxy = sell(site, service).await?;
    added(site, service, &proxy, Duration::from_secs(size.seconds), table).await?;
    large(site, &proxy, table).await?;
    serving.abort();
    Ok(())
}

/// A service with a small answer, a large one, and one that counts what it is sent.
fn routes() -> Router {
    let send = || async {
        let piece = Bytes::from(vec![b'x'; MB]);
        let pieces = stream::iter((0..LARGE / MB).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        ([(CONTENT_LENGTH, LARGE.to_string())], Body::from_stream(pieces))
    };
    let count = |body: Body| async move {
        let mut pieces = body.into_data_stream();
        let mut bytes = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            bytes += piece.len();
        }
        bytes.to_string()
    };
    Router::new().route("/small", get(|| async { "sunny" })).route("/large", get(send).post(count))
}

/// Puts a price on the service; answers the path it is sold under.
async fn sell(site: &Site, service: SocketAddr) -> Result<String> {
    let body =
        json!({ "name": "Bench", "targetBaseUrl": format!("http://{service}"), "defaultPriceSats": 1 });
    let request = http::post_as(site.address, "/api/proxy", site.satchel().admin_key(), &body.to_string());
    let mut connection = site.connect().await?;
    let answer = connection.ask(&request).await?;
    ensure!(answer.status == 201, "no proxy: {}", String::from_utf8_lossy(answer.body));
    let made: Value = serde_json::from_slice(answer.body).context("a proxy that isn't JSON")?;
    Ok(made.get("proxyUrl").and_then(Value::as_str).context("a proxy without a path")?.to_owned())
}

/// The same request to the service and through the proxy, in turns.
async fn added(
    site: &Site,
    service: SocketAddr,
    proxy: &str,
    time: Duration,
    table: &mut Table,
) -> Result<()> {
    progress("a paid request through the proxy beside the service alone");
    let path = format!("{proxy}/small");
    let credential = l402::buy(site, &path).await?;
    let ways = [http::get(service, "/small"), l402::get_with(site.address, &path, &credential)];
    let mut connections = [http::Connection::open(service).await?, site.connect().await?];
    let mut times = [Vec::new(), Vec::new()];
    let began = Instant::now();
    while began.elapsed() < time {
        for ((request, connection), times) in ways.iter().zip(&mut connections).zip(&mut times) {
            let sent = Instant::now();
            let answer = connection.ask(request).await?;
            times.push(sent.elapsed());
            ensure!(answer.status == 200 && answer.body == b"sunny", "status {}", answer.status);
        }
    }
    let [alone, sold] = times.map(Latencies::new);
    let more = sold.percentile(50).saturating_sub(alone.percentile(50));
    table.add(Row::plain("a request to a service", alone.to_string()));
    let row = Row::plain("  the same, paid, through the proxy", sold.to_string());
    table.add(row.target("p50 + less than 1 ms", more < ADDED));
    Ok(())
}

/// A large body down, and one up.
async fn large(site: &Site, proxy: &str, table: &mut Table) -> Result<()> {
    progress("100 MB through the proxy, down and up");
    let path = format!("{proxy}/large");
    let credential = l402::buy(site, &path).await?;
    let before = Memory::of(site)?.resident_mb;
    memory::forget_peak(site)?;
    let began = Instant::now();
    download(site.address, &l402::get_with(site.address, &path, &credential)).await?;
    let down = began.elapsed();
    let began = Instant::now();
    upload(site.address, &path, &credential).await?;
    let up = began.elapsed();
    let growth = Memory::of(site)?.peak_mb - before;
    let rate = |took: Duration| number(100.0 / took.as_secs_f64());
    table.add(
        Row::plain("memory for a body of 100 MB through the proxy", format!("+ {growth:.1} MB"))
            .target("≤ 16 MB", growth <= GROWTH_MB),
    );
    table.add(Row::plain("  its speed", format!("{} MB/s down, {} MB/s up", rate(down), rate(up))));
    Ok(())
}

async fn download(address: SocketAddr, request: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let (mut head, mut bytes) = (Vec::new(), vec![0; 256 << 10]);
    let mut body = loop {
        let count = stream.read(&mut bytes).await?;
        ensure!(count > 0 && head.len() < MB, "an answer that has no head");
        head.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.len() - end - 4;
        }
    };
    ensure!(head.starts_with(b"HTTP/1.1 200 "), "no large answer: {}", String::from_utf8_lossy(&head));
    while body < LARGE {
        let count = stream.read(&mut bytes).await?;
        ensure!(count > 0, "the large answer ended after {body} bytes");
        body += count;
    }
    ensure!(body == LARGE, "{body} bytes of {LARGE}");
    Ok(())
}

async fn upload(address: SocketAddr, path: &str, credential: &str) -> Result<()> {
    let mut connection = http::Connection::open(address).await?;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: {credential}\r\ncontent-length: {LARGE}\r\n\r\n"
    )
    .into_bytes();
    let head = request.len();
    request.resize(head + LARGE, b'x');
    let answer = connection.ask(&request).await?;
    let counted = String::from_utf8_lossy(answer.body);
    ensure!(answer.status == 200 && counted == LARGE.to_string(), "{}: {counted}", answer.status);
    Ok(())
}
