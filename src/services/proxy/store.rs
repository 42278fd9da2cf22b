//! The rows of the service.

mod endpoints;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(super) use self::endpoints::{delete_endpoint, endpoints, insert_endpoint, update_endpoint};
use super::error::ProxyError;
use crate::core::ids::{AccountId, Secret};
use crate::core::time::UnixMillis;
use crate::storage::Tx;

/// What is put on every request to the upstream. The value is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAuth {
    /// The header's name.
    pub header: String,
    /// What it says.
    pub value: Secret,
}

/// What others are told of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestSettings {
    /// Whether the manifest is public.
    pub enabled: bool,
    /// Whether the registry lists it.
    pub listed: bool,
    /// What the service does, if it is not the proxy's own description.
    pub service_description: Option<String>,
    /// What the registry is searched by.
    pub categories: Vec<String>,
    /// A picture.
    pub logo_url: Option<String>,
    /// Whom to write to.
    pub contact_email: Option<String>,
    /// Where to read more.
    pub documentation_url: Option<String>,
    /// What the owner wants of callers.
    pub terms_url: Option<String>,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Row id; 0 before it is written.
    pub id: i64,
    /// What callers know it by.
    pub public_id: String,
    /// Whose it is; `None` is the operator's own.
    pub account: Option<AccountId>,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where requests go. Nobody but the owner is told.
    pub target_url: String,
    /// Sats for what has no price of its own.
    pub default_price_sat: u64,
    /// Whether it is in service.
    pub is_active: bool,
    /// When it was taken out of service for good.
    pub retired_at: Option<UnixMillis>,
    /// Why.
    pub retired_reason: Option<String>,
    /// What the upstream knows us by.
    pub auth: Option<UpstreamAuth>,
    /// How long the upstream's answer may take to begin, in seconds.
    pub timeout_secs: u64,
    /// Methods that are passed on; none named is all.
    pub allowed_methods: Vec<String>,
    /// Patterns; none is everything.
    pub allowed_paths: Vec<String>,
    /// Patterns; they win over those that allow.
    pub blocked_paths: Vec<String>,
    /// How long what was paid for is good, in seconds; `None` is what holds for all.
    pub token_validity_secs: Option<u64>,
    /// What others are told.
    pub manifest: ManifestSettings,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was changed last.
    pub updated_at: UnixMillis,
}

impl Proxy {
    /// Whether requests are passed on.
    pub fn in_service(&self) -> bool {
        self.is_active && self.retired_at.is_none()
    }

    /// Whether its manifest is public.
    pub fn shows_manifest(&self) -> bool {
        self.in_service() && self.manifest.enabled
    }
}

/// What has a price of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Row id; 0 before it is written.
    pub id: i64,
    /// The owner's name for it.
    pub endpoint_id: String,
    /// A pattern.
    pub path: String,
    /// A method, or `*` for all.
    pub method: String,
    /// Sats; 0 is free.
    pub price_sat: u64,
    /// A line for people.
    pub summary: Option<String>,
    /// More for people.
    pub description: Option<String>,
    /// Whether it counts.
    pub is_active: bool,
}

const COLUMNS: &str =
    "id, public_id, account_id, name, description, target_url, default_price_sat, is_active,
     retired_at, retired_reason, auth_header, auth_value, timeout_secs, allowed_methods, allowed_paths,
     blocked_paths, token_validity_secs, manifest_enabled, manifest_listed, service_description, categories,
     logo_url, contact_email, documentation_url, terms_url, created_at, updated_at";

const SELECTED: &str =
    "id, public_id, account_id, name, description, target_url, default_price_sat, is_active,
     retired_at, retired_reason, auth_header, unseal(auth_value), timeout_secs, allowed_methods, allowed_paths,
     blocked_paths, token_validity_secs, manifest_enabled, manifest_listed, service_description, categories,
     logo_url, contact_email, documentation_url, terms_url, created_at, updated_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Proxy> {
    let auth = match (row.get(10)?, row.get::<_, Option<String>>(11)?) {
        (Some(header), Some(value)) => Some(UpstreamAuth { header, value: Secret::new(value) }),
        _ => None,
    };
    Ok(Proxy {
        id: row.get(0)?,
        public_id: row.get(1)?,
        account: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        target_url: row.get(5)?,
        default_price_sat: row.get(6)?,
        is_active: row.get(7)?,
        retired_at: row.get(8)?,
        retired_reason: row.get(9)?,
        auth,
        timeout_secs: row.get(12)?,
        allowed_methods: list_of(row, 13)?,
        allowed_paths: list_of(row, 14)?,
        blocked_paths: list_of(row, 15)?,
        token_validity_secs: row.get(16)?,
        manifest: ManifestSettings {
            enabled: row.get(17)?,
            listed: row.get(18)?,
            service_description: row.get(19)?,
            categories: list_of(row, 20)?,
            logo_url: row.get(21)?,
            contact_email: row.get(22)?,
            documentation_url: row.get(23)?,
            terms_url: row.get(24)?,
        },
        created_at: row.get(25)?,
        updated_at: row.get(26)?,
    })
}

fn list_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn list_text(list: &[String]) -> String {
    // Texts can always be written.
    serde_json::to_string(list).unwrap_or_else(|_| "[]".into())
}

/// A proxy by its public id.
pub(super) fn by_public_id(connection: &Connection, public_id: &str) -> Result<Option<Proxy>, ProxyError> {
    let sql = format!("SELECT {SELECTED} FROM l402_proxies WHERE public_id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([public_id], read).optional()?)
}

/// Whose proxies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Anybody,
    Account(AccountId),
}

/// A page of proxies, newest first, and how many there are.
pub(super) fn list(
    connection: &Connection,
    owner: Owner,
    skip: u64,
    limit: u64,
) -> Result<(Vec<Proxy>, u64), ProxyError> {
    let account = match owner {
        Owner::Anybody => None,
        Owner::Account(account) => Some(account),
    };
    let total = connection
        .prepare_cached("SELECT count(*) FROM l402_proxies WHERE ?1 IS NULL OR account_id = ?1")?
        .query_row([account], |row| row.get(0))?;
    let sql = format!(
        "SELECT {SELECTED} FROM l402_proxies WHERE ?1 IS NULL OR account_id = ?1
         ORDER BY id DESC LIMIT ?2 OFFSET ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![account, limit, skip], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

/// How many of an account's proxies can serve or may again: not those that are retired.
pub(super) fn count_live(connection: &Connection, account: AccountId) -> Result<u64, ProxyError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM l402_proxies WHERE account_id = ?1 AND retired_at IS NULL")?
        .query_row([account], |row| row.get(0))?)
}

/// All proxies whose manifests the registry lists, newest first, at most so many, each with the number of its
/// endpoints.
pub(super) fn listed(connection: &Connection, most: u64) -> Result<Vec<(Proxy, u64)>, ProxyError> {
    let sql = format!(
        "SELECT {SELECTED}, (SELECT count(*) FROM l402_endpoints e WHERE e.proxy_id = p.id AND e.is_active)
         FROM l402_proxies p
         WHERE manifest_enabled AND manifest_listed AND is_active AND retired_at IS NULL
         ORDER BY id DESC LIMIT ?1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([most], |row| Ok((read(row)?, row.get(27)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes a new proxy down; answers its row id.
pub(super) fn insert(tx: &Tx<'_>, proxy: &Proxy) -> Result<i64, ProxyError> {
    let sql = format!(
        "INSERT INTO l402_proxies ({COLUMNS}) VALUES (NULL, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, seal(?12), ?13,
         ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)"
    );
    write(tx, &sql, proxy)?;
    Ok(tx.last_insert_rowid())
}

/// Writes all of a proxy again.
pub(super) fn update(tx: &Tx<'_>, proxy: &Proxy) -> Result<(), ProxyError> {
    write(
        tx,
        "UPDATE l402_proxies SET public_id = ?2, account_id = ?3, name = ?4, description = ?5, target_url = ?6,
         default_price_sat = ?7, is_active = ?8, retired_at = ?9, retired_reason = ?10, auth_header = ?11,
         auth_value = seal(?12), timeout_secs = ?13, allowed_methods = ?14, allowed_paths = ?15, blocked_paths = ?16,
         token_validity_secs = ?17, manifest_enabled = ?18, manifest_listed = ?19, service_description = ?20,
         categories = ?21, logo_url = ?22, contact_email = ?23, documentation_url = ?24, terms_url = ?25,
         created_at = ?26, updated_at = ?27
         WHERE id = ?1",
        proxy,
    )
}

fn write(tx: &Tx<'_>, sql: &str, proxy: &Proxy) -> Result<(), ProxyError> {
    let manifest = &proxy.manifest;
    tx.prepare_cached(sql)?.execute(params![
        proxy.id,
        proxy.public_id,
        proxy.account,
        proxy.name,
        proxy.description,
        proxy.target_url,
        proxy.default_price_sat,
        proxy.is_active,
        proxy.retired_at,
        proxy.retired_reason,
        proxy.auth.as_ref().map(|auth| &auth.header),
        proxy.auth.as_ref().map(|auth| auth.value.expose()),
        proxy.timeout_secs,
        list_text(&proxy.allowed_methods),
        list_text(&proxy.allowed_paths),
        list_text(&proxy.blocked_paths),
        proxy.token_validity_secs,
        manifest.enabled,
        manifest.listed,
        manifest.service_description,
        list_text(&manifest.categories),
        manifest.logo_url,
        manifest.contact_email,
        manifest.documentation_url,
        manifest.terms_url,
        proxy.created_at,
        proxy.updated_at,
    ])?;
    Ok(())
}

/// Takes a proxy and its endpoints away.
pub(super) fn delete(tx: &Tx<'_>, id: i64) -> Result<(), ProxyError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO l402_deleted_proxies (public_id) SELECT public_id FROM l402_proxies WHERE id = ?1",
    )?
    .execute([id])?;
    tx.prepare_cached("DELETE FROM l402_proxies WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Whether no proxy has this id, or ever had.
pub(super) fn is_free(connection: &Connection, public_id: &str) -> Result<bool, ProxyError> {
    Ok(connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM l402_proxies WHERE public_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM l402_deleted_proxies WHERE public_id = ?1)",
        )?
        .query_row([public_id], |row| row.get(0))?)
}

/// The id of an account by its name.
/// How many proxies an account has, and how many of them sell.
pub(super) fn count(connection: &Connection, account: AccountId) -> Result<(u64, u64), ProxyError> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE is_active AND retired_at IS NULL) FROM l402_proxies
             WHERE account_id = ?1",
        )?
        .query_row([account], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

pub(super) fn account(connection: &Connection, name: &str) -> Result<Option<AccountId>, ProxyError> {
    let mut statement = connection.prepare_cached("SELECT id FROM accounts WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

#[cfg(test)]
pub(in crate::services) mod tests {
    use super::*;

    /// A proxy like the document's.
    pub(in crate::services) fn proxy() -> Proxy {
        Proxy {
            id: 1,
            public_id: "premium-weather-api-a1b2".into(),
            account: None,
            name: "Premium Weather API".into(),
            description: Some("Weather of tomorrow".into()),
            target_url: "https://weather.example/v1".into(),
            default_price_sat: 10,
            is_active: true,
            retired_at: None,
            retired_reason: None,
            auth: Some(UpstreamAuth { header: "X-Upstream-Key".into(), value: Secret::new("hunter2") }),
            timeout_secs: 30,
            allowed_methods: Vec::new(),
            allowed_paths: Vec::new(),
            blocked_paths: Vec::new(),
            token_validity_secs: None,
            manifest: ManifestSettings { enabled: true, ..ManifestSettings::default() },
            created_at: 0,
            updated_at: 0,
        }
    }

    pub(in crate::services) fn endpoint(method: &str, path: &str, price_sat: u64) -> Endpoint {
        Endpoint {
            id: 0,
            endpoint_id: format!("{method} {path}"),
            path: path.into(),
            method: method.into(),
            price_sat,
            summary: Some("An endpoint".into()),
            description: None,
            is_active: true,
        }
    }

    #[test]
    fn a_secret_is_in_no_debug_line() {
        assert!(!format!("{:?}", proxy()).contains("hunter2"));
    }
}
