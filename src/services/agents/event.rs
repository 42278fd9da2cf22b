//! Nostr events (NIP-01): what they are, how their id is computed, how they are signed.

use bitcoin::hashes::{Hash, sha256};
use serde::Serialize;

use super::ids::{EventId, Pubkey};
use super::schnorr::ServerKey;
use crate::core::ids::to_hex;

/// What agents offer.
pub(super) const CAPABILITY: u16 = 38_400;
/// What one asks of another.
pub(super) const REQUEST: u16 = 38_401;
/// What both agreed on.
pub(super) const AGREEMENT: u16 = 38_402;
/// What one says of another.
pub(super) const ATTESTATION: u16 = 38_403;
/// That relays should forget events (NIP-09).
pub(super) const DELETION: u16 = 5;

/// An event without its author, time and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) kind: u16,
    pub(super) tags: Vec<Vec<String>>,
    pub(super) content: String,
}

impl Draft {
    /// Without tags.
    pub(super) fn new(kind: u16, content: impl Into<String>) -> Self {
        Self { kind, tags: Vec::new(), content: content.into() }
    }

    /// With one more tag.
    pub(super) fn tag<const N: usize>(mut self, parts: [&str; N]) -> Self {
        self.tags.push(parts.map(str::to_owned).to_vec());
        self
    }

    /// With one more tag for each.
    pub(super) fn tags<'a>(self, name: &str, values: impl IntoIterator<Item = &'a String>) -> Self {
        values.into_iter().fold(self, |draft, value| draft.tag([name, value]))
    }

    /// Signed at a time, in unix seconds.
    pub(super) fn sign(self, key: &ServerKey, created_at: i64) -> Event {
        let pubkey = key.pubkey();
        let id = id(&pubkey, created_at, &self);
        let sig = to_hex(&key.sign(&id.0));
        Event { id, pubkey, created_at, kind: self.kind, tags: self.tags, content: self.content, sig }
    }
}

/// A signed event, as relays get it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    pub(super) id: EventId,
    pub(super) pubkey: Pubkey,
    pub(super) created_at: i64,
    pub(super) kind: u16,
    pub(super) tags: Vec<Vec<String>>,
    pub(super) content: String,
    pub(super) sig: String,
}

/// The SHA-256 of an event's canonical form. `serde_json` writes it: no white space, and of all characters only the
/// quote, the backslash and those below U+0020 are escaped, in the short way where there is one.
fn id(pubkey: &Pubkey, created_at: i64, draft: &Draft) -> EventId {
    let form = (0, pubkey, created_at, draft.kind, &draft.tags, &draft.content);
    // Texts and numbers can always be written.
    let text = serde_json::to_vec(&form).unwrap_or_default();
    EventId(sha256::Hash::hash(&text).to_byte_array())
}
