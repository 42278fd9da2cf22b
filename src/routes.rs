//! The front door: which path leads to which room.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::admin::{self, AdminState};
use crate::app::{AppError, House, OperatorDesk};
use crate::gifts;
use crate::http::keys::{Gate, Scope, require_scope};
use crate::http::{cors, openapi, respond, server};
use crate::ledger::audit;
use crate::telemetry::{Health, metrics};
use crate::web::{self, WebSettings};

/// Every route of the house.
///
/// # Errors
/// [`AppError::System`] if the OpenAPI document can't be written: a bug, found at start.
pub fn router(house: &Arc<House>) -> Result<Router, AppError> {
    let (gift_routes, gift_document) = gifts::api::router(house.gifts.clone(), &house.limits, &house.proxies);
    let document = openapi::merge(
        "Satchel",
        "A Lightning node and the services that give, tip and charge sats.",
        [gift_document],
    );
    let documents = openapi::routes(&document).map_err(|error| AppError::System(error.to_string()))?;
    let web_settings = Arc::new(web_settings(house));
    Ok(Router::new()
        // Together, because the page and the API share a path: any page may call either method of it.
        .merge(cors::everywhere(gift_routes.merge(web::router(web_settings.as_ref().clone()))))
        .merge(operator_routes(house))
        .merge(health_routes(house.health.clone()))
        .merge(documents)
        .fallback(move |headers: HeaderMap| {
            let settings = web_settings.clone();
            async move { web::not_found(&settings, &headers) }
        }))
}

fn operator_routes(house: &Arc<House>) -> Router {
    let desk = Arc::new(OperatorDesk(Arc::clone(house)));
    let ledger = house.ledger.clone();
    let state = AdminState {
        node: house.asked.clone(),
        store: house.store.clone(),
        config: Arc::clone(&house.config),
        health: house.health.clone(),
        audit: Arc::new(move || {
            let ledger = ledger.clone();
            Box::pin(async move {
                let audited = tokio::task::spawn_blocking(move || audit::audit(&ledger)).await;
                let audit = audited.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                serde_json::to_value(audit).map_err(|error| error.to_string())
            })
        }),
        money: Arc::<OperatorDesk>::clone(&desk),
        keys: desk,
        gifts: Arc::new(house.gifts.clone()),
    };
    let gate = Gate {
        keys: house.keys.clone(),
        scope: Scope::Admin,
        refusal: |error| admin::refusal(error).into_response(),
    };
    admin::router(state).layer(from_fn_with_state(gate, require_scope))
}

fn health_routes(health: Health) -> Router {
    Router::new()
        .route("/health/live", get(|State(health): State<Health>| async move { answer(&health.live()) }))
        .route("/health/ready", get(|State(health): State<Health>| async move { answer(&health.ready()) }))
        .with_state(health)
        .route("/metrics", get(|| async { numbers() }))
}

fn answer(answer: &crate::telemetry::Answer) -> Response {
    let status = if answer.yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond::no_store(respond::json(status, answer))
}

fn numbers() -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    respond::typed(StatusCode::OK, content_type, metrics::render())
}

fn web_settings(house: &House) -> WebSettings {
    let (config, gifts) = (&house.config, &house.config.gifts);
    WebSettings {
        public_url: config.http.public_url.clone(),
        site_name: "Satchel".into(),
        min_sat: gifts.min_sat,
        max_sat: gifts.max_sat,
        max_quantity: gifts.max_quantity,
    }
}

/// What no handler answered, in the shape of the family whose path it is.
pub fn failure(path: &str, status: StatusCode) -> Response {
    if path.starts_with("/admin/") {
        server::plain_failure(path, status)
    } else {
        gifts::api::failure(path, status)
    }
}
