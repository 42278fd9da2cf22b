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

    #[track_caller]
    pub(super) fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.text);
        self.json()
    }

    /// The answer is this error, in the family's one shape.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, code: &str, path: &str) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        let path = path.split('?').next().unwrap();
        for (name, expected) in [
            ("status", Value::from(status)),
            ("instance", path.into()),
            ("error", body["title"].clone()),
            ("message", body["detail"].clone()),
            ("type", format!("https://lightningenable.com/problems/{}", code.to_ascii_lowercase()).into()),
        ] {
            assert_eq!(body[name], expected, "{name}: {}", self.text);
        }
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        let mut names = vec!["type", "title", "status", "detail", "instance", "error", "message", "code"];
        if code == "ORDER_PAID" {
            names.push("invoiceId");
        }
        if status == 429 {
            names.push("details");
        }
        assert_eq!(keys(&self.text), names);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401);
        assert_eq!(self.headers.contains_key("retry-after"), matches!(status, 429 | 503));
    }
}

/// The keys of the outermost object as they stand in the text.
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
