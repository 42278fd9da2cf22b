//! The middleware that counts requests.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::{Allowance, Class, Holder, Limits, Name};
use crate::http::client::Proxies;
use crate::http::keys::Caller;
use crate::telemetry::metrics::HTTP_LIMITED;

/// The quota that [`limit`] counted a request on, among the request's extensions: a handler counts more on
/// it for what costs more than one.
#[derive(Clone)]
pub struct Meter {
    limits: Arc<Limits>,
    class: Class,
    holder: Holder,
}

impl Meter {
    /// Takes so many more; never more than the whole quota.
    ///
    /// # Errors
    /// Seconds to wait until there is that much; then nothing was taken.
    pub fn take(&self, count: u32) -> Result<(), u64> {
        self.limits.quotas(self.class, self.holder).map_or(Ok(()), |(quotas, name)| quotas.take(name, count))
    }
}

/// What the middleware [`limit`] needs; one for each class and family.
#[derive(Clone)]
pub struct Limiter {
    /// The quotas.
    pub limits: Arc<Limits>,
    /// Whom to believe about the client's address.
    pub proxies: Arc<Proxies>,
    /// Which quota.
    pub class: Class,
    /// Words the refusal in the family's shape; the headers are added to it.
    pub refusal: fn(&Allowance) -> Response,
}

/// Middleware: counts the request, refuses it or passes it on, and puts the headers on the answer.
/// Use with `axum::middleware::from_fn_with_state`. Counts by API key if an outer layer
/// ([`recognise`](crate::http::keys::recognise)) found a valid one.
pub async fn limit(State(limiter): State<Limiter>, mut request: Request, next: Next) -> Response {
    if *request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let holder = match request.extensions().get::<Caller>() {
        Some(caller) => Holder::Key(Name::of(limiter.limits.hash(caller.key))),
        None => {
            let client = limiter.proxies.client(request.extensions(), request.headers());
            limiter.limits.client(client)
        }
    };
    let allowance = limiter.limits.check_holder(limiter.class, holder);
    request.extensions_mut().insert(Meter {
        limits: Arc::clone(&limiter.limits),
        class: limiter.class,
        holder,
    });
    let mut response = match allowance.retry_after {
        Some(_) => {
            metrics::counter!(HTTP_LIMITED, "limit" => limiter.class.name()).increment(1);
            (limiter.refusal)(&allowance)
        }
        None => next.run(request).await,
    };
    allowance.write_headers(response.headers_mut());
    response
}
