//! The registry: manifests whose owners want them found.

use serde::Serialize;
use utoipa::ToSchema;

use super::{base_url, description};
use crate::l402::proxy::manage::Page;
use crate::l402::proxy::store::Proxy;
use crate::l402::proxy::view::manifest_path;

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
    items: Vec<ItemView<'a>>,
    total: u64,
    page: u64,
    page_size: u64,
}

/// A manifest.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemView<'a> {
    name: &'a str,
    description: Option<&'a str>,
    manifest_url: String,
    proxy_base_url: String,
    documentation_url: Option<&'a str>,
    parsed_categories: &'a [String],
    endpoint_count: u64,
    default_price_sats: u64,
}

/// The page of those that are looked for.
pub fn page<'a>(
    listed: &'a [(Proxy, u64)],
    search: &Search,
    page: Page,
    public_url: &str,
) -> RegistryView<'a> {
    let found: Vec<_> = listed.iter().filter(|(proxy, _)| search.finds(proxy)).collect();
    let skip = usize::try_from(page.skip()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let item = |(proxy, endpoint_count): &&'a (Proxy, u64)| ItemView {
        name: &proxy.name,
        description: description(proxy),
        manifest_url: format!("{public_url}{}", manifest_path(&proxy.public_id)),
        proxy_base_url: base_url(proxy, public_url),
        documentation_url: proxy.manifest.documentation_url.as_deref(),
        parsed_categories: &proxy.manifest.categories,
        endpoint_count: *endpoint_count,
        default_price_sats: proxy.default_price_sat,
    };
    RegistryView {
        items: found.iter().skip(skip).take(size).map(item).collect(),
        total: u64::try_from(found.len()).unwrap_or(u64::MAX),
        page: page.number,
        page_size: page.size,
    }
}

impl Search {
    fn finds(&self, proxy: &Proxy) -> bool {
        let categories = &proxy.manifest.categories;
        let named =
            |wanted: &String| categories.iter().any(|known| known.eq_ignore_ascii_case(wanted.trim()));
        if !self.category.as_ref().is_none_or(named) {
            return false;
        }
        let Some(words) = &self.words else { return true };
        let text =
            format!("{} {} {}", proxy.name, description(proxy).unwrap_or_default(), categories.join(" "));
        let text = text.to_lowercase();
        words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}
