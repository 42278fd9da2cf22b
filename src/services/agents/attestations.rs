//! Saying how it went.

use axum::http::StatusCode;

use super::Agents;
use super::error::AgentError;
use super::event::{ATTESTATION, Draft};
use super::fields::{Fields, Lines};
use super::ids::{EventId, Pubkey};
use super::store::agreements::Status;
use super::store::attestations::Attestation;
use super::store::{agents, agreements, attestations};
use super::view::{AttestationsView, AttestedView};
use crate::core::ids::{AccountId, random_hex};
use crate::http::body::JsonObject;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::http::respond;
use crate::storage::Tx;

const AGREEMENT_LEN: usize = 128;
const CONTENT_LEN: usize = 2_000;
const PROOF_LEN: usize = 256;
const ID_LEN: usize = 128;

/// The namespace of labels (NIP-32).
const LABELS: &str = "nostr.agent.attestation";

/// What an agent wants to say of another.
#[derive(Clone, Debug)]
pub(super) struct NewAttestation {
    subject: Pubkey,
    agreement: String,
    rating: u8,
    content: String,
    proof: Option<String>,
    attestation_id: Option<String>,
}

impl NewAttestation {
    pub(super) fn read(body: &JsonObject) -> Result<Self, AgentError> {
        let fields = Fields(body);
        let rating = fields.number("rating", 1..=5)?.and_then(|rating| u8::try_from(rating).ok());
        let agreement = fields.needed("agreementId", AGREEMENT_LEN, Lines::One)?;
        // An event's id has one form.
        let agreement = agreement.parse::<EventId>().map_or(agreement, |id| id.to_string());
        Ok(Self {
            subject: fields.hex("subjectPubkey", "invalid_pubkey", 64)?,
            agreement,
            rating: rating.ok_or_else(|| super::fields::wrong("rating is required".into()))?,
            content: fields.text("content", CONTENT_LEN, Lines::Several)?.unwrap_or_default(),
            proof: fields.text("proof", PROOF_LEN, Lines::One)?,
            attestation_id: fields.text("attestationId", ID_LEN, Lines::One)?,
        })
    }
}

impl Agents {
    /// Says something of an agent; answers the event's id as JSON. The same under the same `attestationId` is said
    /// once.
    ///
    /// # Errors
    /// [`AgentError::Conflict`] if it is about the account's own agent, or something was said for this agreement, or
    /// the id stands for something else, or the account has said as much as it may; the store's.
    pub(super) async fn attest(
        &self,
        account: AccountId,
        new: NewAttestation,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, AgentError> {
        let (this, now) = (self.clone(), self.now());
        let suffix = random_hex::<4>()?;
        let written = self.store().write(move |tx| -> Result<Reply, AgentError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            let attestation_id = new.attestation_id.clone().unwrap_or_else(|| {
                let beginning: String = new.agreement.chars().take(16).collect();
                format!("att-{beginning}-{}", now.div_euclid(1_000))
            });
            if let Some(same) = attestations::by_own_id(tx, account, &attestation_id)? {
                if !same.says(&new) {
                    let message = "This attestationId stands for something else";
                    return Err(AgentError::conflict("attestation_exists", message));
                }
                return Ok(Reply::New(StatusCode::OK, respond::to_json(&AttestedView::new(&same))?));
            }
            let subject = agents::by_pubkey(tx, new.subject, now)?;
            if subject.is_some_and(|agent| agent.account == account) {
                return Err(AgentError::conflict("own_agent", "Nobody rates an agent of their own"));
            }
            if attestations::is_said(tx, account, new.subject, &new.agreement)? {
                let message = "You have rated this agent for this agreement";
                return Err(AgentError::conflict("already_attested", message));
            }
            if attestations::count(tx, account)? >= this.rules().max_attestations {
                let message = "The account has given as many attestations as it may";
                return Err(AgentError::conflict("too_many_attestations", message));
            }
            let reviewer = this.agent_of(tx, account, None)?.filter(|agent| agent.verified_at.is_some());
            let reviewer = reviewer.map(|agent| agent.pubkey);
            let verified = this.bought(tx, account, &new)?;
            let d_tag = format!("{attestation_id}-{suffix}");
            let event = this.publisher().sign(draft(&new, &d_tag, reviewer), now, None);
            let attestation = Attestation {
                account,
                reviewer: reviewer.unwrap_or_else(|| this.publisher().pubkey()),
                subject: new.subject,
                agreement: new.agreement,
                attestation_id,
                rating: new.rating,
                content: new.content,
                proof: new.proof,
                event_id: event.id,
                verified,
                created_at: now,
            };
            attestations::insert(tx, &attestation)?;
            this.publisher().publish(tx, &event, None, now)?;
            let body = respond::to_json(&AttestedView::new(&attestation))?;
            save(tx, ask.as_ref(), StatusCode::CREATED, &body, now)?;
            Ok(Reply::New(StatusCode::CREATED, body))
        });
        written.await
    }

    /// Whether the account bought from the subject here, by the agreement that it names.
    fn bought(&self, tx: &Tx<'_>, account: AccountId, new: &NewAttestation) -> Result<bool, AgentError> {
        let Ok(event) = new.agreement.parse() else { return Ok(false) };
        let server = self.publisher().pubkey();
        Ok(agreements::by_event(tx, event)?.is_some_and(|agreement| {
            agreement.status == Status::Completed
                && agreement.requester_account == account
                && agreement.provider_account != account
                && agreement.provider.unwrap_or(server) == new.subject
        }))
    }

    /// What is said of an agent, newest first, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn attestations_json(&self, subject: Pubkey, limit: u32) -> Result<Vec<u8>, AgentError> {
        let read = move |connection: &rusqlite::Connection| {
            attestations::of(connection, subject, limit).map_err(AgentError::from)
        };
        let (found, total, sum) = self.store().read(read).await?;
        Ok(respond::to_json(&AttestationsView::new(&found, total, sum))?)
    }
}

impl Attestation {
    fn says(&self, new: &NewAttestation) -> bool {
        (self.subject, &self.agreement, self.rating, &self.content, &self.proof)
            == (new.subject, &new.agreement, new.rating, &new.content, &new.proof)
    }
}

/// What relays are told. An agreement that is no event is named by another tag, since relays refuse an `e` that is none.
fn draft(new: &NewAttestation, d_tag: &str, reviewer: Option<Pubkey>) -> Draft {
    let draft = Draft::new(ATTESTATION, &new.content).tag(["d", d_tag]).tag([
        "p",
        &new.subject.to_string(),
        "",
        "subject",
    ]);
    let draft = match new.agreement.parse::<EventId>() {
        Ok(id) => draft.tag(["e", &id.to_string(), "", "agreement"]),
        Err(_) => draft.tag(["agreement", &new.agreement]),
    };
    let draft = match reviewer {
        Some(reviewer) => draft.tag(["p", &reviewer.to_string(), "", "reviewer"]),
        None => draft,
    };
    let draft = draft
        .tag(["rating", &new.rating.to_string()])
        .tag(["L", LABELS])
        .tag(["l", "completed", LABELS])
        .tag(["l", "commerce.service_completion", LABELS]);
    match &new.proof {
        Some(proof) => draft.tag(["proof", proof]),
        None => draft,
    }
}
