//! The registry: what is sold here and whose owners want it found, each with its manifest.

use serde::Serialize;
use utoipa::ToSchema;

use super::{base_url, description};
use crate::services::proxy::manage::Page;
use crate::services::proxy::store::Proxy;
use crate::services::proxy::view::manifest_path;

/// What is looked for. Nothing is everything.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Words, each of which must be in the name, the description or a category.
    pub words: Option<String>,
    /// A category.
    pub category: Option<String>,
}

/// A page.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryView<'a> {
    items: Vec<&'a Listing>,
    total: u64,
    page: u64,
    page_size: u64,
}

/// A proxy or a store.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where its manifest is.
    pub manifest_url: String,
    /// Where paths below it begin.
    pub proxy_base_url: String,
    /// For people.
    pub documentation_url: Option<String>,
    /// By which it is found.
    pub parsed_categories: Vec<String>,
    /// Paths that it tells.
    pub endpoint_count: u64,
    /// What costs nothing else; of a store the lowest price.
    pub default_price_sats: u64,
}

impl Listing {
    /// A proxy, with the number of its endpoints.
    pub fn of_proxy(proxy: &Proxy, endpoint_count: u64, public_url: &str) -> Self {
        Self {
            name: proxy.name.clone(),
            description: description(proxy).map(str::to_owned),
            manifest_url: format!("{public_url}{}", manifest_path(&proxy.public_id)),
            proxy_base_url: base_url(proxy, public_url),
            documentation_url: proxy.manifest.documentation_url.clone(),
            parsed_categories: proxy.manifest.categories.clone(),
            endpoint_count,
            default_price_sats: proxy.default_price_sat,
        }
    }
}

/// The page of those that are looked for.
pub fn page<'a>(listed: &'a [Listing], search: &Search, page: Page) -> RegistryView<'a> {
    let found: Vec<_> = listed.iter().filter(|listing| search.finds(listing)).collect();
    let skip = usize::try_from(page.skip()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    RegistryView {
        total: u64::try_from(found.len()).unwrap_or(u64::MAX),
        items: found.into_iter().skip(skip).take(size).collect(),
        page: page.number,
        page_size: page.size,
    }
}

impl Search {
    fn finds(&self, listing: &Listing) -> bool {
        let categories = &listing.parsed_categories;
        let named =
            |wanted: &String| categories.iter().any(|known| known.eq_ignore_ascii_case(wanted.trim()));
        if !self.category.as_ref().is_none_or(named) {
            return false;
        }
        let Some(words) = &self.words else { return true };
        let description = listing.description.as_deref().unwrap_or_default();
        let text = format!("{} {description} {}", listing.name, categories.join(" ")).to_lowercase();
        words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}
