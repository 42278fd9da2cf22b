//! What the description of the routes says.

use std::sync::Arc;

use serde_json::Value;

use super::setup::World;
use crate::http::client::Proxies;
use crate::http::limits::{LimitSettings, Limits};
use crate::services::shop::api;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_says_what_it_answers() {
    let world = World::new().await;
    let settings = LimitSettings {
        enabled: false,
        window: std::time::Duration::from_secs(1),
        write: 0,
        read: 0,
        key_write: 0,
        key_read: 0,
    };
    let limits = Arc::new(Limits::new(settings));
    let (_, document) = api::router(world.shop.clone(), &limits, &Arc::new(Proxies::default()));
    let document = serde_json::to_value(document).unwrap();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, route) in item.as_object().unwrap() {
            let answers = route["responses"].as_object().unwrap();
            let at = format!("{method} {path}");
            assert!(answers.contains_key("429"), "{at}");
            assert_eq!(answers.contains_key("413"), method == "post", "{at}");
            // What the client knows has no body.
            for (status, answer) in answers.iter().filter(|(status, _)| *status != "304") {
                for (_, content) in answer["content"].as_object().unwrap() {
                    let schema = content["schema"]["$ref"].as_str();
                    let schema = schema.unwrap_or_else(|| panic!("{at} {status} has no schema"));
                    let pointer = schema.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some_and(Value::is_object), "{schema}");
                }
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}
