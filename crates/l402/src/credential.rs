//! What a client sends: `Authorization: L402 macaroon[,macaroon…]:preimage`, or one of the `Payment` forms.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::macaroon::{self, Macaroon};
use crate::{Preimage, b64, mpp, params};

/// Macaroons of one credential that are read; the rest is ignored.
const MAX_MACAROONS: usize = 4;

/// Credentials of one request that are read.
const MAX_CREDENTIALS: usize = 4;

/// Names of schemes that begin another credential behind a comma.
const SCHEMES: [&str; 5] = ["L402", "LSAT", "Payment", "Bearer", "Basic"];

/// Characters of Base64 that a macaroon may take.
const MAX_TEXT: usize = macaroon::MAX_BYTES.div_ceil(3) * 4;

/// A proof of payment, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// Macaroons, of which one must be good, and the preimage.
    Token {
        /// At least one.
        macaroons: Vec<Macaroon>,
        /// Of the payment.
        preimage: Preimage,
    },
    /// The `Payment` scheme's answer to a challenge.
    Payment(Box<mpp::Credential>),
    /// The older `Payment` form: a preimage and nothing else.
    Preimage(Preimage),
}

/// What a request has for a credential.
#[derive(Clone, Debug, PartialEq)]
pub enum Presented {
    /// None of these schemes.
    Missing,
    /// One that can't be read.
    Malformed,
    /// One to verify.
    Credential(Credential),
}

impl Presented {
    /// Reads the headers of a request, each credential by itself: clients send several lines, or join `L402` and `LSAT`
    /// with a comma, and one of them must be good. Never empty. An `Authorization` of another scheme is ignored.
    pub fn read(headers: &HeaderMap) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut malformed = false;
        let lines = headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
        for text in lines.flat_map(credentials) {
            match Credential::read(text) {
                Some(Ok(credential)) => {
                    let presented = Self::Credential(credential);
                    if found.len() < MAX_CREDENTIALS && !found.contains(&presented) {
                        found.push(presented);
                    }
                }
                Some(Err(MalformedCredential)) => malformed = true,
                None => {}
            }
        }
        if found.is_empty() {
            found.push(if malformed { Self::Malformed } else { Self::Missing });
        }
        found
    }
}

/// The credentials of one line: a comma before the name of a scheme separates them, others are within one.
fn credentials(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut rest, mut from) = (line, 0);
    while let Some(comma) = rest.get(from..).and_then(|tail| tail.find(',')).map(|at| from.saturating_add(at))
    {
        let (head, tail) =
            (rest.get(..comma).unwrap_or_default(), rest.get(comma.saturating_add(1)..).unwrap_or_default());
        if begins_with_a_scheme(tail.trim_start()) {
            found.push(head);
            (rest, from) = (tail, 0);
        } else {
            from = comma.saturating_add(1);
        }
    }
    found.push(rest);
    found
}

/// Reads no more than the longest name: a line of commas alone must not be read to its end once for each of them.
fn begins_with_a_scheme(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && text.get(scheme.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    })
}

/// The credential is of one of these schemes, and can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential can't be read")]
pub struct MalformedCredential;

impl Credential {
    /// Reads the value of an `Authorization` header; `None` if it is of another scheme.
    pub fn read(value: &str) -> Option<Result<Self, MalformedCredential>> {
        let value = value.trim();
        let (scheme, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("L402") || scheme.eq_ignore_ascii_case("LSAT") {
            Some(token(rest.trim()).ok_or(MalformedCredential))
        } else if scheme.eq_ignore_ascii_case("Payment") {
            Some(payment(rest.trim()).ok_or(MalformedCredential))
        } else {
            None
        }
    }
}

/// Macaroons from their texts, with commas between them. One that can't be read may be another service's.
pub fn macaroons(text: &str) -> Vec<Macaroon> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.take(MAX_MACAROONS).filter_map(macaroon).collect()
}

/// A macaroon from its text; of any of the four kinds of Base64.
fn macaroon(text: &str) -> Option<Macaroon> {
    if text.len() > MAX_TEXT {
        return None;
    }
    Macaroon::read(&b64::read_any(text)?).ok()
}

fn token(text: &str) -> Option<Credential> {
    let (macaroons, preimage) = text.rsplit_once(':')?;
    let preimage: Preimage = preimage.trim().parse().ok()?;
    let macaroons = self::macaroons(macaroons);
    (!macaroons.is_empty()).then_some(Credential::Token { macaroons, preimage })
}

fn payment(text: &str) -> Option<Credential> {
    if !text.contains('"') && !text.contains("preimage=") {
        return mpp::Credential::read(text).map(Box::new).map(Credential::Payment);
    }
    let params = params::of_one(text);
    let method = params.get("method")?;
    if !method.eq_ignore_ascii_case(mpp::METHOD) {
        return None;
    }
    params.get("preimage")?.parse().ok().map(Credential::Preimage)
}
