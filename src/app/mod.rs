//! Builds the app, starts it in order, and stops it in order.
//!
//! # The order of a start
//!
//! 1. the database: opened, migrated, locked to this process;
//! 2. what was under way when the last process stopped is marked as not known any more;
//! 3. the node is built from its state (no network yet);
//! 4. the HTTP server listens and answers "starting";
//! 5. the node is started, again and again while its chain source is away;
//! 6. the node's events are drained; then payouts are dispatched, and the HTTP server answers "ready".
//!
//! # The order of a stop
//!
//! The HTTP server stops listening and lets requests finish, the workers end, the node writes its state, the
//! database is closed. A second signal ends the process at once, which is safe too.

mod agents;
mod alerts;
mod build;
mod coins;
mod deliveries;
mod exports;
mod legal;
mod merchant;
mod operator;
mod operator_listeners;
mod payouts;
pub mod routes;
pub(crate) mod shop;
mod suspense;
mod tasks;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use self::operator_listeners::OperatorListeners;
use crate::config::Config;
use crate::config::data_dir::DataDirError;
use crate::http::server::{self, ConnectionCaps, ServerSettings};
use crate::lightning::ldk::StartError;
use crate::storage::StoreError;
use crate::telemetry::{Phase, logs, metrics};

#[cfg(test)]
pub(crate) use agents::{Backend, ListingListener, listing_listener};
pub use build::App;
pub(crate) use legal::texts as legal_texts;
pub(crate) use operator::AdminService;

/// Threads of the node's own runtime at least: with fewer, LDK's tasks have been seen to wait for each
/// other.
const NODE_THREADS: usize = 4;

/// Why satchel does not run, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data folder isn't ready.
    #[error(transparent)]
    DataFolder(#[from] DataDirError),
    /// The database can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node can't be started.
    #[error(transparent)]
    Node(#[from] StartError),
    /// The address is taken, or not ours.
    #[error("can't listen on {0}: {1}. Is another satchel running? {2} chooses another address")]
    Listen(SocketAddr, String, &'static str),
    /// The operating system refuses something basic, or a part can't be built.
    #[error("can't start: {0}")]
    System(String),
}

/// Runs until a signal says to stop. Call it outside of any runtime.
///
/// # Errors
/// [`AppError`], before or after the server listened.
pub fn run(config: Config) -> Result<(), AppError> {
    #[cfg(feature = "failpoints")]
    let _scenario = crate::telemetry::failpoint::setup();
    end_on_panic();
    logs::start(&config.log).map_err(|error| AppError::System(error.to_string()))?;
    metrics::install().map_err(|error| AppError::System(error.to_string()))?;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let front = runtime("http", cores)?;
    let node = runtime("node", cores.max(NODE_THREADS))?;
    let outcome = front.block_on(serve(config, &node));
    // The front's blocking threads may hold handles on the store; none of them outlives this.
    front.shutdown_timeout(Duration::from_secs(5));
    node.shutdown_timeout(Duration::from_secs(5));
    outcome
}

/// A thread of the node that has died leaves a process that answers and can't pay. Released builds abort by
/// themselves; so does every other.
fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

fn runtime(name: &'static str, threads: usize) -> Result<Runtime, AppError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|error| AppError::System(error.to_string()))
}

async fn serve(config: Config, node_runtime: &Runtime) -> Result<(), AppError> {
    let config = Arc::new(config);
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| AppError::Listen(listen, error.to_string(), "[http] listen"))?;
    let mut operator = OperatorListeners::bind(&config).await?;
    let handle = node_runtime.handle().clone();
    let building = Arc::clone(&config);
    let app = tokio::task::spawn_blocking(move || App::build(building, handle))
        .await
        .map_err(|error| AppError::System(error.to_string()))??;
    operator.bind_socket(&config);
    let app = Arc::new(app);
    app.admit_operator().await?;
    let (stop, stopped) = watch::channel(false);
    let mut workers = workers::start(&app, &stopped)?;
    let tasks = tasks::start(&app, &stopped);
    let router = routes::router(&app)?;
    tracing::info!(address = %listen, url = %config.http.public_url, "listening");
    let settings = ServerSettings {
        max_connections: config.http.max_connections,
        caps: ConnectionCaps::on_the_internet(
            config.http.max_connections_per_client,
            config.http.max_connections_per_proxy,
            &config.http.trusted_proxies,
        ),
        max_body_bytes: config.http.max_body_bytes,
        header_timeout: Duration::from_secs(config.http.header_timeout_secs),
        idle_timeout: Duration::from_secs(config.http.idle_timeout_secs),
        request_timeout: Duration::from_secs(config.http.request_timeout_secs),
        times_itself: routes::times_itself,
        failure: routes::failure,
        ..ServerSettings::default()
    };
    // Before anybody gets an answer: a signal must not end a process that serves already.
    let stop_asked = signals();
    let mut closing = stopped.clone();
    let door = tokio::spawn(server::serve(listener, router, settings, async move {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = closing.wait_for(|stop| *stop).await;
    }));
    let operator = operator.serve(&routes::operator_router(&app), &stopped);
    let outcome = tokio::select! {
        () = stop_asked => Ok(()),
        failure = workers.failure() => Err(failure),
    };
    tracing::info!("stopping; a second signal ends the process at once");
    app.health.set(Phase::Stopping);
    app.watchdog.stop();
    let again = signals();
    tokio::spawn(async {
        again.await;
        std::process::exit(1);
    });
    let _ = stop.send(true);
    app.hub.close();
    app.paid_proxies.close();
    if let Err(error) = door.await {
        tracing::error!(%error, "the public listener did not close in order");
    }
    operator.join_all().await;
    tasks.join_all().await;
    tokio::task::spawn_blocking(move || {
        workers.join();
        app.node.stop();
        tracing::info!("stopped");
    })
    .await
    .map_err(|error| AppError::System(error.to_string()))?;
    outcome
}

/// Listens for SIGINT and SIGTERM from the call on; the future ends with the first of them.
fn signals() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listeners = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = listeners else {
            // Without handlers the signals end the process by themselves.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
