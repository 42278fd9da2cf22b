//! Orders of stores.

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::ShipArgs;
use crate::cli::channel::segment;
use crate::cli::client::{Client, query};
use crate::cli::error::CliError;
use crate::cli::report::{Report, table};
use crate::cli::show::{cell, grouped, items, number, text};
use crate::core::text::escaped;

pub(super) async fn list(client: &Client, slug: &str, status: Option<String>) -> Result<Report, CliError> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let asked = query(&[("status", status.clone()), ("before", before)]);
        let page = client.get(&format!("stores/{}/orders?{asked}", segment(slug)?)).await?;
        all.extend(items(&page, "orders").cloned());
        match page.get("next").and_then(Value::as_i64) {
            Some(next) => before = Some(next.to_string()),
            None => break,
        }
    }
    let rows: Vec<_> = all
        .iter()
        .map(|order| {
            let lines: Vec<_> = items(order, "items")
                .map(|item| format!("{} × {}", number(item, "quantity"), text(item, "title")))
                .collect();
            let mut row: Vec<_> = ["orderId", "number", "status", "paidSats", "paidAt"]
                .iter()
                .map(|name| cell(order, name))
                .collect();
            row.push(lines.join(", "));
            row
        })
        .collect();
    let said = match rows.as_slice() {
        [] => "no orders".into(),
        rows => table(&["ORDER", "NUMBER", "STATE", "PAID sat", "WHEN", "WHAT"], &[3], rows),
    };
    Ok(Report::new(json!({ "orders": all }), said))
}

pub(super) async fn show(client: &Client, id: &str) -> Result<Report, CliError> {
    let answer = client.get(&format!("orders/{}", segment(id)?)).await?;
    let mut said = format!(
        "{} {}: {}, {} sat paid\n{}\n",
        text(&answer, "orderId"),
        cell(&answer, "shopifyOrderNumber"),
        text(&answer, "status"),
        grouped(number(&answer, "paidSats")),
        text(&answer, "message"),
    );
    for item in items(&answer, "items") {
        let (title, variant) = (text(item, "productTitle"), text(item, "variantTitle"));
        // Writing to a String can't fail.
        let _ = write!(said, "\n{} × {title} ({variant})", number(item, "quantity"));
    }
    if let Some(address) = answer.get("shippingAddress") {
        // A buyer's words, each on the line where it belongs.
        let line =
            |name: &str| escaped(address.get(name).and_then(Value::as_str).unwrap_or_default(), |_| false);
        let _ = write!(
            said,
            "\n\n{} {}\n{}\n{}\n{} {} {}\n{}\n{}",
            line("firstName"),
            line("lastName"),
            line("address1"),
            line("address2"),
            line("city"),
            line("province"),
            line("zip"),
            line("country"),
            text(&answer, "email"),
        );
    }
    Ok(Report::new(answer, said))
}

pub(super) async fn ship(client: &Client, args: &ShipArgs) -> Result<Report, CliError> {
    let body = json!({ "number": args.number, "carrier": args.carrier, "url": args.url });
    let answer = client.post(&format!("orders/{}/ship", segment(&args.id)?), body).await?;
    Ok(Report::new(answer, format!("{} is on its way", args.id)))
}

pub(super) async fn cancel(client: &Client, id: &str) -> Result<Report, CliError> {
    let answer = client.post(&format!("orders/{}/cancel", segment(id)?), json!({})).await?;
    let said = format!(
        "{id} is given up; its buyer is owed {} sat, which are withheld from the account until an invoice is given for them",
        grouped(number(&answer, "paidSats"))
    );
    Ok(Report::new(answer, said))
}

pub(super) async fn forget(client: &Client, id: &str) -> Result<Report, CliError> {
    let answer = client.post(&format!("orders/{}/forget", segment(id)?), json!({})).await?;
    let said = match answer.get("forgotten") {
        Some(Value::Bool(true)) => format!("who bought {id} and where it went is removed"),
        _ => format!("nothing is known of who bought {id}"),
    };
    Ok(Report::new(answer, said))
}
