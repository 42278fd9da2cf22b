//! A limit for who shows wrong keys. Right keys are never limited.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminError;
use crate::http::client::Proxies;
use crate::http::limits::{Class, LimitSettings, Limits};

/// Wrong keys of one client in a window.
const MOST: u32 = 20;

/// The window.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Counts them.
#[derive(Clone)]
pub struct WrongKeys {
    limits: Arc<Limits>,
    proxies: Arc<Proxies>,
}

impl WrongKeys {
    /// Clients are told apart as these proxies say.
    pub fn new(proxies: Arc<Proxies>) -> Self {
        let settings =
            LimitSettings { enabled: true, window: WINDOW, write: MOST, read: 0, key_write: 0, key_read: 0 };
        Self { limits: Arc::new(Limits::new(settings)), proxies }
    }
}

/// Middleware: answers 429 instead of 401 once a client has shown too many wrong keys.
pub async fn limit_wrong_keys(State(wrong): State<WrongKeys>, request: Request, next: Next) -> Response {
    let client = wrong.proxies.client(request.extensions(), request.headers());
    let response = next.run(request).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    let allowance = wrong.limits.check(Class::Write, client);
    match allowance.retry_after {
        None => response,
        Some(_) => {
            let mut refused = AdminError::TooManyWrongKeys.into_response();
            allowance.write_headers(refused.headers_mut());
            refused
        }
    }
}
