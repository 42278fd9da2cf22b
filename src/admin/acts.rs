//! The log of operator acts: written around every handler that changes something, and read.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::Asked;
use super::gifts::PageRequest;
use super::{AdminError, AdminState};
use crate::core::time::{Clock, iso};
use crate::http::audit_log::{self, Act, ActKind, Outcome, Wanted};
use crate::storage::Store;

/// Writes the log. Cheap to clone.
#[derive(Clone)]
pub struct Acts {
    store: Store,
    clock: Clock,
}

impl Acts {
    /// In this store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Does what one transaction does and records, and records it here if it was not done.
    ///
    /// # Errors
    /// The work's.
    pub async fn recorded<T>(
        &self,
        act: Act,
        work: impl Future<Output = Result<T, AdminError>>,
    ) -> Result<T, AdminError> {
        let done = work.await;
        if let Err(error) = &done {
            let (outcome, now) = (outcome_of(error), self.clock.now());
            let noted = audit_log::not_done(&self.store, act, outcome, error.to_string(), now).await;
            if let Err(error) = noted {
                tracing::error!(%error, "an act of the operator that was not done could not be recorded");
            }
        }
        done
    }

    /// Records an act, does it, and records how it ended. `subject` reads from the outcome what it was done to, if
    /// that is known only then.
    ///
    /// # Errors
    /// The work's; the store's, and then nothing was done.
    pub async fn around<T>(
        &self,
        act: Act,
        work: impl Future<Output = Result<T, AdminError>>,
        subject: impl FnOnce(&T) -> Option<String>,
    ) -> Result<T, AdminError> {
        let id = audit_log::begin(&self.store, act, self.clock.now()).await?;
        let done = work.await;
        let (subject, outcome, message) = match &done {
            Ok(done) => (subject(done), Outcome::Done, None),
            Err(error) => (None, outcome_of(error), Some(error.to_string())),
        };
        let ended = audit_log::end(&self.store, id, subject, outcome, message, self.clock.now()).await;
        if let Err(error) = ended {
            tracing::error!(%error, act = id, "how an act of the operator ended could not be recorded");
        }
        done
    }
}

fn outcome_of(error: &AdminError) -> Outcome {
    match error {
        AdminError::BadRequest(_)
        | AdminError::NotFound(_)
        | AdminError::Refused(_)
        | AdminError::TooManyWrongKeys => Outcome::Refused,
        AdminError::Unavailable(_) | AdminError::Internal => Outcome::Failed,
    }
}

/// Which acts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActsRequest {
    limit: Option<u32>,
    before: Option<i64>,
    act: Option<String>,
    subject: Option<String>,
    since: Option<String>,
}

/// `GET /admin/v1/acts`: newest first.
pub async fn list(
    State(state): State<AdminState>,
    Asked(asked): Asked<ActsRequest>,
) -> Result<Json<Value>, AdminError> {
    let limit = PageRequest::new(asked.limit, None).checked()?.limit;
    if let Some(name) = asked.act.as_deref().filter(|name| ActKind::read(name).is_none()) {
        return Err(AdminError::BadRequest(format!(
            "there is no act {name:?}; acts are {}",
            ActKind::names()
        )));
    }
    let since = asked.since.as_deref().map(|text| time("since", text)).transpose()?;
    let wanted = Wanted { act: asked.act, subject: asked.subject, since, before: asked.before, limit };
    let found = state.store.read(move |connection| audit_log::list(connection, &wanted)).await?;
    Ok(Json(json!({ "acts": found })))
}

/// A date, by UTC, or a time with its zone, in unix milliseconds.
pub(super) fn time(name: &str, text: &str) -> Result<i64, AdminError> {
    let read = iso::parse(text).or_else(|| iso::parse(&format!("{text}T00:00:00Z")));
    read.ok_or_else(|| {
        AdminError::BadRequest(format!("{name} must be a date like 2026-01-31, or a time with its zone"))
    })
}
