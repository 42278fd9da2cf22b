//! What the published description says of the routes.

use serde_json::{Value, json};

use super::test_app::TestApp;

fn statuses(operation: &Value) -> Vec<&str> {
    operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_tells_how_each_route_can_fail() {
    let document = serde_json::to_value(&TestApp::new().document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 12);
    for path in ["/create", "/redeem/{orderId}", "/gift/{orderId}/refund"] {
        let operation = &paths[path]["post"];
        let said = statuses(operation);
        for status in ["200", "400", "413", "422", "429", "500", "503"] {
            assert!(said.contains(&status), "{path} {status}: {said:?}");
        }
        let named = |one: &Value| one["name"] == "Idempotency-Key" && one["in"] == "header";
        assert!(operation["parameters"].as_array().unwrap().iter().any(named), "{path}");
    }
    for path in [
        "/status/{id}",
        "/gift/{orderId}",
        "/live/gift/{orderId}",
        "/view/{orderId}",
        "/gift/{orderId}/manage",
        "/redeemStatus/{withdrawalId}",
    ] {
        let said = statuses(&paths[path]["get"]);
        assert!(["404", "429", "500", "503"].iter().all(|status| said.contains(status)), "{path}: {said:?}");
    }
    // Whatever happens to a wallet, it happens with 200.
    for (path, answer) in [("/lnurl", "PayAnswer"), ("/lnurl/{orderId}", "WithdrawAnswer")] {
        assert_eq!(statuses(&paths[path]["get"]), ["200"]);
        let schema = &paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(*schema, json!({"$ref": format!("#/components/schemas/{answer}")}));
        let variants = document["components"]["schemas"][answer]["oneOf"].to_string();
        assert!(variants.contains("#/components/schemas/Outcome"), "{variants}");
    }
    let text = document.to_string();
    assert!(paths["/status/{id}"].to_string().contains("`processing` is reserved"));
    // What is referred to is there.
    for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}
