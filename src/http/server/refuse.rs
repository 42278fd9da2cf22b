//! What a connection is told that gets no place: a short answer, sent without waiting for its request.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

/// Refused connections that are kept at once until their client has read the answer.
const LINGERING: usize = 64;

/// For how long.
const LINGER: Duration = Duration::from_millis(500);

/// What a client may send meanwhile.
const MOST_READ: u64 = 64 * 1024;

const TEXT: &str = "Too many connections are open from your address or network. Close those that you don't need, \
                    use one for several requests (keep-alive, HTTP/2), and try again in a few seconds.\n";

static ANSWER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n\
         access-control-allow-origin: *\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{TEXT}",
        TEXT.len()
    )
});

/// Refuses connections.
pub(super) struct Refuser {
    lingering: Arc<Semaphore>,
}

impl Refuser {
    pub(super) fn new() -> Self {
        Self { lingering: Arc::new(Semaphore::new(LINGERING)) }
    }

    /// Answers and closes. A new connection has room for the answer, so nothing waits for it.
    pub(super) fn refuse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, mut stream: S) {
        if !matches!(stream.write_all(ANSWER.as_bytes()).now_or_never(), Some(Ok(()))) {
            return;
        }
        // Closed with its request unread, the connection would be reset, and the answer lost with it.
        let Ok(lingering) = Arc::clone(&self.lingering).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let read = async {
                stream.shutdown().await?;
                let (mut sink, mut request) = (tokio::io::sink(), stream.take(MOST_READ));
                tokio::io::copy(&mut request, &mut sink).await
            };
            // However it ends, it is closed now.
            let _ = tokio::time::timeout(LINGER, read).await;
            drop(lingering);
        });
    }
}
