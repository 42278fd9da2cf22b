//! A layer that puts a price on any route.
//!
//! ```no_run
//! use axum::Router;
//! use axum::routing::get;
//! use satchel::services::l402::{L402, Priced};
//!
//! fn routes(l402: &L402) -> Router {
//!     let weather = get(|| async { "sunny" });
//!     let priced = Priced::new(l402.clone(), 10).description("The weather of today");
//!     Router::new().route("/weather", weather.layer(priced))
//! }
//! # fn main() {}
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::l402::layer::is_preflight;
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::{Admission, L402, Price};
use crate::core::ids::AccountId;
use crate::http::problem::named;

/// Sells what is behind it, to whoever shows that they have paid.
///
/// Each path is sold by itself, unless [`Priced::resource`] names something that they share. A payment that was good
/// for one answer is given back if that answer is a server's error (5xx). A browser's preflight passes: it can't
/// show anything.
#[derive(Clone)]
pub struct Priced {
    l402: L402,
    price: Arc<Price>,
    by_path: bool,
}

impl Priced {
    /// A price in sat.
    pub fn new(l402: L402, sats: u64) -> Self {
        Self { l402, price: Arc::new(Price::new("", sats)), by_path: true }
    }

    fn change(mut self, change: impl FnOnce(&mut Price)) -> Self {
        let mut price = self.price.as_ref().clone();
        change(&mut price);
        self.price = Arc::new(price);
        self
    }

    /// What is sold, if it is not each path by itself.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.by_path = false;
        self.change(|price| price.resource = resource.into())
    }

    /// Words for the payer.
    pub fn description(self, description: impl Into<String>) -> Self {
        self.change(|price| price.description = description.into())
    }

    /// Who sells it, if not the operator.
    pub fn account(self, account: AccountId) -> Self {
        self.change(|price| price.account = Some(account))
    }

    /// How long a token is good, if not as configured.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.change(|price| price.lifetime = Some(lifetime))
    }

    /// Another resource whose token opens this one too.
    pub fn bundle(self, resource: impl Into<String>) -> Self {
        self.change(|price| price.bundle = Some(resource.into()))
    }

    fn price_of(&self, path: &str) -> Arc<Price> {
        if !self.by_path {
            return Arc::clone(&self.price);
        }
        let mut price = self.price.as_ref().clone();
        path.clone_into(&mut price.resource);
        Arc::new(price)
    }
}

impl<S> Layer<S> for Priced {
    type Service = PricedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PricedService { inner, priced: self.clone() }
    }
}

/// What [`Priced`] makes of a service.
#[derive(Clone)]
pub struct PricedService<S> {
    inner: S,
    priced: Priced,
}

impl<S> Service<Request<Body>> for PricedService<S>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that was ready must take the request.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        if is_preflight(&request) {
            return Box::pin(async move { Ok(inner.call(request).await?.into_response()) });
        }
        // A router inside another sees only its part of the path.
        let whole = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0);
        let path = whole.path().to_owned();
        let (l402, price) = (self.priced.l402.clone(), self.priced.price_of(&path));
        Box::pin(async move {
            let client = l402.proxies().client(request.extensions(), request.headers());
            let lease = match l402.admit(client, request.headers(), &price).await {
                Admission::Paid(lease) => lease,
                Admission::Refused(response) => return Ok(named(response, &path)),
            };
            request.extensions_mut().insert(lease.admitted().clone());
            let mut response = inner.call(request).await?.into_response();
            lease.finish(&mut response).await;
            Ok(response)
        })
    }
}
