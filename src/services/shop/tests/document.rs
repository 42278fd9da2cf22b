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
    let body = world.get("/api/shopify/mugs/catalog").await.ok();
    assert_eq!(body["products"][0]["variants"][0]["available"], false);
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
    let look = async |state: &str| -> Value {
        let answer = world.get(&by_status).await;
        begins_with(&answer.text, &ORDER);
        let body = answer.ok();
        assert_eq!((&body["orderId"], &body["status"]), (&json!(id), &json!(state)));
        assert_eq!(body["totalUsd"], 26.45);
        body
    };
    let waits = look("AwaitingPayment").await;
    assert_eq!(
        (&waits["paidSats"], &waits["paidAt"], &waits["shopifyOrderNumber"]),
        (&json!(0), &json!(null), &json!(null))
    );
    assert_eq!(waits["createdAt"], "2027-01-15T08:00:00Z");
    world.pay(&asked);
    let paid = look("AwaitingDetails").await;
    assert_eq!((&paid["paidSats"], &paid["shopifyOrderNumber"]), (&json!(52_900), &json!("#1001")));
    assert!(paid["paidAt"].is_string() && paid["shippedAt"].is_null());
    let bought = world.bought("mugs", &one(mug), &asked).await;
    let answer = world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await;
    begins_with(&answer.text, &["orderId", "status", "shopifyOrderNumber", "claimPageUrl", "message"]);
    answer.ok();
    look("Processing").await;
    world.shop.ship(id.clone(), ShipRequest::default()).await.unwrap();
    let sent = look("Shipped").await;
    assert!(sent["shippedAt"].is_string() && sent["trackingNumber"].is_null());
    // The other way: given up and refunded.
    let bought = world.buy("mugs", mug).await;
    let other = bought["orderId"].as_str().unwrap().to_owned();
    world.shop.cancel(other.clone()).await.unwrap();
    let token = bought["claimToken"].as_str().unwrap();
    let answer = world.get(&format!("/api/shopify/mugs/orders/{other}?claimToken={token}")).await;
    begins_with(&answer.text, &ORDER);
    assert_eq!(answer.ok()["refund"]["amountSats"], 52_900);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_answer_in_the_family_s_shape() {
    for path in ["/api/shopify/mugs/nothing", "/api/shopify", "/api/checkout/nothing"] {
        let response = crate::routes::failure(path, axum::http::StatusCode::NOT_FOUND);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&body["code"], &body["instance"]), (&json!("NOT_FOUND"), &json!(path)));
    }
}
