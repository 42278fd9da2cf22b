//! What owners may ask for. Of several rules that are broken the first in this order is told.

use axum::http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::error::ProxyError;
use super::glob::Glob;
use super::headers;
use super::price::METHODS;
use super::store::{Endpoint, Proxy, UpstreamAuth};
use super::target::Targets;
use crate::http::body::web_address;
use crate::ids::Secret;

const NAME_LEN: usize = 100;
const DESCRIPTION_LEN: usize = 1_000;
const REASON_LEN: usize = 500;
const ENDPOINT_ID_LEN: usize = 100;
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
            return Err(ProxyError::invalid("missing_name", "name is required"));
        }
        if change.target_url.is_none() {
            return Err(ProxyError::invalid("missing_target", "targetBaseUrl is required"));
        }
        Ok(change)
    }

    /// Reads a change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read(body: &Map<String, Value>, targets: &Targets, bounds: Bounds) -> Checked<Self> {
        let fields = Fields(body);
        let name = fields.text("name", NAME_LEN)?;
        let target_url = fields.text("targetBaseUrl", URL_LEN)?.map(|url| targets.check(&url)).transpose()?;
        Ok(Self {
            name: name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
            description: fields.clearable("description", DESCRIPTION_LEN)?,
            target_url,
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

    /// Makes the change.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`] if a header's name and value would not go together.
    pub fn apply(self, proxy: &mut Proxy) -> Checked<()> {
        let old = proxy.auth.take();
        let (old_header, old_value) = old.map(|auth| (auth.header, auth.value)).unzip();
        let cleared = matches!(self.auth_value, Some(None));
        let header = self.auth_header.unwrap_or(old_header.filter(|_| !cleared));
        let value = self.auth_value.unwrap_or(old_value);
        proxy.auth = match (header, value) {
            (None, None) => None,
            (header, Some(value)) => {
                Some(UpstreamAuth { header: header.unwrap_or_else(|| "Authorization".into()), value })
            }
            (Some(_), None) => {
                return Err(ProxyError::invalid("invalid_auth", "authHeader needs an authValue"));
            }
        };
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
            service_description: fields.clearable("serviceDescription", DESCRIPTION_LEN)?,
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
    let missing = |name: &str| ProxyError::invalid("missing_field", format!("{name} is required"));
    let endpoint_id = fields.text("endpointId", ENDPOINT_ID_LEN)?.ok_or_else(|| missing("endpointId"))?;
    let path = fields.text("path", 512)?.ok_or_else(|| missing("path"))?;
    pattern("path", &path)?;
    let method = fields.text("httpMethod", 16)?.unwrap_or_else(|| "GET".into());
    let price_sat =
        fields.number("basePriceSats", 0..=bounds.sats)?.ok_or_else(|| missing("basePriceSats"))?;
    Ok(Endpoint {
        id: 0,
        endpoint_id,
        path: if path.starts_with('/') { path } else { format!("/{path}") },
        method: endpoint_method(&method)?,
        price_sat,
        summary: fields.text("summary", DESCRIPTION_LEN)?,
        description: fields.text("description", DESCRIPTION_LEN)?,
        is_active: fields.flag("isActive")?.unwrap_or(true),
    })
}

/// Why a proxy goes out of service.
///
/// # Errors
/// [`ProxyError::Invalid`].
pub fn reason(body: &Map<String, Value>) -> Checked<Option<String>> {
    Fields(body).text("reason", REASON_LEN)
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
    let Some(list) = fields.list(name, PATTERNS, 512)? else { return Ok(None) };
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
    /// A text that is not empty.
    fn text(self, name: &str, longest: usize) -> Checked<Option<String>> {
        let fits = |text: &str| {
            text.chars().count() <= longest
                && !text.chars().any(|letter| letter.is_control() && letter != '\n')
        };
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if fits(text) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(format!("{name} must be a text of at most {longest} characters"))),
        }
    }

    /// A text that `null` or an empty one takes away.
    fn clearable(self, name: &str, longest: usize) -> Checked<Option<Option<String>>> {
        if self.0.contains_key(name) { self.text(name, longest).map(Some) } else { Ok(None) }
    }

    fn link(self, name: &str) -> Checked<Option<Option<String>>> {
        let Some(Some(text)) = self.clearable(name, URL_LEN)? else {
            return Ok(self.0.contains_key(name).then_some(None));
        };
        match web_address(&text) {
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

fn wrong(message: String) -> ProxyError {
    ProxyError::invalid("invalid_field", message)
}
