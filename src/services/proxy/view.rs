//! Proxies as JSON. The owner's secret is never in it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::store::{Endpoint, Proxy};
use crate::core::time::iso::IsoTime;

/// A new proxy.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyView<'a> {
    id: i64,
    /// What paths and other calls name it by.
    #[schema(example = "premium-weather-api-a1b2")]
    proxy_id: &'a str,
    name: &'a str,
    description: Option<&'a str>,
    target_base_url: &'a str,
    /// What costs nothing else, in sats.
    default_price_sats: u64,
    is_active: bool,
    /// With the path of this server's address before it, if that has one.
    #[schema(example = "/l402/proxy/premium-weather-api-a1b2")]
    proxy_url: String,
    #[schema(value_type = String)]
    created_at: IsoTime,
}

/// A proxy with all that its owner set.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyDetailView<'a> {
    #[serde(flatten)]
    proxy: ProxyView<'a>,
    #[schema(value_type = String)]
    updated_at: IsoTime,
    /// Seconds until the answer must begin.
    timeout: u64,
    /// Empty: all seven.
    allowed_methods: &'a [String],
    /// Empty: everything.
    allowed_paths: &'a [String],
    blocked_paths: &'a [String],
    /// The header that is put on every request to the upstream.
    auth_header: Option<&'a str>,
    /// Its value is never shown again.
    has_auth_value: bool,
    /// Seconds; `null`: as for all.
    token_validity_seconds: Option<u64>,
    retired: bool,
    #[schema(value_type = Option<String>)]
    retired_at: Option<IsoTime>,
    retired_reason: Option<&'a str>,
    #[serde(flatten)]
    manifest: SettingsView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Vec<EndpointView<'a>>>,
}

/// A page of proxies, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxiesView<'a> {
    pub(super) items: Vec<ProxyDetailView<'a>>,
    pub(super) total: u64,
    pub(super) page: u64,
    pub(super) page_size: u64,
}

/// An endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView<'a> {
    id: i64,
    endpoint_id: &'a str,
    /// A pattern: `?`, `*`, `**`, `{name}`.
    path: &'a str,
    http_method: &'a str,
    summary: Option<&'a str>,
    /// 0 is free.
    base_price_sats: u64,
    is_active: bool,
}

/// What the manifest says besides the endpoints.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsView<'a> {
    manifest_enabled: bool,
    manifest_publicly_listed: bool,
    service_description: Option<&'a str>,
    categories: &'a [String],
    logo_url: Option<&'a str>,
    contact_email: Option<&'a str>,
    documentation_url: Option<&'a str>,
    terms_of_service_url: Option<&'a str>,
    /// Below this server's address.
    #[schema(example = "/l402/proxy/premium-weather-api-a1b2/.well-known/l402-manifest.json")]
    manifest_url: String,
}

/// A proxy that is out of service for good.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetiredView<'a> {
    pub(super) proxy_id: &'a str,
    pub(super) retired: bool,
    /// Whether it was so before.
    pub(super) already_retired: bool,
}

/// A proxy that is gone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedView<'a> {
    pub(super) proxy_id: &'a str,
    pub(super) deleted: bool,
}

/// An endpoint that is gone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedEndpointView<'a> {
    pub(super) proxy_id: &'a str,
    pub(super) endpoint_id: &'a str,
    pub(super) deleted: bool,
}

/// A part of a proxy that got a price.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PricedView<'a> {
    pub(super) proxy_id: &'a str,
    /// Those that have it now.
    pub(super) endpoints: Vec<EndpointView<'a>>,
    /// What a request costs now, by method.
    pub(super) costs: BTreeMap<String, u64>,
}

/// The path that a proxy is served at.
pub(in crate::services) fn path_of(public_id: &str) -> String {
    format!("/l402/proxy/{public_id}")
}

/// The path of its manifest. Owners' clients put their own idea of this server's address in front of it.
pub(in crate::services) fn manifest_path(public_id: &str) -> String {
    format!("{}/.well-known/l402-manifest.json", path_of(public_id))
}

impl<'a> ProxyView<'a> {
    pub(super) fn new(proxy: &'a Proxy, base: &str) -> Self {
        Self {
            id: proxy.id,
            proxy_id: &proxy.public_id,
            name: &proxy.name,
            description: proxy.description.as_deref(),
            target_base_url: &proxy.target_url,
            default_price_sats: proxy.default_price_sat,
            is_active: proxy.in_service(),
            proxy_url: format!("{base}{}", path_of(&proxy.public_id)),
            created_at: IsoTime(proxy.created_at),
        }
    }
}

impl<'a> ProxyDetailView<'a> {
    pub(super) fn new(proxy: &'a Proxy, endpoints: Option<&'a [Endpoint]>, base: &str) -> Self {
        Self {
            proxy: ProxyView::new(proxy, base),
            updated_at: IsoTime(proxy.updated_at),
            timeout: proxy.timeout_secs,
            allowed_methods: &proxy.allowed_methods,
            allowed_paths: &proxy.allowed_paths,
            blocked_paths: &proxy.blocked_paths,
            auth_header: proxy.auth.as_ref().map(|auth| auth.header.as_str()),
            has_auth_value: proxy.auth.is_some(),
            token_validity_seconds: proxy.token_validity_secs,
            retired: proxy.retired_at.is_some(),
            retired_at: proxy.retired_at.map(IsoTime),
            retired_reason: proxy.retired_reason.as_deref(),
            manifest: SettingsView::new(proxy, base),
            endpoints: endpoints.map(|endpoints| endpoints.iter().map(EndpointView::new).collect()),
        }
    }
}

impl<'a> EndpointView<'a> {
    pub(super) fn new(endpoint: &'a Endpoint) -> Self {
        Self {
            id: endpoint.id,
            endpoint_id: &endpoint.endpoint_id,
            path: &endpoint.path,
            http_method: &endpoint.method,
            summary: endpoint.summary.as_deref(),
            base_price_sats: endpoint.price_sat,
            is_active: endpoint.is_active,
        }
    }
}

impl<'a> SettingsView<'a> {
    pub(super) fn new(proxy: &'a Proxy, base: &str) -> Self {
        let manifest = &proxy.manifest;
        Self {
            manifest_enabled: manifest.enabled,
            manifest_publicly_listed: manifest.listed,
            service_description: manifest.service_description.as_deref(),
            categories: &manifest.categories,
            logo_url: manifest.logo_url.as_deref(),
            contact_email: manifest.contact_email.as_deref(),
            documentation_url: manifest.documentation_url.as_deref(),
            terms_of_service_url: manifest.terms_url.as_deref(),
            manifest_url: format!("{base}{}", manifest_path(&proxy.public_id)),
        }
    }
}
