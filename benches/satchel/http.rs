//! The leanest HTTP client that will do: whole requests as bytes, one connection kept open, answers with a
//! `Content-Length`. It shares two cores with what it measures, so it must cost next to nothing.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Larger answers are a mistake, except a batch of 500 gifts.
const LARGEST_ANSWER: usize = 4 << 20;

/// A `GET` of a path.
pub(crate) fn get(host: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
}

/// A `POST` of JSON.
pub(crate) fn post(host: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the bytes of an answer say once its head is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Where the body is, or will be.
    pub(crate) body: Range<usize>,
}

/// The same with an API key.
pub(crate) fn get_as(host: SocketAddr, path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\n\r\n").into_bytes()
}

/// A `POST` of JSON with an API key.
pub(crate) fn post_as(host: SocketAddr, path: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Reads the head of an answer; `None` if there is more of it to come.
///
/// # Errors
/// It is no answer, or one without a length.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        if bytes.len() > LARGEST_ANSWER {
            bail!("an answer's head doesn't end");
        }
        return Ok(None);
    };
    let text =
        std::str::from_utf8(bytes.get(..end).unwrap_or_default()).context("an answer's head isn't text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| anyhow!("that is no HTTP answer: {text:?}"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let length = length.filter(|length| *length <= LARGEST_ANSWER);
    let length = length.ok_or_else(|| anyhow!("an answer without a usable length: {text:?}"))?;
    let start = end + 4;
    Ok(Some(Head { status, body: start..start + length }))
}

/// A connection kept open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

/// An answer, borrowed from its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// The body as JSON, if the status is 200 or 201.
    ///
    /// # Errors
    /// Another status, or no JSON; the message has the body.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        let text = String::from_utf8_lossy(self.body);
        if !matches!(self.status, 200 | 201) {
            bail!("status {}: {text}", self.status);
        }
        serde_json::from_slice(self.body).with_context(|| format!("not JSON: {text}"))
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("can't connect to satchel")?;
        stream.set_nodelay(true).context("can't set up a connection")?;
        Ok(Self { stream, bytes: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection broke, or the answer isn't HTTP as we know it.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.bytes.clear();
        self.stream.write_all(request).await.context("can't send a request")?;
        let mut found = None;
        loop {
            if found.is_none() {
                found = head(&self.bytes)?;
            }
            match &found {
                Some(head) if self.bytes.len() >= head.body.end => break,
                _ => {}
            }
            if self.stream.read_buf(&mut self.bytes).await.context("can't read an answer")? == 0 {
                bail!("satchel closed a connection in the middle of an answer");
            }
        }
        let head = found.context("no answer")?;
        Ok(Answer { status: head.status, body: self.bytes.get(head.body).unwrap_or_default() })
    }
}
