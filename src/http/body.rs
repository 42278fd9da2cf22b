//! Request bodies read as a JSON object, the way the APIs we speak expect it.
//!
//! JSON is parsed, whatever kind of JSON it is called, and with a byte order mark too; a form becomes an object of
//! strings; a plain text that begins with `{` is JSON that somebody did not name; anything else, and a body without a
//! content type, counts as an empty object. The size limit is the server's ([`axum::extract::DefaultBodyLimit`]).

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::respond;
use crate::core::decimal::{self, BadDecimal, Decimal};

/// What some programs begin a text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body that has been read: the object, and the bytes it came from (for `Idempotency-Key`).
///
/// As an extractor take `Result<JsonObject, BodyError>`, so that the family words the error.
#[derive(Clone, Debug, Default)]
pub struct JsonObject {
    /// The members, in no particular order; unknown ones are the family's to ignore.
    pub fields: Map<String, Value>,
    /// What was sent, byte for byte.
    pub raw: Bytes,
}

/// A rule of the API is broken; the answer is 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Which rule, for programs.
    pub code: &'static str,
    /// Which rule, for people. May quote what was given, but no secret.
    pub message: String,
}

impl Invalid {
    /// Of a code and a rule.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// An address to which a browser may be sent: of the web, and without anybody's name or password in it.
pub fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (web && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Why a body could not be read. The texts are safe to send back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It says it is JSON and isn't; where it stops making sense.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1; 0 if the body ended too soon.
        column: usize,
    },
    /// It is JSON, but not an object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// More bytes than the limit.
    #[error("the body is too large")]
    TooLarge,
    /// The client stopped sending in the middle.
    #[error("the body ended too soon")]
    Cut,
}

impl BodyError {
    /// 413 for a large body, 400 for the others.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed { .. } | Self::NotAnObject | Self::Cut => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        respond::json(self.status(), &serde_json::json!({ "error": self.to_string() }))
    }
}

impl JsonObject {
    /// Reads a complete body by its content type.
    ///
    /// # Errors
    /// [`BodyError::Malformed`] and [`BodyError::NotAnObject`], for `application/json` only.
    pub fn parse(headers: &HeaderMap, raw: Bytes) -> Result<Self, BodyError> {
        let text = raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&raw);
        let fields = match kind(headers, text) {
            Kind::Json if text.iter().all(u8::is_ascii_whitespace) => Map::new(),
            Kind::Json => match serde_json::from_slice(text) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(BodyError::NotAnObject),
                Err(error) => {
                    return Err(BodyError::Malformed { line: error.line(), column: error.column() });
                }
            },
            Kind::Form => url::form_urlencoded::parse(text)
                .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
                .collect(),
            Kind::Other => Map::new(),
        };
        Ok(Self { fields, raw })
    }

    /// A member, if it is there and not `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A member as an exact decimal, from a number or from a text that holds one; `None` if it is missing or `null`.
    /// What `fields` holds of a number has been a float, so this reads the bytes that came.
    ///
    /// # Errors
    /// What is wrong with the number.
    pub fn decimal(&self, name: &str) -> Result<Option<Decimal>, BadDecimal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Decimal::parse(text).map(Some),
            Some(Value::Number(_)) => {
                decimal::field(self.raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.raw), name)
            }
            Some(_) => Err(BadDecimal::NotANumber),
        }
    }

    /// The whole object as a type of the caller's.
    ///
    /// # Errors
    /// serde's, whose text names fields and may quote values: shape it before sending it back.
    pub fn read<T: DeserializeOwned>(self) -> serde_json::Result<T> {
        serde_json::from_value(Value::Object(self.fields))
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = BodyError;

    async fn from_request(request: Request, state: &S) -> Result<Self, BodyError> {
        let headers = request.headers().clone();
        let raw =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => BodyError::TooLarge,
                _ => BodyError::Cut,
            })?;
        Self::parse(&headers, raw)
    }
}

/// Middleware (`map_request`): the body is JSON, whatever a client says it is: many say what their tool says by itself.
pub async fn as_json(mut request: Request) -> Request {
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

enum Kind {
    Json,
    Form,
    Other,
}

fn kind(headers: &HeaderMap, body: &[u8]) -> Kind {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = named.split(';').next().unwrap_or("").trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let ends_in_json =
        essence.rsplit_once('+').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"));
    let unnamed_json = || is("text/plain") && body.trim_ascii_start().starts_with(b"{");
    if is("application/json") || is("text/json") || ends_in_json || unnamed_json() {
        Kind::Json
    } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Kind::Form
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::DefaultBodyLimit;
    use axum::routing::post;
    use serde_json::json;
    use tower::ServiceExt;

    fn parse(content_type: &'static str, body: &'static str) -> Result<Value, BodyError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        JsonObject::parse(&headers, Bytes::from_static(body.as_bytes()))
            .map(|object| Value::Object(object.fields))
    }

    #[test]
    fn json_and_forms_are_read_and_all_else_is_empty() {
        assert_eq!(parse("application/json", r#"{"amount":100}"#), Ok(json!({"amount": 100})));
        assert_eq!(parse("Application/JSON; charset=utf-8", r#"{"a":null}"#), Ok(json!({"a": null})));
        assert_eq!(parse("application/json", " "), Ok(json!({})));
        let form = parse("application/x-www-form-urlencoded", "amount=100&name=A+b%21");
        assert_eq!(form, Ok(json!({"amount": "100", "name": "A b!"})));
        for kind in ["application/problem+json", "text/json", "application/vnd.api+JSON; v=1", "text/plain"] {
            assert_eq!(parse(kind, r#" {"amount":100}"#), Ok(json!({"amount": 100})), "{kind}");
        }
        assert_eq!(parse("application/json", "\u{feff}{\"amount\":100}"), Ok(json!({"amount": 100})));
        assert_eq!(parse("application/json", "\u{feff}"), Ok(json!({})));
        assert_eq!(parse("text/plain", "amount 100"), Ok(json!({})));
        assert_eq!(parse("application/octet-stream", r#"{"amount":100}"#), Ok(json!({})));
        assert_eq!(
            JsonObject::parse(&HeaderMap::new(), Bytes::from_static(b"{")).unwrap().fields,
            Map::new()
        );
    }

    #[test]
    fn errors_tell_where_and_quote_nothing() {
        let malformed = parse("application/json", "{\"secret\": hunter2}").unwrap_err();
        assert_eq!(malformed, BodyError::Malformed { line: 1, column: 12 });
        assert!(!malformed.to_string().contains("hunter2"));
        assert!(matches!(parse("application/json", "{\"a\":"), Err(BodyError::Malformed { .. })));
        for body in ["[]", "1", "\"text\"", "null", "true"] {
            assert_eq!(parse("application/json", body), Err(BodyError::NotAnObject), "{body}");
        }
    }

    #[test]
    fn a_decimal_is_read_to_the_last_digit_however_it_is_sent() {
        let read = |content_type: &'static str, body: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
            JsonObject::parse(&headers, Bytes::from_static(body.as_bytes())).unwrap().decimal("amount")
        };
        let exact = Ok(Decimal::parse("9007199254740993.01").ok());
        assert_eq!(read("application/json", r#"{"amount":9007199254740993.01}"#), exact);
        assert_eq!(read("application/json", r#"{"amount":"9007199254740993.01"}"#), exact);
        assert_eq!(read("application/x-www-form-urlencoded", "amount=9007199254740993.01"), exact);
        assert_eq!(read("application/json", r#"{"amount":null}"#), Ok(None));
        assert_eq!(read("application/json", "\u{feff}{\"amount\":9007199254740993.01}"), exact);
        assert_eq!(read("text/html", r#"{"amount":1}"#), Ok(None));
        assert_eq!(read("application/json", r#"{"amount":-0.5}"#), Err(BadDecimal::Negative));
        assert_eq!(read("application/json", r#"{"amount":[1]}"#), Err(BadDecimal::NotANumber));
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let deep = Bytes::from("[".repeat(60_000));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        assert!(matches!(JsonObject::parse(&headers, deep), Err(BodyError::Malformed { .. })));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_however_it_is_sent() {
        async fn handler(body: Result<JsonObject, BodyError>) -> Response {
            match body {
                Ok(object) => respond::json(StatusCode::OK, &object.fields),
                Err(error) => error.into_response(),
            }
        }
        let app = axum::Router::new().route("/", post(handler)).layer(DefaultBodyLimit::max(64));
        for chunked in [false, true] {
            let body = "x".repeat(65);
            let body = if chunked {
                Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(body)]))
            } else {
                Body::from(body)
            };
            let request = Request::post("/").header(CONTENT_TYPE, "application/json").body(body).unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
}
