//! The runtime on which everything of this crate runs.
//!
//! ldk-node blocks inside calls and needs a multi-thread runtime with threads to spare; a caller's test may run on a
//! single thread, or end its runtime while a wallet still stops. So wallets, their HTTP faces and all HTTP clients
//! live here, and callers only wait for answers. The runtime is never dropped.

use std::future::Future;
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow};
use tokio::runtime::{Builder, Handle, Runtime};

/// A node keeps one thread busy while it starts or stops; with eight, some wallets can do so at the same time.
const WORKER_THREADS: usize = 8;

static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(WORKER_THREADS).thread_name("regtest").enable_all().build()
});

/// The handle of the shared runtime.
pub(crate) fn handle() -> Result<Handle> {
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.handle().clone()),
        Err(error) => Err(anyhow!("can't start the runtime of the regtest network: {error}")),
    }
}

/// Runs a blocking call on a thread meant for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    handle()?.spawn_blocking(work).await.context("a blocking call of the regtest network ended early")
}

/// Runs a future on the shared runtime, whatever runtime the caller has.
pub(crate) async fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    handle()?.spawn(work).await.context("a task of the regtest network ended early")
}
