//! Where the operator's API is served: apart from the public one, so that strangers can neither reach it nor use up its
//! connections.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::AppError;
use crate::app::routes;
use crate::config::{Admin, Config, admin_socket_path};
use crate::http::server::{self, Listen, ServerSettings};

/// Connections at once on each of them.
const CONNECTIONS: usize = 128;

/// The listeners that the configuration asks for.
pub(super) struct OperatorListeners {
    tcp: Option<TcpListener>,
    unix: Option<UnixListener>,
    socket: PathBuf,
}

impl OperatorListeners {
    /// Takes the address.
    ///
    /// # Errors
    /// [`AppError::Listen`].
    pub(super) async fn bind(config: &Config) -> Result<Self, AppError> {
        let tcp = match config.admin.listen {
            Some(address) => {
                match TcpListener::bind(address).await {
                    Ok(listener) => Some(listener),
                    // Nobody asked for this very address, and commands can use the socket.
                    Err(error) if config.admin == Admin::default() => {
                        tracing::warn!(%error, %address, "not listening for the operator here; set admin.listen");
                        None
                    }
                    Err(error) => return Err(AppError::Listen(address, error.to_string(), "[admin] listen")),
                }
            }
            None => None,
        };
        Ok(Self { tcp, unix: None, socket: admin_socket_path(&config.data_dir) })
    }

    /// Takes the Unix socket, if it is wanted. Call it only while this process holds the lock on the database: a socket
    /// that is there is replaced. It is for convenience, so where there can be none, that is only logged.
    pub(super) fn bind_socket(&mut self, config: &Config) {
        if !config.admin.socket {
            return;
        }
        match bind_socket(&self.socket) {
            Ok(listener) => self.unix = Some(listener),
            Err(error) => {
                let path = self.socket.display();
                tracing::warn!(%error, %path, "no Unix socket for the operator's commands");
            }
        }
    }

    /// Serves on all of them until the stop.
    pub(super) fn serve(self, router: &Router, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(listener) = self.tcp {
            tasks.spawn(serve(listener, router.clone(), stopped.clone()));
        }
        if let Some(listener) = self.unix {
            let (router, stopped, socket) = (router.clone(), stopped.clone(), self.socket);
            tasks.spawn(async move {
                serve(listener, router, stopped).await;
                drop(std::fs::remove_file(socket));
            });
        }
        tasks
    }
}

async fn serve<L: Listen>(listener: L, router: Router, mut stopped: watch::Receiver<bool>) {
    let settings = ServerSettings {
        max_connections: CONNECTIONS,
        failure: routes::operator_failure,
        ..ServerSettings::default()
    };
    server::serve(listener, router, settings, async move {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    })
    .await;
}

/// A socket that only the folder's owner can open. One that a killed process left is replaced.
fn bind_socket(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
