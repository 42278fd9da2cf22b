//! `satchel store create|set|list|show|sync|add|import|product|orders|order|ship|cancel|forget`

mod args;
mod orders;
mod shopify;

use std::path::Path;

use serde_json::{Value, json};

pub use args::StoreCommand;
use args::{AddArgs, ProductArgs, Settings};

use super::channel::segment;
use super::client::Client;
use super::confirm;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, items, text};
use crate::admin::ProductRequest;
use crate::core::csv::read::decode;
use crate::core::decimal::Decimal;
use crate::services::shop::csv;

/// Products sent at once: far below the largest body that is taken.
const AT_ONCE: usize = 25;

/// Bytes of a file that is read.
const LARGEST_FILE: u64 = 200 * 1024 * 1024;

pub async fn run(client: &Client, command: StoreCommand) -> Result<Report, CliError> {
    match command {
        StoreCommand::Create { slug, account, currency, settings } => {
            let mut body = settings.body()?;
            body.extend([("account".to_owned(), json!(account)), ("currency".to_owned(), json!(currency))]);
            let body = Value::Object(body);
            let answer = client.post(&format!("stores/{}", segment(&slug)?), body).await?;
            let said = format!(
                "the store {slug} sells for the account {} in {}; add products with `satchel store add {slug} TITLE --price PRICE`, \
                 or `satchel store import {slug} products.csv`",
                text(&answer, "account"),
                text(&answer, "currency"),
            );
            Ok(Report::new(answer, said))
        }
        StoreCommand::Set { slug, open, close, settings } => {
            set(client, &slug, (open, close), &settings).await
        }
        StoreCommand::List => list(client).await,
        StoreCommand::Show { slug } => {
            let answer = client.get(&format!("stores/{}", segment(&slug)?)).await?;
            let said = shown(&answer);
            Ok(Report::new(answer, said))
        }
        StoreCommand::Sync { slug } => shopify::sync(client, &slug).await,
        StoreCommand::Add(args) => add(client, &args).await,
        StoreCommand::Import { slug, file, yes } => import(client, &slug, &file, yes).await,
        StoreCommand::Product(args) => product(client, &args).await,
        StoreCommand::Orders { slug, status } => orders::list(client, &slug, status).await,
        StoreCommand::Order { id } => orders::show(client, &id).await,
        StoreCommand::Ship(args) => orders::ship(client, &args).await,
        StoreCommand::Cancel { id } => orders::cancel(client, &id).await,
        StoreCommand::Forget { id } => orders::forget(client, &id).await,
    }
}

async fn set(
    client: &Client,
    slug: &str,
    (open, close): (bool, bool),
    settings: &Settings,
) -> Result<Report, CliError> {
    let mut body = settings.body()?;
    if open || close {
        body.insert("active".into(), json!(open));
    }
    let body = Value::Object(body);
    let answer = client.post(&format!("stores/{}/settings", segment(slug)?), body).await?;
    let said = shown(&answer);
    Ok(Report::new(answer, said))
}

async fn list(client: &Client) -> Result<Report, CliError> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("stores?after={after}")).await?;
        all.extend(items(&page, "stores").cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let names = ["slug", "name", "account", "currency", "variants", "active", "sold_out"];
    let row = |store: &Value| {
        let mut row: Vec<_> = names.iter().map(|name| cell(store, name)).collect();
        row.push(shopify::in_short(store));
        row
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let said = match rows.as_slice() {
        [] => "no stores yet; `satchel store create SLUG` makes one".into(),
        rows => {
            let head = ["STORE", "NAME", "ACCOUNT", "IN", "VARIANTS", "OPEN", "SOLD OUT", "SHOPIFY"];
            table(&head, &[4], rows)
        }
    };
    Ok(Report::new(json!({ "stores": all }), said))
}

fn shown(store: &Value) -> String {
    let places = |name: &str, value: &str| {
        let all: Vec<_> = items(store, name)
            .map(|place| {
                let state = text(place, "state");
                let dash = if state.is_empty() { "" } else { "-" };
                format!("{}{dash}{state}={}", text(place, "country"), text(place, value))
            })
            .collect();
        if all.is_empty() { "none".to_owned() } else { all.join(" ") }
    };
    format!(
        "{} ({}), {}\naccount   {}\nprices in {}\nat        {} {}\nsold out  {}\nshipping  {}\nfree from {}\ntaxes     {}\nvariants  {}",
        text(store, "name"),
        text(store, "slug"),
        if store.get("active") == Some(&json!(true)) { "open" } else { "closed" },
        text(store, "account"),
        text(store, "currency"),
        text(store, "country"),
        text(store, "state"),
        text(store, "sold_out"),
        places("shipping", "price"),
        cell(store, "free_from"),
        places("taxes", "percent"),
        cell(store, "variants"),
    ) + &shopify::shown(store)
}

async fn add(client: &Client, args: &AddArgs) -> Result<Report, CliError> {
    let handle = args.handle.clone().unwrap_or_else(|| handle_of(&args.title));
    let product = json!({
        "handle": handle,
        "title": args.title,
        "description": args.description.clone().unwrap_or_default(),
        "images": args.image,
        "variants": [{
            "price": args.price,
            "stock": args.stock,
            "sku": args.sku.clone().unwrap_or_default(),
            "ships": !args.no_shipping,
        }],
    });
    let path = format!("stores/{}/products", segment(&args.slug)?);
    let answer = client.post(&path, json!({ "products": [product] })).await?;
    Ok(Report::new(answer, format!("{} is sold in the store {}", args.title, args.slug)))
}

/// A name for paths and tables out of a title.
fn handle_of(title: &str) -> String {
    let mut handle = String::new();
    for letter in title.to_lowercase().chars() {
        if letter.is_alphanumeric() {
            handle.push(letter);
        } else if !handle.is_empty() && !handle.ends_with('-') {
            handle.push('-');
        }
    }
    handle.trim_end_matches('-').to_owned()
}

async fn import(client: &Client, slug: &str, file: &Path, yes: bool) -> Result<Report, CliError> {
    let unreadable = |why: &dyn std::fmt::Display| CliError::failed(format!("{}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if size > LARGEST_FILE {
        return Err(unreadable(&"the file is too large"));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(&error))?;
    let text = decode(&bytes).map_err(|error| unreadable(&error))?;
    let products = csv::read(&text).map_err(|error| unreadable(&error))?;
    let path = format!("stores/{}/products", segment(slug)?);
    confirm::ask(&preview(slug, &products), yes)?;
    let (mut done, mut variants) = (0, 0);
    for part in products.chunks(AT_ONCE) {
        let answer = client.post(&path, json!({ "products": part })).await.map_err(|error| {
            error.help(format!("{done} products before it were imported; the same import again goes on"))
        })?;
        done += part.len();
        variants += super::show::number(&answer, "variants");
    }
    let answer = json!({ "products": done, "variants": variants });
    Ok(Report::new(answer, format!("{done} products with {variants} variants are in the store {slug}")))
}

/// What would be in the store, for who has to say yes.
fn preview(slug: &str, products: &[ProductRequest]) -> String {
    let rows: Vec<_> = products
        .iter()
        .map(|product| {
            let prices = || product.variants.iter().map(|variant| variant.price);
            let price = |found: Option<Decimal>| found.map(|price| price.to_string()).unwrap_or_default();
            let (least, most) = (price(prices().min()), price(prices().max()));
            let stock: i64 =
                product.variants.iter().filter_map(|variant| variant.stock).fold(0, i64::saturating_add);
            vec![
                product.handle.clone(),
                product.title.clone(),
                product.variants.len().to_string(),
                if least == most { least } else { format!("{least} to {most}") },
                stock.to_string(),
                if product.active { "yes" } else { "no" }.into(),
            ]
        })
        .collect();
    let variants: usize = products.iter().map(|product| product.variants.len()).sum();
    format!(
        "{}\n{} products with {variants} variants for the store {slug}; those with the same handle are changed",
        table(&["HANDLE", "TITLE", "VARIANTS", "PRICE", "STOCK", "SOLD"], &[2, 3, 4], &rows),
        products.len(),
    )
}

async fn product(client: &Client, args: &ProductArgs) -> Result<Report, CliError> {
    let slug = segment(&args.slug)?;
    if let Some(id) = args.variant {
        let active = if args.on { Some(true) } else { args.off.then_some(false) };
        let body = json!({
            "price": args.price, "stock": args.stock, "uncounted": args.uncounted, "active": active,
        });
        let answer = client.post(&format!("stores/{slug}/variants/{id}"), body).await?;
        let said = format!(
            "{} ({}): {}, {} in stock",
            text(&answer, "product"),
            text(&answer, "title"),
            text(&answer, "price"),
            cell(&answer, "stock"),
        );
        return Ok(Report::new(answer, said));
    }
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = client.get(&format!("stores/{slug}/products?after={after}")).await?;
        all.extend(items(&page, "products").cloned());
        match page.get("next").and_then(Value::as_i64) {
            Some(next) => after = next,
            None => break,
        }
    }
    let mut rows = Vec::new();
    for product in &all {
        for variant in items(product, "variants") {
            let sold = [product, variant].iter().all(|of| of.get("active") == Some(&json!(true)));
            let mut row = vec![cell(variant, "id"), cell(product, "title")];
            row.extend(["title", "price", "stock"].iter().map(|name| cell(variant, name)));
            row.push(if sold { "yes" } else { "no" }.into());
            rows.push(row);
        }
    }
    let said = match rows.as_slice() {
        [] => format!("no products yet; `satchel store add {slug} TITLE --price PRICE` makes one"),
        rows => table(&["VARIANT", "PRODUCT", "OPTIONS", "PRICE", "STOCK", "SOLD"], &[0, 3, 4], rows),
    };
    Ok(Report::new(json!({ "products": all }), said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_come_from_titles() {
        assert_eq!(handle_of("A Mug, 330 ml (blue)"), "a-mug-330-ml-blue");
        assert_eq!(handle_of("  Öl!  "), "öl");
    }
}
