//! What this service needs of whoever sells requests. `app` registers what does it.

use std::future::Future;
use std::pin::Pin;

use rusqlite::Connection;

use super::error::AgentError;
use crate::core::ids::AccountId;
use crate::storage::Tx;

/// A service that is to be sold by the request.
#[derive(Clone, Debug)]
pub struct NewProxy {
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Where requests go.
    pub target: String,
    /// What one costs, in sat.
    pub price_sat: u64,
    /// What it is found by.
    pub categories: Vec<String>,
}

/// A proxy whose target has been checked and that is not there yet.
pub trait PreparedProxy: Send {
    /// Makes it; answers its public id.
    ///
    /// # Errors
    /// The account has as many as it may; the database's. Nothing of the transaction must be kept.
    fn insert(self: Box<Self>, tx: &Tx<'_>) -> Result<String, AgentError>;
}

/// What [`ProxyBackend::prepare`] answers, later.
pub type Preparing<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn PreparedProxy>, AgentError>> + Send + 'a>>;

/// Makes proxies and takes them out of service.
pub trait ProxyBackend: Send + Sync {
    /// Checks what a proxy would lead to. May look names up.
    fn prepare(&self, owner: AccountId, new: NewProxy) -> Preparing<'_>;

    /// Whether an account has a proxy of this public id that is in service.
    ///
    /// # Errors
    /// The database's.
    fn serves(&self, connection: &Connection, owner: AccountId, id: &str) -> Result<bool, AgentError>;

    /// Takes a proxy out of service for good. That is told as every such change is.
    ///
    /// # Errors
    /// The database's.
    fn retire(&self, tx: &Tx<'_>, owner: AccountId, id: &str) -> Result<(), AgentError>;
}
