//! What an account reads of itself, and what it can't change.

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{TestApp, names};
use crate::core::ids::Secret;
use crate::core::money::Msat;
use crate::http::keys::Scope;
use crate::ledger::LedgerError;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::services::merchant::{NodeState, ProxyCount, Rules, Webhooks};

const ME: &str = "/api/merchant/me";
const QUICKSTART: &str = "/api/merchant/quickstart";

#[tokio::test(flavor = "multi_thread")]
async fn me_has_every_member_that_clients_read() {
    let app = TestApp::new().await;
    let fresh = app.get(&app.shop, ME).await;
    assert_eq!(fresh.headers["cache-control"], "no-store");
    let me = fresh.ok();
    let account = app.keys.account("shop").await.unwrap().unwrap();
    assert_eq!(
        names(&me),
        [
            "accountId",
            "callbackUrl",
            "createdAt",
            "email",
            "features",
            "isActive",
            "l402Enabled",
            "merchantId",
            "name",
            "onboarding",
            "paymentProvider",
            "planTier",
            "subscriptionStatus",
            "webhookSecret",
            "webhookUrl",
        ]
    );
    assert_eq!((&me["merchantId"], &me["name"]), (&json!(account.0), &json!("shop")));
    assert_eq!((&me["planTier"], &me["subscriptionStatus"]), (&json!("self-hosted"), &json!("active")));
    assert_eq!(
        (&me["isActive"], &me["l402Enabled"], &me["email"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(me["paymentProvider"], "ldk");
    assert!(me["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        me["features"],
        json!({
            "refundsEnabled": true, "multiCurrencyEnabled": true, "analyticsEnabled": true, "prioritySupport": false,
            "customBrandingEnabled": false, "maxWebhookEndpoints": 2, "slaUptimePercentage": null, "l402Enabled": true,
        })
    );
    let onboarding = json!({
        "hasOpenNodeKey": false, "hasStrikeKey": false, "hasNwcConnection": false, "hasPaymentProviderKey": true,
        "hasWebhookUrl": false, "hasActiveProxy": false, "proxyCount": 0, "isFullyConfigured": true,
    });
    assert_eq!(me["onboarding"], onboarding);

    {
        let mut known = app.others.0.lock().unwrap();
        known.proxies = ProxyCount { all: 3, active: 1 };
        known.webhooks = Webhooks {
            url: Some("https://shop.example/hook".into()),
            callback_url: None,
            secret: Some(Secret::new("whsec_1")),
        };
    }
    let me = app.get(&app.shop, ME).await.ok();
    for (name, expected) in
        [("hasWebhookUrl", json!(true)), ("hasActiveProxy", json!(true)), ("proxyCount", json!(3))]
    {
        assert_eq!(me["onboarding"][name], expected, "{name}");
    }
    assert_eq!(
        (&me["webhookUrl"], &me["webhookSecret"]),
        (&json!("https://shop.example/hook"), &json!("whsec_1"))
    );
    // What signs webhooks is for keys that may set it.
    for scope in [Scope::L402, Scope::Withdraw] {
        let key = app.keys.create("test", &[scope], Some("shop")).await.unwrap().1;
        assert_eq!(app.get(key.expose(), ME).await.ok()["webhookSecret"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l402_status_and_subscription_are_those_of_a_server_without_plans() {
    let mut app = TestApp::new().await;
    let status = json!({
        "l402Enabled": true, "planTier": "self-hosted", "subscriptionStatus": "active", "isActive": true,
    });
    assert_eq!(app.get(&app.shop, "/api/merchant/l402-status").await.ok(), status);
    let subscription = app.get(&app.shop, "/api/merchant/subscription").await.ok();
    assert_eq!((&subscription["isActive"], &subscription["currentPeriodEnd"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&subscription["planTier"], &subscription["trialEndsAt"]),
        (&json!("self-hosted"), &Value::Null)
    );
    app.set_up(Rules { l402_enabled: false, ..super::test_app::rules() });
    assert_eq!(app.get(&app.shop, "/api/merchant/l402-status").await.ok()["l402Enabled"], false);
    let me = app.get(&app.shop, ME).await.ok();
    assert_eq!((&me["l402Enabled"], &me["features"]["l402Enabled"]), (&json!(false), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn quickstart_counts_what_is_really_set_up() {
    let mut app = TestApp::new().await;
    let counted = async |app: &TestApp| {
        let guide = app.get(&app.shop, QUICKSTART).await.ok();
        let steps = guide["steps"].as_array().unwrap().clone();
        assert_eq!(guide["totalSteps"], steps.len());
        for (at, step) in steps.iter().enumerate() {
            assert_eq!(step["stepNumber"], at + 1);
            assert!(step["title"].is_string() && step["url"].as_str().unwrap().contains("://"), "{step}");
        }
        let number = |name: &str| guide[name].as_u64().unwrap();
        let done = steps.iter().filter(|step| step["isCompleted"] == true).count();
        assert_eq!(number("completedSteps"), u64::try_from(done).unwrap());
        (
            number("completedSteps"),
            number("requiredStepsCompleted"),
            number("requiredStepsTotal"),
            guide["isReadyForProduction"] == true,
        )
    };
    // The key, and https.
    assert_eq!(counted(&app).await, (2, 1, 3, false));
    app.others.0.lock().unwrap().node = NodeState { ready: true, inbound_sat: 0 };
    assert_eq!(counted(&app).await, (3, 2, 3, false), "a node that nothing can come in at is not ready");
    app.others.0.lock().unwrap().node = NodeState { ready: true, inbound_sat: 50_000 };
    assert_eq!(counted(&app).await, (4, 3, 3, true));
    app.others.0.lock().unwrap().proxies = ProxyCount { all: 1, active: 0 };
    assert_eq!(counted(&app).await, (4, 3, 3, true), "a retired proxy sells nothing");
    {
        let mut known = app.others.0.lock().unwrap();
        known.proxies.active = 1;
        known.webhooks.url = Some("https://shop.example/hook".into());
    }
    assert_eq!(counted(&app).await, (6, 3, 3, true));
    let account = app.keys.account("shop").await.unwrap().unwrap();
    let paid = app.store.write(move |tx| -> Result<(), LedgerError> {
        let amount = Msat::from_sat(1).unwrap();
        accounts::credit(tx, &Change { account, kind: LineKind::Payment, reference: "inv_1", amount }, 1)
    });
    paid.await.unwrap();
    assert_eq!(counted(&app).await, (7, 3, 3, true));
    app.set_up(Rules { public_url: "http://127.0.0.1:3000".into(), ..super::test_app::rules() });
    assert_eq!(counted(&app).await, (6, 3, 3, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_providers_are_refused_and_their_credentials_are_not_kept() {
    let app = TestApp::new().await;
    let path = "/api/merchant/payment-provider";
    let put = async |body: Value| app.ask(Method::PUT, &app.shop, path, &body, &[]).await;
    for name in ["ldk", "LDK"] {
        let done = put(json!({ "provider": name })).await.ok();
        assert_eq!(names(&done), ["message", "success"]);
        assert_eq!(done["success"], true);
    }
    for name in ["nwc", "strike", "opennode"] {
        put(json!({ "provider": name })).await.is_error(409, "provider_not_supported", path);
    }
    for body in [json!({}), json!({ "provider": 1 }), json!({ "provider": null })] {
        put(body).await.is_error(400, "invalid_provider", path);
    }
    let secret = "nostr+walletconnect://abcdef0123?relay=wss://relay.example&secret=71a8c14c1407c113";
    for (method, path, body) in [
        (Method::PUT, "/api/merchant/nwc-connection", json!({ "nwcConnectionString": secret })),
        (Method::PUT, "/api/merchant/opennode-key", json!({ "apiKey": secret })),
        (Method::POST, "/api/merchant/validate-opennode", json!({ "apiKey": secret })),
        (Method::POST, "/api/merchant/subscription/renew", json!({})),
    ] {
        let answer = app.ask(method.clone(), &app.shop, path, &body, &[]).await;
        answer.is_error(410, "endpoint_retired", path);
        assert!(!answer.text.contains("walletconnect"));
        app.ask(method, "", path, &body, &[]).await.is_error(401, "missing_api_key", path);
    }
    let webhook = "/api/webhooks/opennode";
    app.ask(Method::POST, "", webhook, &json!({ "id": 1 }), &[]).await.is_error(
        410,
        "endpoint_retired",
        webhook,
    );
    // Nothing of it is anywhere in the database.
    let dump = app.store.read_blocking(|connection| -> Result<String, crate::storage::StoreError> {
        let mut tables = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        let tables = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut all = String::new();
        for table in tables {
            let mut rows = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
            let columns = rows.column_count();
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    all.push_str(&format!("{:?} ", row.get_ref(column)?));
                    if let Ok(text) = row.get_ref(column)?.as_str() {
                        all.push_str(text);
                    }
                }
            }
        }
        Ok(all)
    });
    let dump = dump.unwrap();
    assert!(dump.contains("shop") && !dump.contains("71a8c14c"), "a credential was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_scopes_read_nothing() {
    let app = TestApp::new().await;
    let gifts = app.keys.create("test", &[Scope::Gifts], None).await.unwrap().1;
    for path in [ME, QUICKSTART, "/api/merchant/subscription", "/api/merchant/l402-status"] {
        app.get("", path).await.is_error(401, "missing_api_key", path);
        app.get("satchel_nobody", path).await.is_error(401, "invalid_api_key", path);
        app.get(gifts.expose(), path).await.is_error(403, "forbidden", path);
        assert_eq!(app.get(&app.shop, path).await.status, 200);
    }
}
