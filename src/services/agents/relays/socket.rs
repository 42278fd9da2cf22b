//! A connection to a relay: a WebSocket, by TLS or without it. Only addresses of the configuration are called.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use crate::services::agents::ids::EventId;

/// How long a relay may take to be reached, and to answer to an event.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a relay's message. Its answers are short.
const LARGEST: usize = 256 * 1_024;

/// Messages of a relay that are not the answer that is waited for.
const MOST_OTHERS: u32 = 1_000;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a relay says to an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it.
    Taken,
    /// It doesn't want it; why.
    Refused(String),
    /// It doesn't want it now; why.
    Later(String),
}

/// A relay that listens.
pub(super) struct Relay(WebSocketStream<Box<dyn Stream>>);

impl Relay {
    /// Calls a relay. The error is for the operator.
    pub(super) async fn connect(url: &str) -> Result<Self, String> {
        timeout(PATIENCE, open(url)).await.map_err(|_| "it took too long to connect".to_owned())?
    }

    /// Sends an event, which is JSON already, and waits for what is said to it.
    pub(super) async fn send(&mut self, id: EventId, event: &str) -> Result<Answer, String> {
        let sent = self.0.send(Message::text(format!("[\"EVENT\",{event}]")));
        timeout(PATIENCE, sent).await.map_err(|_| slow())?.map_err(|error| error.to_string())?;
        timeout(PATIENCE, self.answer(id)).await.map_err(|_| slow())?
    }

    async fn answer(&mut self, id: EventId) -> Result<Answer, String> {
        let wanted = id.to_string();
        for _ in 0..MOST_OTHERS {
            let message = self.0.next().await.ok_or("it hung up")?.map_err(|error| error.to_string())?;
            let Message::Text(text) = message else { continue };
            let Ok(Value::Array(parts)) = serde_json::from_str(text.as_str()) else { continue };
            let part = |index: usize| parts.get(index).and_then(Value::as_str);
            match part(0) {
                Some("OK") if part(1) == Some(&wanted) => {
                    let taken = parts.get(2).and_then(Value::as_bool).unwrap_or(false);
                    return Ok(read(taken, part(3).unwrap_or_default()));
                }
                Some("NOTICE") => tracing::debug!(notice = part(1), "a relay says something"),
                _ => {}
            }
        }
        Err("it says other things than an answer".into())
    }

    /// Hangs up in order.
    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.0.close(None)).await;
    }
}

fn slow() -> String {
    "it took too long to answer".into()
}

/// What an `OK` means, by the beginnings that NIP-01 names.
fn read(taken: bool, why: &str) -> Answer {
    if taken || why.starts_with("duplicate") {
        return Answer::Taken;
    }
    let later = ["rate-limited", "error", "auth-required"];
    if later.iter().any(|beginning| why.starts_with(beginning)) {
        Answer::Later(why.to_owned())
    } else {
        Answer::Refused(why.to_owned())
    }
}

async fn open(url: &str) -> Result<Relay, String> {
    let parsed = Url::parse(url).map_err(|error| error.to_string())?;
    let host = parsed.host_str().ok_or("it has no host")?.trim_matches(['[', ']']).to_owned();
    let secure = parsed.scheme() == "wss";
    let port = parsed.port().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
    let stream: Box<dyn Stream> =
        if secure { Box::new(encrypt(stream, host).await?) } else { Box::new(stream) };
    let settings = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let opened = client_async_with_config(parsed.as_str(), stream, Some(settings)).await;
    opened.map(|(socket, _)| Relay(socket)).map_err(|error| error.to_string())
}

async fn encrypt(stream: TcpStream, host: String) -> Result<impl Stream, String> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let settings = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(settings));
    connector.connect(name, stream).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_beginning() {
        for (taken, why, expected) in [
            (true, "", Answer::Taken),
            (false, "duplicate: have it", Answer::Taken),
            (false, "rate-limited: slow down", Answer::Later("rate-limited: slow down".into())),
            (false, "error: disk", Answer::Later("error: disk".into())),
            (false, "blocked: no", Answer::Refused("blocked: no".into())),
            (false, "", Answer::Refused(String::new())),
        ] {
            assert_eq!(read(taken, why), expected, "{why}");
        }
    }
}
