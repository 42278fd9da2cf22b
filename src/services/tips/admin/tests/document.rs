//! What the published description says of the family's routes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::test_app::TestApp;

/// Every route of the family, as its callers know it.
const ROUTES: &str = "
    GET /api/anonymous/tips
    POST /api/auth/2fa/send
    POST /api/auth/2fa/verify
    GET /api/auth/lnurl/do-login
    GET /api/auth/lnurl/generate-secret
    POST /api/auth/lnurl/session
    GET /api/auth/lnurl/status
    POST /api/auth/guest
    POST /api/auth/logout
    GET /api/auth/session
    POST /api/invoices
    GET /api/reminders
    POST /api/reminders
    GET /api/tipGroups/{id}
    DELETE /api/tipGroups/{id}
    POST /api/tipGroups/{id}/reclaim
    GET /api/tipGroups/{id}/static
    PUT /api/tipGroups/{id}/tips
    GET /api/tippee/tips
    GET /api/tippee/tips/{id}
    POST /api/tippee/tips/{id}/claim
    GET /api/tippee/tips/{id}/live
    POST /api/tippee/tips/{id}/markSeen
    GET /api/tipper/tips
    POST /api/tipper/tips
    DELETE /api/tipper/tips/{id}
    GET /api/tipper/tips/{id}
    PUT /api/tipper/tips/{id}
    POST /api/tipper/tips/{id}/generatePassphrase
    POST /api/tipper/tips/{id}/markCopied
    POST /api/tipper/tips/{id}/reclaim
    GET /api/tipper/webhookSecret
    GET /api/users
    GET /api/users/{id}
    PUT /api/users/{id}
    POST /api/users/{id}/refundToLightningAddress
    POST /api/withdrawalLinks
    GET /api/withdrawalLinks/{id}
    GET /api/withdrawalLinks/{id}/pay";

/// Wallets read nothing but the body of a 200.
const OF_WALLETS: [&str; 3] =
    ["/api/auth/lnurl/do-login", "/api/withdrawalLinks/{id}", "/api/withdrawalLinks/{id}/pay"];

fn statuses(operation: &Value) -> BTreeSet<&str> {
    operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_every_route_and_how_it_can_fail() {
    let document = serde_json::to_value(&TestApp::new().document).unwrap();
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.insert(format!("{} {path}", method.to_uppercase()));
            let said = statuses(operation);
            let here = format!("{method} {path}: {said:?}");
            if OF_WALLETS.contains(&path.as_str()) {
                assert_eq!(said, BTreeSet::from(["200"]), "{here}");
                continue;
            }
            for status in ["429", "500", "503"] {
                assert!(said.contains(status), "{here}");
            }
            assert!(said.iter().any(|status| status.starts_with('2')), "{here}");
            // Whoever can be told by their key can be told that it is wrong.
            assert!(path.starts_with("/api/auth/") || said.contains("401"), "{here}");
            if path.contains('{') {
                // Of users only oneself can be changed, so nobody else needs to be there.
                assert!(said.contains("404") || (method == "put" && said.contains("403")), "{here}");
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(parameters.iter().any(|one| one["name"] == "id" && one["in"] == "path"), "{here}");
            }
        }
    }
    let expected: BTreeSet<_> =
        ROUTES.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_the_familys_body_and_every_schema_is_there() {
    let document = serde_json::to_value(&TestApp::new().document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.starts_with('2') {
                    continue;
                }
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/TipErrorView", "{method} {path} {status}");
            }
        }
    }
    let create = &paths["/api/tipper/tips"]["post"];
    let named = |one: &Value| one["name"] == "Idempotency-Key" && one["in"] == "header";
    assert!(create["parameters"].as_array().unwrap().iter().any(named));
    // What is referred to is there.
    for name in document.to_string().split("#/components/schemas/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}
