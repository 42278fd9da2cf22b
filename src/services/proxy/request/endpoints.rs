//! What owners may ask for of their endpoints.

use serde_json::{Map, Value};

use super::fields::{Fields, wrong};
use super::{Bounds, Checked, ENDPOINT_ID_LEN, method, set};
use crate::services::proxy::error::ProxyError;
use crate::services::proxy::store::Endpoint;

/// Reads a new endpoint.
///
/// # Errors
/// [`ProxyError::Invalid`].
pub fn endpoint(body: &Map<String, Value>, bounds: Bounds) -> Checked<Endpoint> {
    let fields = Fields(body);
    let absent = |name: &str| ProxyError::invalid("missing_field", format!("{name} is required"));
    let endpoint_id = fields.text("endpointId", ENDPOINT_ID_LEN)?.ok_or_else(|| absent("endpointId"))?;
    let path = fields.path()?.ok_or_else(|| absent("path"))?;
    let method = fields.text("httpMethod", 16)?.unwrap_or_else(|| "GET".into());
    let price_sat =
        fields.number("basePriceSats", 0..=bounds.sats)?.ok_or_else(|| absent("basePriceSats"))?;
    Ok(Endpoint {
        id: 0,
        endpoint_id,
        path,
        method: endpoint_method(&method)?,
        price_sat,
        summary: fields.words("summary")?.flatten(),
        description: fields.words("description")?.flatten(),
        is_active: fields.flag("isActive")?.unwrap_or(true),
    })
}

/// An endpoint for what is to be priced, which has no name yet.
///
/// # Errors
/// [`ProxyError::Invalid`].
pub(in crate::services::proxy) fn part(
    path: &str,
    method: &str,
    sats: u64,
    bounds: Bounds,
) -> Checked<Endpoint> {
    let body =
        serde_json::json!({ "endpointId": "-", "path": path, "httpMethod": method, "basePriceSats": sats });
    endpoint(body.as_object().unwrap_or(&Map::new()), bounds)
}

/// A change of an endpoint. What is `None` stays as it is.
#[derive(Debug, Default)]
pub struct EndpointChange {
    endpoint_id: Option<String>,
    path: Option<String>,
    method: Option<String>,
    price_sat: Option<u64>,
    summary: Option<Option<String>>,
    description: Option<Option<String>>,
    is_active: Option<bool>,
}

impl EndpointChange {
    /// Reads a change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read(body: &Map<String, Value>, bounds: Bounds) -> Checked<Self> {
        let fields = Fields(body);
        Ok(Self {
            endpoint_id: fields.text("endpointId", ENDPOINT_ID_LEN)?,
            path: fields.path()?,
            method: fields.text("httpMethod", 16)?.map(|name| endpoint_method(&name)).transpose()?,
            price_sat: fields.number("basePriceSats", 0..=bounds.sats)?,
            summary: fields.words("summary")?,
            description: fields.words("description")?,
            is_active: fields.flag("isActive")?,
        })
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`] if it is about another endpoint.
    pub fn apply(self, endpoint: &mut Endpoint) -> Checked<()> {
        if self.endpoint_id.is_some_and(|id| id != endpoint.endpoint_id) {
            return Err(wrong("endpointId can't be changed".into()));
        }
        set(&mut endpoint.path, self.path);
        set(&mut endpoint.method, self.method);
        set(&mut endpoint.price_sat, self.price_sat);
        set(&mut endpoint.summary, self.summary);
        set(&mut endpoint.description, self.description);
        set(&mut endpoint.is_active, self.is_active);
        Ok(())
    }
}

fn endpoint_method(name: &str) -> Checked<String> {
    match name.to_ascii_uppercase().as_str() {
        "*" | "ANY" => Ok("*".into()),
        name => method(name),
    }
}
