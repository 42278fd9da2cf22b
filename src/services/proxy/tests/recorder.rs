//! A service that keeps to the letter of HTTP and remembers the bytes of what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// What stands behind the method.
    pub(super) target: String,
    /// All up to the empty line.
    pub(super) head: String,
}

pub(super) struct Recorder {
    pub(super) port: u16,
    heard: Arc<Mutex<(Vec<Heard>, usize)>>,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::default();
        let shared = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(listen(stream, Arc::clone(&shared)));
            }
        });
        Self { port, heard }
    }

    /// What was heard since the last time.
    pub(super) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().unwrap().0)
    }

    /// How much was heard ever.
    pub(super) fn total(&self) -> usize {
        self.heard.lock().unwrap().1
    }
}

/// Request after request: whatever stands behind a body is the next.
async fn listen(mut stream: TcpStream, heard: Arc<Mutex<(Vec<Heard>, usize)>>) {
    let mut bytes = Vec::new();
    loop {
        let Some(end) = until(&mut stream, &mut bytes, b"\r\n\r\n").await else { return };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes.drain(..end);
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let head_only = head.starts_with("HEAD ");
        let line = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let (chunked, length) = (line("transfer-encoding").is_some(), line("content-length"));
        {
            let mut heard = heard.lock().unwrap();
            heard.0.push(Heard { target, head: head.clone() });
            heard.1 += 1;
        }
        if chunked {
            loop {
                let Some(end) = until(&mut stream, &mut bytes, b"\r\n").await else { return };
                let size = String::from_utf8_lossy(&bytes[..end - 2]).into_owned();
                let size = usize::from_str_radix(&size, 16).unwrap();
                bytes.drain(..end);
                if !fill(&mut stream, &mut bytes, size + 2).await {
                    return;
                }
                bytes.drain(..size + 2);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = length {
            let length = length.parse().unwrap();
            if !fill(&mut stream, &mut bytes, length).await {
                return;
            }
            bytes.drain(..length);
        }
        let body = if head_only { "" } else { "ok" };
        let answer = format!("HTTP/1.1 200 OK\r\nx-recorded: yes\r\ncontent-length: 2\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads until this has come; where it ends.
async fn until(stream: &mut TcpStream, bytes: &mut Vec<u8>, what: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = bytes.windows(what.len()).position(|window| window == what) {
            return Some(at + what.len());
        }
        let length = bytes.len();
        if !fill(stream, bytes, length + 1).await {
            return None;
        }
    }
}

/// Reads until so many bytes are there; `false` if the other side ends before.
async fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> bool {
    while bytes.len() < length {
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return false,
        }
    }
    true
}
