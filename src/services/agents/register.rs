//! Registering a key, and proving to hold it.

use axum::http::StatusCode;

use super::Agents;
use super::error::AgentError;
use super::fields::{Fields, Lines};
use super::ids::{Challenge, Pubkey};
use super::schnorr::{SIGNATURE, answers};
use super::store::{agents, challenges};
use super::view::{AgentView, ChallengeView, VerifiedView};
use crate::core::ids::{AccountId, from_hex, random_bytes};
use crate::http::body::JsonObject;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::http::respond;

/// How long a challenge is good.
const CHALLENGE_SECS: i64 = 300;

/// Challenges of one account at a time; older ones end when more are asked for.
const CHALLENGES: u32 = 20;

const NAME_LEN: usize = 200;
const DESCRIPTION_LEN: usize = 1_000;

/// What an agent says of itself. What is `None` stays as it is.
#[derive(Debug)]
pub(super) struct Registration {
    pubkey: Pubkey,
    name: Option<Option<String>>,
    description: Option<Option<String>>,
}

impl Registration {
    pub(super) fn read(body: &JsonObject) -> Result<Self, AgentError> {
        let fields = Fields(body);
        let given = |name: &str| body.fields.contains_key(name);
        let (name, description) = (
            fields.text("name", NAME_LEN, Lines::One)?,
            fields.text("description", DESCRIPTION_LEN, Lines::Several)?,
        );
        Ok(Self {
            pubkey: fields.hex("pubkey", "invalid_pubkey", 64)?,
            name: given("name").then_some(name),
            description: given("description").then_some(description),
        })
    }
}

/// What an agent shows to prove that it holds its key.
pub(super) struct Proof {
    pubkey: Pubkey,
    challenge: Challenge,
    signature: [u8; SIGNATURE],
}

impl Proof {
    pub(super) fn read(body: &JsonObject) -> Result<Self, AgentError> {
        let fields = Fields(body);
        let pubkey = fields.hex("pubkey", "invalid_pubkey", 64)?;
        let challenge = fields.hex("challenge", "invalid_challenge", 64)?;
        let signature = body.get("signature").and_then(|value| value.as_str()).and_then(from_hex);
        let signature = signature
            .ok_or_else(|| AgentError::invalid("invalid_signature", "signature must be 128 hex digits"))?;
        Ok(Self { pubkey, challenge, signature })
    }
}

impl Agents {
    /// Registers a key for an account, or changes what it says; answers the agent as JSON.
    ///
    /// # Errors
    /// [`AgentError::Conflict`] if the key is another account's, or the account has as many as it may; the store's.
    pub(super) async fn register(
        &self,
        account: AccountId,
        new: Registration,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, AgentError> {
        let (now, most) = (self.now(), self.rules().max_agents);
        let written = self.store().write(move |tx| -> Result<Reply, AgentError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            let before = agents::by_pubkey(tx, new.pubkey, now)?;
            let status = match &before {
                None if agents::count(tx, account)? >= most => {
                    return Err(AgentError::conflict(
                        "too_many_agents",
                        "The account has as many agents as it may",
                    ));
                }
                None => {
                    agents::insert(tx, account, new.pubkey, now)?;
                    StatusCode::CREATED
                }
                Some(agent) if agent.account != account => {
                    return Err(AgentError::conflict(
                        "agent_exists",
                        "Another account registered this key; if you hold it, sign a challenge with it",
                    ));
                }
                Some(_) => StatusCode::OK,
            };
            let agent = agents::by_pubkey(tx, new.pubkey, now)?.ok_or(AgentError::Internal)?;
            let name = new.name.unwrap_or(agent.name);
            let description = new.description.unwrap_or(agent.description);
            agents::describe(tx, agent.id, name.as_deref(), description.as_deref(), now)?;
            let agent = agents::by_id(tx, agent.id, now)?.ok_or(AgentError::Internal)?;
            let body = respond::to_json(&AgentView::new(&agent))?;
            save(tx, ask.as_ref(), status, &body, now)?;
            Ok(Reply::New(status, body))
        });
        written.await
    }

    /// A challenge for a key, as JSON. The key need not be registered yet.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn challenge(&self, account: AccountId, pubkey: Pubkey) -> Result<Vec<u8>, AgentError> {
        let (challenge, now) = (Challenge(random_bytes()?), self.now());
        let written = self.store().write(move |tx| -> Result<(), AgentError> {
            let expires_at = now.saturating_add(CHALLENGE_SECS * 1_000);
            challenges::tidy(tx, account, CHALLENGES - 1, now)?;
            challenges::insert(tx, challenge, pubkey, account, expires_at)?;
            Ok(())
        });
        written.await?;
        Ok(respond::to_json(&ChallengeView { challenge, pubkey, expires_in_seconds: CHALLENGE_SECS })?)
    }

    /// Takes a signed challenge: the agent is verified, and belongs to this account from now on.
    ///
    /// # Errors
    /// [`AgentError::Invalid`] if the challenge is none of this account and key, or was used, or has ended, or the
    /// signature is wrong (which leaves the challenge good); [`AgentError::AgentNotFound`]; the store's.
    pub(super) async fn verify(&self, account: AccountId, proof: Proof) -> Result<Vec<u8>, AgentError> {
        if !answers(&proof.pubkey, &proof.challenge, &proof.signature) {
            let message = "The signature is not this key's over this challenge (BIP-340)";
            return Err(AgentError::invalid("invalid_signature", message));
        }
        let (now, most) = (self.now(), self.rules().max_agents);
        let written = self.store().write(move |tx| -> Result<(), AgentError> {
            let agent = agents::by_pubkey(tx, proof.pubkey, now)?.ok_or(AgentError::AgentNotFound)?;
            if !challenges::take(tx, proof.challenge, proof.pubkey, account, now)? {
                let message = "There is no such challenge for this key, or it was used, or it has ended";
                return Err(AgentError::invalid("invalid_challenge", message));
            }
            if agent.account != account {
                if agents::count(tx, account)? >= most {
                    return Err(AgentError::conflict(
                        "too_many_agents",
                        "The account has as many agents as it may",
                    ));
                }
                agents::give_to(tx, agent.id, account)?;
            }
            agents::verified(tx, agent.id, now)?;
            Ok(())
        });
        written.await?;
        Ok(respond::to_json(&VerifiedView::new(proof.pubkey, now))?)
    }
}
