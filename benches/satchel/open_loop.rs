//! Requests at a fixed rate, whether answers come or not, and as many as will go.
//!
//! At a fixed rate, each request has its time in a plan, and its latency counts from there: an answer that is late
//! makes the next one late too, as it would be for a person who came at that moment. Threads that block wake within
//! some fifty microseconds; an async timer would add up to a millisecond to every time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::task::JoinSet;

use crate::http::{self, Connection};
use crate::load::Latencies;

/// Connections of the fixed rate: enough that a slow answer holds up only its own.
const STEADY_CONNECTIONS: usize = 32;
/// Connections that ask as fast as they are answered.
const FLAT_OUT_CONNECTIONS: usize = 64;
/// How long before the plan's begin all threads are ready.
const RUN_UP: Duration = Duration::from_millis(300);

/// Asks for `requests` in turn, so many a second, for so long; `good` says whether a body is as it should be.
///
/// # Errors
/// An answer isn't 200 or not good, or a connection breaks.
pub(crate) fn steady(
    address: SocketAddr,
    requests: &[Vec<u8>],
    rate: u32,
    time: Duration,
    good: fn(&[u8]) -> bool,
) -> Result<Latencies> {
    let start = Instant::now() + RUN_UP;
    let broken = AtomicBool::new(false);
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..STEADY_CONNECTIONS)
            .map(|number| {
                let broken = &broken;
                scope.spawn(move || {
                    let run = || steady_one(address, requests, rate, (start, time), number, good, broken);
                    let result = run();
                    broken.fetch_or(result.is_err(), Ordering::Relaxed);
                    result
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread of the load died"))??);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    Ok(Latencies::new(all))
}

fn steady_one(
    address: SocketAddr,
    requests: &[Vec<u8>],
    rate: u32,
    (start, time): (Instant, Duration),
    number: usize,
    good: fn(&[u8]) -> bool,
    broken: &AtomicBool,
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).context("can't connect to satchel")?;
    stream.set_nodelay(true).context("can't set up a connection")?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).context("can't set up a connection")?;
    let mut bytes = Vec::with_capacity(16 << 10);
    let mut times = Vec::new();
    let gap = Duration::from_secs(1) / rate;
    for index in (number..).step_by(STEADY_CONNECTIONS) {
        let planned = gap * u32::try_from(index).context("too many requests")?;
        if planned >= time || broken.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep((start + planned).saturating_duration_since(Instant::now()));
        let request = requests.get(index % requests.len().max(1)).context("nothing to ask for")?;
        stream.write_all(request).context("can't send a request")?;
        read_answer(&mut stream, &mut bytes, good)?;
        times.push((start + planned).elapsed());
    }
    Ok(times)
}

fn read_answer(stream: &mut TcpStream, bytes: &mut Vec<u8>, good: fn(&[u8]) -> bool) -> Result<()> {
    bytes.clear();
    // A page of a catalogue has more than 100 kB: the load's own reading must not be what takes the time.
    let mut piece = [0; 64 << 10];
    loop {
        let count = stream.read(&mut piece).context("can't read an answer")?;
        if count == 0 {
            bail!("satchel closed a connection");
        }
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        let Some(head) = http::head(bytes)? else { continue };
        if bytes.len() >= head.body.end {
            return check(head.status, bytes.get(head.body).unwrap_or_default(), good);
        }
    }
}

fn check(status: u16, body: &[u8], good: fn(&[u8]) -> bool) -> Result<()> {
    if status != 200 || !good(body) {
        bail!("a wrong answer: {status} {}", String::from_utf8_lossy(body));
    }
    Ok(())
}

/// Asks as fast as answers come; gives answers a second.
///
/// # Errors
/// As [`steady`].
pub(crate) fn flat_out(
    address: SocketAddr,
    requests: &[Vec<u8>],
    time: Duration,
    good: fn(&[u8]) -> bool,
) -> Result<f64> {
    // One thread: the other core is satchel's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..FLAT_OUT_CONNECTIONS {
            connections.push(Connection::open(address).await?);
        }
        let began = Instant::now();
        let mut clients = JoinSet::new();
        let requests: std::sync::Arc<[Vec<u8>]> = requests.into();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let requests = std::sync::Arc::clone(&requests);
            clients.spawn(async move {
                let mut answered = 0_u32;
                let mine = requests.iter().cycle().skip(number * requests.len() / FLAT_OUT_CONNECTIONS);
                for request in mine {
                    if began.elapsed() >= time {
                        break;
                    }
                    let answer = connection.ask(request).await?;
                    check(answer.status, answer.body, good)?;
                    answered += 1;
                }
                Ok::<_, anyhow::Error>(answered)
            });
        }
        let mut answered = 0_u32;
        while let Some(one) = clients.join_next().await {
            answered = answered.saturating_add(one.context("a client ended early")??);
        }
        Ok(f64::from(answered) / began.elapsed().as_secs_f64())
    })
}
