//! What owners may ask for. Of several rules that are broken the first in this order is told.

use axum::http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;

use super::error::ProxyError;
use super::glob::Glob;
use super::headers;
use super::price::METHODS;
use super::store::{Endpoint, Proxy, UpstreamAuth};
use super::target::Targets;
use crate::ids::Secret;

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
    /// [`ProxyError::Invalid`] if a header's name and value would not go together.
    pub fn apply(self, proxy: &mut Proxy) -> Checked<()> {
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
pub(super) fn part(path: &str, method: &str, sats: u64, bounds: Bounds) -> Checked<Endpoint> {
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

/// Why a proxy goes out of service.
///
/// # Errors
/// [`ProxyError::Invalid`].
pub fn reason(body: &Map<String, Value>) -> Checked<Option<String>> {
    Ok(Fields(body).words("reason")?.flatten().map(|reason| reason.chars().take(REASON_LEN).collect()))
}

fn endpoint_method(name: &str) -> Checked<String> {
    match name.to_ascii_uppercase().as_str() {
        "*" | "ANY" => Ok("*".into()),
        name => method(name),
    }
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

/// The members of a body. What is `null` is not there.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    /// A text that is not empty, on one line.
    fn text(self, name: &str, longest: usize) -> Checked<Option<String>> {
        let fits = |text: &str| text.chars().count() <= longest && !text.chars().any(char::is_control);
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if fits(text) => Ok(Some(text.clone())),
            Some(_) => {
                Err(wrong(format!("{name} must be a text of at most {longest} characters, on one line")))
            }
        }
    }

    /// A text that `null` or an empty one takes away.
    fn clearable(self, name: &str, longest: usize) -> Checked<Option<Option<String>>> {
        if self.0.contains_key(name) { self.text(name, longest).map(Some) } else { Ok(None) }
    }

    /// A pattern for paths, with its slash.
    fn path(self) -> Checked<Option<String>> {
        let Some(path) = self.text("path", PATTERN_LEN)? else { return Ok(None) };
        pattern("path", &path)?;
        Ok(Some(if path.starts_with('/') { path } else { format!("/{path}") }))
    }

    /// A text that may be left as it is, and not be taken away.
    fn needed(
        self,
        name: &str,
        longest: usize,
        error: (&'static str, &'static str),
    ) -> Checked<Option<String>> {
        let Some(text) = self.clearable(name, longest)? else { return Ok(None) };
        match text.as_deref().map_or("", str::trim) {
            "" => Err(missing(error)),
            text => Ok(Some(text.to_owned())),
        }
    }

    /// A text for people, whose lines become one, and that `null` or an empty one takes away.
    fn words(self, name: &str) -> Checked<Option<Option<String>>> {
        let Some(Value::String(text)) = self.0.get(name) else {
            return self.clearable(name, DESCRIPTION_LEN);
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = Map::from_iter([(name.to_owned(), Value::String(text))]);
        Fields(&line).clearable(name, DESCRIPTION_LEN)
    }

    fn link(self, name: &str) -> Checked<Option<Option<String>>> {
        let Some(Some(text)) = self.clearable(name, URL_LEN)? else {
            return Ok(self.0.contains_key(name).then_some(None));
        };
        let url =
            Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        match url.filter(|url| url.username().is_empty() && url.password().is_none()) {
            Some(url) => Ok(Some(Some(url.to_string()))),
            None => Err(ProxyError::invalid("invalid_url", format!("{name} must be a web address"))),
        }
    }

    fn number(self, name: &str, range: std::ops::RangeInclusive<u64>) -> Checked<Option<u64>> {
        let given = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match given.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (least, most) = (range.start(), range.end());
                Err(wrong(format!("{name} must be a whole number from {least} to {most}")))
            }
        }
    }

    fn clearable_number(
        self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Checked<Option<Option<u64>>> {
        if self.0.contains_key(name) { self.number(name, range).map(Some) } else { Ok(None) }
    }

    fn flag(self, name: &str) -> Checked<Option<bool>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(format!("{name} must be true or false"))),
        }
    }

    /// Texts, as an array or as one text with commas between them.
    fn list(self, name: &str, most: usize, longest: usize) -> Checked<Option<Vec<String>>> {
        let bad = || {
            wrong(format!("{name} must be a list of at most {most} texts of at most {longest} characters"))
        };
        let texts: Vec<String> = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(|item| item.trim().to_owned()).ok_or_else(bad);
                items.iter().map(text).collect::<Checked<_>>()?
            }
            Some(_) => return Err(bad()),
        };
        let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let fits = |text: &String| text.chars().count() <= longest && !text.chars().any(char::is_control);
        if texts.len() <= most && texts.iter().all(fits) { Ok(Some(texts)) } else { Err(bad()) }
    }
}

fn missing((code, message): (&'static str, &'static str)) -> ProxyError {
    ProxyError::invalid(code, message)
}

fn wrong(message: String) -> ProxyError {
    ProxyError::invalid("invalid_field", message)
}
