//! Routes: which path leads to which service.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use utoipa::OpenApi;

use crate::admin::{self, Acts, AdminError, AdminState, WrongKeys};
use crate::app::{AdminService, App, AppError, legal_texts};
use crate::core::fees::FeeRule;
use crate::http::client::Proxies;
use crate::http::extract::is_below;
use crate::http::keys::{Caller, Gate, Scope, recognise, require_scope};
use crate::http::limits::{Class, Limiter, limit};
use crate::http::{client, cors, events, measure, openapi, respond, server};
use crate::ledger::{audit, solvency};
use crate::services::gifts::{self, GiftError, Gifts};
use crate::services::mcp;
use crate::services::payments;
use crate::services::tips;
use crate::services::{accounts, agents, merchant, purse, shop};
use crate::services::{content, l402, proxy};
use crate::telemetry::{Health, metrics};
use crate::web::{self, FindGift, GiftNow, WebSettings};

/// The routes for everybody.
///
/// # Errors
/// [`AppError::System`] if the OpenAPI document can't be written: a bug, found at start.
pub fn router(app: &Arc<App>) -> Result<Router, AppError> {
    let (gift_routes, gift_document) = gifts::api::router(app.gifts.clone(), &app.limits, &app.proxies);
    let (tip_routes, tip_document) = tips::api::router(app.tips.clone(), &app.limits, &app.proxies);
    let (payment_routes, payment_document) =
        payments::api::router(app.payments.clone(), app.keys.clone(), &app.limits, &app.proxies);
    let (proxy_routes, proxy_document) =
        proxy::api::router(app.paid_proxies.clone(), app.keys.clone(), &app.limits, &app.proxies);
    let (content_routes, content_document) =
        content::api::router(app.content.clone(), &app.limits, &app.proxies);
    let (l402_routes, l402_document) = l402::api::router(app.l402.clone(), app.keys.clone(), &app.limits);
    let (account_routes, account_document) =
        accounts::api::router(app.accounts.clone(), app.keys.clone(), &app.limits, &app.proxies);
    let (merchant_routes, merchant_document) =
        merchant::api::router(app.merchants.clone(), app.keys.clone(), &app.limits, &app.proxies);
    let (agent_routes, agent_document) =
        agents::api::router(app.agents.clone(), app.keys.clone(), &app.limits, &app.proxies);
    let (purse_routes, purse_document) =
        purse::api::router(app.purses.clone(), app.keys.clone(), &app.limits, &app.proxies);
    let (shop_routes, shop_document) = shop::api::router(app.shop.clone(), &app.limits, &app.proxies);
    let document = openapi::merge(
        "Satchel",
        "A Lightning node and the services that give, tip and charge sats.",
        [
            gift_document,
            tip_document,
            openapi::keyed(payment_document),
            openapi::keyed(account_document),
            openapi::keyed(merchant_document),
            openapi::keyed(agent_document),
            openapi::keyed(purse_document),
            openapi::keyed(l402_document),
            openapi::keyed(proxy_document),
            openapi::keyed(content_document),
            openapi::keyed(mcp::here::document()),
            openapi::keyed(shop_document),
            web::document(),
            web::legal::document(),
            openapi::keyed(Operation::openapi()),
        ],
    );
    let document = openapi::served_at(document, &app.config.http.public_url);
    let documents = openapi::routes(&document).map_err(|error| AppError::System(error.to_string()))?;
    let web_settings = Arc::new(web_settings(app));
    let services = Router::new()
        .merge(gift_routes)
        .merge(tip_routes)
        .merge(payment_routes)
        .merge(account_routes)
        .merge(merchant_routes)
        .merge(agent_routes)
        .merge(purse_routes)
        .merge(l402_routes)
        .merge(proxy_routes)
        .merge(content_routes)
        .merge(shop_routes)
        .layer(from_fn(client::note_source))
        .layer(from_fn_with_state(app.keys.clone(), recognise));
    let tools = mcp::here::router(services.clone(), app.keys.clone(), &app.limits, &app.proxies)
        .layer(from_fn(client::note_source))
        .layer(from_fn_with_state(app.keys.clone(), recognise));
    let pages = Limiter {
        limits: Arc::clone(&app.pages),
        proxies: Arc::clone(&app.proxies),
        class: Class::Read,
        refusal: |allowance| web::too_many(allowance.retry_after.unwrap_or(1)),
    };
    let pages = web::router(web_settings.as_ref().clone(), find_gift(app.gifts.clone()))
        .merge(web::legal::router(web_settings.as_ref().clone(), legal_texts(&app.config)?))
        .merge(documents)
        .layer(from_fn_with_state(pages, limit));
    let whole = services.merge(tools).merge(pages).merge(health_routes(app.health.clone()));
    let whole =
        open(whole, web_settings).layer(from_fn_with_state(Arc::clone(&app.proxies), client::note_address));
    Ok(measure::everywhere(whole))
}

/// Gives `routes` an answer for what none of them takes, and opens all of it to any page.
pub(crate) fn open(routes: Router, web_settings: Arc<WebSettings>) -> Router {
    let lost = move |uri: Uri, headers: HeaderMap| {
        let page = if is_api(uri.path()) { None } else { web::not_found(&web_settings, &headers) };
        async move { page.unwrap_or_else(|| failure(uri.path(), StatusCode::NOT_FOUND)) }
    };
    // Any page may call any route, and read its 404 too: never with a visitor's cookie (see tips::people).
    cors::everywhere(routes.fallback(lost).method_not_allowed_fallback(not_this_way))
}

/// Whether programs ask there: they read JSON, whatever a browser's headers say that it likes.
fn is_api(path: &str) -> bool {
    ["/api", "/v1", "/admin"].into_iter().any(|root| is_below(path, root))
}

/// A path that exists, asked in another way.
async fn not_this_way(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        // Bare, for the layer above to turn into the answer that a browser's preflight needs.
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    failure(uri.path(), StatusCode::METHOD_NOT_ALLOWED)
}

/// The routes for the operator, which are served apart from the public ones.
pub fn operator_router(app: &Arc<App>) -> Router {
    let routes = operator_routes(app)
        .merge(health_routes(app.health.clone()))
        .fallback(admin::no_such_route)
        .layer(from_fn_with_state(WrongKeys::new(Arc::clone(&app.proxies)), admin::limit_wrong_keys))
        .layer(from_fn_with_state(Arc::clone(&app.proxies), client::note_address));
    measure::everywhere(routes)
}

fn operator_routes(app: &Arc<App>) -> Router {
    let service = Arc::new(AdminService(Arc::clone(app)));
    let (ledger, at_solvency, agents) = (app.ledger.clone(), app.ledger.clone(), app.agents.clone());
    let state = AdminState {
        acts: Acts::new(app.store.clone(), app.ledger.clock.clone()),
        node: app.asked.clone(),
        store: app.store.clone(),
        config: Arc::clone(&app.config),
        health: app.health.clone(),
        clients: Arc::clone(&app.proxies),
        rates: app.rates.clone(),
        audit: Arc::new(move || {
            let ledger = ledger.clone();
            Box::pin(async move {
                let audited = tokio::task::spawn_blocking(move || audit::audit(&ledger)).await;
                let audit = audited.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                serde_json::to_value(audit).map_err(|error| error.to_string())
            })
        }),
        solvency: Arc::new(move || {
            let ledger = at_solvency.clone();
            Box::pin(async move {
                let read = tokio::task::spawn_blocking(move || solvency::report(&ledger)).await;
                let report = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                serde_json::to_value(report).map_err(|error| error.to_string())
            })
        }),
        relays: Arc::new(move || {
            let agents = agents.clone();
            Box::pin(async move {
                let relays = agents.relays().await.map_err(|error| error.to_string())?;
                serde_json::to_value(relays).map_err(|error| error.to_string())
            })
        }),
        money: Arc::<AdminService>::clone(&service),
        payouts: Arc::<AdminService>::clone(&service),
        exports: Arc::<AdminService>::clone(&service),
        suspense: Arc::<AdminService>::clone(&service),
        keys: Arc::<AdminService>::clone(&service),
        webhooks: Arc::<AdminService>::clone(&service),
        coins: service,
        accounts: Arc::new(app.accounts.clone()),
        signups: Arc::new(app.merchants.clone()),
        purses: Arc::new(app.purses.clone()),
        stores: Arc::new(app.shop.clone()),
        gifts: Arc::new(app.gifts.clone()),
        tips: Arc::new(app.tips.clone()),
        payments: Arc::new(app.payments.clone()),
        l402: Arc::new(app.l402.clone()),
        proxies: Arc::new(app.paid_proxies.clone()),
    };
    let gate = Gate {
        keys: app.keys.clone(),
        scope: Scope::Admin,
        refusal: |error| admin::refusal(error).into_response(),
    };
    let follow = Router::new()
        .route("/events", get(follow))
        .method_not_allowed_fallback(admin::method_not_allowed)
        .with_state(Arc::clone(app));
    // The numbers tell how much can be sent and what is owed, so they are not for everybody.
    let watcher = Gate { scope: Scope::Metrics, ..gate.clone() };
    let numbers = Router::new()
        .route("/metrics", get(numbers))
        .method_not_allowed_fallback(admin::method_not_allowed)
        .with_state(Arc::clone(&app.proxies))
        .layer(from_fn_with_state(watcher, require_scope))
        .layer(from_fn_with_state(Arc::clone(&app.proxies), note_numbers));
    admin::router(state).merge(follow).layer(from_fn_with_state(gate, require_scope)).merge(numbers)
}

/// The operator's event log as a stream, resumable by `Last-Event-ID`.
async fn follow(State(app): State<Arc<App>>, request: Request) -> Response {
    match app.log.follow(events::last_event_id(request.headers())) {
        Ok(stream) => stream,
        Err(error) => AdminError::Refused(error.to_string()).into_response(),
    }
}

/// What the API's document says of the routes for operators.
#[derive(OpenApi)]
#[openapi(paths(live, ready, numbers))]
struct Operation;

fn health_routes(health: Health) -> Router {
    Router::new()
        .route("/health", get(ready))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(health)
}

/// Whether the process should go on; if not, it wants to be started again.
#[utoipa::path(
    get, path = "/health/live", tag = "operation",
    responses((status = 200, description = "It should"), (status = 503, description = "It is stuck, and why"))
)]
async fn live(State(health): State<Health>) -> Response {
    answer(&health.live())
}

/// Whether requests can be served.
#[utoipa::path(
    get, path = "/health/ready", tag = "operation",
    responses((status = 200, description = "They can"), (status = 503, description = "Not now, and why"))
)]
async fn ready(State(health): State<Health>) -> Response {
    answer(&health.ready())
}

fn answer(answer: &crate::telemetry::Answer) -> Response {
    let status = if answer.yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond::no_store(respond::json(status, answer))
}

/// Numbers for Prometheus, for an API key that may see them.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    params(("Authorization" = String, Header, description = "Bearer, and a key of scope `metrics` or `admin`")),
    responses(
        (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
        (status = 401, description = "No key, or not a valid one"),
        (status = 403, description = "The key has another scope"),
    )
)]
async fn numbers(State(clients): State<Arc<Proxies>>, Extension(caller): Extension<Caller>) -> Response {
    clients.noticed().metrics_read(&caller);
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    respond::typed(StatusCode::OK, content_type, metrics::render())
}

/// Middleware: lets `satchel doctor` know of a monitor whose key has another scope.
async fn note_numbers(State(clients): State<Arc<Proxies>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    clients.noticed().metrics(response.status());
    response
}

fn web_settings(app: &App) -> WebSettings {
    let (config, gifts) = (&app.config, &app.config.gifts);
    WebSettings {
        public_url: config.http.public_url.clone(),
        site_name: "Satchel".into(),
        min_sat: gifts.min_sat,
        max_sat: gifts.max_sat,
        max_quantity: gifts.max_quantity,
        gift_fee: FeeRule { min_sat: gifts.min_fee_sat, percent: gifts.fee_percent },
        email: !config.smtp.host.is_empty(),
    }
}

/// What pages without scripts are told of gifts.
fn find_gift(gifts: Gifts) -> FindGift {
    Arc::new(move |order_id| {
        let gifts = gifts.clone();
        Box::pin(async move {
            match gifts.state(&order_id).await {
                Ok((state, asks_code)) => match state {
                    "unpaid" | "lapsed" => GiftNow::Unpaid,
                    "open" => GiftNow::Open { asks_code },
                    "pending" => GiftNow::Pending,
                    "redeemed" => GiftNow::Redeemed,
                    "expired" => GiftNow::Expired,
                    _ => GiftNow::Returned,
                },
                Err(GiftError::NotFound) => GiftNow::Unknown,
                Err(_) => GiftNow::Untold,
            }
        })
    })
}

/// Whether requests of this path bound their own time.
pub fn times_itself(path: &str) -> bool {
    proxy::api::times_itself(path) || purse::api::times_itself(path) || mcp::here::times_itself(path)
}

/// What no handler of the operator's answered.
pub fn operator_failure(path: &str, status: StatusCode) -> Response {
    server::plain_failure(path, status)
}

/// What no handler answered, in the shape of the family whose path it is.
pub fn failure(path: &str, status: StatusCode) -> Response {
    if tips::api::owns(path) {
        tips::api::failure(path, status)
    } else if payments::api::owns(path) {
        payments::api::failure(path, status)
    } else if merchant::api::owns(path) {
        merchant::api::failure(path, status)
    } else if accounts::api::owns(path) {
        accounts::api::failure(path, status)
    } else if agents::api::owns(path) {
        agents::api::failure(path, status)
    } else if purse::api::owns(path) {
        purse::api::failure(path, status)
    } else if mcp::here::owns(path) {
        mcp::here::failure(path, status)
    } else if shop::api::owns(path) {
        shop::api::failure(path, status)
    } else if proxy::api::owns(path) || content::api::owns(path) {
        proxy::api::failure(path, status)
    } else if l402::api::owns(path) {
        l402::api::failure(path, status)
    } else if ["/api", "/v1"].iter().any(|root| is_below(path, root)) {
        // No service's: the shape that most of them have.
        payments::api::failure(path, status)
    } else {
        gifts::api::failure(path, status)
    }
}

#[cfg(test)]
mod tests;
