//! Reads the table that Shopify's own export of products writes: a line for each variant, and one for each further
//! picture, all lines of a product together under its handle.
//!
//! | column | becomes |
//! |---|---|
//! | `Handle` | what the product is found by when it is imported again |
//! | `Title`, `Body (HTML)` | title, and the description without its markup |
//! | `Option1 Value` to `Option3 Value` | the variant's title: `Large / Blue` |
//! | `Variant SKU`, `Variant Price`, `Variant Taxable`, `Variant Requires Shipping` | the same |
//! | `Variant Inventory Tracker`, `Variant Inventory Qty` | stock; not counted without a tracker |
//! | `Variant Inventory Policy` | `continue`: sold also when there is none |
//! | `Image Src` | pictures |
//! | `Published`, `Status` | whether it is sold |

use std::collections::HashMap;

use crate::admin::{ProductRequest, VariantRequest};
use crate::core::csv::read::{self, BadLine, rows};

/// Why a table can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTable {
    /// It has no such column.
    #[error("the table has no column {0:?}; is it an export of products?")]
    NoColumn(&'static str),
    /// A line makes no sense.
    #[error("line {line}: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        why: String,
    },
}

impl From<BadLine> for BadTable {
    fn from(BadLine { line, why }: BadLine) -> Self {
        Self::Line { line, why: why.into() }
    }
}

/// Reads all products of a table, in its order.
///
/// # Errors
/// [`BadTable`] for the first line that makes no sense.
pub fn read(text: &str) -> Result<Vec<ProductRequest>, BadTable> {
    let mut rows = rows(text)?.into_iter();
    let head = rows.next().map(|row| row.cells).unwrap_or_default();
    let columns: HashMap<String, usize> =
        head.iter().enumerate().map(|(at, name)| (name.trim().to_ascii_lowercase(), at)).collect();
    for needed in ["Handle", "Title", "Variant Price"] {
        if !columns.contains_key(&needed.to_ascii_lowercase()) {
            return Err(BadTable::NoColumn(needed));
        }
    }
    let (mut products, mut places) = (Vec::new(), HashMap::new());
    for read::Row { line, cells, .. } in rows {
        let row = Row { columns: &columns, cells: &cells };
        let handle = row.get("handle");
        if handle.is_empty() {
            if cells.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            return Err(BadTable::Line { line, why: "Handle is empty".into() });
        }
        let at = *places.entry(handle.to_owned()).or_insert_with(|| {
            products.push(product(&row));
            products.len() - 1
        });
        let Some(product) = products.get_mut(at) else { continue };
        let picture = row.get("image src");
        if !picture.is_empty() && !product.images.iter().any(|known| known == picture) {
            product.images.push(picture.to_owned());
        }
        if !row.get("variant price").is_empty() {
            let variant = variant(&row).map_err(|why| BadTable::Line { line, why })?;
            product.variants.push(variant);
        }
    }
    Ok(products.into_iter().filter(|product: &ProductRequest| !product.variants.is_empty()).collect())
}

struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    cells: &'a [String],
}

impl<'a> Row<'a> {
    fn get(&self, name: &str) -> &'a str {
        self.columns.get(name).and_then(|at| self.cells.get(*at)).map(|cell| cell.trim()).unwrap_or_default()
    }

    /// Whether a cell says no; an empty one says nothing.
    fn denies(&self, name: &str) -> bool {
        self.get(name).eq_ignore_ascii_case("false")
    }
}

fn product(row: &Row<'_>) -> ProductRequest {
    let status = row.get("status");
    ProductRequest {
        handle: row.get("handle").to_owned(),
        title: row.get("title").to_owned(),
        description: plain(row.get("body (html)")),
        images: Vec::new(),
        active: !row.denies("published") && (status.is_empty() || status.eq_ignore_ascii_case("active")),
        variants: Vec::new(),
    }
}

fn variant(row: &Row<'_>) -> Result<VariantRequest, String> {
    let options: Vec<_> = ["option1 value", "option2 value", "option3 value"]
        .iter()
        .map(|name| row.get(name))
        .filter(|value| !value.is_empty())
        .collect();
    let price = row.get("variant price");
    let stock = match (row.get("variant inventory tracker"), row.get("variant inventory qty")) {
        ("", _) => None,
        (_, "") => Some(0),
        (_, count) => Some(count.parse().map_err(|_| format!("{count:?} is not a number of pieces"))?),
    };
    Ok(VariantRequest {
        title: options.join(" / "),
        sku: row.get("variant sku").trim_start_matches('\'').to_owned(),
        price: price.parse().map_err(|_| format!("{price:?} is not a price"))?,
        stock,
        oversell: row.get("variant inventory policy").eq_ignore_ascii_case("continue"),
        ships: !row.denies("variant requires shipping"),
        taxable: !row.denies("variant taxable"),
    })
}

/// Markup as plain text: what stands between tags, with a line's end where a block ends.
pub fn plain(html: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(begin) = rest.find('<') {
        let (text, tag) = rest.split_at(begin);
        out.push_str(text);
        let Some(end) = tag.find('>') else {
            // A sign, and no tag.
            out.push_str(tag);
            rest = "";
            break;
        };
        let (tag, after) = tag.split_at(end + 1);
        let name = tag.trim_start_matches(['<', '/']).to_ascii_lowercase();
        if ["p", "br", "div", "li", "h1", "h2", "h3", "h4", "tr"]
            .iter()
            .any(|block| name.strip_prefix(block).is_some_and(|rest| rest.starts_with(['>', ' ', '/'])))
        {
            out.push('\n');
        }
        rest = after;
    }
    out.push_str(rest);
    let out = out
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    let lines = out.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
