//! What a client sends: the challenge as it was given, and the proof of payment.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Challenge, Charge, INTENT, IdKey, METHOD};
use crate::{Preimage, VerifyError, b64};

/// The most characters that are read.
const MAX_TEXT: usize = 16_384;

/// A credential, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// As it was given to the client.
    pub challenge: Challenge,
    /// Who pays, if the client says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The method's proof.
    pub payload: Map<String, Value>,
}

impl Credential {
    /// Reads what stands behind the scheme.
    pub fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return None;
        }
        serde_json::from_slice(&b64::read_url(text)?).ok()
    }

    /// The payment's preimage.
    pub fn preimage(&self) -> Option<Preimage> {
        self.payload.get("preimage")?.as_str()?.parse().ok()
    }

    /// The preimage that proves the payment of a challenge which was made with this key for this realm. What the
    /// payment was for, and whether it was used before, is not checked here.
    ///
    /// # Errors
    /// [`VerifyError::UnknownChallenge`], [`VerifyError::Malformed`], [`VerifyError::WrongPreimage`].
    pub fn verify(&self, key: &IdKey, realm: &str) -> Result<Preimage, VerifyError> {
        let challenge = &self.challenge;
        let own = challenge.realm == realm && challenge.method == METHOD && challenge.intent == INTENT;
        if !own || !key.recognises(challenge) {
            return Err(VerifyError::UnknownChallenge);
        }
        let asked = Charge::read(&challenge.request).and_then(|charge| charge.details.payment_hash);
        let preimage = self.preimage().ok_or(VerifyError::Malformed)?;
        if asked == Some(preimage.payment_hash()) { Ok(preimage) } else { Err(VerifyError::WrongPreimage) }
    }
}
