//! An agent with a purse on one satchel buys from another, on a real network: a proxied service, a document and a mug,
//! within its limits, also with fifty requests at once, and once through a crash at each step of a purchase. And a public
//! client of the Model Context Protocol does the same with tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

#[allow(dead_code, reason = "the tests of L402 use more of it")]
#[path = "l402_clients/clients.rs"]
mod clients;
mod common;
#[cfg(feature = "failpoints")]
#[path = "purse/deaths.rs"]
mod deaths;
#[path = "purse/world.rs"]
mod world;

use common::case;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Command;

use world::{MUG, Mug, PRICE, World};

/// Requests at once.
const AT_ONCE: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn agent_buys_within_its_purse() {
    let world = World::start().await;
    world.earns(20_000).await;
    let agent = world.agent("buyer", 5_000, &["--per-request", "50"]).await;
    case("a proxied service", async {
        let first = agent.fetch(&world.service("weather/Berlin"), "").await.ok();
        assert_eq!((&first["status"], &first["paid"]["amountSat"]), (&json!(200), &json!(PRICE)), "{first}");
        assert!(first["body"].as_str().unwrap().contains("sunny"), "{first}");
        let again = agent.fetch(&world.service("weather/Berlin"), "").await.ok();
        assert_eq!((&again["paid"], &again["credentialReused"]), (&Value::Null, &json!(true)));
    })
    .await;
    case("a document", async {
        let list = agent.fetch(&world.at("/api/l402/content"), "").await.ok();
        let list: Value = serde_json::from_str(list["body"].as_str().unwrap()).unwrap();
        let item = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["priceSats"].as_u64() <= Some(50))
            .unwrap();
        let path = format!("/api/l402/content/{}", item["slug"].as_str().unwrap());
        let bought = agent.fetch(&world.at(&path), "").await.ok();
        assert_eq!(
            (&bought["status"], &bought["paid"]["amountSat"]),
            (&json!(200), &item["priceSats"]),
            "{bought}"
        );
    })
    .await;
    let mug = world.opens_store().await;
    case("a shop item", shop_item(&world, mug)).await;
    case("dearer than a request may be", async {
        let refused = agent.fetch(&world.service("dear"), "").await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("PER_REQUEST_LIMIT")),
            "{}",
            refused.body
        );
        assert_eq!(refused.body["leftSat"], 50);
    })
    .await;
    case("fifty at once, with a budget for some", fifty(&world)).await;
    case("fifty shop items at once, with a budget for some", fifty_mugs(&world, mug)).await;
    let invoice = world.scene.wallet(0).invoice(regtest::InvoiceRequest::sat(40)).await.unwrap();
    let paid = agent.post("/v1/purse/pay", &json!({ "invoice": invoice.invoice }), "").await.ok();
    assert_eq!(paid["paid"]["amountSat"], 40, "{paid}");
    case("an invoice of the same satchel", world.own_proxy()).await;
    case("tools over standard input and output", tools(&world, false)).await;
    case("tools over HTTP", tools(&world, true)).await;
    world.close().await;
}

/// Fifty requests for fifty things, and a budget for about ten.
async fn fifty(world: &World) {
    let budget = 150;
    let agent = world.agent("crowd", budget, &[]).await;
    let before = world.sold().await;
    let urls: Vec<_> = (0..AT_ONCE).map(|number| world.service(&format!("weather/{number}"))).collect();
    let answers = join_all(urls.iter().map(|url| agent.fetch(url, ""))).await;
    let mut bought = 0;
    for answer in answers {
        if answer.status == 200 {
            assert_eq!(
                (&answer.body["status"], &answer.body["paid"]["amountSat"]),
                (&json!(200), &json!(PRICE)),
                "{}",
                answer.body
            );
            bought += 1;
        } else {
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (409, &json!("BUDGET_LIMIT")),
                "{}",
                answer.body
            );
        }
    }
    eprintln!("   {bought} of {AT_ONCE} were bought for {budget} sat");
    assert!(bought > 0 && bought * PRICE <= budget, "{bought}");
    assert_eq!(world.sold().await - before, bought);
    let purse = agent.get("/v1/purse?limit=100").await;
    assert_eq!(purse["receipts"].as_array().unwrap().len(), usize::try_from(bought).unwrap());
    assert!(purse["spentSat"].as_u64().unwrap() <= budget, "{purse}");
}

/// A mug, from its 402 to its claimed order; the same request gets the same one, another request another.
async fn shop_item(world: &World, mug: Mug) {
    let agent = world.agent("shopper", 69, &["--per-request", "50"]).await;
    let before = world.mugs_sold().await;
    let buy = async |once: &str| agent.post("/v1/purse/fetch", &mug.request(world), once).await;
    let bought = buy("first").await.ok();
    assert_eq!((&bought["status"], &bought["paid"]["amountSat"]), (&json!(200), &json!(MUG)), "{bought}");
    assert_eq!(buy("first").await.ok(), bought);
    let second = buy("second").await.ok();
    assert_ne!(second["body"], bought["body"], "another order");
    let claimed = agent.post("/v1/purse/fetch", &Mug::claim(world, &bought), "").await.ok();
    assert_eq!((&claimed["status"], &claimed["paid"]), (&json!(200), &Value::Null), "{claimed}");
    let again = agent.post("/v1/purse/fetch", &Mug::claim(world, &bought), "").await.ok();
    assert_eq!(again["status"], 409, "{again}");
    let order: Value = serde_json::from_str(bought["body"].as_str().unwrap()).unwrap();
    let (id, token) = (order["orderId"].as_str().unwrap(), order["claimToken"].as_str().unwrap());
    let url = world.at(&format!("/api/shopify/mugs/orders/{id}?claimToken={token}"));
    let shown = agent.fetch(&url, "").await.ok();
    let shown: Value = serde_json::from_str(shown["body"].as_str().unwrap()).unwrap();
    assert_eq!((&shown["status"], &shown["paidSats"]), (&json!("Processing"), &json!(MUG)), "{shown}");
    let refused = buy("third").await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("BUDGET_LIMIT")), "{}", refused.body);
    assert_eq!(world.mugs_sold().await - before, 2);
}

/// Fifty orders of a mug, and a budget for about six.
async fn fifty_mugs(world: &World, mug: Mug) {
    let budget = 200;
    let agent = world.agent("mugs", budget, &[]).await;
    let before = world.mugs_sold().await;
    let request = mug.request(world);
    let keys: Vec<_> = (0..AT_ONCE).map(|number| format!("mug {number}")).collect();
    let answers = join_all(keys.iter().map(|key| agent.post("/v1/purse/fetch", &request, key))).await;
    let mut orders = std::collections::HashSet::new();
    for answer in answers {
        if answer.status == 200 {
            assert_eq!(answer.body["paid"]["amountSat"], MUG, "{}", answer.body);
            let order: Value = serde_json::from_str(answer.body["body"].as_str().unwrap()).unwrap();
            assert!(orders.insert(order["orderId"].to_string()), "{order}");
        } else {
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (409, &json!("BUDGET_LIMIT")),
                "{}",
                answer.body
            );
        }
    }
    let bought = u64::try_from(orders.len()).unwrap();
    eprintln!("   {bought} of {AT_ONCE} mugs were bought for {budget} sat");
    assert!(bought > 0 && bought * MUG <= budget, "{bought}");
    assert_eq!(world.mugs_sold().await - before, bought);
    let purse = agent.get("/v1/purse?limit=100").await;
    assert_eq!(purse["receipts"].as_array().unwrap().len(), orders.len(), "{purse}");
    assert!(purse["spentSat"].as_u64().unwrap() <= budget, "{purse}");
}

/// A public client lists what the key opens, buys, is refused with the limit that holds, and reads its receipts.
async fn tools(world: &World, over_http: bool) {
    let name = if over_http { "tools-http" } else { "tools-stdio" };
    let agent = world.agent(name, 100, &[]).await;
    let url = world.service(&format!("weather/{name}"));
    let calls = json!([
        ["fetch", { "url": url, "maxSats": 50, "idempotencyKey": "one" }],
        ["fetch", { "url": world.service("weather/limit"), "maxSats": 1 }],
        ["fetch", { "maxSats": 1 }],
        ["purse_balance", { "limit": 5 }],
    ]);
    let (folder, runner) = clients::MCP.workshop().await;
    std::fs::write(folder.path().join("tools.py"), clients::MCP.program()).unwrap();
    let mut command = Command::new(runner);
    command.arg("tools.py").current_dir(folder.path()).env("KEY", &agent.key).env("CALLS", calls.to_string());
    command.env("SATCHEL_BIN", env!("CARGO_BIN_EXE_satchel"));
    command.env("SATCHEL_DATA_DIR", world.scene.network.satchel.data_dir());
    if over_http {
        command.env("URL", format!("{}/mcp", world.scene.api.url));
    }
    let said = clients::run(&mut command, "mcp").await;
    let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said[0]["tools"], json!(["fetch", "pay_invoice", "purse_balance", "purse_receipt"]));
    assert!(
        said[0]["schemas"].as_array().unwrap().iter().all(|schema| schema["type"] == "object"),
        "{said:?}"
    );
    assert_eq!(
        (&said[1]["error"], &said[1]["told"]["paid"]["amountSat"]),
        (&json!(false), &json!(PRICE)),
        "{said:?}"
    );
    let refused = &said[2];
    assert_eq!(
        (&refused["error"], &refused["told"]["code"], &refused["told"]["leftSat"]),
        (&json!(true), &json!("MAX_SATS"), &json!(1)),
        "{said:?}"
    );
    assert_eq!(
        (&said[3]["error"], &said[3]["told"]["code"]),
        (&json!(true), &json!("INVALID_ARGUMENTS")),
        "{said:?}"
    );
    assert_eq!(said[4]["told"]["receipts"][0]["amountSat"], PRICE, "{said:?}");
    // Without a key nobody is let in.
    let bare = reqwest::Client::new()
        .post(format!("{}/mcp", world.scene.api.url))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
}
