//! What can be typed about stores.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;

/// What to do with stores.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Make a store
    Create {
        /// Its name in addresses: small letters, digits, hyphens
        slug: String,
        /// Whose account earns what it sells [default: one of the store's own name]
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// What its prices are in: sats, or a currency like USD or EUR
        #[arg(long, default_value = "USD")]
        currency: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change a store
    Set {
        /// The store
        slug: String,
        /// It sells
        #[arg(long, conflicts_with = "close")]
        open: bool,
        /// It sells nothing; what is paid can be claimed all the same
        #[arg(long)]
        close: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// All stores
    List,
    /// One store with its shipping and taxes
    Show {
        /// The store
        slug: String,
    },
    /// Read the catalogue of the Shopify shop behind a store now
    Sync {
        /// The store
        slug: String,
    },
    /// Add a product, or write over the one of the same handle
    Add(AddArgs),
    /// Add the products of a table in Shopify's format of exported products (CSV)
    Import {
        /// The store
        slug: String,
        /// The table
        file: PathBuf,
        /// Import without asking
        #[arg(long)]
        yes: bool,
    },
    /// List products, or change price or stock of one
    Product(ProductArgs),
    /// Orders, newest first
    Orders {
        /// The store
        slug: String,
        /// Only those: awaiting_details, processing, shipped, refund_due, refunding, refunded
        #[arg(long)]
        status: Option<String>,
    },
    /// One order, with who bought it and where it goes
    Order {
        /// Its id
        id: String,
    },
    /// Note that an order was sent
    Ship(ShipArgs),
    /// Give an order up: its buyer gets the money back
    Cancel {
        /// Its id
        id: String,
    },
    /// Remove who bought an order and where it went
    Forget {
        /// Its id
        id: String,
    },
}

/// Settings of a store.
#[derive(Args, Debug)]
pub struct Settings {
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// A few words about it
    #[arg(long)]
    description: Option<String>,
    /// The country it is in, by its code of two letters
    #[arg(long)]
    country: Option<String>,
    /// The state it is in
    #[arg(long)]
    state: Option<String>,
    /// What becomes of an order whose pieces were sold to somebody else before it was paid
    #[arg(long, value_parser = ["refund", "backorder"])]
    sold_out: Option<String>,
    /// What shipping to a place costs, like US=5.90, US-HI=12, *=25; without a price it is removed. May be given
    /// several times
    #[arg(long, value_name = "PLACE=PRICE")]
    shipping: Vec<String>,
    /// What tax is added in a place, in percent, like US-CA=7.25. May be given several times. Where a country has
    /// rates by state, buyers must name a known state, unless there is one for the rest of it, like US-*=10
    #[arg(long, value_name = "PLACE=PERCENT")]
    tax: Vec<String>,
    /// From this subtotal on, shipping within the country is free; 0 for never
    #[arg(long, value_name = "PRICE")]
    free_from: Option<String>,
    /// Tax shipping too
    #[arg(long, value_name = "true|false")]
    tax_shipping: Option<bool>,
}

impl Settings {
    /// As the server reads them.
    pub(super) fn body(&self) -> Result<Map<String, Value>, CliError> {
        let places = |given: &[String], value: &str| {
            given.iter().map(|text| place(text, value)).collect::<Result<Vec<_>, _>>()
        };
        let body = json!({
            "name": self.name,
            "description": self.description,
            "country": self.country,
            "state": self.state,
            "sold_out": self.sold_out,
            "shipping": places(&self.shipping, "price")?,
            "taxes": places(&self.tax, "percent")?,
            "free_from": self.free_from,
            "tax_shipping": self.tax_shipping,
        });
        Ok(body.as_object().cloned().unwrap_or_default())
    }
}

/// `US-CA=7.25`: a place and a value, or none.
fn place(text: &str, name: &str) -> Result<Value, CliError> {
    let (place, value) = text.split_once('=').ok_or_else(|| {
        CliError::usage(format!("{text:?} is not a place and a value"))
            .help("write it like US=5.90 or US-CA=7.25")
    })?;
    let (country, state) = place.split_once('-').unwrap_or((place, ""));
    let value = Some(value.trim()).filter(|value| !value.is_empty());
    Ok(json!({ "country": country.trim(), "state": state.trim(), name: value }))
}

#[derive(Args, Debug)]
pub struct AddArgs {
    /// The store
    pub(super) slug: String,
    /// What it is called
    pub(super) title: String,
    /// In the store's currency
    #[arg(long)]
    pub(super) price: String,
    /// Pieces [default: nobody counts]
    #[arg(long)]
    pub(super) stock: Option<i64>,
    /// A few words about it
    #[arg(long)]
    pub(super) description: Option<String>,
    /// The address of a picture; may be given several times
    #[arg(long, value_name = "URL")]
    pub(super) image: Vec<String>,
    /// Your own name for it
    #[arg(long)]
    pub(super) sku: Option<String>,
    /// Names it when it is changed [default: made from the title]
    #[arg(long)]
    pub(super) handle: Option<String>,
    /// It is not sent anywhere: no shipping is added
    #[arg(long)]
    pub(super) no_shipping: bool,
}

#[derive(Args, Debug)]
pub struct ProductArgs {
    /// The store
    pub(super) slug: String,
    /// The variant to change [default: list all]
    pub(super) variant: Option<i64>,
    /// Its price
    #[arg(long, requires = "variant")]
    pub(super) price: Option<String>,
    /// How many there are
    #[arg(long, requires = "variant", allow_negative_numbers = true)]
    pub(super) stock: Option<i64>,
    /// Nobody counts
    #[arg(long, requires = "variant", conflicts_with = "stock")]
    pub(super) uncounted: bool,
    /// It is sold
    #[arg(long, requires = "variant", conflicts_with = "off")]
    pub(super) on: bool,
    /// It is not sold
    #[arg(long, requires = "variant")]
    pub(super) off: bool,
}

#[derive(Args, Debug)]
pub struct ShipArgs {
    /// The order's id
    pub(super) id: String,
    /// The carrier's number
    #[arg(long)]
    pub(super) number: Option<String>,
    /// Who carries it
    #[arg(long)]
    pub(super) carrier: Option<String>,
    /// The carrier's page
    #[arg(long)]
    pub(super) url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let expected = json!({ "country": "US", "state": "CA", "percent": "7.25" });
        assert_eq!(place("US-CA=7.25", "percent").unwrap(), expected);
        let removed = json!({ "country": "*", "state": "", "price": null });
        assert_eq!(place("*=", "price").unwrap(), removed);
        assert!(place("US", "price").is_err());
    }
}
