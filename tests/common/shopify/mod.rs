//! A Shopify shop on this machine: the token endpoint and the GraphQL Admin API over HTTP, as far as a client of ours
//! uses them, written from the published schema. It can be down, slow, out of points, lying, or lose its answer after it
//! has done what it was asked.

mod graphql;
mod schema;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use graphql::{Field, parse, project};

pub const CLIENT_ID: &str = "client-1";
pub const SECRET: &str = "shpss_very_secret";
pub const VERSION: &str = "2026-10";

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// An HTTP status, and nothing is done.
    Status(u16),
    /// 429 with so many seconds to wait.
    TooMany(&'static str),
    /// It is done, and the connection breaks off before the answer is whole.
    Lost,
    /// It is done, and 500 is answered.
    DoneThen500,
    /// It is done, and answered so much later.
    Late(Duration),
    /// The answer breaks off, with a whole HTTP answer around it.
    Truncated,
    /// This text is answered, with status 200.
    Text(String),
    /// The token is not taken.
    Unauthorised,
}

/// All that the shop knows.
pub struct Shop {
    pub currency: &'static str,
    pub scopes: String,
    pub expires_in: u64,
    pub products: Vec<Value>,
    pub variants: Vec<Value>,
    pub orders: Vec<Value>,
    /// Of the next requests to the API, one each.
    pub troubles: VecDeque<Trouble>,
    /// Of all requests, until it is taken away.
    pub trouble: Option<Trouble>,
    /// The operations that were asked for, by their first field.
    pub asked: Vec<String>,
    /// The variables of the orders that were asked for.
    pub order_inputs: Vec<Value>,
    /// Orders that name a variant are refused.
    pub refuse_variants: bool,
    /// All lists go round in circles.
    pub circles: bool,
    /// New orders are not found by a search.
    pub search_is_behind: bool,
    pub tokens: u32,
    /// Points: the most, those that are there, and how many come in a second. `None`: nobody counts.
    pub points: Option<(f64, f64, f64)>,
    pub counted_at: Instant,
    pub throttled: u32,
}

/// The shop and its server. It ends with the test's runtime.
#[derive(Clone)]
pub struct ShopifyServer {
    pub url: String,
    shop: Arc<Mutex<Shop>>,
}

impl ShopifyServer {
    pub async fn start() -> Self {
        let shop = Arc::new(Mutex::new(Shop {
            currency: "USD",
            scopes: "read_products,read_inventory,write_orders,write_draft_orders".into(),
            expires_in: 86_399,
            products: Vec::new(),
            variants: Vec::new(),
            orders: Vec::new(),
            troubles: VecDeque::new(),
            trouble: None,
            asked: Vec::new(),
            order_inputs: Vec::new(),
            refuse_variants: false,
            circles: false,
            search_is_behind: false,
            tokens: 0,
            points: None,
            counted_at: Instant::now(),
            throttled: 0,
        }));
        let router = Router::new()
            .route("/admin/oauth/access_token", post(token))
            .route(&format!("/admin/api/{VERSION}/graphql.json"), post(api))
            .with_state(Arc::clone(&shop));
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { serve(listener, router).await });
        Self { url, shop }
    }

    pub fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A `[[shop.shopify]]` for it.
    pub fn config(&self, store: &str) -> String {
        format!(
            "[[shop.shopify]]\nstore = \"{store}\"\ndomain = \"{store}.myshopify.com\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{SECRET}\"\nendpoint = \"{}\"\n",
            self.url
        )
    }

    /// A product with variants, each an id, a title, a price and a stock.
    pub fn product(&self, id: i64, handle: &str, variants: &[(i64, &str, &str, i64)]) {
        let mut shop = self.shop();
        shop.products.push(json!({
            "id": format!("gid://shopify/Product/{id}"), "legacyResourceId": id.to_string(), "handle": handle,
            "title": handle, "descriptionHtml": format!("<p>A {handle}</p>"), "status": "ACTIVE",
            "publishedAt": "2026-01-01T00:00:00Z",
            "media": { "nodes": [{ "preview": { "image": { "url": "https://cdn.example/a.jpg" } } }] },
        }));
        for (variant, title, price, stock) in variants {
            shop.variants.push(json!({
                "id": format!("gid://shopify/ProductVariant/{variant}"), "legacyResourceId": variant.to_string(),
                "title": title, "sku": format!("{handle}-{title}"), "price": price, "taxable": true,
                "inventoryPolicy": "DENY", "inventoryQuantity": stock,
                "product": { "legacyResourceId": id.to_string() },
                "inventoryItem": { "tracked": true, "requiresShipping": true },
            }));
        }
    }

    /// Changes members of a variant.
    pub fn change_variant(&self, id: i64, change: &Value) {
        let (id, mut shop) = (id.to_string(), self.shop());
        let found = shop.variants.iter_mut().find(|variant| variant["legacyResourceId"] == id);
        let found = found.unwrap();
        for (name, value) in change.as_object().unwrap() {
            found[name] = value.clone();
        }
    }

    pub fn stock(&self, variant: i64) -> i64 {
        let (id, shop) = (variant.to_string(), self.shop());
        let found = shop.variants.iter().find(|found| found["legacyResourceId"] == id);
        found.unwrap()["inventoryQuantity"].as_i64().unwrap()
    }

    /// The seller sends an order.
    pub fn fulfil(&self, name: &str, number: &str) {
        let mut shop = self.shop();
        let order = shop.orders.iter_mut().find(|order| order["name"] == name).unwrap();
        order["displayFulfillmentStatus"] = json!("FULFILLED");
        order["fulfillments"] = json!([{
            "status": "SUCCESS", "createdAt": "2026-11-30T12:00:00Z",
            "trackingInfo": [{ "company": "UPS", "number": number, "url": format!("https://ups.example/{number}") }],
        }]);
    }

    pub fn next(&self, trouble: Trouble) {
        self.shop().troubles.push_back(trouble);
    }

    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.shop().trouble = trouble;
    }

    pub fn orders(&self) -> Vec<Value> {
        self.shop().orders.clone()
    }
}

async fn serve(listener: TcpListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

type Shared = Arc<Mutex<Shop>>;

/// The client credentials grant, form-encoded as the documentation shows it.
async fn token(State(shop): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let mut shop = shop.lock().unwrap();
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    let expected = format!("grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={SECRET}");
    if body != expected {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    if let Some(Trouble::Status(status)) = shop.trouble {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    shop.tokens += 1;
    let token = format!("shpat_{}", shop.tokens);
    Json(json!({ "access_token": token, "scope": shop.scopes, "expires_in": shop.expires_in }))
        .into_response()
}

async fn api(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let (answer, trouble) = {
        let mut shop = shared.lock().unwrap();
        let trouble = shop.troubles.pop_front().or_else(|| shop.trouble.clone());
        let known = headers.get("x-shopify-access-token").and_then(|token| token.to_str().ok());
        if known != Some(format!("shpat_{}", shop.tokens).as_str())
            || matches!(trouble, Some(Trouble::Unauthorised))
        {
            let errors = json!({ "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)" });
            return (StatusCode::UNAUTHORIZED, Json(errors)).into_response();
        }
        match &trouble {
            Some(Trouble::Status(status)) => return StatusCode::from_u16(*status).unwrap().into_response(),
            Some(Trouble::TooMany(secs)) => {
                return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", *secs)]).into_response();
            }
            Some(Trouble::Text(text)) => return text.clone().into_response(),
            _ => {}
        }
        (shop.answer(&body), trouble)
    };
    match trouble {
        Some(Trouble::DoneThen500) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Trouble::Late(by)) => {
            tokio::time::sleep(by).await;
            Json(answer).into_response()
        }
        Some(Trouble::Lost) => {
            let gone = std::io::Error::other("gone");
            let parts = [Ok(Bytes::from_static(b"{\"data\":")), Err(gone)];
            Response::new(Body::from_stream(futures_util::stream::iter(parts)))
        }
        Some(Trouble::Truncated) => {
            let text = answer.to_string();
            text.get(..text.len() / 2).unwrap_or_default().to_owned().into_response()
        }
        _ => Json(answer).into_response(),
    }
}

impl Shop {
    fn answer(&mut self, body: &[u8]) -> Value {
        let request: Value = serde_json::from_slice(body).unwrap();
        let variables = request["variables"].as_object().cloned().unwrap_or_default();
        let operation = match parse(request["query"].as_str().unwrap(), &variables) {
            Ok(operation) => operation,
            Err(message) => {
                let error = json!({ "message": message, "extensions": { "code": "INVALID_VARIABLE" } });
                return json!({ "errors": [error] });
            }
        };
        let cost = operation.fields.iter().map(cost).sum::<f64>().max(10.0);
        let Some(status) = self.pay(cost) else {
            self.throttled += 1;
            let (most, there, rate) = self.points.unwrap();
            return json!({
                "errors": [{ "message": "Throttled", "extensions": { "code": "THROTTLED" } }],
                "extensions": { "cost": { "requestedQueryCost": cost, "actualQueryCost": null, "throttleStatus": {
                    "maximumAvailable": most, "currentlyAvailable": there, "restoreRate": rate } } },
            });
        };
        let mut data = Map::new();
        for field in &operation.fields {
            if field.alias != "newest" {
                self.asked.push(field.name.clone());
            }
            let value = self.resolve(field, &variables);
            data.insert(field.alias.clone(), project(&value, &field.fields));
        }
        json!({ "data": data, "extensions": { "cost": {
            "requestedQueryCost": cost, "actualQueryCost": cost, "throttleStatus": status } } })
    }

    /// Takes points, if there are enough.
    fn pay(&mut self, cost: f64) -> Option<Value> {
        let Some((most, there, rate)) = self.points else {
            return Some(
                json!({ "maximumAvailable": 2000.0, "currentlyAvailable": 1990.0, "restoreRate": 100.0 }),
            );
        };
        let there = (there + self.counted_at.elapsed().as_secs_f64() * rate).min(most);
        self.counted_at = Instant::now();
        let left = if there >= cost { there - cost } else { there };
        self.points = Some((most, left, rate));
        let status = json!({ "maximumAvailable": most, "currentlyAvailable": left, "restoreRate": rate });
        (there >= cost).then_some(status)
    }

    fn resolve(&mut self, field: &Field, variables: &Map<String, Value>) -> Value {
        match field.name.as_str() {
            "shop" => json!({ "currencyCode": self.currency, "name": "Test" }),
            "products" => self.page(&self.products, field),
            "productVariants" => self.page(&self.variants, field),
            "orders" => self.search(field),
            "nodes" => {
                let ids = field.arguments["ids"].as_array().unwrap();
                let one = |id: &Value| {
                    self.orders.iter().find(|order| order["id"] == *id).cloned().unwrap_or(Value::Null)
                };
                Value::Array(ids.iter().map(one).collect())
            }
            "orderCreate" => self.create(&variables["order"]),
            "orderCancel" => self.cancel(&field.arguments),
            other => panic!("nobody resolves {other}"),
        }
    }

    fn page(&self, all: &[Value], field: &Field) -> Value {
        let first = usize::try_from(field.arguments["first"].as_i64().unwrap()).unwrap();
        assert!((1..=250).contains(&first));
        assert_eq!(field.arguments["sortKey"], "ID");
        let after = field.arguments.get("after").and_then(Value::as_str);
        let from = after.map_or(0, |after| after.strip_prefix("c").unwrap().parse().unwrap());
        let nodes: Vec<_> = all.iter().skip(from).take(first).cloned().collect();
        let end = from + nodes.len();
        let end_cursor = if self.circles { "c0".to_owned() } else { format!("c{end}") };
        json!({ "nodes": nodes, "pageInfo": { "hasNextPage": self.circles || end < all.len(), "endCursor": end_cursor } })
    }

    fn search(&self, field: &Field) -> Value {
        let first = usize::try_from(field.arguments["first"].as_i64().unwrap()).unwrap();
        let found: Vec<_> = match field.arguments.get("query").and_then(Value::as_str) {
            None => self.orders.iter().rev().take(first).cloned().collect(),
            Some(_) if self.search_is_behind => Vec::new(),
            Some(query) => {
                let terms: Vec<_> = query.split(" OR ").collect();
                let fits = |order: &&Value| {
                    terms.iter().any(|term| match term.split_once(':').unwrap() {
                        ("source_identifier", text) => order["sourceIdentifier"] == text,
                        ("tag", text) => order["tags"].as_array().unwrap().iter().any(|tag| tag == text),
                        (other, _) => panic!("no filter {other}"),
                    })
                };
                self.orders.iter().filter(fits).take(first).cloned().collect()
            }
        };
        json!({ "nodes": found, "pageInfo": { "hasNextPage": false, "endCursor": null } })
    }

    fn create(&mut self, input: &Value) -> Value {
        self.order_inputs.push(input.clone());
        let refused = |at: usize, message: &str| {
            let field = json!(["order", "lineItems", at.to_string(), "variantId"]);
            json!({ "order": null, "userErrors": [{ "field": field, "message": message }] })
        };
        for (at, line) in input["lineItems"].as_array().unwrap().iter().enumerate() {
            match line["variantId"].as_str() {
                Some(_) if self.refuse_variants => return refused(at, "Variant can't be sold"),
                Some(id) if !self.variants.iter().any(|variant| variant["id"] == id) => {
                    return refused(at, "Variant does not exist");
                }
                None if line["title"].as_str().is_none_or(str::is_empty) => {
                    return refused(at, "Title can't be blank");
                }
                _ => {}
            }
        }
        for line in input["lineItems"].as_array().unwrap() {
            let quantity = line["quantity"].as_i64().unwrap();
            if let Some(variant) = self.variants.iter_mut().find(|variant| variant["id"] == line["variantId"])
            {
                variant["inventoryQuantity"] =
                    json!(variant["inventoryQuantity"].as_i64().unwrap() - quantity);
            }
        }
        let number = 5_001 + self.orders.len();
        let order = json!({
            "id": format!("gid://shopify/Order/{number}00"), "legacyResourceId": format!("{number}00"),
            "name": format!("#S{number}"), "sourceIdentifier": input["sourceIdentifier"], "tags": input["tags"],
            "cancelledAt": null, "displayFinancialStatus": "PAID", "displayFulfillmentStatus": "UNFULFILLED",
            "fulfillments": [], "input": input,
        });
        self.orders.push(order.clone());
        json!({ "order": order, "userErrors": [] })
    }

    fn cancel(&mut self, arguments: &Map<String, Value>) -> Value {
        graphql::check("OrderCancelReason!", &arguments["reason"], "reason").unwrap();
        graphql::check("OrderCancelRefundMethodInput", &arguments["refundMethod"], "refundMethod").unwrap();
        let found = self.orders.iter_mut().find(|order| order["id"] == arguments["orderId"]);
        let error = |message: &str| json!({ "job": null, "orderCancelUserErrors": [{ "field": ["orderId"], "message": message }] });
        let Some(order) = found else { return error("Order does not exist") };
        if !order["cancelledAt"].is_null() {
            return error("Cannot cancel an order that has already been canceled");
        }
        order["cancelledAt"] = json!("2026-11-30T12:00:00Z");
        if arguments["restock"] == true {
            let lines = order["input"]["lineItems"].as_array().cloned().unwrap();
            for line in lines {
                if let Some(variant) =
                    self.variants.iter_mut().find(|variant| variant["id"] == line["variantId"])
                {
                    let there = variant["inventoryQuantity"].as_i64().unwrap();
                    variant["inventoryQuantity"] = json!(there + line["quantity"].as_i64().unwrap());
                }
            }
        }
        json!({ "job": { "id": "gid://shopify/Job/1", "done": false }, "orderCancelUserErrors": [] })
    }
}

/// One point an object, as many as a list may have; a mutation costs ten.
fn cost(field: &Field) -> f64 {
    if field.fields.is_empty() {
        return 0.0;
    }
    let first = field.arguments.get("first").and_then(Value::as_f64).unwrap_or(1.0);
    let inner: f64 = field.fields.iter().map(cost).sum();
    if field.name.starts_with("orderC") { 10.0 } else { first * (1.0 + inner) }
}
