//! What an operator may say of a store and its products.

use super::country_code;
use crate::admin::{ProductRequest, VariantRequest};
use crate::core::decimal::Decimal;
use crate::http::body::web_address;
use crate::rates::Unit;
use crate::services::shop::customer::is_unfit;
use crate::services::shop::ids::{ProductId, VariantId};
use crate::services::shop::store::catalogue::{Product, Variant};
use crate::services::shop::{ShopError, amounts, states};

/// Characters of titles, and of names of other kinds.
const TITLE_LEN: usize = 255;

/// Characters of a description.
const DESCRIPTION_LEN: usize = 20_000;

/// Bytes of an address.
const URL_LEN: usize = 2_048;

/// Pictures of a product.
const MOST_IMAGES: usize = 20;

/// Variants of a product: as many as Shopify allows.
const MOST_VARIANTS: usize = 2_048;

/// Pieces of one variant.
const MOST_PIECES: i64 = 1_000_000_000;

/// A product that may be written down.
pub(in crate::services::shop) struct Checked {
    pub(in crate::services::shop) product: Product,
}

impl Checked {
    pub(in crate::services::shop) fn new(asked: &ProductRequest, unit: Unit) -> Result<Self, ShopError> {
        let of = |error: ShopError| match error {
            ShopError::Invalid { code, message } => {
                ShopError::invalid(code, format!("product {:?}: {message}", asked.handle))
            }
            other => other,
        };
        read(asked, unit).map(|product| Self { product }).map_err(of)
    }
}

fn read(asked: &ProductRequest, unit: Unit) -> Result<Product, ShopError> {
    if asked.images.len() > MOST_IMAGES {
        return Err(invalid(format!("at most {MOST_IMAGES} images are kept")));
    }
    if asked.variants.is_empty() || asked.variants.len() > MOST_VARIANTS {
        return Err(invalid(format!("variants must be 1 to {MOST_VARIANTS}")));
    }
    let variants = asked.variants.iter().map(|variant| self::variant(variant, unit));
    let variants = variants.collect::<Result<Vec<_>, _>>()?;
    let mut titles: Vec<_> = variants.iter().map(|variant| variant.title.as_str()).collect();
    titles.sort_unstable();
    if titles.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(invalid("two variants have one title"));
    }
    Ok(Product {
        id: ProductId(0),
        handle: needed("handle", &asked.handle)?,
        title: needed("title", &asked.title)?,
        description: text("description", &asked.description, DESCRIPTION_LEN)?,
        images: asked.images.iter().map(|url| address(url)).collect::<Result<_, _>>()?,
        active: asked.active,
        variants,
    })
}

fn variant(asked: &VariantRequest, unit: Unit) -> Result<Variant, ShopError> {
    let title = line("title of a variant", &asked.title, TITLE_LEN)?;
    Ok(Variant {
        id: VariantId(0),
        product: ProductId(0),
        title: if title.is_empty() { "Default Title".into() } else { title },
        sku: line("sku", &asked.sku, TITLE_LEN)?,
        price: price(asked.price, unit)?,
        stock: asked.stock.map(stock).transpose()?,
        oversell: asked.oversell,
        ships: asked.ships,
        taxable: asked.taxable,
        active: true,
    })
}

fn invalid(message: impl Into<String>) -> ShopError {
    ShopError::invalid("INVALID_PRODUCT", message)
}

fn needed(name: &str, given: &str) -> Result<String, ShopError> {
    let text = line(name, given, TITLE_LEN)?;
    if text.is_empty() { Err(invalid(format!("{name} is missing"))) } else { Ok(text) }
}

/// A text on one line.
pub(super) fn line(name: &str, given: &str, longest: usize) -> Result<String, ShopError> {
    let text = given.trim();
    if text.chars().count() > longest || text.chars().any(is_unfit) {
        return Err(invalid(format!("{name} must be a text of at most {longest} characters, on one line")));
    }
    Ok(text.to_owned())
}

/// A text on several lines.
pub(super) fn text(name: &str, given: &str, longest: usize) -> Result<String, ShopError> {
    let unfit = |letter: char| is_unfit(letter) && !matches!(letter, '\n' | '\r' | '\t');
    if given.chars().count() > longest || given.chars().any(unfit) {
        return Err(invalid(format!(
            "{name} must be a text of at most {longest} characters, without control characters"
        )));
    }
    Ok(given.trim().to_owned())
}

/// A web address.
pub(super) fn address(given: &str) -> Result<String, ShopError> {
    let url = web_address(given).filter(|_| given.len() <= URL_LEN);
    url.map(|url| url.to_string()).ok_or_else(|| invalid("an address must begin with https:// or http://"))
}

pub(super) fn price(given: Decimal, unit: Unit) -> Result<u64, ShopError> {
    amounts::read(given, unit).ok_or_else(|| {
        invalid(format!("{given} is not a price in {unit}: at most {} digits after the point", unit.places()))
    })
}

pub(super) fn stock(given: i64) -> Result<i64, ShopError> {
    let fits = (-MOST_PIECES..=MOST_PIECES).contains(&given);
    if fits { Ok(given) } else { Err(invalid("stock must be a number of pieces")) }
}

/// A percentage in parts per million.
pub(super) fn percent(given: Decimal) -> Result<u64, ShopError> {
    let ppm = given.in_units(4).and_then(|ppm| u64::try_from(ppm).ok()).filter(|ppm| *ppm <= 1_000_000);
    ppm.ok_or_else(|| invalid("percent must be from 0 to 100, with at most 4 digits after the point"))
}

pub(super) fn country(given: &str) -> Result<String, ShopError> {
    country_code(given).ok_or_else(|| invalid("country must be a code of two letters, like US"))
}

/// A state's code, from its code or its name; empty for none.
pub(super) fn state(country: &str, given: &str) -> Result<String, ShopError> {
    let given = line("state", given, 40)?;
    let state = states::code(country, &given);
    if state.is_empty() && !given.trim().is_empty() {
        Err(invalid("state must be a code like CA"))
    } else {
        Ok(state)
    }
}

/// A store's name in paths: small letters, digits and hyphens.
pub(super) fn slug(given: &str) -> Result<(), ShopError> {
    let fits = (1..=60).contains(&given.len())
        && given.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !given.starts_with('-');
    if fits {
        Ok(())
    } else {
        let message = "slug must have 1 to 60 small letters, digits and hyphens";
        Err(ShopError::invalid("INVALID_SLUG", message))
    }
}
