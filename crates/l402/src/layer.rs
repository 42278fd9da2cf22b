//! A tower layer that puts a price on a service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::{Method, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Challenger, LeaseStore, Paywall, Price};

/// Lets requests through that have been paid for, and answers all others with 402 and a challenge.
///
/// Each path is sold by itself, unless [`Price::resource`] names what is sold. The handler finds an
/// [`Admitted`](crate::Admitted) in the request's extensions. A payment that is good for one response is released if
/// that response is a server error (5xx). A browser's preflight passes: it can't show a credential.
pub struct PricedLayer<C, S> {
    paywall: Paywall<C, S>,
    price: Arc<Price>,
}

impl<C, S> PricedLayer<C, S> {
    /// From a paywall and a price; see [`Paywall::priced`].
    pub fn new(paywall: Paywall<C, S>, price: Price) -> Self {
        Self { paywall, price: Arc::new(price) }
    }
}

impl<C, S> Clone for PricedLayer<C, S> {
    fn clone(&self) -> Self {
        Self { paywall: self.paywall.clone(), price: Arc::clone(&self.price) }
    }
}

impl<C, S, I> Layer<I> for PricedLayer<C, S> {
    type Service = PricedService<C, S, I>;

    fn layer(&self, inner: I) -> Self::Service {
        PricedService { inner, layer: self.clone() }
    }
}

/// What [`PricedLayer`] makes of a service.
pub struct PricedService<C, S, I> {
    inner: I,
    layer: PricedLayer<C, S>,
}

impl<C, S, I: Clone> Clone for PricedService<C, S, I> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<C, S, I, B, R> Service<Request<B>> for PricedService<C, S, I>
where
    C: Challenger,
    S: LeaseStore,
    I: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    I::Future: Send + 'static,
    B: Send + 'static,
    R: From<Vec<u8>> + Send + 'static,
{
    type Response = Response<R>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, I::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was ready must take the request.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        if is_preflight(&request) {
            return Box::pin(inner.call(request));
        }
        let PricedLayer { paywall, price } = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let lease = match paywall.admit(&price, parts.uri.path(), &parts.headers).await {
                Ok(lease) => lease,
                Err(response) => return Ok(response.map(R::from)),
            };
            parts.extensions.insert(lease.admitted().clone());
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            lease.finish(&mut response).await;
            Ok(response)
        })
    }
}

/// Whether a browser asks if a page may send this request. It never shows a credential.
pub fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
