//! What a server asks for: the parameters of `WWW-Authenticate: Payment`, bound together by a keyed hash, so that it
//! recognises its own challenges without having kept them.

use std::fmt;

use bitcoin_hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{INTENT, METHOD, jcs};
use crate::{PaymentHash, b64, params};

/// A challenge's parameters, as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The keyed hash of all others except the description.
    pub id: String,
    /// Who asks.
    pub realm: String,
    /// The payment method.
    pub method: String,
    /// The kind of payment.
    pub intent: String,
    /// Canonical JSON in URL-safe Base64.
    pub request: String,
    /// When the invoice ends, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Of the HTTP request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// For people; not bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The server's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<String>,
}

/// What a charge over Lightning asks for: the JSON inside `request`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// In sat, as text.
    pub amount: String,
    /// `sat`.
    pub currency: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The invoice.
    #[serde(rename = "methodDetails")]
    pub details: ChargeDetails,
}

/// The invoice of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeDetails {
    /// BOLT11.
    pub invoice: String,
    /// Its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_hash: Option<PaymentHash>,
    /// `mainnet`, `regtest`, `signet`, `testnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl Charge {
    /// As a challenge's `request`.
    pub fn to_request(&self) -> Option<String> {
        jcs::canonical(self).ok().map(|json| b64::url(json.as_bytes()))
    }

    /// From a challenge's `request`.
    pub fn read(request: &str) -> Option<Self> {
        serde_json::from_slice(&b64::read_url(request)?).ok()
    }
}

/// What binds a challenge's parameters to its id. A secret.
#[derive(Clone)]
pub struct IdKey(HmacEngine<sha256::Hash>);

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(..)")
    }
}

impl IdKey {
    /// From a secret of any length.
    pub fn new(secret: &[u8]) -> Self {
        Self(HmacEngine::new(secret))
    }

    /// The id of these parameters.
    pub fn id(&self, challenge: &Challenge) -> String {
        let mut engine = self.0.clone();
        engine.input(challenge.bound().as_bytes());
        b64::url(&Hmac::from_engine(engine).to_byte_array())
    }

    /// Whether the id of these parameters was made with this key.
    pub fn recognises(&self, challenge: &Challenge) -> bool {
        bool::from(self.id(challenge).as_bytes().ct_eq(challenge.id.as_bytes()))
    }

    /// A challenge for a charge.
    pub fn charge(
        &self,
        realm: &str,
        request: String,
        expires: String,
        description: Option<String>,
        opaque: Option<String>,
    ) -> Challenge {
        let mut challenge = Challenge {
            realm: realm.to_owned(),
            method: METHOD.into(),
            intent: INTENT.into(),
            request,
            expires: Some(expires),
            description,
            opaque,
            ..Challenge::default()
        };
        challenge.id = self.id(&challenge);
        challenge
    }
}

impl Challenge {
    /// What the id binds: seven slots, empty ones too.
    pub fn bound(&self) -> String {
        let slot = |value: &Option<String>| value.clone().unwrap_or_default();
        let (expires, digest, opaque) = (slot(&self.expires), slot(&self.digest), slot(&self.opaque));
        [&self.realm, &self.method, &self.intent, &self.request, &expires, &digest, &opaque]
            .map(String::as_str)
            .join("|")
    }

    /// As a `WWW-Authenticate` value; `None` if a parameter can't stand in a header.
    pub fn header_value(&self) -> Option<String> {
        let required = [
            ("id", &self.id),
            ("realm", &self.realm),
            ("method", &self.method),
            ("intent", &self.intent),
            ("request", &self.request),
        ];
        let optional = [
            ("expires", &self.expires),
            ("digest", &self.digest),
            ("description", &self.description),
            ("opaque", &self.opaque),
        ];
        let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let all = required.into_iter().chain(optional);
        let written = all.map(|(name, value)| Some(format!("{name}={}", params::quoted(value)?)));
        Some(format!("Payment {}", written.collect::<Option<Vec<_>>>()?.join(", ")))
    }

    /// The complete challenges of this scheme in a header, whose lines may have been joined.
    pub fn read_all(header: &str) -> Vec<Self> {
        let schemes = params::challenges(header).into_iter();
        let ours = schemes.filter(|scheme| scheme.name.eq_ignore_ascii_case("Payment"));
        ours.filter_map(|scheme| {
            let text = |name: &str| scheme.get(name).map(str::to_owned);
            Some(Self {
                id: text("id")?,
                realm: text("realm")?,
                method: text("method")?,
                intent: text("intent")?,
                request: text("request")?,
                expires: text("expires"),
                digest: text("digest"),
                description: text("description"),
                opaque: text("opaque"),
            })
        })
        .collect()
    }
}
