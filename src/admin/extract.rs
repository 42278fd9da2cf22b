//! JSON bodies, paths and queries whose mistakes are told in the admin API's shape.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::AdminError;
use crate::http::keys::{Caller, KeyId};

/// A JSON body. An empty body is an empty object, so that `POST` without arguments needs none.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = AdminError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AdminError> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => AdminError::BadRequest("the body is too large".into()),
                _ => AdminError::BadRequest("the body could not be read".into()),
            })?;
        let bytes: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &bytes };
        let parsed = Json::<T>::from_bytes(bytes);
        parsed
            .map(|Json(value)| Self(value))
            .map_err(|rejection| AdminError::BadRequest(rejection.body_text()))
    }
}

/// Whose key it is. The layer in front of these routes has put it there.
pub struct By(pub KeyId);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AdminError> {
        let caller = parts.extensions.get::<Caller>();
        caller
            .map(|caller| Self(caller.key))
            .ok_or_else(|| AdminError::internal("an admin route was reached without a key"))
    }
}

/// A query.
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection| AdminError::BadRequest(rejection.body_text()))
    }
}
