//! What proves to a service that it was paid: what it sent with its invoice, and the preimage.

use ::l402::{b64, mpp};
use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::core::ids::{NoRandomness, Preimage};
use crate::core::seal::Sealer;

/// What a challenge gives besides its invoice: with the preimage it is a credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proof {
    /// L402: one or several macaroons, and the scheme that the service used (`L402` or `LSAT`).
    Token {
        /// The scheme's name.
        scheme: String,
        /// As it came.
        macaroon: String,
    },
    /// A challenge of the `Payment` scheme, which its credential repeats.
    Payment(Box<mpp::Challenge>),
    /// The older form of the `Payment` scheme: the preimage alone.
    Preimage,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token { .. } => "Proof::Token(..)",
            Self::Payment(_) => "Proof::Payment(..)",
            Self::Preimage => "Proof::Preimage",
        })
    }
}

impl Proof {
    /// Whether the credential is good for one answer alone.
    pub(crate) const fn single_use(&self) -> bool {
        !matches!(self, Self::Token { .. })
    }

    /// The value of `Authorization`; `None` if it can't stand in a header.
    pub(crate) fn authorization(&self, preimage: &Preimage) -> Option<HeaderValue> {
        let text = match self {
            Self::Token { scheme, macaroon } => format!("{scheme} {macaroon}:{preimage}"),
            Self::Payment(challenge) => {
                let mut payload = Map::new();
                payload.insert("preimage".into(), Value::String(preimage.to_string()));
                let credential =
                    mpp::Credential { challenge: challenge.as_ref().clone(), source: None, payload };
                format!("Payment {}", b64::url(&serde_json::to_vec(&credential).ok()?))
            }
            Self::Preimage => format!(r#"Payment method="lightning", preimage="{preimage}""#),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// As it is kept.
    pub(crate) fn seal(&self, sealer: &Sealer) -> Result<Vec<u8>, NoRandomness> {
        sealer.seal(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// From what is kept.
    pub(crate) fn open(sealer: &Sealer, sealed: &[u8]) -> Option<Self> {
        serde_json::from_slice(&sealer.open(sealed)?).ok()
    }
}
