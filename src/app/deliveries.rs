//! What the operator's commands need of the webhooks.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::AdminService;
use crate::admin::{AdminError, PageRequest, WebhookAdmin};
use crate::outbound::webhooks::store::{self as outbox, MessageId, OutboxError};
use crate::storage::StoreError;

impl WebhookAdmin for AdminService {
    fn list(&self, page: PageRequest, parked: bool) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let read = self.0.store.read(move |connection| -> Result<_, StoreError> {
                let before = match page.before {
                    None => None,
                    Some(id) => match outbox::row_of(connection, &MessageId::new(id))? {
                        None => return Ok(None),
                        found => found,
                    },
                };
                outbox::list(connection, parked, before, page.limit.into()).map(Some)
            });
            let found = read.await?;
            let no_such = || AdminError::BadRequest("before must be the id of a webhook message".into());
            let messages = found.ok_or_else(no_such)?;
            messages
                .iter()
                .map(|message| serde_json::to_value(message).map_err(AdminError::internal))
                .collect()
        })
    }

    fn replay(&self, id: String) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(async move {
            self.0.outbox.replay(&self.0.store, MessageId::new(id)).await.map_err(|error| match error {
                OutboxError::NoSuchMessage => {
                    AdminError::NotFound(format!("{error}; see `satchel webhook list`"))
                }
                OutboxError::NobodyListens => AdminError::Refused(error.to_string()),
                OutboxError::Store(error) => error.into(),
                OutboxError::Randomness(error) => AdminError::internal(error),
            })
        })
    }
}
