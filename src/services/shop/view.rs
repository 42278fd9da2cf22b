//! What callers read: the document's names, in its order, and what we add behind them.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::amounts;
use super::customer::{Customer, ShippingAddress};
use super::ids::{OrderKey, ProductId, VariantId};
use super::status::OrderStatus;
use super::store::catalogue::{Product, Variant};
use super::store::orders::{Item, Order};
use super::store::stores::ShopStore;
use crate::core::decimal::Decimal;
use crate::core::time::iso::IsoSeconds;
use crate::rates::{Rates, Unit};

/// A page of a catalogue.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueView<'a> {
    pub(super) store_name: &'a str,
    pub(super) slug: &'a str,
    pub(super) shipping: ShippingView,
    pub(super) products: Vec<ProductView<'a>>,
    /// Not the document's, so behind.
    pub(super) description: &'a str,
    /// Of `price`.
    pub(super) currency: &'static str,
    /// Where the store is.
    pub(super) country: &'a str,
    /// `cursor` of the next page; `null` on the last.
    pub(super) next_cursor: Option<String>,
}

/// What shipping costs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShippingView {
    /// Within the store's country; `null` if it is not said.
    #[schema(value_type = Option<f64>)]
    domestic_usd: Option<Decimal>,
    /// Nothing is sent abroad.
    domestic_only: bool,
    free_shipping_enabled: bool,
    #[schema(value_type = Option<f64>)]
    free_shipping_threshold_usd: Option<Decimal>,
    /// All of it, by country and state, in the store's currency.
    rates: Vec<PlaceView>,
}

/// What shipping to a place costs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlaceView {
    /// Two letters, or `*` for everywhere else.
    country: String,
    /// Empty for the whole country, `*` for the rest of it.
    state: String,
    #[schema(value_type = f64)]
    price: Decimal,
}

impl ShippingView {
    pub(super) fn new(store: &ShopStore, all: &[(String, String, u64)], rates: &Rates) -> Self {
        let home = |country: &str| *country == store.home.country;
        let domestic = all
            .iter()
            .find(|(country, state, _)| home(country) && state.is_empty())
            .or_else(|| all.iter().find(|(country, state, _)| home(country) && *state == store.home.state))
            .or_else(|| all.iter().find(|(country, ..)| country == "*"));
        Self {
            domestic_usd: domestic.and_then(|(_, _, price)| amounts::dollars(*price, store.unit, rates)),
            domestic_only: all.iter().all(|(country, ..)| home(country)),
            free_shipping_enabled: store.free_from.is_some(),
            free_shipping_threshold_usd: store
                .free_from
                .and_then(|units| amounts::dollars(units, store.unit, rates)),
            rates: all
                .iter()
                .map(|(country, state, price)| PlaceView {
                    country: country.clone(),
                    state: state.clone(),
                    price: amounts::shown(*price, store.unit),
                })
                .collect(),
        }
    }
}

/// A product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductView<'a> {
    #[schema(value_type = i64)]
    product_id: ProductId,
    title: &'a str,
    description: &'a str,
    image_url: Option<&'a str>,
    variants: Vec<VariantView<'a>>,
    images: &'a [String],
}

/// What can be bought of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariantView<'a> {
    #[schema(value_type = i64)]
    variant_id: VariantId,
    title: &'a str,
    /// `null` if the store's prices are in something else and there is no rate.
    #[schema(value_type = Option<f64>)]
    price_usd: Option<Decimal>,
    available: bool,
    /// In the store's currency.
    #[schema(value_type = f64)]
    price: Decimal,
}

impl<'a> ProductView<'a> {
    pub(super) fn new(product: &'a Product, unit: Unit, rates: &Rates) -> Self {
        let variant = |variant: &'a Variant| VariantView {
            variant_id: variant.id,
            title: &variant.title,
            price_usd: amounts::dollars(variant.price, unit, rates),
            available: variant.has(1),
            price: amounts::shown(variant.price, unit),
        };
        Self {
            product_id: product.id,
            title: &product.title,
            description: &product.description,
            image_url: product.images.first().map(String::as_str),
            variants: product.variants.iter().map(variant).collect(),
            images: &product.images,
        }
    }
}

/// A line of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemView<'a> {
    #[schema(value_type = i64)]
    variant_id: VariantId,
    product_title: &'a str,
    variant_title: &'a str,
    quantity: u32,
    #[schema(value_type = Option<f64>)]
    price_usd: Option<Decimal>,
    #[schema(value_type = f64)]
    price: Decimal,
}

pub(super) fn items<'a>(items: &'a [Item], unit: Unit, rates: &Rates) -> Vec<ItemView<'a>> {
    let view = |item: &'a Item| ItemView {
        variant_id: item.variant,
        product_title: &item.product_title,
        variant_title: &item.variant_title,
        quantity: item.quantity,
        price_usd: amounts::dollars(item.price, unit, rates),
        price: amounts::shown(item.price, unit),
    };
    items.iter().map(view).collect()
}

/// What an order's parts come to, in the store's currency.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillView {
    #[schema(value_type = f64)]
    subtotal: Decimal,
    #[schema(value_type = f64)]
    shipping: Decimal,
    #[schema(value_type = f64)]
    tax: Decimal,
    #[schema(value_type = f64)]
    total: Decimal,
    #[schema(example = "USD")]
    currency: &'static str,
}

impl BillView {
    pub(super) fn new(order: &Order) -> Self {
        let shown = |units| amounts::shown(units, order.unit);
        Self {
            subtotal: shown(order.bill.subtotal),
            shipping: shown(order.bill.shipping),
            tax: shown(order.bill.tax),
            total: shown(order.bill.total),
            currency: order.unit.code(),
        }
    }
}

/// What a paid checkout answers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoughtView<'a> {
    #[schema(value_type = String, example = "shpfy_0123456789abcdef01234567")]
    pub(super) order_id: OrderKey,
    #[schema(value_type = String, example = "AwaitingDetails")]
    pub(super) status: OrderStatus,
    /// Lets its holder say where the order goes, or get the money back.
    pub(super) claim_token: &'a str,
    /// The page for that.
    pub(super) claim_page_url: String,
    #[schema(value_type = Option<f64>)]
    pub(super) total_usd: Option<Decimal>,
    pub(super) total_sats: u64,
    pub(super) paid_sats: u64,
    pub(super) message: String,
    pub(super) items: Vec<ItemView<'a>>,
}

/// What a claim answers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedView {
    #[schema(value_type = String, example = "shpfy_0123456789abcdef01234567")]
    pub(super) order_id: OrderKey,
    #[schema(value_type = String, example = "Processing")]
    pub(super) status: OrderStatus,
    #[schema(example = "#1001")]
    pub(super) shopify_order_number: Option<String>,
    pub(super) claim_page_url: String,
    pub(super) message: String,
}

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderView<'a> {
    #[schema(value_type = String, example = "shpfy_0123456789abcdef01234567")]
    pub(super) order_id: OrderKey,
    #[schema(value_type = String, example = "Shipped")]
    pub(super) status: OrderStatus,
    #[schema(value_type = Option<f64>)]
    pub(super) total_usd: Option<Decimal>,
    pub(super) paid_sats: u64,
    #[schema(example = "#1001")]
    pub(super) shopify_order_number: Option<String>,
    pub(super) tracking_number: Option<&'a str>,
    pub(super) tracking_carrier: Option<&'a str>,
    pub(super) tracking_url: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: IsoSeconds,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) paid_at: Option<IsoSeconds>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) shipped_at: Option<IsoSeconds>,
    /// Not the document's, so behind.
    pub(super) total_sats: u64,
    pub(super) bill: BillView,
    pub(super) items: Vec<ItemView<'a>>,
    /// Pieces of it were gone when it was paid; it is sent when there are more.
    pub(super) backordered: bool,
    /// What is next, for people.
    pub(super) message: String,
    /// While it waits for its payment, to whoever has its status token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invoice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<IsoSeconds>,
    /// Once it is paid, to whoever has its status token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) claim_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refund: Option<RefundView>,
    /// To the seller alone, until it is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(super) shipping_address: Option<&'a ShippingAddress>,
}

/// What goes back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundView {
    pub(super) amount_sats: u64,
    /// Takes `claimToken` and `invoice`, while the refund is due.
    pub(super) url: String,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) refunded_at: Option<IsoSeconds>,
}

/// What a webhook says of an order. No personal data: it is kept for days, and read by whoever keeps logs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderNews<'a> {
    order_id: OrderKey,
    slug: &'a str,
    shopify_order_number: Option<String>,
    status: OrderStatus,
    total: Decimal,
    currency: &'static str,
    total_sats: u64,
    paid_sats: u64,
    backordered: bool,
    items: Vec<NewsItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_carrier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_url: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewsItem<'a> {
    variant_id: VariantId,
    sku: &'a str,
    title: String,
    quantity: u32,
}

/// What a webhook says of an order, as JSON.
pub(super) fn news(order: &Order, store: &ShopStore) -> Option<Box<RawValue>> {
    let news = OrderNews {
        order_id: order.key,
        slug: &store.slug,
        shopify_order_number: order.shown_number(),
        status: order.status,
        total: amounts::shown(order.bill.total, order.unit),
        currency: order.unit.code(),
        total_sats: order.price.sat_floor(),
        paid_sats: order.received.sat_floor(),
        backordered: order.backordered,
        items: order
            .items
            .iter()
            .map(|item| NewsItem {
                variant_id: item.variant,
                sku: &item.sku,
                title: item.title(),
                quantity: item.quantity,
            })
            .collect(),
        tracking_number: order.tracking.number.as_deref(),
        tracking_carrier: order.tracking.carrier.as_deref(),
        tracking_url: order.tracking.url.as_deref(),
    };
    match serde_json::value::to_raw_value(&news) {
        Ok(news) => Some(news),
        Err(error) => {
            tracing::error!(%error, "a webhook could not be written as JSON");
            None
        }
    }
}

impl Item {
    /// The product, and its variant if it has more than one.
    pub(super) fn title(&self) -> String {
        match self.variant_title.as_str() {
            "" | "Default Title" => self.product_title.clone(),
            variant => format!("{} ({variant})", self.product_title),
        }
    }
}

impl Order {
    /// As buyers and sellers call it: Shopify's name once it has one, else our number; `None` until it is paid.
    pub(super) fn shown_number(&self) -> Option<String> {
        self.shopify_name.clone().or_else(|| self.number.map(|number| format!("#{number}")))
    }

    /// What is next, for people.
    pub(super) fn message(&self) -> String {
        match self.status {
            OrderStatus::AwaitingPayment => "Pay the Lightning invoice to buy this.".into(),
            OrderStatus::AwaitingDetails if self.backordered => {
                "Paid. It was sold out meanwhile, so it is a back order: claim it with an address, and it is sent when there is more.".into()
            }
            OrderStatus::AwaitingDetails => "Paid. Claim it with an e-mail address and where it goes.".into(),
            OrderStatus::Processing if self.backordered => {
                "The seller has your address; it is sent when there is more of it.".into()
            }
            OrderStatus::Processing => "The seller has your address and prepares it.".into(),
            OrderStatus::Shipped => "It is on its way.".into(),
            OrderStatus::RefundDue => format!(
                "It can't be delivered: it is sold out, or the seller has cancelled it. You get {} sat back: give an invoice for that amount.",
                self.received.sat_floor()
            ),
            OrderStatus::Refunding => "Your money is on its way back.".into(),
            OrderStatus::Refunded => "You have your money back.".into(),
        }
    }
}

/// A buyer's data, for the seller.
pub(super) fn personal(customer: Option<&Customer>) -> (Option<&str>, Option<&ShippingAddress>) {
    (customer.map(|customer| customer.email.as_str()), customer.map(|customer| &customer.address))
}
