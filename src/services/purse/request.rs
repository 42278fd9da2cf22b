//! What callers ask for.

use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lightning_invoice::Bolt11Invoice;
use serde_json::Value;
use url::Url;

use super::PurseError;
use crate::core::money::Msat;
use crate::http::body::JsonObject;
use crate::lightning::invoice;
use crate::outbound::guard::Guard;

/// Headers of a request.
const MOST_HEADERS: usize = 64;

/// Bytes of all headers of a request.
const MOST_HEADER_BYTES: usize = 16 * 1_024;

/// Bytes of an invoice.
const LONGEST_INVOICE: usize = 8_192;

/// What only the client that is used may write.
static OURS: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A request to a service.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Where to, without a fragment.
    pub url: Url,
    /// How.
    pub method: Method,
    /// What goes with it.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Vec<u8>,
    /// The most that it may cost.
    pub max: Option<Msat>,
    /// Whether what an earlier request paid at this address is shown instead of paying anew.
    pub reuse: bool,
}

impl FetchRequest {
    /// Reads one.
    ///
    /// # Errors
    /// [`PurseError::Invalid`].
    pub fn read(body: &JsonObject, guard: &Guard) -> Result<Self, PurseError> {
        let text = body.get("url").and_then(Value::as_str);
        let text = text.ok_or_else(|| PurseError::invalid("INVALID_URL", "url must be a text"))?;
        let bad_url =
            |error: crate::outbound::guard::BadUrl| PurseError::invalid("INVALID_URL", error.to_string());
        let mut url = guard.check_url(text).map_err(bad_url)?;
        url.set_fragment(None);
        let method = match body.get("method") {
            None => Method::GET,
            Some(value) => value.as_str().and_then(method).ok_or_else(|| {
                PurseError::invalid(
                    "INVALID_METHOD",
                    "method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
                )
            })?,
        };
        let (bytes, is_json) = body_of(body)?;
        let mut headers = headers_of(body.get("headers"))?;
        if is_json {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let reuse = match body.get("reuseCredential") {
            None => true,
            Some(value) => value.as_bool().ok_or_else(|| {
                PurseError::invalid("INVALID_REUSE_CREDENTIAL", "reuseCredential must be true or false")
            })?,
        };
        Ok(Self { url, method, headers, body: bytes, max: sats(body, "maxSats")?, reuse })
    }

    /// By what its credential is found again.
    pub(super) fn resource(&self) -> (String, String) {
        (self.url.origin().ascii_serialization(), self.url.path().to_owned())
    }
}

/// An invoice to pay.
#[derive(Clone, Debug)]
pub struct PayRequest {
    /// The invoice.
    pub invoice: Bolt11Invoice,
    /// How much, where the invoice leaves it to us.
    pub amount: Option<Msat>,
}

impl PayRequest {
    /// Reads one.
    ///
    /// # Errors
    /// [`PurseError::Invalid`].
    pub fn read(body: &JsonObject) -> Result<Self, PurseError> {
        let text = body.get("invoice").and_then(Value::as_str).filter(|text| text.len() <= LONGEST_INVOICE);
        let invoice = text
            .and_then(|text| invoice::read(text).ok())
            .ok_or_else(|| PurseError::invalid("INVALID_INVOICE", "invoice must be a BOLT11 invoice"))?;
        Ok(Self { invoice, amount: sats(body, "amountSat")? })
    }
}

fn method(text: &str) -> Option<Method> {
    let all = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    all.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text))
}

fn sats(body: &JsonObject, name: &'static str) -> Result<Option<Msat>, PurseError> {
    let Some(value) = body.get(name) else { return Ok(None) };
    let amount = value.as_u64().filter(|sat| *sat > 0).and_then(Msat::from_sat);
    let bad =
        || PurseError::invalid("INVALID_AMOUNT", format!("{name} must be a whole number of sat, at least 1"));
    amount.map(Some).ok_or_else(bad)
}

/// The body's bytes, and whether they are JSON that was given as such.
fn body_of(body: &JsonObject) -> Result<(Vec<u8>, bool), PurseError> {
    let bad = |why: &str| PurseError::invalid("INVALID_BODY", why);
    let encoded = match body.get("bodyEncoding").map(Value::as_str) {
        None | Some(Some("utf8")) => false,
        Some(Some("base64")) => true,
        Some(_) => return Err(bad("bodyEncoding must be utf8 or base64")),
    };
    match body.get("body") {
        None => Ok((Vec::new(), false)),
        Some(Value::String(text)) if encoded => {
            let bytes = STANDARD.decode(text).map_err(|_| bad("body is not Base64"))?;
            Ok((bytes, false))
        }
        Some(Value::String(text)) => Ok((text.clone().into_bytes(), false)),
        Some(json @ (Value::Object(_) | Value::Array(_))) if !encoded => {
            Ok((serde_json::to_vec(json).unwrap_or_default(), true))
        }
        Some(_) => Err(bad("body must be a text, or JSON")),
    }
}

fn headers_of(given: Option<&Value>) -> Result<HeaderMap, PurseError> {
    let bad = |why: String| PurseError::invalid("INVALID_HEADERS", why);
    let mut headers = HeaderMap::new();
    let given = match given {
        None => return Ok(headers),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(bad("headers must be an object of texts".into())),
    };
    let bytes: usize =
        given.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if given.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return Err(bad(format!("at most {MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes in all")));
    }
    for (name, value) in given {
        let read = HeaderName::try_from(name.as_str()).ok();
        let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
        let (Some(name), Some(value)) = (read, value) else {
            return Err(bad("a header's name or value can't be used".into()));
        };
        if OURS.contains(&name) {
            return Err(bad(format!("the header {name} is not yours to set")));
        }
        headers.append(name, value);
    }
    Ok(headers)
}
