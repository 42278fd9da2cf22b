//! The MCP server that others wrote for the original service works with this one: it buys an account, sets up a seller
//! and sells, and pays, each with its own tools. And an account that is bought survives every crash.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

#[allow(dead_code, reason = "another test asks with all of them")]
#[path = "l402_clients/clients.rs"]
mod clients;
mod common;
#[allow(dead_code, reason = "another test asks in all these words")]
#[path = "l402_clients/forms.rs"]
mod forms;
#[path = "merchant_clients/tools.rs"]
mod tools;
#[allow(dead_code, reason = "another test serves pages beside it")]
#[path = "l402_clients/wallet.rs"]
mod wallet;

use axum::routing::get;
use axum::{Json, Router};
use common::{Scene, case};
use reqwest::Client;
use serde_json::{Value, json};
use tools::Tools;
use wallet::Wallet;

const EMAIL: &str = "bob@example.com";

/// Satchel that sells accounts, and a service on this machine.
async fn scene() -> (Scene, u16) {
    let forecast = || async { Json(json!({ "weather": "sunny" })) };
    let service = forms::serve(Router::new().route("/forecast", get(forecast))).await;
    let config = format!(
        "[signup]\nenabled = true\nprice_sat = 100\n[l402.proxy]\nallow_hosts = [\"localhost:{}\"]\n",
        service.port()
    );
    (Scene::start(&config).await, service.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_of_the_mcp_server_works() {
    let (scene, port) = scene().await;
    let wallet = Wallet::open(&scene).await;
    let home = Tools::home();
    let mut tools = Tools::start(home.path(), &scene.api.url, &wallet.url).await;
    case("paying", pays(&scene, &mut tools)).await;
    let key = case("buying an account", buys_an_account(&scene, &mut tools)).await;
    drop(tools);
    // Its key is in the home folder now, where the next start finds it.
    let mut tools = Tools::start(home.path(), &scene.api.url, &wallet.url).await;
    case("the seller's account", has_an_account(&mut tools)).await;
    case("a challenge", sells_a_challenge(&mut tools)).await;
    let proxy = case("a service", sells_a_service(&scene, &mut tools, port)).await;
    case("agents", serves_agents(&scene, &mut tools, &proxy, port)).await;
    let spent: u64 = 1 + 10 + 100 + 7 + 5 + 5 + 6;
    let paid = wallet.paid(&scene);
    assert_eq!(paid.len(), 7, "{paid:?}");
    let owed = scene.network.satchel.command_json("audit", &[]).await.unwrap()["owed_msat"].as_u64().unwrap();
    assert_eq!(owed, (spent - 1 - 10 - 100) * 1_000, "what the account sold is owed to it");
    let me = ask(&scene, &key, "/api/merchant/quickstart").await;
    let done = |title: &str| {
        let steps = me["steps"].as_array().unwrap();
        steps.iter().find(|step| step["title"] == title).unwrap()["isCompleted"].clone()
    };
    assert_eq!((&me["isReadyForProduction"], done("Receive a first payment")), (&json!(true), json!(true)));
    scene.close().await;
}

async fn ask(scene: &Scene, key: &str, path: &str) -> Value {
    let request = Client::new().get(format!("{}{path}", scene.api.url)).header("x-api-key", key);
    request.send().await.unwrap().json().await.unwrap()
}

async fn pays(scene: &Scene, tools: &mut Tools) {
    let tested = tools.ok("test_l402_payment", json!({})).await;
    assert_eq!((&tested["test"], &tested["amountSats"]), (&json!("passed"), &json!(1)));
    let demo = format!("{}/api/l402/demo", scene.api.url);
    let got = tools.ok("access_l402_resource", json!({ "url": demo, "max_sats": 10 })).await;
    assert_eq!(got["paid_sats"], 10, "{got}");
    // Nothing is paid that is dearer than it may be.
    let dear = format!("{}/api/l402/premium-data", scene.api.url);
    let refused = tools.call("access_l402_resource", json!({ "url": dear, "max_sats": 10 })).await;
    assert_eq!(refused["success"], false, "{refused}");
}

async fn buys_an_account(scene: &Scene, tools: &mut Tools) -> String {
    let none = tools.produce("status", json!({})).await;
    assert_eq!(none["success"], false, "there is no key yet: {none}");
    let bad = tools.call("create_lightning_enable_account", json!({ "email": "bob@x" })).await;
    assert_eq!(bad["success"], false);
    let made = tools.ok("create_lightning_enable_account", json!({ "email": EMAIL })).await;
    assert_eq!((&made["activation"]["amountSats"], &made["email"]), (&json!(100), &json!(EMAIL)));
    assert_eq!((&made["planTier"], &made["config"]["written"]), (&json!("self-hosted"), &json!(true)));
    let key = made["apiKey"].as_str().unwrap().to_owned();
    let me = ask(scene, &key, "/api/merchant/me").await;
    assert_eq!((&me["merchantId"], &me["email"]), (&made["merchantId"], &json!(EMAIL)));
    key
}

async fn has_an_account(tools: &mut Tools) {
    let status = tools.produce("status", json!({})).await;
    assert_eq!(status["success"], true, "{status}");
    assert_eq!(
        (&status["merchant"]["isActive"], &status["merchant"]["l402Enabled"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&status["receive"]["provider"], &status["receive"]["configured"]),
        (&json!("ldk"), &json!(true))
    );
    assert_eq!((&status["checklistError"], &status["challengesError"]), (&Value::Null, &Value::Null));
    assert_eq!(status["checklist"]["isReadyForProduction"], true, "{status}");
    assert_eq!(status["checklist"]["requiredStepsTotal"], 3);
    // A wallet's credential is refused with a reason, and nothing is charged for a plan that there isn't.
    let connection =
        format!("nostr+walletconnect://{}?relay=wss://r.example&secret={}", "12".repeat(32), "34".repeat(32));
    let refused = tools.produce("configure_receive", json!({ "nwc_connection_string": connection })).await;
    assert_eq!((&refused["success"], &refused["httpStatus"]), (&json!(false), &json!(410)));
    assert_eq!(refused["errorCode"], "endpoint_retired");
    assert!(!refused.to_string().contains("34343434"));
    let renewed = tools.call("renew_lightning_enable_subscription", json!({})).await;
    assert_eq!(
        (&renewed["statusCode"], &renewed["activation"]["paid"]),
        (&json!(410), &json!(false)),
        "{renewed}"
    );
}

async fn sells_a_challenge(tools: &mut Tools) {
    let made = tools.produce("create", json!({ "resource": "/weather", "price_sats": 7 })).await;
    assert_eq!(made["success"], true, "{made}");
    let (invoice, macaroon) = (&made["challenge"]["invoice"], &made["challenge"]["macaroon"]);
    let paid = tools.ok("pay_l402_challenge", json!({ "invoice": invoice, "macaroon": macaroon })).await;
    let preimage = paid["preimage"].as_str().unwrap();
    let good = tools.produce("verify", json!({ "macaroon": macaroon, "preimage": preimage })).await;
    assert_eq!((&good["valid"], &good["resource"]), (&json!(true), &json!("/weather")), "{good}");
    let bad = tools.produce("verify", json!({ "macaroon": macaroon, "preimage": "00".repeat(32) })).await;
    assert_eq!((&bad["success"], &bad["valid"]), (&json!(true), &json!(false)), "{bad}");
    let listed = tools.produce("list_challenges", json!({ "challenge_status": "paid" })).await;
    assert_eq!(
        (&listed["total"], &listed["challenges"][0]["amountSats"]),
        (&json!(1), &json!(7)),
        "{listed}"
    );
}

async fn sells_a_service(scene: &Scene, tools: &mut Tools, port: u16) -> String {
    let target = format!("http://localhost:{port}");
    let made = tools
        .produce(
            "create_proxy",
            json!({ "name": "Forecasts", "target_base_url": target, "default_price_sats": 5 }),
        )
        .await;
    assert_eq!(made["success"], true, "{made}");
    let proxy = made["proxyId"].as_str().unwrap().to_owned();
    let endpoint =
        json!({ "proxy_id": proxy, "endpoint_id": "forecast", "path": "/forecast", "price_sats": 5 });
    let priced = tools.produce("add_endpoint", endpoint.clone()).await;
    assert_eq!((&priced["success"], &priced["basePriceSats"]), (&json!(true), &json!(5)), "{priced}");
    let twice = tools.produce("add_endpoint", endpoint).await;
    assert_eq!((&twice["success"], &twice["httpStatus"]), (&json!(false), &json!(400)), "{twice}");
    let published = tools
        .produce("publish", json!({ "proxy_id": proxy, "service_name": "Weather", "categories": ["data"] }))
        .await;
    assert_eq!((&published["success"], &published["publiclyListed"]), (&json!(true), &json!(true)));
    let found = tools.call("discover_api", json!({ "query": "weather" })).await;
    assert!(found.to_string().contains(&proxy), "{found}");
    let base = format!("{}/l402/proxy/{proxy}", scene.api.url);
    let manifest = tools.call("discover_api", json!({ "url": base })).await;
    assert!(manifest.to_string().contains("/forecast"), "{manifest}");
    let url = format!("{base}/forecast");
    let got = tools.ok("access_l402_resource", json!({ "url": url })).await;
    assert_eq!((&got["paid_sats"], &got["response"]), (&json!(5), &json!(r#"{"weather":"sunny"}"#)));
    proxy
}

/// All seven actions of `agent_services`: it lists a service, finds it, asks for it, pays for it, rates it and takes it
/// back.
async fn serves_agents(scene: &Scene, tools: &mut Tools, proxy: &str, port: u16) {
    let action = async |tools: &mut Tools, action: &str, mut arguments: Value| {
        arguments["action"] = action.into();
        tools.ok("agent_services", arguments).await
    };
    let url = format!("{}/l402/proxy/{proxy}/forecast", scene.api.url);
    let settled = action(tools, "settle", json!({ "l402_endpoint": url })).await;
    assert_eq!(settled["settlement"]["amountSats"], 5, "{settled}");
    let listing = json!({
        "service_id": "forecasts", "categories": ["data"], "content": "Tomorrow's weather", "price_sats": 6,
        "target_url": format!("http://localhost:{port}"), "hashtags": ["forecast"],
    });
    let published = action(tools, "publish", listing).await;
    let endpoint = published["l402Endpoint"].as_str().unwrap();
    let wanted = json!({ "query": "tomorrow", "category": "data", "hashtags": ["forecast"] });
    let found = action(tools, "discover", wanted).await;
    let capability = &found["results"][0];
    assert_eq!(
        (&capability["event_id"], &capability["price_sats"], &capability["l402_endpoint"]),
        (&published["eventId"], &json!(6), &json!(endpoint)),
        "{found}"
    );
    let asked = json!({ "capability_event_id": published["eventId"], "budget_sats": 10, "parameters": "{\"city\":\"Berlin\"}" });
    let asked = action(tools, "request", asked).await;
    assert_eq!(asked["l402Endpoint"], endpoint, "{asked}");
    let settled = action(tools, "settle", json!({ "l402_endpoint": format!("{endpoint}/forecast") })).await;
    assert_eq!(settled["settlement"]["amountSats"], 6, "{settled}");
    let rating = json!({
        "subject_pubkey": capability["pubkey"], "agreement_id": asked["requestEventId"], "rating": 5,
        "content": "Sunny", "proof": "ab".repeat(32),
    });
    let rated = action(tools, "attest", rating).await;
    let said = action(tools, "reputation", json!({ "pubkey": capability["pubkey"] })).await;
    assert_eq!(
        (&said["averageRating"], &said["attestations"][0]["eventId"]),
        (&json!(5.0), &rated["eventId"]),
        "{said}"
    );
    let listed = endpoint.rsplit('/').next().unwrap();
    for service in [proxy, listed] {
        let away = json!({ "service_id": service, "reason": "no more" });
        for already in [false, true] {
            let gone = action(tools, "unpublish", away.clone()).await;
            assert_eq!(
                (&gone["retired"], &gone["alreadyRetired"]),
                (&json!(true), &json!(already)),
                "{gone}"
            );
        }
    }
}

/// Satchel dies before and after it has made an account: the same credential leads to one account and one key.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_once_through_every_death() {
    use common::doomed::Doomed;

    let (scene, _) = scene().await;
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let url = format!("{}/api/signup/l402", scene.api.url);
    let sign_up = async |credential: &str| {
        let request = client.post(&url).json(&json!({ "email": EMAIL }));
        let request =
            if credential.is_empty() { request } else { request.header("authorization", credential) };
        request.send().await
    };
    let accounts = async || {
        let listed = scene.network.satchel.command_json("key", &["list"]).await.unwrap();
        let keys = listed["keys"].as_array().unwrap().clone();
        keys.iter().filter(|key| key["account"].as_str().unwrap().starts_with("signup-")).count()
    };
    for (number, point) in
        ["signup.before_commit", "signup.after_commit", "store.before_commit", "store.after_commit"]
            .into_iter()
            .enumerate()
    {
        case(point, async {
            let asked = sign_up("").await.unwrap();
            assert_eq!(asked.status().as_u16(), 402);
            let asked: Value = asked.json().await.unwrap();
            let invoice = asked["l402"]["invoice"].as_str().unwrap();
            scene.note_funding(0, invoice);
            let payment = scene.wallet(0).pay(invoice).await.unwrap();
            let macaroon = asked["l402"]["macaroon"].as_str().unwrap();
            let credential = format!("L402 {macaroon}:{}", payment.preimage);
            let doomed = Doomed::start(&scene, point, 0).await;
            doomed.arm();
            assert!(sign_up(&credential).await.is_err(), "it died over it");
            doomed.dies_and_rises().await;
            let first: Value = sign_up(&credential).await.unwrap().json().await.unwrap();
            let key = first["apiKey"].as_str().unwrap();
            let again: Value = sign_up(&credential).await.unwrap().json().await.unwrap();
            assert_eq!(first, again);
            assert_eq!(ask(&scene, key, "/api/merchant/me").await["merchantId"], first["merchantId"]);
            assert_eq!(accounts().await, number + 1);
        })
        .await;
    }
    scene.close().await;
}
