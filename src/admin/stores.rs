//! Stores, their products and orders, for the operator.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::extract::{Asked, Body, By};
use super::{AdminError, AdminState};
use crate::core::decimal::Decimal;
use crate::http::audit_log::{Act, ActKind};

/// The operator's side of stores.
pub trait StoreAdmin: Send + Sync {
    /// Makes a store.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::Refused`] if the slug is taken, [`AdminError::Unavailable`].
    fn create(&self, slug: String, asked: StoreRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Changes a store; what is left out stays.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn change(&self, slug: String, asked: StoreRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A page of stores by slug, after this one.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, after: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// One store with its shipping and taxes.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn show(&self, slug: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Reads the catalogue of the Shopify shop behind a store now.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if there is none, [`AdminError::Refused`] with what Shopify says,
    /// [`AdminError::Unavailable`].
    fn sync(&self, slug: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Writes products down, over those of the same handles.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], then nothing is written; [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn put(&self, slug: String, products: Vec<ProductRequest>) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A page of products, also those that are not sold.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn products(&self, slug: String, after: i64) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Changes price, stock or state of one variant.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn variant(
        &self,
        slug: String,
        id: i64,
        asked: VariantChange,
    ) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A page of orders, newest first.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn orders(&self, slug: String, asked: OrdersRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// An order with who bought it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn order(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Notes that an order was sent.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Refused`], [`AdminError::Unavailable`].
    fn ship(&self, id: String, asked: ShipRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Gives an order up: its buyer is owed what was paid.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Refused`], [`AdminError::Unavailable`].
    fn cancel(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Removes who bought an order and where it went.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn forget(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// A store, or a change of one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreRequest {
    /// Whose it is; of a new one alone.
    pub account: Option<String>,
    /// Of all its prices: a currency's code or `sats`; of a new one alone.
    pub currency: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Two letters: where it is.
    pub country: Option<String>,
    /// Where in it.
    pub state: Option<String>,
    /// Whether it sells.
    pub active: Option<bool>,
    /// `refund` or `backorder`.
    pub sold_out: Option<String>,
    /// The subtotal from which shipping at home is free; `0` for never.
    pub free_from: Option<Decimal>,
    /// Whether shipping is taxed too.
    pub tax_shipping: Option<bool>,
    /// Prices of shipping, each with `price`, or without one to remove it.
    pub shipping: Vec<PlaceRequest>,
    /// Taxes, each with `percent`, or without one to remove it.
    pub taxes: Vec<PlaceRequest>,
}

/// What holds in a place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlaceRequest {
    /// Two letters, or `*`.
    pub country: String,
    /// Empty for the whole country.
    pub state: String,
    /// Of shipping, in the store's currency.
    pub price: Option<Decimal>,
    /// Of tax.
    pub percent: Option<Decimal>,
}

/// Products to write down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductsRequest {
    /// All of them, or none.
    pub products: Vec<ProductRequest>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductRequest {
    /// Names it in its store, for ever.
    pub handle: String,
    /// For people.
    pub title: String,
    /// Plain text.
    #[serde(default)]
    pub description: String,
    /// Addresses of pictures.
    #[serde(default)]
    pub images: Vec<String>,
    /// Whether it is sold.
    #[serde(default = "yes")]
    pub active: bool,
    /// What of it can be bought. Those that are not named are not sold any more.
    pub variants: Vec<VariantRequest>,
}

/// What can be bought of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantRequest {
    /// Its options; names it in its product, for ever.
    #[serde(default)]
    pub title: String,
    /// The seller's own name for it.
    #[serde(default)]
    pub sku: String,
    /// In the store's currency.
    pub price: Decimal,
    /// Pieces; nobody counts without it.
    #[serde(default)]
    pub stock: Option<i64>,
    /// Whether it is sold also when there is none.
    #[serde(default)]
    pub oversell: bool,
    /// Whether it is shipped.
    #[serde(default = "yes")]
    pub ships: bool,
    /// Whether it is taxed.
    #[serde(default = "yes")]
    pub taxable: bool,
}

const fn yes() -> bool {
    true
}

/// A change of one variant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VariantChange {
    /// In the store's currency.
    pub price: Option<Decimal>,
    /// Pieces.
    pub stock: Option<i64>,
    /// Nobody counts.
    pub uncounted: bool,
    /// Whether it is sold.
    pub active: Option<bool>,
}

/// Which orders.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersRequest {
    /// By its status.
    pub status: Option<String>,
    /// Row of the last of the page before.
    pub before: Option<i64>,
}

/// Where a parcel is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShipRequest {
    /// The carrier's number.
    pub number: Option<String>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's page.
    pub url: Option<String>,
}

/// Where a list goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct After {
    after: String,
}

/// Where a list of products goes on.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AfterId {
    after: i64,
}

/// `GET /admin/v1/stores`
pub async fn list(
    State(state): State<AdminState>,
    Asked(after): Asked<After>,
) -> Result<Json<Value>, AdminError> {
    state.stores.list(after.after).await.map(Json)
}

/// `GET /admin/v1/stores/{slug}`
pub async fn show(
    State(state): State<AdminState>,
    Path(slug): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.stores.show(slug).await.map(Json)
}

/// `POST /admin/v1/stores/{slug}`
pub async fn create(
    State(state): State<AdminState>,
    By(key): By,
    Path(slug): Path<String>,
    Body(asked): Body<StoreRequest>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::StoreCreate).to(&slug).with("account", &asked.account);
    state.acts.around(act, state.stores.create(slug, asked), |_| None).await.map(Json)
}

/// `POST /admin/v1/stores/{slug}/settings`
pub async fn change(
    State(state): State<AdminState>,
    By(key): By,
    Path(slug): Path<String>,
    Body(asked): Body<StoreRequest>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::StoreChange).to(&slug).with("change", &asked);
    state.acts.around(act, state.stores.change(slug, asked), |_| None).await.map(Json)
}

/// `POST /admin/v1/stores/{slug}/sync`
pub async fn sync(
    State(state): State<AdminState>,
    By(key): By,
    Path(slug): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::StoreSync).to(&slug);
    state.acts.around(act, state.stores.sync(slug), |_| None).await.map(Json)
}

/// `GET /admin/v1/stores/{slug}/products`
pub async fn products(
    State(state): State<AdminState>,
    Path(slug): Path<String>,
    Asked(after): Asked<AfterId>,
) -> Result<Json<Value>, AdminError> {
    state.stores.products(slug, after.after).await.map(Json)
}

/// `POST /admin/v1/stores/{slug}/products`
pub async fn put(
    State(state): State<AdminState>,
    By(key): By,
    Path(slug): Path<String>,
    Body(asked): Body<ProductsRequest>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::StoreProducts).to(&slug).with("products", asked.products.len());
    state.acts.around(act, state.stores.put(slug, asked.products), |_| None).await.map(Json)
}

/// `POST /admin/v1/stores/{slug}/variants/{id}`
pub async fn variant(
    State(state): State<AdminState>,
    By(key): By,
    Path((slug, id)): Path<(String, i64)>,
    Body(asked): Body<VariantChange>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::StoreProducts).to(&slug).with("variant", id).with("change", &asked);
    state.acts.around(act, state.stores.variant(slug, id, asked), |_| None).await.map(Json)
}

/// `GET /admin/v1/stores/{slug}/orders`
pub async fn orders(
    State(state): State<AdminState>,
    Path(slug): Path<String>,
    Asked(asked): Asked<OrdersRequest>,
) -> Result<Json<Value>, AdminError> {
    state.stores.orders(slug, asked).await.map(Json)
}

/// `GET /admin/v1/orders/{id}`
pub async fn order(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.stores.order(id).await.map(Json)
}

/// `POST /admin/v1/orders/{id}/ship`
pub async fn ship(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(asked): Body<ShipRequest>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::OrderShip).to(&id);
    state.acts.around(act, state.stores.ship(id, asked), |_| None).await.map(Json)
}

/// `POST /admin/v1/orders/{id}/cancel`
pub async fn cancel(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::OrderCancel).to(&id);
    state.acts.around(act, state.stores.cancel(id), |_| None).await.map(Json)
}

/// `POST /admin/v1/orders/{id}/forget`
pub async fn forget(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::OrderForget).to(&id);
    state.acts.around(act, state.stores.forget(id), |_| None).await.map(Json)
}
