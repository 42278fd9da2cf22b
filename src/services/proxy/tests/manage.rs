//! What owners do, in the contract's shapes.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::TestApp;
use crate::http::keys::Scope;
use crate::http::limits::LimitSettings;
use crate::services::proxy::store;

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_made_changed_shown_and_taken_away() {
    let app = TestApp::new().await;
    let made = app
        .post(
            "/api/proxy",
            &json!({ "name": "Premium Weather API", "targetBaseUrl": "https://Weather.example/v1/" }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let id = made["proxyId"].as_str().unwrap().to_owned();
    assert!(id.starts_with("premium-weather-api-"), "{id}");
    assert_eq!(
        made,
        json!({
            "id": 1,
            "proxyId": id,
            "name": "Premium Weather API",
            "description": null,
            "targetBaseUrl": "https://weather.example/v1",
            "defaultPriceSats": 10,
            "isActive": true,
            "proxyUrl": format!("/l402/proxy/{id}"),
            "createdAt": "2027-01-15T08:00:00.000Z",
        })
    );
    let path = format!("/api/proxy/{id}");
    let request = axum::http::Request::put(&path).header("x-api-key", &app.owner);
    let request = request.header("content-type", "text/plain").body(r#"{"name":"Other"}"#.into());
    assert_eq!(app.send(request.unwrap()).await.ok()["name"], "Other", "JSON, whatever it is called");
    let changed = app.put(&path, &json!({ "name": "Weather" })).await.ok();
    assert_eq!((&changed["name"], &changed["targetBaseUrl"]), (&json!("Weather"), &made["targetBaseUrl"]));
    let shown = app.get(&path).await.ok();
    assert_eq!(
        (&shown["name"], &shown["timeout"], &shown["retired"]),
        (&json!("Weather"), &json!(30), &json!(false))
    );
    assert_eq!(shown["endpoints"], json!([]));
    let list = app.get("/api/proxy").await.ok();
    assert_eq!((&list["total"], &list["items"][0]["proxyId"]), (&json!(1), &json!(id)));
    let gone = app.manage(Method::DELETE, &app.owner, &path, None).await.ok();
    assert_eq!(gone, json!({ "proxyId": id, "deleted": true }));
    assert_eq!(app.get(&path).await.error(), "proxy_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_retired_is_so_for_good() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let path = format!("/api/proxy/{id}/unpublish");
    let first = app.post(&path, &json!({ "reason": "moved" })).await.ok();
    assert_eq!(first, json!({ "proxyId": id, "retired": true, "alreadyRetired": false }));
    let second = app.manage(Method::POST, &app.owner, &path, None).await.ok();
    assert_eq!(second, json!({ "proxyId": id, "retired": true, "alreadyRetired": true }));
    for path in ["/x", "/.well-known/l402-manifest.json", "/openapi.json"] {
        let gone = app.show(Method::GET, &format!("/l402/proxy/{id}{path}"), "").await;
        assert_eq!((gone.status, gone.error().as_str()), (404, "proxy_not_found"), "{path}");
    }
    let shown = app.put(&format!("/api/proxy/{id}"), &json!({ "isActive": true })).await.ok();
    assert_eq!((&shown["isActive"], &shown["retiredReason"]), (&json!(false), &json!("moved")));
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_have_names_of_their_own() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let path = format!("/api/proxy/{id}/manifest/endpoints");
    let body = json!({ "endpointId": "x", "path": "/premium/*", "httpMethod": "get", "basePriceSats": 100, "summary": "S" });
    let made = app.post(&path, &body).await;
    assert_eq!(made.status, 201);
    assert_eq!(
        made.json(),
        json!({
            "id": 1, "endpointId": "x", "path": "/premium/*", "httpMethod": "GET", "summary": "S",
            "basePriceSats": 100, "isActive": true,
        })
    );
    let again = app.post(&path, &body).await;
    assert_eq!((again.status, again.error().as_str()), (400, "endpoint_exists"));
    assert_eq!(again.json()["message"], "Endpoint with ID 'x' already exists");
    assert_eq!(app.get(&format!("/api/proxy/{id}")).await.ok()["endpoints"], json!([made.json()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_endpoints_are_for_the_same_requests() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let path = format!("/api/proxy/{id}/manifest/endpoints");
    let body = |name: &str, path: &str, method: &str| json!({ "endpointId": name, "path": path, "httpMethod": method, "basePriceSats": 5 });
    assert_eq!(app.post(&path, &body("x", "premium/**", "GET")).await.status, 201);
    for spelled in ["/premium/**", "/Premium/**/", "premium/%2a%2a"] {
        let again = app.post(&path, &body("y", spelled, "GET")).await;
        assert_eq!((again.status, again.error().as_str()), (400, "endpoint_exists"), "{spelled}");
        let told = "Endpoint with ID 'x' has the same method and path (GET /premium/**)";
        assert_eq!(again.json()["message"], told);
    }
    for (name, path_of, method) in
        [("y", "/premium/**", "POST"), ("z", "/premium/*", "GET"), ("a", "/premium/**", "*")]
    {
        assert_eq!(app.post(&path, &body(name, path_of, method)).await.status, 201, "{name}");
    }
    let clash = app.put(&format!("{path}/y"), &json!({ "httpMethod": "GET" })).await;
    assert_eq!((clash.status, clash.error().as_str()), (400, "endpoint_exists"));
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_changed_and_taken_away() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "defaultPriceSats": 3 })).await;
    let path = format!("/api/proxy/{id}/manifest/endpoints");
    let body = json!({ "endpointId": "GET /x", "path": "/x", "basePriceSats": 100, "summary": "S" });
    assert_eq!(app.post(&path, &body).await.status, 201);
    let one = format!("{path}/GET%20%2Fx");
    let price = async || {
        let asked = app.show(Method::GET, &format!("/l402/proxy/{id}/x"), "").await;
        asked.json()["l402"]["amount_sats"].as_u64().unwrap()
    };
    assert_eq!(price().await, 100);
    let changed = app.put(&one, &json!({ "endpointId": "GET /x", "basePriceSats": 7 })).await.ok();
    assert_eq!(
        changed,
        json!({
            "id": 1, "endpointId": "GET /x", "path": "/x", "httpMethod": "GET", "summary": "S",
            "basePriceSats": 7, "isActive": true,
        })
    );
    assert_eq!(price().await, 7, "at once");
    app.put(&one, &json!({ "isActive": false, "summary": null })).await.ok();
    assert_eq!(price().await, 3);
    app.put(&one, &json!({ "isActive": true })).await.ok();
    for (body, code) in [
        (json!({ "endpointId": "other" }), "invalid_field"),
        (json!({ "basePriceSats": -1 }), "invalid_field"),
        (json!({ "path": "/../x" }), "invalid_pattern"),
        (json!({ "httpMethod": "BREW" }), "invalid_method"),
    ] {
        assert_eq!(app.put(&one, &body).await.error(), code, "{body}");
    }
    for (key, name, code) in [
        (&app.owner, "nothing", "endpoint_not_found"),
        (&app.owner, "%ff", "endpoint_not_found"),
        (&app.rival, "GET%20%2Fx", "proxy_not_found"),
    ] {
        for method in [Method::PUT, Method::DELETE] {
            let body = json!({});
            let answer = app.manage(method, key, &format!("{path}/{name}"), Some(&body)).await;
            assert_eq!((answer.status, answer.error().as_str()), (404, code), "{name}");
        }
    }
    assert_eq!(price().await, 7);
    let gone = app.manage(Method::DELETE, &app.owner, &one, None).await.ok();
    assert_eq!(gone, json!({ "proxyId": id, "endpointId": "GET /x", "deleted": true }));
    assert_eq!(price().await, 3);
    assert_eq!(app.manage(Method::DELETE, &app.owner, &one, None).await.error(), "endpoint_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_settings_are_echoed_with_the_manifest_s_address() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let body = json!({
        "manifestEnabled": true, "manifestPubliclyListed": true, "serviceDescription": "All of it",
        "categories": ["data", "weather"],
    });
    let settings = app.put(&format!("/api/proxy/{id}/manifest/settings"), &body).await.ok();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&settings[name], value, "{name}");
    }
    let url = format!("/l402/proxy/{id}/.well-known/l402-manifest.json");
    assert_eq!(settings["manifestUrl"], url, "clients put their base in front of it");
    let listed = app.get("/api/manifests/registry").await.ok();
    assert_eq!(listed["items"][0]["manifestUrl"], format!("https://pay.example{url}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_its_own_only_and_needs_the_right_key() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let path = format!("/api/proxy/{id}");
    let ways = [
        (Method::GET, path.clone()),
        (Method::PUT, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/unpublish")),
        (Method::PUT, format!("{path}/manifest/settings")),
        (Method::POST, format!("{path}/manifest/endpoints")),
        (Method::PUT, format!("{path}/manifest/endpoints/x")),
        (Method::DELETE, format!("{path}/manifest/endpoints/x")),
    ];
    let endpoint = json!({ "endpointId": "x", "path": "/x", "basePriceSats": 0 });
    assert_eq!(app.post(&format!("{path}/manifest/endpoints"), &endpoint).await.status, 201);
    for (method, path) in ways {
        let body = if method == Method::POST { endpoint.clone() } else { json!({}) };
        let asked = app.manage(method, &app.rival, &path, Some(&body)).await;
        assert_eq!((asked.status, asked.error().as_str()), (404, "proxy_not_found"), "{path}");
    }
    let list = app.manage(Method::GET, &app.rival, "/api/proxy", None).await.ok();
    assert_eq!((&list["total"], &list["items"]), (&json!(0), &json!([])));
    let none = app.manage(Method::GET, "", "/api/proxy", None).await;
    assert_eq!((none.status, none.error().as_str()), (401, "missing_api_key"));
    let wrong = app.manage(Method::GET, &app.key(Scope::Gifts).await, "/api/proxy", None).await;
    assert_eq!(wrong.status, 403);
    let shown = app.get(&path).await.ok();
    assert_eq!((&shown["name"], &shown["retired"]), (&json!("Test Service"), &json!(false)));
    assert_eq!(shown["endpoints"][0]["endpointId"], "x", "and nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_header_is_in_no_answer() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "authHeader": "X-Upstream-Key", "authValue": "hunter2" })).await;
    app.put(&format!("/api/proxy/{id}/manifest/settings"), &json!({ "manifestPubliclyListed": true }))
        .await
        .ok();
    for path in [
        "/api/proxy".to_owned(),
        format!("/api/proxy/{id}"),
        format!("/l402/proxy/{id}/.well-known/l402-manifest.json"),
        format!("/l402/proxy/{id}/openapi.json"),
        "/api/manifests/registry".to_owned(),
    ] {
        let answer = app.get(&path).await;
        assert!(!answer.ok().to_string().contains("hunter2"), "{path}");
    }
    let shown = app.get(&format!("/api/proxy/{id}")).await.ok();
    assert_eq!((&shown["authHeader"], &shown["hasAuthValue"]), (&json!("X-Upstream-Key"), &json!(true)));
    let shown = app.put(&format!("/api/proxy/{id}"), &json!({ "authValue": null })).await.ok();
    assert_eq!((&shown["authHeader"], &shown["hasAuthValue"]), (&Value::Null, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_never_sent_under_another_name_than_its_owner_gave_it() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "authHeader": "X-Upstream-Key", "authValue": "hunter2" })).await;
    let path = format!("/api/proxy/{id}");
    let full = json!({ "authHeader": "X-Upstream-Key", "authValue": "hunter2" });
    for (change, header) in [
        (json!({ "authHeader": null }), Value::Null),
        (json!({ "authHeader": "" }), Value::Null),
        (json!({ "authValue": null }), Value::Null),
        (json!({ "authValue": "" }), Value::Null),
        (json!({ "authHeader": null, "authValue": null }), Value::Null),
        (json!({ "name": "Other" }), json!("X-Upstream-Key")),
        (json!({ "authHeader": "X-New" }), json!("X-New")),
        (json!({ "authValue": "new" }), json!("X-Upstream-Key")),
        (json!({ "authHeader": null, "authValue": "new" }), json!("Authorization")),
    ] {
        app.put(&path, &full).await.ok();
        let shown = app.put(&path, &change).await.ok();
        assert_eq!(
            (&shown["authHeader"], &shown["hasAuthValue"]),
            (&header, &json!(!header.is_null())),
            "{change}"
        );
    }
    app.put(&path, &json!({ "authValue": null })).await.ok();
    for change in [json!({ "authHeader": "X-New" }), json!({ "authHeader": "X-New", "authValue": "" })] {
        assert_eq!(app.put(&path, &change).await.error(), "invalid_auth");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_that_leads_inside_is_taken_like_any_other() {
    let mut app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    app.router = app.stricter();
    let inside = json!({ "name": "x", "targetBaseUrl": "https://inside.example/v1" });
    app.sell(&inside).await;
    app.put(&format!("/api/proxy/{id}"), &inside).await.ok();
    app.sell(&json!({ "targetBaseUrl": "https://soon.example" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_broken_are_told() {
    let app = TestApp::new().await;
    let target = "https://a.example";
    for (body, code) in [
        (json!({ "targetBaseUrl": target }), "missing_name"),
        (json!({ "name": " ", "targetBaseUrl": target }), "missing_name"),
        (json!({ "name": "x" }), "missing_target"),
        (json!({ "name": "x", "targetBaseUrl": "http://10.0.0.1" }), "invalid_target"),
        (json!({ "name": "x", "targetBaseUrl": "https://a.example:8443" }), "invalid_target"),
        (json!({ "name": "x", "targetBaseUrl": "http://localhost" }), "invalid_target"),
        (json!({ "name": "x", "targetBaseUrl": "http://metadata.internal" }), "invalid_target"),
        (json!({ "name": 1, "targetBaseUrl": target }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "defaultPriceSats": 0 }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "defaultPriceSats": 1.5 }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "timeout": 0 }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "timeout": 61 }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "timeoutSeconds": 61 }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "tokenValiditySeconds": 59 }), "invalid_field"),
        (json!({ "name": "x", "targetBaseUrl": target, "allowedMethods": ["BREW"] }), "invalid_method"),
        (json!({ "name": "x", "targetBaseUrl": target, "blockedPaths": ["/../x"] }), "invalid_pattern"),
        (json!({ "name": "x", "targetBaseUrl": target, "authHeader": "X-Key" }), "invalid_auth"),
        (
            json!({ "name": "x", "targetBaseUrl": target, "authHeader": "Host", "authValue": "x" }),
            "invalid_auth",
        ),
        (
            json!({ "name": "x", "targetBaseUrl": target, "authHeader": "a b", "authValue": "x" }),
            "invalid_auth",
        ),
        (json!({ "name": "x", "targetBaseUrl": target, "authValue": "a\r\nb: c" }), "invalid_field"),
    ] {
        let answer = app.post("/api/proxy", &body).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, code), "{body}");
    }
    assert_eq!(app.get("/api/proxy?page=0").await.error(), "invalid_page");
    let ids =
        [app.sell(&json!({})).await, app.sell(&json!({ "targetBaseUrl": "https://soon.example" })).await];
    for (body, code) in [
        (json!({ "targetBaseUrl": null }), "missing_target"),
        (json!({ "targetBaseUrl": "" }), "missing_target"),
        (json!({ "name": "" }), "missing_name"),
        (json!({ "name": " " }), "missing_name"),
        (json!({ "name": null }), "missing_name"),
        (json!({ "name": "a\nb" }), "invalid_field"),
        (json!({ "name": "a\u{7f}b" }), "invalid_field"),
        (json!({ "description": "a\u{0}b" }), "invalid_field"),
    ] {
        let answer = app.put(&format!("/api/proxy/{}", ids[0]), &body).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, code), "{body}");
    }
    let lines = json!({ "description": " One\r\n\ttwo\n" });
    let shown = app.put(&format!("/api/proxy/{}", ids[0]), &lines).await.ok();
    assert_eq!((&shown["description"], &shown["name"]), (&json!("One two"), &json!("Test Service")));
    for _ in 2..5 {
        app.sell(&json!({})).await;
    }
    let one_more = app.post("/api/proxy", &json!({ "name": "x", "targetBaseUrl": target })).await;
    assert_eq!(one_more.error(), "too_many_proxies");
    // One that is retired takes nobody's place.
    app.post(&format!("/api/proxy/{}/unpublish", ids[0]), &json!({})).await.ok();
    app.sell(&json!({})).await;
    let one_more = app.post("/api/proxy", &json!({ "name": "x", "targetBaseUrl": target })).await;
    assert_eq!(one_more.error(), "too_many_proxies");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_limited_like_who_has_none() {
    let mut app = TestApp::new().await;
    let window = Duration::from_secs(60);
    let limits = LimitSettings { enabled: true, window, write: 1, read: 1, key_write: 9, key_read: 9 };
    app.router = app.limited(limits);
    let ask = async |method: Method, key: &str| app.manage(method, key, "/api/proxy", None).await.error();
    for method in [Method::GET, Method::POST] {
        assert_eq!(ask(method.clone(), "satchel_00").await, "invalid_api_key");
        assert_eq!(ask(method, "satchel_01").await, "rate_limit_exceeded");
    }
    app.get("/api/proxy").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_no_other_server_than_the_one_it_was_given_for() {
    let app = TestApp::new().await;
    let path =
        format!("/api/proxy/{}", app.sell(&json!({ "authHeader": "X-Key", "authValue": "hunter2" })).await);
    let (there, elsewhere) = (format!("{}/v2", app.target()), "https://other.example");
    app.put(&path, &json!({ "targetBaseUrl": there })).await.ok();
    let refused = app.put(&path, &json!({ "targetBaseUrl": elsewhere })).await;
    assert_eq!((refused.status, refused.error().as_str()), (400, "auth_value_required"));
    app.put(&path, &json!({ "targetBaseUrl": elsewhere, "authValue": "new" })).await.ok();
    let moved = app.put(&path, &json!({ "targetBaseUrl": there, "authHeader": null })).await.ok();
    assert_eq!(moved["hasAuthValue"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_deleted_proxy_is_nobody_s() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    app.manage(Method::DELETE, &app.owner, &format!("/api/proxy/{id}"), None).await.ok();
    let free = app.store.read(move |connection| store::is_free(connection, &id)).await.unwrap();
    assert!(!free);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_free_while_they_are_shown_and_the_registry_has_what_is_listed() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "name": "Weather" })).await;
    let manifest = format!("/l402/proxy/{id}/.well-known/l402-manifest.json");
    let free = async |path: &str| app.manage(Method::GET, "", path, None).await;
    assert_eq!(free(&manifest).await.ok()["service"]["name"], "Weather");
    assert_eq!(free(&format!("/l402/proxy/{id}/openapi.json")).await.ok()["openapi"], "3.1.0");
    assert_eq!(free("/api/manifests/registry?q=weather").await.ok()["total"], 0, "nobody listed it");
    let settings = format!("/api/proxy/{id}/manifest/settings");
    app.put(&settings, &json!({ "manifestPubliclyListed": true, "categories": ["Data"] })).await.ok();
    for query in ["", "?q=weather", "?category=data", "?q=WEATHER&category=Data&page=1&pageSize=5"] {
        let found = free(&format!("/api/manifests/registry{query}")).await.ok();
        assert_eq!(found["items"][0]["name"], "Weather", "{query}");
        assert_eq!(found["total"], 1);
    }
    app.put(&settings, &json!({ "manifestEnabled": false })).await.ok();
    assert_eq!(free(&manifest).await.status, 402, "the path is the service's now");
    assert_eq!(app.buy(Method::GET, &manifest).await.text, "GET /.well-known/l402-manifest.json");
    assert_eq!(free("/api/manifests/registry").await.ok()["total"], 0);
    assert_eq!(free("/l402/proxy/none-1/openapi.json").await.error(), "proxy_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_has_pages() {
    let app = TestApp::new().await;
    for number in 0..5 {
        let id = app.sell(&json!({ "name": format!("Weather {number}") })).await;
        let listed = json!({ "manifestPubliclyListed": number != 1 });
        app.put(&format!("/api/proxy/{id}/manifest/settings"), &listed).await.ok();
    }
    let page = async |query: &str| {
        let found = app.manage(Method::GET, "", &format!("/api/manifests/registry{query}"), None).await.ok();
        let names = found["items"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|item| item["name"].as_str().unwrap()[8..].to_owned()).collect();
        (
            names.join(" "),
            [&found["total"], &found["page"], &found["pageSize"]].map(|number| number.as_u64().unwrap()),
        )
    };
    assert_eq!(page("").await, ("4 3 2 0".into(), [4, 1, 20]));
    assert_eq!(page("?pageSize=3").await, ("4 3 2".into(), [4, 1, 3]));
    assert_eq!(page("?pageSize=3&page=2").await, ("0".into(), [4, 2, 3]));
    assert_eq!(page("?pageSize=3&page=3&q=weather").await, (String::new(), [4, 3, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_json_can_be_validated() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let own = app.get(&format!("/l402/proxy/{id}/.well-known/l402-manifest.json")).await.json();
    let check =
        async |body: &Value| app.manage(Method::POST, "", "/api/manifests/validate", Some(body)).await.ok();
    assert_eq!(check(&own).await, json!({ "valid": true, "errors": [] }));
    let wrong = check(&json!([1])).await;
    assert_eq!(wrong, json!({ "valid": false, "errors": ["the manifest must be a JSON object"] }));
    let request = axum::http::Request::post("/api/manifests/validate").body("{".into()).unwrap();
    assert_eq!(app.send(request).await.ok()["valid"], false);
}
