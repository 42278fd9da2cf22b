//! What the operator does.

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{TestApp, base};
use crate::admin::{AdminError, ProxyAdmin, ProxyPage, ProxyPrice};

fn price(sats: u64, path: Option<&str>) -> ProxyPrice {
    ProxyPrice { sats, path: path.map(str::to_owned), method: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sells_prices_lists_and_retires() {
    let app = TestApp::new().await;
    let admin: &dyn ProxyAdmin = &app.proxies;
    let asked = json!({ "name": "Mine", "targetBaseUrl": app.target(), "defaultPriceSats": 3 });
    let made = admin.create(asked.as_object().unwrap().clone()).await.unwrap();
    let id = made["proxyId"].as_str().unwrap().to_owned();
    let theirs = app.sell(&json!({ "name": "Theirs" })).await;
    let list = admin.list(ProxyPage::default()).await.unwrap();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|proxy| proxy["name"].clone()).collect();
    assert_eq!(names, ["Theirs", "Mine"], "all of them");
    assert_eq!(app.get("/api/proxy").await.ok()["total"], 1, "and an account its own");
    let sats = async |path: &str| {
        let answer = app.show(Method::GET, &format!("{}{path}", base(&id)), "").await;
        answer.json()["l402"]["amount_sats"].clone()
    };
    assert_eq!(sats("/x").await, 3);
    admin.price(id.clone(), price(8, None)).await.unwrap();
    for dear in [20, 30] {
        admin.price(id.clone(), price(dear, Some("/dear/*"))).await.unwrap();
        assert_eq!((sats("/x").await, sats("/dear/x").await), (json!(8), json!(dear)));
    }
    // Whatever the owner calls it, and however its path is written.
    let (base, endpoints) = (base(&theirs), format!("/api/proxy/{theirs}/manifest/endpoints"));
    let cost = async |method: Method| {
        let answer = app.show(method, &format!("{base}/gold/x"), "").await;
        answer.json()["l402"]["amount_sats"].clone()
    };
    for (name, method) in [("mine", "GET"), ("too", "POST")] {
        let body =
            json!({ "endpointId": name, "path": "gold/**", "httpMethod": method, "basePriceSats": 90 });
        assert_eq!(app.post(&endpoints, &body).await.status, 201);
    }
    let one = ProxyPrice { method: Some("post".into()), ..price(4, Some("/GOLD/**/")) };
    let priced = admin.price(theirs.clone(), one).await.unwrap();
    assert_eq!(priced["endpoints"][0]["endpointId"], "too");
    assert_eq!(priced["costs"], json!({ "POST": 4 }));
    assert_eq!((cost(Method::GET).await, cost(Method::POST).await), (json!(90), json!(4)));
    let priced = admin.price(theirs.clone(), price(5, Some("gold/**"))).await.unwrap();
    assert_eq!(priced["endpoints"].as_array().unwrap().len(), 3, "one for the other methods is made");
    assert_eq!(priced["costs"].as_object().unwrap().len(), 7);
    for method in [Method::GET, Method::POST, Method::PATCH] {
        assert_eq!(cost(method).await, 5);
    }
    admin.price(theirs.clone(), price(6, Some("/gold/**"))).await.unwrap();
    let shown = app.get(&format!("/api/proxy/{theirs}")).await.ok();
    assert_eq!(shown["endpoints"].as_array().unwrap().len(), 3, "and no more");
    admin.price(theirs.clone(), price(60, Some("/gold/*"))).await.unwrap();
    let priced = admin.price(theirs.clone(), price(7, Some("/gold/**"))).await.unwrap();
    assert_eq!((&priced["costs"]["GET"], cost(Method::GET).await), (&json!(7), json!(60)), "a narrower one");
    // What is as narrow and dearer still counts, and is told.
    admin.price(theirs.clone(), price(70, Some("/gold/?*"))).await.unwrap();
    let priced = admin.price(theirs.clone(), price(8, Some("/gold/*"))).await.unwrap();
    assert_eq!((&priced["costs"]["GET"], &priced["endpoints"][0]["basePriceSats"]), (&json!(70), &json!(8)));
    let long = format!("/{}", "a".repeat(200));
    admin.price(theirs.clone(), price(7, Some(&long))).await.unwrap();
    let retired = admin.retire(theirs.clone(), Some("abuse".into())).await.unwrap();
    assert_eq!(retired["alreadyRetired"], false);
    assert_eq!(app.get(&format!("/api/proxy/{theirs}")).await.ok()["retiredReason"], "abuse");
}

/// From a time when two endpoints could be for the same requests.
#[tokio::test(flavor = "multi_thread")]
async fn twins_get_one_price_and_can_be_changed() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({})).await;
    let path = format!("/api/proxy/{id}/manifest/endpoints");
    let body = json!({ "endpointId": "one", "path": "/x", "basePriceSats": 100 });
    assert_eq!(app.post(&path, &body).await.status, 201);
    let twin = |tx: &crate::storage::Tx<'_>| -> Result<(), crate::storage::StoreError> {
        tx.execute(
            "INSERT INTO l402_endpoints (proxy_id, endpoint_id, path, method, price_sat, is_active, created_at)
             SELECT proxy_id, 'two', 'x/', method, 50, 0, created_at FROM l402_endpoints",
            [],
        )?;
        Ok(())
    };
    app.store.write(twin).await.unwrap();
    let one = ProxyPrice { method: Some("GET".into()), ..price(7, Some("/x")) };
    let priced = ProxyAdmin::price(&app.proxies, id.clone(), one).await.unwrap();
    let prices: Vec<_> =
        priced["endpoints"].as_array().unwrap().iter().map(|one| one["basePriceSats"].clone()).collect();
    assert_eq!((prices, &priced["costs"]["GET"]), (vec![json!(7), json!(7)], &json!(7)));
    app.put(&format!("{path}/two"), &json!({ "basePriceSats": 3, "path": "/x" })).await.ok();
    assert_eq!(app.put(&format!("{path}/two"), &json!({ "path": "/y" })).await.ok()["path"], "/y");
    assert_eq!(app.put(&format!("{path}/two"), &json!({ "path": "/X" })).await.error(), "endpoint_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sells_for_an_account_that_there_is() {
    let app = TestApp::new().await;
    let admin: &dyn ProxyAdmin = &app.proxies;
    let asked = |account: Value| {
        let asked = json!({ "name": "x", "targetBaseUrl": app.target(), "account": account });
        asked.as_object().unwrap().clone()
    };
    admin.create(asked(json!("owner"))).await.unwrap();
    assert_eq!(app.get("/api/proxy").await.ok()["total"], 1);
    let missing = admin.create(asked(json!("nobody"))).await;
    assert_eq!(missing, Err(AdminError::NotFound("there is no account \"nobody\"".into())));
    let mut inside = asked(Value::Null);
    inside.insert("targetBaseUrl".into(), json!("http://localhost:8080"));
    let Err(AdminError::BadRequest(told)) = admin.create(inside).await else { panic!("it is not listed") };
    assert!(told.contains("l402.proxy.allow_hosts"), "{told}");
    let bad = admin.price("none-1".into(), price(0, None)).await;
    assert!(matches!(bad, Err(AdminError::BadRequest(_))), "{bad:?}");
    let none = admin.price("none-1".into(), price(5, None)).await;
    assert!(matches!(none, Err(AdminError::NotFound(_))), "{none:?}");
}
