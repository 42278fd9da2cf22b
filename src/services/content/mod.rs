//! Documents that are sold one by one, and all together: a folder of Markdown and JSON files.
//!
//! The list is free. A document opens for whoever paid for it or for the bundle.

pub mod api;
mod content_store;
mod document;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::config::Config;
use crate::http::client::Client;
use crate::services::l402::{Admission, L402, Price};
use content_store::{ContentStore, Documents};
use document::{BUNDLE, Body, Document};

/// Where the documents are on this server.
pub(super) const PATH: &str = "/api/l402/content";

/// What documents cost.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// One that says nothing itself, in sat.
    pub each: u64,
    /// All together, in sat.
    pub bundle: u64,
}

/// What is sold, and for how much. Cheap to clone.
#[derive(Clone)]
pub struct Content(Arc<Inner>);

struct Inner {
    content_store: ContentStore,
    prices: Prices,
    challenger: L402,
}

/// The list.
#[derive(Serialize, ToSchema)]
pub struct ContentsView {
    items: Vec<ItemView>,
    bundle: BundleView,
}

/// What is said of a document for free.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    slug: String,
    title: String,
    description: Option<String>,
    price_sats: u64,
    #[schema(example = "/api/l402/content/what-is-l402")]
    url: String,
}

/// A document that is sold.
#[derive(Clone, Debug)]
pub struct SoldDocument {
    /// Its name.
    pub slug: String,
    /// Where it is, and what its token is good for.
    pub path: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// What it costs.
    pub price_sat: u64,
}

/// All documents together.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleView {
    price_sats: u64,
    url: String,
}

impl Content {
    /// The documents that the configuration names. Blocks.
    pub fn from_config(config: &Config, challenger: L402) -> Self {
        let content = &config.l402.content;
        let folder = Some(content.folder.trim()).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Self::new(folder, Prices { each: content.price_sat, bundle: content.bundle_price_sat }, challenger)
    }

    /// The documents of a folder, or those that are built in. Blocks.
    pub fn new(folder: Option<PathBuf>, prices: Prices, challenger: L402) -> Self {
        Self(Arc::new(Inner { content_store: ContentStore::open(folder), prices, challenger }))
    }

    /// The list.
    pub async fn list(&self) -> ContentsView {
        let item = |document: &Document| ItemView {
            slug: document.slug.clone(),
            title: document.title.clone(),
            description: document.description.clone(),
            price_sats: self.price_of(document),
            url: format!("{PATH}/{}", document.slug),
        };
        ContentsView {
            items: self.documents().await.iter().map(item).collect(),
            bundle: BundleView { price_sats: self.at_most(self.0.prices.bundle), url: bundle_path() },
        }
    }

    /// Documents and what they cost, for other lists: of each where it is, its title, what is said of it, and sats.
    pub async fn sold(&self) -> Vec<SoldDocument> {
        let sold = |document: &Document| SoldDocument {
            slug: document.slug.clone(),
            path: format!("{PATH}/{}", document.slug),
            title: document.title.clone(),
            description: document.description.clone().unwrap_or_default(),
            price_sat: self.price_of(document),
        };
        self.documents().await.iter().map(sold).collect()
    }

    /// Who may have a document, and where it is; `None` if there is none of this name.
    async fn one(&self, client: Client, headers: &HeaderMap, slug: &str) -> Option<(Admission, Documents)> {
        let documents = self.documents().await;
        let document = documents.iter().find(|document| document.slug == slug)?;
        let price = Price {
            description: document.title.clone(),
            bundle: Some(bundle_path()),
            ..Price::new(format!("{PATH}/{slug}"), self.price_of(document))
        };
        Some((self.0.challenger.admit(client, headers, &price).await, documents))
    }

    /// Who may have all documents, and the documents.
    async fn bundle(&self, client: Client, headers: &HeaderMap) -> (Admission, Documents) {
        let price = Price {
            description: "All articles and data".into(),
            ..Price::new(bundle_path(), self.at_most(self.0.prices.bundle))
        };
        let admission = self.0.challenger.admit(client, headers, &price).await;
        (admission, self.documents().await)
    }

    /// The documents, after another look at the folder if it is time for one.
    async fn documents(&self) -> Documents {
        if self.0.content_store.is_stale() {
            let inner = Arc::clone(&self.0);
            if let Err(error) = tokio::task::spawn_blocking(move || inner.content_store.look()).await {
                tracing::error!(%error, "the folder of documents could not be looked at");
            }
        }
        self.0.content_store.documents()
    }

    fn price_of(&self, document: &Document) -> u64 {
        self.at_most(document.price_sat.unwrap_or(self.0.prices.each))
    }

    /// What nothing may cost more than is not asked for: it could not be sold.
    fn at_most(&self, sats: u64) -> u64 {
        sats.min(self.0.challenger.rules().max_price_sat)
    }
}

fn bundle_path() -> String {
    format!("{PATH}/{BUNDLE}")
}

/// One of these documents.
fn whole_of(documents: &Documents, slug: &str) -> Value {
    documents.iter().find(|document| document.slug == slug).map_or(Value::Null, whole)
}

/// All of them.
fn all_of(documents: &Documents) -> Value {
    json!({ "items": documents.iter().map(whole).collect::<Vec<_>>() })
}

/// What is sold.
fn whole(document: &Document) -> Value {
    let (format, content) = match &document.body {
        Body::Markdown(text) => ("markdown", Value::String(text.clone())),
        Body::Json(value) => ("json", value.clone()),
    };
    json!({
        "slug": document.slug,
        "title": document.title,
        "description": document.description,
        "format": format,
        "content": content,
    })
}
