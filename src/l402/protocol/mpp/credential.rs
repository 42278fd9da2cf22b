//! What a client answers: the challenge, echoed, and the proof.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Challenge;
use crate::ids::{Preimage, from_hex};
use crate::l402::protocol::b64;

/// The most characters that are read.
const LONGEST: usize = 16_384;

/// A credential, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// As it was given to the client.
    pub challenge: Challenge,
    /// Who pays, if they say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The method's proof.
    pub payload: Map<String, Value>,
}

impl Credential {
    /// Reads what stands behind the scheme.
    pub fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        serde_json::from_slice(&b64::read_url(text)?).ok()
    }

    /// The payment's preimage.
    pub fn preimage(&self) -> Option<Preimage> {
        from_hex(self.payload.get("preimage")?.as_str()?).map(Preimage)
    }
}
