//! A tool's arguments as a request of the API.

use axum::http::Method;
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use super::tools::{Kind, Place, ToolSpec};

/// Characters of an id in a path, and of an idempotency key.
const LONGEST_ID: usize = 128;
const LONGEST_KEY: usize = 256;

/// A request of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON; `None` for a request without a body.
    pub body: Option<Value>,
    /// `Idempotency-Key`.
    pub once: Option<String>,
}

impl Call {
    /// Of a tool's arguments. The error is a text for whoever gave them.
    pub(super) fn of(tool: &ToolSpec, mut arguments: Map<String, Value>) -> Result<Self, String> {
        let mut path = tool.path.to_owned();
        let (mut body, mut query, mut once) = (Map::new(), Serializer::new(String::new()), None);
        for param in tool.params {
            let value = arguments.remove(param.name).filter(|value| !value.is_null());
            let Some(value) = value else {
                if param.required {
                    return Err(format!("{} is missing", param.name));
                }
                continue;
            };
            if !fits(&value, param.kind) {
                return Err(format!("{} must be {}", param.name, words(param.kind)));
            }
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match param.place {
                Place::Body => {
                    body.insert(param.name.into(), value);
                }
                Place::Query => {
                    query.append_pair(param.name, &text);
                }
                Place::Once
                    if (1..=LONGEST_KEY).contains(&text.len())
                        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) =>
                {
                    once = Some(text);
                }
                Place::Path if is_id(&text) => path = path.replace(&format!("{{{}}}", param.name), &text),
                Place::Once | Place::Path => return Err(format!("{} can't be that", param.name)),
            }
        }
        if let Some(unknown) = arguments.keys().next() {
            return Err(format!("there is no argument {unknown:?}"));
        }
        let query = query.finish();
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let method = Method::from_bytes(tool.method.as_bytes()).map_err(|error| error.to_string())?;
        let body = (method != Method::GET).then_some(Value::Object(body));
        Ok(Self { method, path, body, once })
    }
}

fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn fits(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Count => value.as_u64().is_some_and(|number| number > 0),
        Kind::Number => value.is_number(),
        Kind::Texts => value.as_object().is_some_and(|object| object.values().all(Value::is_string)),
        Kind::Yes => value.is_boolean(),
    }
}

const fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text",
        Kind::Count => "a whole number, at least 1",
        Kind::Number => "a number",
        Kind::Texts => "an object of texts",
        Kind::Yes => "true or false",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tools::ALL;
    use super::*;

    fn call(name: &str, arguments: &Value) -> Result<Call, String> {
        let tool = ALL.iter().find(|tool| tool.name == name).unwrap();
        Call::of(tool, arguments.as_object().unwrap().clone())
    }

    #[test]
    fn arguments_go_where_the_route_wants_them() {
        let fetch =
            call("fetch", &json!({ "url": "http://a", "maxSats": 5, "idempotencyKey": "k", "body": null }))
                .unwrap();
        assert_eq!((fetch.method.as_str(), fetch.path.as_str()), ("POST", "/v1/purse/fetch"));
        assert_eq!(
            (fetch.body, fetch.once.as_deref()),
            (Some(json!({ "url": "http://a", "maxSats": 5 })), Some("k"))
        );
        let page = call("purse_balance", &json!({ "limit": 2, "cursor": "a b" })).unwrap();
        assert_eq!((page.path.as_str(), page.body), ("/v1/purse?limit=2&cursor=a+b", None));
        assert_eq!(call("get_gift", &json!({ "orderId": "ab-1" })).unwrap().path, "/gift/ab-1");
    }

    #[test]
    fn wrong_arguments_are_told() {
        for (name, arguments, why) in [
            ("fetch", json!({}), "url is missing"),
            ("fetch", json!({ "url": 1 }), "url must be a text"),
            ("fetch", json!({ "url": "a", "maxSats": 0 }), "maxSats must be a whole number, at least 1"),
            ("fetch", json!({ "url": "a", "more": 1 }), "there is no argument \"more\""),
            ("fetch", json!({ "url": "a", "headers": { "a": 1 } }), "headers must be an object of texts"),
            ("fetch", json!({ "url": "a", "idempotencyKey": "a\nb" }), "idempotencyKey can't be that"),
            ("get_gift", json!({ "orderId": "../admin" }), "orderId can't be that"),
        ] {
            assert_eq!(call(name, &arguments), Err(why.to_owned()), "{arguments}");
        }
    }
}
