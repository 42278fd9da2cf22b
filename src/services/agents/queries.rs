//! What anybody may read.

use super::Agents;
use super::error::AgentError;
use super::ids::Pubkey;
use super::relays::{self, RelayStatus};
use super::requests::Page;
use super::store::{agents, search};
use super::view::{AgentView, AgentsView, CapabilitiesView, StatsView};
use crate::http::respond;

impl Agents {
    /// Agents, the oldest first, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn list_json(&self, page: Page) -> Result<Vec<u8>, AgentError> {
        let now = self.now();
        let read = move |connection: &rusqlite::Connection| {
            agents::list(connection, (page.limit, page.offset), now).map_err(AgentError::from)
        };
        let (found, total) = self.store().read(read).await?;
        let agents = found.iter().map(AgentView::new).collect();
        Ok(respond::to_json(&AgentsView { agents, total })?)
    }

    /// One agent, as JSON.
    ///
    /// # Errors
    /// [`AgentError::AgentNotFound`]; the store's.
    pub(super) async fn one_json(&self, pubkey: Pubkey) -> Result<Vec<u8>, AgentError> {
        Ok(respond::to_json(&AgentView::new(&self.agent(pubkey).await?))?)
    }

    /// What an agent has sold, as JSON.
    ///
    /// # Errors
    /// [`AgentError::AgentNotFound`]; the store's.
    pub(super) async fn stats_json(&self, pubkey: Pubkey) -> Result<Vec<u8>, AgentError> {
        Ok(respond::to_json(&StatsView::new(&self.agent(pubkey).await?))?)
    }

    async fn agent(&self, pubkey: Pubkey) -> Result<agents::Agent, AgentError> {
        let now = self.now();
        let read = move |connection: &rusqlite::Connection| {
            agents::by_pubkey(connection, pubkey, now).map_err(AgentError::from)
        };
        self.store().read(read).await?.ok_or(AgentError::AgentNotFound)
    }

    /// Capabilities that fit, newest first, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn search_json(
        &self,
        search: search::Search,
        limit: u32,
    ) -> Result<Vec<u8>, AgentError> {
        let read = move |connection: &rusqlite::Connection| {
            search::find(connection, &search, limit).map_err(AgentError::from)
        };
        let (found, total) = self.store().read(read).await?;
        Ok(respond::to_json(&CapabilitiesView::new(&found, total, self.publisher().pubkey()))?)
    }

    /// How the relays are doing.
    ///
    /// # Errors
    /// The store's.
    pub async fn relays(&self) -> Result<Vec<RelayStatus>, AgentError> {
        Ok(self.store().read(relays::status).await?)
    }
}
