//! An answer, and what must hold of every error.

use axum::http::HeaderMap;
use serde_json::Value;

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// Done, and nothing is said.
    #[track_caller]
    pub(super) fn done(&self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""));
    }

    /// The answer is this error, in the family's shape: two keys, a text for people, open to any page.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert!(body["errorMessage"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        assert_eq!(keys(&self.text), ["errorMessage", "code"]);
        assert!(self.headers["content-type"].to_str().unwrap().starts_with("application/json"));
        assert_eq!(self.headers["access-control-allow-origin"], "*");
    }

    /// What a wallet reads as a refusal.
    #[track_caller]
    pub(super) fn is_lnurl_error(&self, part: &str) {
        let body = self.json();
        assert_eq!((self.status, body["status"].as_str()), (200, Some("ERROR")), "{}", self.text);
        assert!(body["reason"].as_str().is_some_and(|reason| reason.contains(part)), "{}", self.text);
    }
}

/// The keys of the outermost objects as they stand in the text.
pub(super) fn keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut depth, mut in_text, mut escaped, mut start) = (0_i32, false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' if in_text => {
                in_text = false;
                if depth == 1 && text[at + 1..].trim_start().starts_with(':') {
                    keys.push(text[start..at].to_owned());
                }
            }
            b'"' => (in_text, start) = (true, at + 1),
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    keys
}
