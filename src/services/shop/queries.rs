//! Orders as their buyers and sellers see them.

use rusqlite::Connection;

use super::ids::OrderKey;
use super::status::OrderStatus;
use super::store::orders::{self, Order};
use super::store::stores::{self, ShopStore};
use super::store::{customers, refunds};
use super::view::{self, BillView, OrderView, RefundView};
use super::{Shop, ShopError, json};
use crate::core::ids::{AccountId, Secret};
use crate::core::time::iso::IsoSeconds;

/// What lets somebody see an order.
#[derive(Clone, Debug)]
pub enum Token {
    /// The buyer's, after the payment.
    Claim(Secret),
    /// Whoever made the order.
    Status(Secret),
    /// The seller's API key.
    Seller(AccountId),
}

/// An order of a store. Whether there is none or the token is wrong is not told apart.
pub(super) fn find(
    connection: &Connection,
    store: &ShopStore,
    key: &str,
    token: &Token,
) -> Result<Order, ShopError> {
    let key: OrderKey = key.parse().map_err(|_| ShopError::OrderNotFound)?;
    let found = orders::by_key(connection, key)?.filter(|order| order.store == store.id);
    let fits = |order: &Order| match token {
        Token::Claim(token) => {
            order.paid_at.is_some() && order.claim_token.matches(&token.expose().to_ascii_uppercase())
        }
        Token::Status(token) => order.status_token.matches(token.expose()),
        Token::Seller(account) => order.account == *account,
    };
    found.filter(fits).ok_or(ShopError::OrderNotFound)
}

/// An order as JSON. To whoever made it, its invoice or its claim token; to the seller, who bought it.
pub(super) fn json_of(
    shop: &Shop,
    connection: &Connection,
    store: &ShopStore,
    order: &Order,
    token: Option<&Token>,
) -> Result<Vec<u8>, ShopError> {
    let seller = matches!(token, Some(Token::Seller(_)));
    let (made_it, paid) = (matches!(token, Some(Token::Status(_))), order.paid_at.is_some());
    let customer = if seller { customers::of(connection, order.id)? } else { None };
    let (email, shipping_address) = view::personal(customer.as_ref());
    let back =
        matches!(order.status, OrderStatus::RefundDue | OrderStatus::Refunding | OrderStatus::Refunded);
    let refund = if back {
        let path = format!("/api/shopify/{}/orders/{}/refund", store.slug, order.key);
        Some(RefundView {
            amount_sats: order.refundable().sat_floor(),
            url: format!("{}{path}", shop.rules().public_url),
            failure_reason: match order.status {
                OrderStatus::RefundDue => refunds::last_error(connection, order.id)?,
                _ => None,
            },
            refunded_at: order.refunded_at.map(IsoSeconds),
        })
    } else {
        None
    };
    json(&OrderView {
        order_id: order.key,
        status: order.status,
        total_usd: order.total_usd,
        paid_sats: order.received.sat_floor(),
        shopify_order_number: order.shown_number(),
        tracking_number: order.tracking.number.as_deref(),
        tracking_carrier: order.tracking.carrier.as_deref(),
        tracking_url: order.tracking.url.as_deref(),
        created_at: IsoSeconds(order.created_at),
        paid_at: order.paid_at.map(IsoSeconds),
        shipped_at: order.shipped_at.map(IsoSeconds),
        total_sats: order.price.sat_floor(),
        bill: BillView::new(order),
        items: view::items(&order.items, order.unit, shop.rates()),
        backordered: order.backordered,
        message: if !paid && order.expires_at <= shop.now() {
            "It was not paid in time.".into()
        } else {
            order.message()
        },
        invoice: Some(order.invoice.as_str()).filter(|_| made_it && !paid && order.expires_at > shop.now()),
        expires_at: Some(IsoSeconds(order.expires_at)).filter(|_| !paid),
        claim_token: Some(order.claim_token.expose()).filter(|_| made_it && paid),
        refund,
        email,
        shipping_address,
    })
}

impl Shop {
    /// An order of a store, as JSON. Also of a store that is closed.
    ///
    /// # Errors
    /// [`ShopError::StoreNotFound`], [`ShopError::OrderNotFound`]; the store's.
    pub async fn order_json(&self, slug: &str, key: &str, token: Token) -> Result<Vec<u8>, ShopError> {
        let (shop, slug, key) = (self.clone(), slug.to_owned(), key.to_owned());
        let read = self.store().read(move |connection| -> Result<_, ShopError> {
            let store = stores::by_slug(connection, &slug)?.ok_or(ShopError::StoreNotFound)?;
            let order = find(connection, &store, &key, &token)?;
            json_of(&shop, connection, &store, &order, Some(&token))
        });
        read.await
    }
}
