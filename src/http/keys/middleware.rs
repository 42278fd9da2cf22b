//! Middleware that checks API keys.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;

use super::{Caller, KeyError, Keys, Scope, shown_key};
use crate::core::ids::Secret;

/// Middleware: puts the [`Caller`] of a valid key on the request, for what counts by it. Whether a route needs a
/// key, and what to say of a bad one, is the route's own.
pub async fn recognise(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    let found = keys.authenticate(request.headers()).await;
    if let Ok(Some(caller)) = &found {
        request.extensions_mut().insert(caller.clone());
    }
    let shown = matches!(found, Ok(Some(_))).then(|| shown_secret(request.headers()));
    request.extensions_mut().insert(Recognised(found));
    let response = next.run(request).await;
    match shown {
        Some(key) => until_ended(response, keys, key),
        None => response,
    }
}

fn shown_secret(headers: &HeaderMap) -> Secret {
    Secret::new(shown_key(headers).unwrap_or_default())
}

/// A stream of events under a key ends with the key; what was asked for once stays as it is.
fn until_ended(response: Response, keys: Keys, key: Secret) -> Response {
    let streams = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|content| content.as_bytes().starts_with(b"text/event-stream"));
    if !streams {
        return response;
    }
    let ended = Box::pin(keys.ended(key));
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended)))
}

/// What [`recognise`] has found, so that it is not looked up twice.
#[derive(Clone)]
struct Recognised(Result<Option<Caller>, KeyError>);

/// What [`require_scope`] needs.
#[derive(Clone)]
pub struct Gate {
    /// The keys.
    pub keys: Keys,
    /// What the route needs.
    pub scope: Scope,
    /// Words the refusal in the family's shape: [`KeyError::Missing`], [`KeyError::Invalid`], [`KeyError::Lacks`] or
    /// [`KeyError::Store`].
    pub refusal: fn(&KeyError) -> Response,
}

/// What [`require_any_scope`] needs.
#[derive(Clone)]
pub struct AnyGate {
    /// The gate, whose scope is named in a refusal.
    pub gate: Gate,
    /// Other scopes that open it too.
    pub or: &'static [Scope],
}

/// Middleware: lets a request pass only with a key of the scope, and puts the [`Caller`] on it.
/// Use with `axum::middleware::from_fn_with_state`.
pub async fn require_scope(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    require_any_scope(State(AnyGate { gate, or: &[] }), request, next).await
}

/// The same with a key of any of some scopes.
pub async fn require_any_scope(
    State(AnyGate { gate, or }): State<AnyGate>,
    mut request: Request,
    next: Next,
) -> Response {
    let found = match request.extensions_mut().remove::<Recognised>() {
        Some(Recognised(found)) => found,
        None => gate.keys.authenticate(request.headers()).await,
    };
    let checked = match found {
        Ok(Some(caller)) if caller.may(gate.scope) || or.iter().any(|scope| caller.may(*scope)) => Ok(caller),
        Ok(Some(_)) => Err(KeyError::Lacks(gate.scope)),
        Ok(None) => Err(KeyError::Missing),
        Err(error) => Err(error),
    };
    match checked {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            let key = shown_secret(request.headers());
            until_ended(next.run(request).await, gate.keys, key)
        }
        Err(error) => (gate.refusal)(&error),
    }
}
