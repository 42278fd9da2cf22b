//! Each sample of the API's document, in each state of its object, member by member.

use serde_json::{Value, json};

use super::setup::{World, claim, one};
use crate::admin::{ShipRequest, StoreAdmin};

/// The members of an object, in the order in which they were written.
fn members(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut word) = (0_i32, false, false, String::new());
    let letters: Vec<char> = text.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        if quoted {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    quoted = false;
                    if depth == 1 && letters.get(at + 1) == Some(&':') {
                        names.push(std::mem::take(&mut word));
                    }
                }
                letter => word.push(*letter),
            }
            continue;
        }
        match letter {
            '"' => (quoted, word) = (true, String::new()),
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
    }
    names
}

#[track_caller]
fn begins_with(text: &str, sample: &[&str]) {
    let found = members(text);
    assert_eq!(found.get(..sample.len()).unwrap_or_default(), sample, "{text}");
}

const ORDER: [&str; 11] = [
    "orderId",
    "status",
    "totalUsd",
    "paidSats",
    "shopifyOrderNumber",
    "trackingNumber",
    "trackingCarrier",
    "trackingUrl",
    "createdAt",
    "paidAt",
    "shippedAt",
];

/// The document's sample of an order.
fn order() -> Value {
    json!({
        "orderId": "string", "status": "string", "totalUsd": 0.1, "paidSats": 0, "shopifyOrderNumber": "string",
        "trackingNumber": "string", "trackingCarrier": "string", "trackingUrl": "string",
        "createdAt": "2019-08-24T14:15:22Z", "paidAt": "2019-08-24T14:15:22Z", "shippedAt": "2019-08-24T14:15:22Z",
    })
}

/// Each member of a sample is there and of its kind, or `null` if it is named, and just then.
#[track_caller]
fn like(answer: &Value, sample: &Value, null: &[&str]) {
    for (name, value) in sample.as_object().unwrap() {
        let found = &answer[name];
        let same = match value {
            _ if null.contains(&name.as_str()) => found.is_null() && answer.get(name).is_some(),
            Value::String(text) if text.ends_with('Z') => {
                let iso = |text: &str| text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
                found.as_str().is_some_and(iso)
            }
            Value::String(_) => found.as_str().is_some_and(|text| !text.is_empty()),
            Value::Number(number) if number.is_f64() => found.is_number(),
            Value::Number(_) => found.is_u64(),
            Value::Bool(_) => found.is_boolean(),
            Value::Array(_) => found.is_array(),
            _ => found.is_object(),
        };
        assert!(same, "{name}: {answer}");
    }
}

const NOT_SENT: [&str; 4] = ["trackingNumber", "trackingCarrier", "trackingUrl", "shippedAt"];

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_has_every_member() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let answer = world.get("/api/shopify/mugs/catalog").await;
    begins_with(&answer.text, &["storeName", "slug", "shipping", "products"]);
    let body = answer.ok();
    assert_eq!((&body["storeName"], &body["slug"]), (&json!("Mugs & More"), &json!("mugs")));
    let shipping = &body["shipping"];
    assert_eq!(
        [
            &shipping["domesticUsd"],
            &shipping["domesticOnly"],
            &shipping["freeShippingEnabled"],
            &shipping["freeShippingThresholdUsd"]
        ],
        [&json!(5), &json!(true), &json!(true), &json!(100)]
    );
    let sample = json!({ "storeName": "string", "slug": "string", "shipping": {}, "products": [] });
    like(&body, &sample, &[]);
    let product = &body["products"][0];
    assert!(product["productId"].is_i64());
    assert_eq!(
        [&product["title"], &product["description"], &product["imageUrl"]],
        [&json!("mug"), &json!(""), &json!("https://img.example/a.jpg")]
    );
    let expected =
        json!({ "variantId": mug, "title": "Blue", "priceUsd": 20, "available": true, "price": 20 });
    assert_eq!(product["variants"], json!([expected]));
    world.buy("mugs", mug).await;
    // Kept pages are dropped right after the commit, which may be a moment after its answer.
    for _ in 0..200 {
        let body = world.get("/api/shopify/mugs/catalog").await.ok();
        if body["products"][0]["variants"][0]["available"] == false {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("what is sold out is shown as available");
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_tells_each_way_of_shipping() {
    let world = World::new().await;
    let shipping = async |slug: &str| {
        let found = world.get(&format!("/api/shopify/{slug}/catalog")).await.ok();
        assert_eq!(found["products"], json!([]), "a store that sells nothing yet");
        ["domesticUsd", "domesticOnly", "freeShippingEnabled", "freeShippingThresholdUsd"]
            .map(|name| found["shipping"][name].clone())
    };
    // Nothing is sent; everywhere, never for nothing; in another currency; at home for nothing.
    world.create("files", &json!({ "country": "US" })).await;
    assert_eq!(shipping("files").await, [json!(null), json!(true), json!(false), json!(null)]);
    world.create("world", &json!({ "country": "US", "shipping": [{ "country": "*", "price": "9" }] })).await;
    assert_eq!(shipping("world").await, [json!(9), json!(false), json!(false), json!(null)]);
    let euro = json!({
        "country": "DE", "currency": "EUR", "free_from": "40",
        "shipping": [{ "country": "DE", "price": "4" }, { "country": "AT", "price": "8" }],
    });
    world.create("euro", &euro).await;
    assert_eq!(shipping("euro").await, [json!(5), json!(false), json!(true), json!(50)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_that_a_client_knows_is_not_sent_again() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(2)).await;
    let path = "/api/shopify/mugs/catalog";
    let first = world.get(path).await;
    let etag = first.headers["etag"].to_str().unwrap();
    let again = world.send("GET", path, "", &[("if-none-match", etag)]).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(
        (&again.headers["etag"], &again.headers["cache-control"]),
        (&first.headers["etag"], &"no-cache".parse().unwrap())
    );
    world
        .shop
        .variant("mugs".into(), mug, serde_json::from_value(json!({ "price": "21" })).unwrap())
        .await
        .unwrap();
    // Kept pages are dropped right after the commit, which may be a moment after its answer.
    for _ in 0..200 {
        let list = format!("W/\"x\", W/{etag}");
        let changed = world.send("GET", path, "", &[("if-none-match", &list)]).await;
        if changed.status == 200 {
            assert_eq!(changed.ok()["products"][0]["variants"][0]["priceUsd"], 21);
            assert_ne!(changed.headers["etag"], first.headers["etag"]);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a price that has changed is not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_is_read_in_pages() {
    let world = World::new().await;
    for number in 0..5 {
        world.product("mugs", &format!("p{number}"), "1", None).await;
    }
    let (mut titles, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/api/shopify/mugs/catalog?limit=2&cursor={cursor}")).await.ok();
        let products = page["products"].as_array().unwrap();
        titles.extend(products.iter().map(|product| product["title"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(titles, ["p0", "p1", "p2", "p3", "p4"]);
    world.get("/api/shopify/mugs/catalog?limit=x").await.refused(400, "INVALID_LIMIT");
    world.get("/api/shopify/mugs/catalog?cursor=x").await.refused(400, "INVALID_CURSOR");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_asks_with_every_member() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(1)).await;
    let answer = world.checkout("mugs", &one(mug), &[("x-buyer-location", "US-CA-94107")]).await;
    begins_with(
        &answer.text,
        &["type", "title", "status", "detail", "instance", "orderId", "items", "totalUsd"],
    );
    let body = answer.asked();
    assert_eq!((&body["status"], &body["title"]), (&json!(402), &json!("Payment Required")));
    assert_eq!(body["instance"], "/api/shopify/mugs/checkout");
    assert!(body["orderId"].as_str().unwrap().starts_with("shpfy_"));
    let item = json!({
        "variantId": mug, "productTitle": "mug", "variantTitle": "Blue", "quantity": 1, "priceUsd": 20, "price": 20
    });
    assert_eq!(body["items"], json!([item]));
    assert_eq!((&body["totalUsd"], &body["totalSats"]), (&json!(26.45), &json!(52_900)));
    let bill = json!({ "subtotal": 20, "shipping": 5, "tax": 1.45, "total": 26.45, "currency": "USD" });
    assert_eq!(body["bill"], bill);
    let invoice: lightning_invoice::Bolt11Invoice = body["invoice"].as_str().unwrap().parse().unwrap();
    assert_eq!(invoice.amount_milli_satoshis(), Some(52_900_000));
    // Both challenges, of the same invoice, in the forms and the order that clients read.
    let lines: Vec<_> =
        answer.headers.get_all("www-authenticate").iter().map(|line| line.to_str().unwrap()).collect();
    let (macaroon, text) = (body["macaroonBase64"].as_str().unwrap(), body["invoice"].as_str().unwrap());
    let expected =
        format!(r#"L402 macaroon="{macaroon}", invoice="{text}", version="0", token="{macaroon}""#);
    assert_eq!(lines.first(), Some(&expected.as_str()));
    assert!(lines.get(1).unwrap().starts_with("Payment "), "{lines:?}");
    assert_eq!(lines.len(), 2);
    assert_eq!(body["l402"]["invoice"], body["invoice"]);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn order_has_every_member_in_each_state() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(5)).await;
    let asked = world.ask("mugs", mug).await;
    let id = asked["orderId"].as_str().unwrap().to_owned();
    let by_status =
        format!("/api/shopify/mugs/orders/{id}?statusToken={}", asked["statusToken"].as_str().unwrap());
    let look = async |state: &str, null: &[&str]| -> Value {
        let answer = world.get(&by_status).await;
        begins_with(&answer.text, &ORDER);
        let body = answer.ok();
        like(&body, &order(), null);
        assert_eq!((&body["orderId"], &body["status"]), (&json!(id), &json!(state)));
        assert_eq!(body["totalUsd"], 26.45);
        body
    };
    let unpaid = [&NOT_SENT[..], &["paidAt", "shopifyOrderNumber"]].concat();
    let waits = look("AwaitingPayment", &unpaid).await;
    assert_eq!((&waits["paidSats"], &waits["createdAt"]), (&json!(0), &json!("2027-01-15T08:00:00Z")));
    world.pay(&asked);
    let paid = look("AwaitingDetails", &NOT_SENT).await;
    assert_eq!((&paid["paidSats"], &paid["shopifyOrderNumber"]), (&json!(52_900), &json!("#1001")));
    let bought = world.bought("mugs", &one(mug), &asked).await;
    let answer = world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await;
    begins_with(&answer.text, &["orderId", "status", "shopifyOrderNumber", "claimPageUrl", "message"]);
    let sample = json!({
        "orderId": "string", "status": "string", "shopifyOrderNumber": "string", "claimPageUrl": "string",
        "message": "string",
    });
    like(&answer.ok(), &sample, &[]);
    look("Processing", &NOT_SENT).await;
    world.shop.ship(id.clone(), ShipRequest::default()).await.unwrap();
    look("Shipped", &NOT_SENT[..3]).await;
    let tracking = json!({ "number": "1Z999", "carrier": "UPS", "url": "https://ups.example/1Z999" });
    world.shop.ship(id.clone(), serde_json::from_value(tracking).unwrap()).await.unwrap();
    look("Shipped", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_that_is_given_up_has_every_member_in_each_state() {
    let world = World::new().await;
    let mug = world.product("mugs", "mug", "20.00", Some(5)).await;
    let bought = world.buy("mugs", mug).await;
    let (id, token) = (bought["orderId"].as_str().unwrap(), bought["claimToken"].as_str().unwrap());
    let path = format!("/api/shopify/mugs/orders/{id}");
    let look = async |state: &str| {
        let answer = world.get(&format!("{path}?claimToken={token}")).await;
        begins_with(&answer.text, &ORDER);
        let body = answer.ok();
        like(&body, &order(), &NOT_SENT);
        assert_eq!((&body["status"], &body["refund"]["amountSats"]), (&json!(state), &json!(52_900)));
    };
    world.shop.cancel(id.to_owned()).await.unwrap();
    look("RefundDue").await;
    let hour = std::time::Duration::from_secs(3_600);
    let (invoice, _) = world.sim.invoice(crate::core::money::Msat::from_sat(52_900).unwrap(), hour);
    let refund = json!({ "claimToken": token, "invoice": invoice.to_string() });
    world.post(&format!("{path}/refund"), &refund).await.ok();
    look("Refunding").await;
    world.dispatch(&invoice, true);
    look("Refunded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_answer_in_the_family_s_shape() {
    for path in ["/api/shopify/mugs/nothing", "/api/shopify", "/api/checkout/nothing"] {
        let response = crate::app::routes::failure(path, axum::http::StatusCode::NOT_FOUND);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&body["code"], &body["instance"]), (&json!("NOT_FOUND"), &json!(path)));
    }
}
