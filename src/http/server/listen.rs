//! What the server can listen on: TCP, and a Unix socket for commands on the same machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Something that takes connections.
pub trait Listen: Send + Sync {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and who is at its other end.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Sets a new connection up. One whose peer takes nothing of an answer for so long is broken off.
    fn set_up(stream: &Self::Stream, stall_timeout: Duration);
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        self.accept()
    }

    fn set_up(stream: &TcpStream, stall_timeout: Duration) {
        // Only a socket that is gone already refuses.
        drop(stream.set_nodelay(true));
        let millis = u32::try_from(stall_timeout.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, millis) {
            tracing::debug!(%error, "a connection has no time limit for its peer");
        }
    }
}

/// Whoever reaches a Unix socket is on this machine: the peer is loopback.
impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, _) = self.accept().await?;
        Ok((stream, (Ipv4Addr::LOCALHOST, 0).into()))
    }

    fn set_up(_: &UnixStream, _: Duration) {}
}
