//! The whole router, on a node that is built and never started.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bitcoin::Network;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::*;
use crate::admin::StoreAdmin;
use crate::config::Config;
use crate::config::data_dir;

/// The 41 operations of the document on the original service's API, with values for the parameters of their paths.
/// `PROXY` stands for a proxy that is there.
const OPERATIONS: [(&str, &str); 41] = [
    ("POST", "/api/agents/register"),
    ("GET", "/api/agents/challenge"),
    ("POST", "/api/agents/verify"),
    ("GET", "/api/agents"),
    ("GET", "/api/agents/1b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f"),
    ("GET", "/api/agents/capabilities"),
    ("GET", "/api/agents/1b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f/stats"),
    ("GET", "/api/checkout/products"),
    ("GET", "/api/checkout/products/product"),
    ("GET", "/checkout/inv_0123456789abcdef01234567/status"),
    ("GET", "/api/l402/demo"),
    ("GET", "/api/l402/premium-data"),
    ("GET", "/api/l402/pricing"),
    ("GET", "/api/l402/status"),
    ("POST", "/api/l402/challenges"),
    ("POST", "/api/l402/challenges/verify"),
    ("GET", "/api/l402/content"),
    ("GET", "/api/l402/content/halvings"),
    ("GET", "/api/l402/content/bundle"),
    ("GET", "/l402/proxy/PROXY/.well-known/l402-manifest.json"),
    ("GET", "/l402/proxy/PROXY/path"),
    ("POST", "/l402/proxy/PROXY/path"),
    ("PUT", "/l402/proxy/PROXY/path"),
    ("PATCH", "/l402/proxy/PROXY/path"),
    ("DELETE", "/l402/proxy/PROXY/path"),
    ("HEAD", "/l402/proxy/PROXY/path"),
    ("OPTIONS", "/l402/proxy/PROXY/path"),
    ("GET", "/l402/test/ping"),
    ("GET", "/openapi.json"),
    ("GET", "/privacy"),
    ("GET", "/terms"),
    ("GET", "/api/manifests/registry"),
    ("POST", "/api/manifests/validate"),
    ("GET", "/api/mcp/version-check"),
    ("GET", "/api/shopify/slug/catalog"),
    ("POST", "/api/shopify/slug/checkout"),
    ("POST", "/api/shopify/slug/claim"),
    ("GET", "/api/shopify/slug/orders/shpfy_1"),
    ("GET", "/api/stats/downloads"),
    ("GET", "/api/stats/shopify"),
    ("GET", "/api/stats/l402"),
];

struct Site {
    app: Arc<App>,
    router: Router,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_owned();
        let words = data_dir::new_words().unwrap();
        std::fs::write(crate::config::seed_path(&data_dir), words.expose()).unwrap();
        let mut config = Config { network: Network::Regtest, data_dir, ..Config::default() };
        config.http.public_url = "https://pay.example".into();
        config.http.rate_limits = false;
        config.chain.esplora_url = "http://127.0.0.1:1".into();
        config.l402.proxy.allow_hosts = vec!["localhost:8080".into()];
        config.legal.contact = "ada@example.com".into();
        let (config, handle) = (Arc::new(config), Handle::current());
        let app = tokio::task::spawn_blocking(move || App::build(config, handle)).await.unwrap().unwrap();
        let app = Arc::new(app);
        let router = router(&app).unwrap();
        Self { app, router, _folder: folder }
    }

    async fn ask(&self, method: &str, key: &str, path: &str, body: &Value) -> (u16, String) {
        text(self.send(method, key, path, body).await).await
    }

    async fn send(&self, method: &str, key: &str, path: &str, body: &Value) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    async fn get(&self, key: &str, path: &str) -> Value {
        let (status, text) = self.ask("GET", key, path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn key(&self, scopes: &[Scope]) -> String {
        self.app.keys.create("test", scopes, Some("shop")).await.unwrap().1.expose().to_owned()
    }
}

async fn text(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// Whether an answer is what the router says where nothing is.
async fn is_lost(method: &str, path: &str, answer: &(u16, String)) -> bool {
    for status in [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED] {
        let mut lost = text(failure(path, status)).await;
        if method == "HEAD" {
            lost.1.clear();
        }
        if *answer == lost {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_document_is_routed() {
    let site = Site::build().await;
    let key = site.key(&[Scope::L402, Scope::Payments]).await;
    let proxy = json!({ "name": "Weather", "targetBaseUrl": "http://localhost:8080" });
    let (status, made) = site.ask("POST", &key, "/api/proxy", &proxy).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let proxy = made["proxyId"].as_str().unwrap();
    for (method, path) in OPERATIONS {
        let path = path.replace("PROXY", proxy);
        for key in ["", key.as_str()] {
            let answer = site.ask(method, key, &path, &Value::Null).await;
            let lost = is_lost(method, &path, &answer).await;
            assert!(!lost, "{method} {path} is not routed: {answer:?}");
            assert_ne!(answer.0, 500, "{method} {path}: {answer:?}");
        }
    }
    let nothing = site.ask("GET", "", "/api/mcp/nothing", &Value::Null).await;
    assert!(is_lost("GET", "/api/mcp/nothing", &nothing).await, "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_node_answers_for_everybody() {
    let site = Site::build().await;
    assert_eq!(site.get("", "/api/mcp/version-check?currentVersion=2.1.1").await["updateRequired"], false);
    assert_eq!(site.get("", "/api/stats/downloads").await, json!({ "total": 0, "inclusiveTotal": 0 }));
    assert_eq!(site.get("", "/api/stats/shopify").await["orders"], 0);
    let stats = site.get("", "/api/stats/l402").await;
    assert_eq!((&stats["challenges"], &stats["revenueSats"]), (&json!(0), &Value::Null));
    for path in ["/privacy", "/terms"] {
        let (status, page) = site.ask("GET", "", path, &Value::Null).await;
        assert!(status == 200 && page.contains("ada@example.com"), "{page}");
    }
    for path in ["/health", "/health/ready"] {
        let (status, text) = site.ask("GET", "", path, &Value::Null).await;
        assert!(status == 503 && text.contains("starting"), "the node was not started: {text}");
    }
    let described = site.get("", "/openapi.json").await;
    for (path, method, keyed) in [
        ("/api/merchant/me", "get", true),
        ("/api/merchant/quickstart", "get", true),
        ("/api/merchant/webhook-url", "get", true),
        ("/api/merchant/payment-provider", "put", true),
        ("/api/signup/l402", "post", false),
        ("/api/mcp/version-check", "get", false),
        ("/api/stats/shopify", "get", false),
        ("/api/stats/l402", "get", false),
        ("/privacy", "get", false),
        ("/terms", "get", false),
    ] {
        let operation = &described["paths"][path][method];
        assert!(operation["responses"].is_object(), "{method} {path}");
        assert_eq!(operation["responses"]["401"].is_object(), keyed, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_reads_its_real_webhooks_proxies_and_node() {
    let site = Site::build().await;
    let key = site.key(&[Scope::L402, Scope::Payments]).await;
    let me = site.get(&key, "/api/merchant/me").await;
    assert_eq!(
        (&me["onboarding"]["proxyCount"], &me["onboarding"]["hasWebhookUrl"]),
        (&json!(0), &json!(false))
    );
    let hook = json!({ "webhookUrl": "https://not-yet.example/hook" });
    let (status, set) = site.ask("PUT", &key, "/api/merchant/webhook-url", &hook).await;
    assert_eq!(status, 200, "{set}");
    let proxy = json!({ "name": "Weather", "targetBaseUrl": "http://localhost:8080" });
    let (_, made) = site.ask("POST", &key, "/api/proxy", &proxy).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let me = site.get(&key, "/api/merchant/me").await;
    let onboarding = &me["onboarding"];
    assert_eq!((&onboarding["proxyCount"], &onboarding["hasActiveProxy"]), (&json!(1), &json!(true)));
    assert_eq!(me["webhookUrl"], hook["webhookUrl"]);
    let set: Value = serde_json::from_str(&set).unwrap();
    assert_eq!((&set["success"], &me["webhookSecret"]), (&json!(true), &set["webhookSecret"]));
    let retire = format!("/api/proxy/{}/unpublish", made["proxyId"].as_str().unwrap());
    let (status, _) = site.ask("POST", &key, &retire, &json!({})).await;
    assert_eq!(status, 200);
    let onboarding = &site.get(&key, "/api/merchant/me").await["onboarding"];
    assert_eq!((&onboarding["proxyCount"], &onboarding["hasActiveProxy"]), (&json!(1), &json!(false)));
    let guide = site.get(&key, "/api/merchant/quickstart").await;
    assert_eq!(
        (&guide["isReadyForProduction"], &guide["requiredStepsCompleted"]),
        (&json!(false), &json!(1)),
        "the node was not started: {guide}"
    );
    // Accounts are not sold unless the operator says so.
    let (status, refused) =
        site.ask("POST", "", "/api/signup/l402", &json!({ "email": "bob@example.com" })).await;
    assert!(status == 403 && refused.contains("signup_disabled"), "{refused}");
}

/// Programs read an error in the shape of the service that they think they have reached.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_route_answers_in_the_shape_of_its_prefix() {
    let site = Site::build().await;
    let problems = [
        "/v1/x",
        "/v1/key/x",
        "/v1/account/x",
        "/v1/purse/x",
        "/mcp/x",
        "/api/x",
        "/api",
        "/api/payments/a/b/c",
        "/checkout/a/b/c",
        "/store/a/b",
        "/api/shopify/a/b/c/d",
        "/api/merchant/x",
        "/api/agents/a/b/c",
    ];
    for path in problems {
        let (status, text) = site.ask("GET", "", path, &Value::Null).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &body["code"], &body["instance"]),
            (404, &json!("NOT_FOUND"), &json!(path)),
            "{text}"
        );
    }
    for path in ["/api/auth", "/api/auth/x", "/api/anonymous", "/api/tipper/x", "/tips/a/b/c", "/tip/x"] {
        let (status, text) = site.ask("GET", "", path, &Value::Null).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(status == 404 && body["errorMessage"].is_string(), "{path}: {text}");
    }
    for path in ["/x", "/gift/a/b/c", "/createx"] {
        let (status, text) = site.ask("GET", "", path, &Value::Null).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &body["statusCode"]), (404, &json!(404)), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_route_of_the_api_is_json_also_to_a_browser() {
    let site = Site::build().await;
    for path in [
        "/api/nothing",
        "/api/payments/a/b",
        "/api/merchant/nothing",
        "/api/agents/a/b/c",
        "/api/shopify/mugs/nothing",
        "/api/checkout/nothing",
        "/api/l402/nothing",
        "/api/proxy/a/b/c",
        "/api/manifests/nothing",
        "/api/stats/nothing",
        "/v1/purse/nothing",
        "/v1/nothing",
    ] {
        let request =
            Request::builder().uri(path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let response = site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let (status, body) = text(response).await;
        assert_eq!(status, 404, "{path}");
        assert!(kind.contains("json"), "{path}: {kind}");
        let told: Value = serde_json::from_str(&body).unwrap();
        if path.starts_with("/api/") {
            assert_eq!((&told["status"], &told["instance"]), (&json!(404), &json!(path)), "{told}");
            assert!(
                told["type"].is_string() && told["title"].is_string() && told["detail"].is_string(),
                "{told}"
            );
        }
    }
    // What people may have mistyped is a page.
    let request =
        Request::builder().uri("/nothing").header("accept", "text/html").body(Body::empty()).unwrap();
    let response = site.router.clone().oneshot(request).await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_with_something_to_sell_is_in_the_registry_with_a_manifest() {
    let site = Site::build().await;
    let shop = &site.app.shop;
    let asked = json!({ "name": "Mugs & More", "currency": "sats", "country": "US" });
    shop.create("mugs".into(), serde_json::from_value(asked).unwrap()).await.unwrap();
    let registry = "/api/manifests/registry?category=STORE&q=mugs";
    assert_eq!(site.get("", registry).await["total"], 0, "there is nothing in it");
    for (handle, price) in [("dear", "9000"), ("cheap", "4000")] {
        let product = json!({
            "handle": handle, "title": handle, "variants": [{ "title": "Blue", "price": price, "stock": 1 }],
        });
        StoreAdmin::put(shop, "mugs".into(), vec![serde_json::from_value(product).unwrap()]).await.unwrap();
    }
    let listed = site.get("", registry).await;
    let item = &listed["items"][0];
    assert_eq!((&listed["total"], &item["defaultPriceSats"]), (&json!(1), &json!(4_000)), "{listed}");
    assert_eq!(item["proxyBaseUrl"], "https://pay.example/api/shopify/mugs");
    let path = "/api/manifests/stores/mugs";
    assert_eq!(item["manifestUrl"], format!("https://pay.example{path}"));
    let manifest = site.get("", path).await;
    assert_eq!(manifest["service"]["base_url"], item["proxyBaseUrl"]);
    assert_eq!(manifest["endpoints"][1]["pricing"]["base_price_sats"], 4_000);
    assert_eq!(site.get("", "/api/manifests/registry?category=data").await["total"], 0);
    shop.change("mugs".into(), serde_json::from_value(json!({ "active": false })).unwrap()).await.unwrap();
    assert_eq!(site.get("", registry).await["total"], 0);
    for path in [path, "/api/manifests/stores/nothing"] {
        assert_eq!(site.ask("GET", "", path, &Value::Null).await.0, 404);
    }
}

/// Every route that needs a key, and the scopes that open it: `METHOD /path scope scope`. Whoever adds a route adds its
/// line; a scope in a line that does not belong there is a key that opens more than its purpose.
const WHO_MAY: &str = include_str!("scopes.txt");

/// The operator's routes, which the public document does not describe.
const OPERATORS: [(&str, &str); 6] = [
    ("GET", "/metrics"),
    ("GET", "/events"),
    ("GET", "/admin/v1/node"),
    ("GET", "/admin/v1/keys"),
    ("POST", "/admin/v1/pay"),
    ("GET", "/admin/v1/nowhere"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_key_opens_the_routes_of_its_purpose_alone() {
    let site = Site::build().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        let made = site.app.keys.create(scope.name(), &[scope], None).await.unwrap();
        keys.push((scope, made.1.expose().to_owned()));
    }
    let operator = Site {
        router: operator_router(&site.app),
        app: Arc::clone(&site.app),
        _folder: tempfile::tempdir().unwrap(),
    };
    let document = site.get("", "/openapi.json").await;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            operations.push((method.to_uppercase(), path.clone()));
        }
    }
    operations.retain(|(_, path)| path != "/metrics");
    let public = operations.into_iter().map(|operation| (&site, operation));
    let operators = OPERATORS.map(|(method, path)| (&operator, (method.to_owned(), path.to_owned())));
    let mut lines = Vec::new();
    for (site, (method, path)) in public.chain(operators) {
        // No path's id is one that is there: what opens it is asked before.
        let asked = path.replace(['{', '}'], "");
        let is_refused = async |key: &str| {
            // Some answers are streams without an end.
            let status = site.send(&method, key, &asked, &json!({})).await.status().as_u16();
            assert!(status != 500, "{method} {path}");
            matches!(status, 401 | 403)
        };
        if !is_refused("").await {
            continue;
        }
        let mut open = Vec::new();
        for (scope, key) in &keys {
            if !is_refused(key).await {
                open.push(scope.name());
            }
        }
        lines.push(format!("{method} {path} {}", open.join(" ")));
    }
    lines.sort();
    let expected: Vec<_> = WHO_MAY.lines().map(str::to_owned).collect();
    assert_eq!(lines, expected, "\n{}\n", lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn node_tells_of_keys_that_are_shown_where_they_should_not() {
    let site = Site::build().await;
    let (scheduler, metrics, admin) = (
        site.key(&[Scope::Scheduler]).await,
        site.key(&[Scope::Metrics]).await,
        site.key(&[Scope::Admin]).await,
    );
    let operator = Site {
        router: operator_router(&site.app),
        app: Arc::clone(&site.app),
        _folder: tempfile::tempdir().unwrap(),
    };
    let seen = async || operator.get(&admin, "/admin/v1/node").await["seen"].clone();
    assert_eq!(seen().await, json!({ "keys_in_queries": 0, "metrics_refused": 0, "metrics_by_admin": 0 }));
    site.send("GET", "", &format!("/api/reminders?apiKey={scheduler}"), &Value::Null).await;
    site.send("GET", &scheduler, "/api/reminders", &Value::Null).await;
    for key in [&scheduler, &scheduler, &metrics, &admin] {
        operator.send("GET", key, "/metrics", &Value::Null).await;
    }
    assert_eq!(seen().await, json!({ "keys_in_queries": 1, "metrics_refused": 2, "metrics_by_admin": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_limited_and_right_ones_are_not() {
    let mut site = Site::build().await;
    site.router = operator_router(&site.app);
    let right = site.key(&[Scope::Admin]).await;
    let wrong = format!("satchel_{}", "ab".repeat(32));
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(site.send("GET", &wrong, "/admin/v1/keys", &Value::Null).await.status().as_u16());
    }
    assert_eq!((statuses[0], statuses[19], statuses[20], statuses[24]), (401, 401, 429, 429));
    assert_eq!(site.send("GET", &right, "/admin/v1/keys", &Value::Null).await.status(), 200);
}
