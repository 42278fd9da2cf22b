//! What handlers of every family read of a request besides its body.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, RawQuery};
use axum::http::request::Parts;

/// The path part of the address that this server is reached at, without a slash at the end; mostly empty. A front proxy
/// takes it off before it asks us.
pub fn base_path(public_url: &str) -> &str {
    let after_scheme = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let path = after_scheme.find('/').and_then(|at| after_scheme.get(at..)).unwrap_or_default();
    path.trim_end_matches('/')
}

/// Whether a path is `root` or lies below it.
pub fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The query of a request; of a name given twice the first counts.
pub struct Params(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let RawQuery(query) = RawQuery::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

impl Params {
    /// Of a query.
    pub fn of(query: String) -> Self {
        Self(Some(query))
    }

    /// The query as it came.
    pub fn raw(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.0.as_deref()?.as_bytes());
        pairs.into_iter().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// Whether a name is there, whatever its value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// The id in a path. One that isn't text at all is empty, which names nothing: so every route says in its
/// own family's words that there is no such thing.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(read.map(|Path(id)| id).unwrap_or_default()))
    }
}
