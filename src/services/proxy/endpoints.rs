//! What has a price of its own: parts of proxies, by path and method. No two of a proxy have the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::PaidProxies;
use super::error::ProxyError;
use super::glob::{Glob, Letters};
use super::manage::{Who, json};
use super::price::{METHODS, Methods, Tariff};
use super::request::{self, ENDPOINT_ID_LEN, ENDPOINTS, EndpointChange};
use super::store::{self, Endpoint, Proxy};
use super::view::{DeletedEndpointView, EndpointView, PricedView};
use crate::storage::Tx;

/// A price for a part of a proxy.
#[derive(Clone, Debug)]
pub struct PartPrice {
    /// A pattern.
    pub path: String,
    /// `None` is every method.
    pub method: Option<String>,
    /// 0 is free.
    pub sats: u64,
}

impl PaidProxies {
    /// Reads a new endpoint.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read_endpoint(&self, body: &Map<String, Value>) -> Result<Endpoint, ProxyError> {
        request::endpoint(body, self.bounds())
    }

    /// Reads a change of an endpoint.
    ///
    /// # Errors
    /// [`ProxyError::Invalid`].
    pub fn read_endpoint_change(&self, body: &Map<String, Value>) -> Result<EndpointChange, ProxyError> {
        EndpointChange::read(body, self.bounds())
    }

    /// Gives a part of a proxy a price of its own; answers it as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`]; [`ProxyError::Invalid`] if there is one of this name, or of this path and method,
    /// or too many; the store's.
    pub async fn add_endpoint(
        &self,
        who: Who,
        id: String,
        endpoint: Endpoint,
    ) -> Result<Vec<u8>, ProxyError> {
        let add = move |tx: &Tx<'_>, proxy: &mut Proxy, now| -> Result<Endpoint, ProxyError> {
            let known = store::endpoints(tx, proxy.id)?;
            let name = &endpoint.endpoint_id;
            if known.iter().any(|known| known.endpoint_id == *name) {
                return Err(exists(format!("Endpoint with ID '{name}' already exists")));
            }
            alone(&known, &endpoint)?;
            insert(tx, proxy, &known, endpoint, now)
        };
        let (_, endpoint) = self.write(who, id, add).await?;
        json(&EndpointView::new(&endpoint))
    }

    /// Changes an endpoint; answers it as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], [`ProxyError::EndpointNotFound`]; [`ProxyError::Invalid`] if another has its path
    /// and method; the store's.
    pub async fn change_endpoint(
        &self,
        who: Who,
        (id, name): (String, String),
        change: EndpointChange,
    ) -> Result<Vec<u8>, ProxyError> {
        let apply = move |tx: &Tx<'_>, proxy: &mut Proxy, _| -> Result<Endpoint, ProxyError> {
            let (mut endpoint, others) = named(store::endpoints(tx, proxy.id)?, &name)?;
            let before = (normal(&endpoint.path), endpoint.method.clone());
            change.apply(&mut endpoint)?;
            // Some may be twins from a time when that was allowed.
            if before != (normal(&endpoint.path), endpoint.method.clone()) {
                alone(&others, &endpoint)?;
            }
            store::update_endpoint(tx, &endpoint)?;
            Ok(endpoint)
        };
        let (_, endpoint) = self.write(who, id, apply).await?;
        json(&EndpointView::new(&endpoint))
    }

    /// Takes an endpoint away: what it was about costs what the rest does. Answers so as JSON.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`], [`ProxyError::EndpointNotFound`], the store's.
    pub async fn delete_endpoint(
        &self,
        who: Who,
        (id, name): (String, String),
    ) -> Result<Vec<u8>, ProxyError> {
        let delete = move |tx: &Tx<'_>, proxy: &mut Proxy, _| -> Result<Endpoint, ProxyError> {
            let (endpoint, _) = named(store::endpoints(tx, proxy.id)?, &name)?;
            store::delete_endpoint(tx, endpoint.id)?;
            Ok(endpoint)
        };
        let (proxy, endpoint) = self.write(who, id, delete).await?;
        json(&DeletedEndpointView {
            proxy_id: &proxy.public_id,
            endpoint_id: &endpoint.endpoint_id,
            deleted: true,
        })
    }

    /// Sets the price of a part of a proxy, whatever its endpoints are called: of those with this path and method, and
    /// without a method of all with this path. Makes one if there is none. Answers them as JSON, with what a request
    /// costs now.
    ///
    /// # Errors
    /// [`ProxyError::ProxyNotFound`]; [`ProxyError::Invalid`]; the store's.
    pub async fn price_part(&self, who: Who, id: String, part: PartPrice) -> Result<Vec<u8>, ProxyError> {
        let method = part.method.unwrap_or_else(|| "*".into());
        let wanted = request::part(&part.path, &method, part.sats, self.bounds())?;
        let set = move |tx: &Tx<'_>, proxy: &mut Proxy, now| {
            let mut known = store::endpoints(tx, proxy.id)?;
            let (path, method) = (normal(&wanted.path), wanted.method.clone());
            let meant =
                |known: &Endpoint| (method == "*" || known.method == method) && normal(&known.path) == path;
            let there = known.iter().any(|known| meant(known) && known.method == method);
            let mut priced = Vec::new();
            for endpoint in known.iter_mut().filter(|known| meant(known)) {
                (endpoint.price_sat, endpoint.is_active) = (wanted.price_sat, true);
                store::update_endpoint(tx, endpoint)?;
                priced.push(endpoint.clone());
            }
            if !there {
                let made = Endpoint { endpoint_id: free_name(&known, &wanted), ..wanted };
                let made = insert(tx, proxy, &known, made, now)?;
                known.push(made.clone());
                priced.push(made);
            }
            let costs = costs(proxy, &known, &path, &priced)?;
            Ok((priced, costs))
        };
        let (proxy, (priced, costs)) = self.write(who, id, set).await?;
        let endpoints = priced.iter().map(EndpointView::new).collect();
        json(&PricedView { proxy_id: &proxy.public_id, endpoints, costs })
    }
}

fn exists(message: String) -> ProxyError {
    ProxyError::invalid("endpoint_exists", message)
}

fn normal(pattern: &str) -> String {
    // All that are in the store can be read.
    Glob::new(pattern).map_or_else(|_| pattern.to_owned(), |glob| glob.normal().to_owned())
}

/// The endpoint of a name, and all others.
fn named(all: Vec<Endpoint>, name: &str) -> Result<(Endpoint, Vec<Endpoint>), ProxyError> {
    let (found, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|known| known.endpoint_id == name);
    Ok((found.into_iter().next().ok_or(ProxyError::EndpointNotFound)?, others))
}

/// Whether no other endpoint is for the same requests.
fn alone(others: &[Endpoint], endpoint: &Endpoint) -> Result<(), ProxyError> {
    let path = normal(&endpoint.path);
    let same = |other: &&Endpoint| other.method == endpoint.method && normal(&other.path) == path;
    match others.iter().find(same) {
        None => Ok(()),
        Some(other) => Err(exists(format!(
            "Endpoint with ID '{}' has the same method and path ({} {path})",
            other.endpoint_id, other.method
        ))),
    }
}

fn insert(
    tx: &Tx<'_>,
    proxy: &Proxy,
    known: &[Endpoint],
    endpoint: Endpoint,
    now: i64,
) -> Result<Endpoint, ProxyError> {
    if known.len() >= ENDPOINTS {
        let message = format!("a proxy has at most {ENDPOINTS} endpoints");
        return Err(ProxyError::invalid("too_many_endpoints", message));
    }
    let id = store::insert_endpoint(tx, proxy.id, &endpoint, now)?;
    Ok(Endpoint { id, ..endpoint })
}

/// A name for an endpoint that nobody named.
fn free_name(known: &[Endpoint], endpoint: &Endpoint) -> String {
    let whole = match endpoint.method.as_str() {
        "*" => endpoint.path.clone(),
        method => format!("{method} {}", endpoint.path),
    };
    let whole: String = whole.chars().take(ENDPOINT_ID_LEN.saturating_sub(4)).collect();
    let taken = |name: &String| known.iter().any(|known| known.endpoint_id == *name);
    let numbered = (2..=ENDPOINTS + 1).map(|number| format!("{whole}-{number}"));
    std::iter::once(whole.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(whole)
}

/// What a request for this part costs now, by method: a pattern is a path of its own, a deep one if it may be deep.
fn costs(
    proxy: &Proxy,
    endpoints: &[Endpoint],
    path: &str,
    priced: &[Endpoint],
) -> Result<BTreeMap<String, u64>, ProxyError> {
    let path = Letters::of(&path.replace("**", "*/*"));
    let tariff = Tariff::new(proxy, endpoints)?;
    let methods = Methods(proxy.allowed_methods.clone());
    let asked = |method: &str| priced.iter().any(|priced| priced.method == "*" || priced.method == method);
    let allowed = METHODS.iter().filter(|method| methods.allows(method) && asked(method.as_str()));
    Ok(allowed.map(|method| (method.to_string(), tariff.quote(method, &path).sats)).collect())
}
