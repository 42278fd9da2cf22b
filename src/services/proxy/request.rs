//! What owners may ask for. Of several rules that are broken the first in this order is told.

mod endpoints;
mod fields;

use axum::http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;

pub(super) use self::endpoints::part;
pub use self::endpoints::{EndpointChange, endpoint};
use self::fields::{Fields, missing};
use super::error::ProxyError;
use super::glob::Glob;
use super::headers;
use super::price::METHODS;
use super::store::{Proxy, UpstreamAuth};
use super::target::Targets;
use crate::core::ids::Secret;

const NAME_LEN: usize = 100;
const DESCRIPTION_LEN: usize = 1_000;
const REASON_LEN: usize = 500;
pub(super) const ENDPOINT_ID_LEN: usize = 100;
const PATTERN_LEN: usize = 512;
const AUTH_LEN: usize = 4_096;
const URL_LEN: usize = 2_048;
const CATEGORY_LEN: usize = 50;
const CATEGORIES: usize = 20;

/// Patterns in one list: each costs every request a little.
const PATTERNS: usize = 50;

/// Endpoints of one proxy.
pub(super) const ENDPOINTS: usize = 200;

/// How long a payment may be good, in seconds: a minute to thirty days.
const VALIDITY: std::ops::RangeInclusive<u64> = 60..=2_592_000;

/// What a proxy costs if nobody says.
pub(super) const DEFAULT_SATS: u64 = 10;

/// How long an upstream's answer may take to begin if nobody says, in seconds.
pub(super) const DEFAULT_TIMEOUT: u64 = 30;

/// What the configuration allows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Seconds until an upstream's answer begins.
    pub timeout: u64,
    /// Sats that a request may cost.
    pub sats: u64,
}

/// What a proxy can't be without.
const MISSING_NAME: (&str, &str) = ("missing_name", "name is required");
const MISSING_TARGET: (&str, &str) = ("missing_target", "targetBaseUrl is required");

type Checked<T> = Result<T, ProxyError>;

/// A change of a proxy. What is `None` stays as it is.
#[derive(Debug, Default)]
pub struct Change {
    name: Option<String>,
    description: Option<Option<String>>,
    target_url: Option<String>,
    default_price_sat: Option<u64>,
    is_active: Option<bool>,
    auth_header: Option<Option<String>>,
    auth_value: Option<Option<Secret>>,
    timeout_secs: Option<u64>,
    allowed_methods: Option<Vec<String>>,
    allowed_paths: Option<Vec<String>>,
    blocked_paths: Option<Vec<String>>,
    token_validity_secs: Option<Option<u64>>,
}

impl Change {
    /// Reads a new proxy: `name` and `targetBaseUrl` must be there.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read_new(body: &Map<String, Value>, targets: &Targets, bounds: Bounds) -> Checked<Self> {
        let change = Self::read(body, targets, bounds)?;
        if change.name.is_none() {
            return Err(missing(MISSING_NAME));
        }
        if change.target_url.is_none() {
            return Err(missing(MISSING_TARGET));
        }
        Ok(change)
    }

    /// Reads a change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read(body: &Map<String, Value>, targets: &Targets, bounds: Bounds) -> Checked<Self> {
        let fields = Fields(body);
        let target_url = fields.needed("targetBaseUrl", URL_LEN, MISSING_TARGET)?;
        Ok(Self {
            name: fields.needed("name", NAME_LEN, MISSING_NAME)?,
            target_url: target_url.map(|url| targets.check(&url)).transpose()?,
            description: fields.words("description")?,
            default_price_sat: fields.number("defaultPriceSats", 1..=bounds.sats)?,
            is_active: fields.flag("isActive")?,
            auth_header: match fields.clearable("authHeader", NAME_LEN)? {
                Some(Some(name)) => Some(Some(header_name(&name)?)),
                other => other,
            },
            auth_value: match fields.clearable("authValue", AUTH_LEN)? {
                Some(Some(value)) => Some(Some(header_value(value)?)),
                other => other.map(|_| None),
            },
            timeout_secs: match fields.number("timeout", 1..=bounds.timeout)? {
                None => fields.number("timeoutSeconds", 1..=bounds.timeout)?,
                found => found,
            },
            allowed_methods: fields.list("allowedMethods", METHODS.len(), 16)?.map(methods).transpose()?,
            allowed_paths: patterns(fields, "allowedPaths")?,
            blocked_paths: patterns(fields, "blockedPaths")?,
            token_validity_secs: fields.clearable_number("tokenValiditySeconds", VALIDITY)?,
        })
    }

    /// Where it would lead from now on, if that changes.
    pub fn target_url(&self) -> Option<&str> {
        self.target_url.as_deref()
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`] if a header's name and value would not go together, or if a secret would go to another
    /// server than the one it was given for.
    pub fn apply(self, proxy: &mut Proxy) -> Checked<()> {
        let moves = self.target_url.as_deref().is_some_and(|target| !same_origin(target, &proxy.target_url));
        if moves && proxy.auth.is_some() && self.auth_value.is_none() && self.auth_header != Some(None) {
            return Err(ProxyError::invalid(
                "auth_value_required",
                "targetBaseUrl leads to another server: say authValue again, or take it away with null",
            ));
        }
        proxy.auth = auth(proxy.auth.take(), self.auth_header, self.auth_value)?;
        set(&mut proxy.name, self.name);
        set(&mut proxy.description, self.description);
        set(&mut proxy.target_url, self.target_url);
        set(&mut proxy.default_price_sat, self.default_price_sat);
        set(&mut proxy.is_active, self.is_active);
        set(&mut proxy.timeout_secs, self.timeout_secs);
        set(&mut proxy.allowed_methods, self.allowed_methods);
        set(&mut proxy.allowed_paths, self.allowed_paths);
        set(&mut proxy.blocked_paths, self.blocked_paths);
        set(&mut proxy.token_validity_secs, self.token_validity_secs);
        Ok(())
    }
}

/// The header for the upstream after a change. Whoever takes away its name or its value takes away both: a secret
/// never goes under another name than its owner gave it.
fn auth(
    old: Option<UpstreamAuth>,
    header: Option<Option<String>>,
    value: Option<Option<Secret>>,
) -> Checked<Option<UpstreamAuth>> {
    let (header, value) = match (header, value) {
        (None, None) => return Ok(old),
        (Some(None), None | Some(None)) | (None, Some(None)) => return Ok(None),
        (Some(header), Some(value)) => (header, value),
        (Some(header), None) => (header, old.map(|auth| auth.value)),
        (None, Some(value)) => (old.map(|auth| auth.header), value),
    };
    match value {
        Some(value) => {
            Ok(Some(UpstreamAuth { header: header.unwrap_or_else(|| "Authorization".into()), value }))
        }
        None => Err(ProxyError::invalid("invalid_auth", "authHeader needs an authValue")),
    }
}

fn same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    origin(one).is_some_and(|one| Some(one) == origin(other))
}

fn set<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

/// What a proxy's manifest says. What is `None` stays as it is.
#[derive(Debug, Default)]
pub struct SettingsChange {
    enabled: Option<bool>,
    listed: Option<bool>,
    service_description: Option<Option<String>>,
    categories: Option<Vec<String>>,
    logo_url: Option<Option<String>>,
    contact_email: Option<Option<String>>,
    documentation_url: Option<Option<String>>,
    terms_url: Option<Option<String>>,
}

impl SettingsChange {
    /// Reads a change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read(body: &Map<String, Value>) -> Checked<Self> {
        let fields = Fields(body);
        Ok(Self {
            enabled: fields.flag("manifestEnabled")?,
            listed: fields.flag("manifestPubliclyListed")?,
            service_description: fields.words("serviceDescription")?,
            categories: fields.list("categories", CATEGORIES, CATEGORY_LEN)?,
            logo_url: fields.link("logoUrl")?,
            contact_email: fields.clearable("contactEmail", 254)?,
            documentation_url: fields.link("documentationUrl")?,
            terms_url: fields.link("termsOfServiceUrl")?,
        })
    }

    /// Makes the change.
    pub fn apply(self, proxy: &mut Proxy) {
        let manifest = &mut proxy.manifest;
        set(&mut manifest.enabled, self.enabled);
        set(&mut manifest.listed, self.listed);
        set(&mut manifest.service_description, self.service_description);
        set(&mut manifest.categories, self.categories);
        set(&mut manifest.logo_url, self.logo_url);
        set(&mut manifest.contact_email, self.contact_email);
        set(&mut manifest.documentation_url, self.documentation_url);
        set(&mut manifest.terms_url, self.terms_url);
    }
}

/// Why a proxy goes out of service.
///
/// # Errors
/// [`ProxyError::Invalid`].
pub fn reason(body: &Map<String, Value>) -> Checked<Option<String>> {
    Ok(Fields(body).words("reason")?.flatten().map(|reason| reason.chars().take(REASON_LEN).collect()))
}

fn methods(names: Vec<String>) -> Checked<Vec<String>> {
    let mut methods =
        names.iter().map(|name| method(&name.to_ascii_uppercase())).collect::<Checked<Vec<_>>>()?;
    methods.sort_unstable();
    methods.dedup();
    Ok(methods)
}

fn method(name: &str) -> Checked<String> {
    let known = METHODS.iter().map(Method::as_str).find(|known| *known == name);
    known.map(str::to_owned).ok_or_else(|| {
        ProxyError::invalid("invalid_method", "methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")
    })
}

fn patterns(fields: Fields<'_>, name: &str) -> Checked<Option<Vec<String>>> {
    let Some(list) = fields.list(name, PATTERNS, PATTERN_LEN)? else { return Ok(None) };
    list.iter().try_for_each(|text| pattern(name, text))?;
    Ok(Some(list))
}

fn pattern(name: &str, text: &str) -> Checked<()> {
    match Glob::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(ProxyError::invalid("invalid_pattern", format!("{name}: {error}"))),
    }
}

fn header_name(text: &str) -> Checked<String> {
    let bad = || ProxyError::invalid("invalid_auth", "authHeader must be a header that may be set");
    let name = HeaderName::try_from(text).map_err(|_| bad())?;
    if headers::may_be_set(&name) { Ok(text.to_owned()) } else { Err(bad()) }
}

fn header_value(text: String) -> Checked<Secret> {
    match HeaderValue::try_from(text.as_str()) {
        Ok(_) => Ok(Secret::new(text)),
        Err(_) => Err(ProxyError::invalid("invalid_auth", "authValue can't stand in a header")),
    }
}
