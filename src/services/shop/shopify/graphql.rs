//! What is asked of the GraphQL Admin API, and what of the answers is read. Fields that an attacker or a mistake could
//! fill with anything are read one by one where they are used.

use serde::Deserialize;
use serde_json::Value;

/// A query or mutation; its name tells costs apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// The currency of all prices.
pub(super) const SHOP: Query = Query { name: "shop", text: "query Shop { shop { currencyCode } }" };

/// A page of products, without their variants: nested pages cost more than a request may.
pub(super) const PRODUCTS: Query = Query {
    name: "products",
    text: "query Products($first: Int!, $after: String) {
  products(first: $first, after: $after, sortKey: ID) {
    nodes {
      legacyResourceId handle title descriptionHtml status publishedAt
      media(first: 5) { nodes { preview { image { url } } } }
    }
    pageInfo { hasNextPage endCursor }
  }
}",
};

/// A page of the variants of all products.
pub(super) const VARIANTS: Query = Query {
    name: "variants",
    text: "query Variants($first: Int!, $after: String) {
  productVariants(first: $first, after: $after, sortKey: ID) {
    nodes {
      legacyResourceId title sku price taxable inventoryPolicy inventoryQuantity
      product { legacyResourceId }
      inventoryItem { tracked requiresShipping }
    }
    pageInfo { hasNextPage endCursor }
  }
}",
};

/// An order by what it was made with. The search runs behind by a few seconds, so the newest are looked through too.
pub(super) const FIND_ORDER: Query = Query {
    name: "find_order",
    text: "query FindOrder($query: String!) {
  found: orders(first: 5, query: $query) { nodes { legacyResourceId name sourceIdentifier tags } }
  newest: orders(first: 100, sortKey: ID, reverse: true) { nodes { legacyResourceId name sourceIdentifier tags } }
}",
};

/// How orders are.
pub(super) const ORDERS: Query = Query {
    name: "orders",
    text: "query Orders($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on Order {
      legacyResourceId cancelledAt displayFulfillmentStatus
      fulfillments(first: 10) { status createdAt trackingInfo(first: 3) { company number url } }
    }
  }
}",
};

/// Makes an order.
pub(super) const CREATE_ORDER: Query = Query {
    name: "create_order",
    text: "mutation CreateOrder($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {
  orderCreate(order: $order, options: $options) {
    order { legacyResourceId name sourceIdentifier tags }
    userErrors { field message }
  }
}",
};

/// Cancels an order. The money goes back over Lightning, so Shopify refunds nothing.
pub(super) const CANCEL_ORDER: Query = Query {
    name: "cancel_order",
    text: "mutation CancelOrder($orderId: ID!, $staffNote: String) {
  orderCancel(orderId: $orderId, reason: OTHER, restock: true, notifyCustomer: false,
      refundMethod: { originalPaymentMethodsRefund: false }, staffNote: $staffNote) {
    job { id }
    orderCancelUserErrors { field message }
  }
}",
};

#[derive(Deserialize)]
pub(super) struct ShopData {
    pub(super) shop: ShopNode,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShopNode {
    pub(super) currency_code: String,
}

/// A page of a list; its nodes are read one by one, so that one that makes no sense spoils no other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) nodes: Vec<Value>,
    pub(super) page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductNode {
    pub(super) handle: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) description_html: Option<String>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) published_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VariantNode {
    pub(super) title: String,
    #[serde(default)]
    pub(super) sku: Option<String>,
    pub(super) price: String,
    pub(super) taxable: bool,
    pub(super) inventory_policy: String,
    #[serde(default)]
    pub(super) inventory_quantity: Option<i64>,
    pub(super) inventory_item: InventoryItem,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InventoryItem {
    pub(super) tracked: bool,
    pub(super) requires_shipping: bool,
}

#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) found: OrderList,
    pub(super) newest: OrderList,
}

#[derive(Deserialize)]
pub(super) struct OrderList {
    pub(super) nodes: Vec<OrderNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderNode {
    pub(super) legacy_resource_id: Value,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) source_identifier: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    pub(super) order_create: CreatePayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatePayload {
    #[serde(default)]
    pub(super) order: Option<OrderNode>,
    #[serde(default)]
    pub(super) user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cancelled {
    pub(super) order_cancel: CancelPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CancelPayload {
    #[serde(default)]
    pub(super) order_cancel_user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
pub(super) struct UserError {
    #[serde(default)]
    pub(super) field: Option<Vec<String>>,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Deserialize)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FollowedOrder {
    pub(super) legacy_resource_id: Value,
    #[serde(default)]
    pub(super) cancelled_at: Option<String>,
    pub(super) display_fulfillment_status: String,
    #[serde(default)]
    pub(super) fulfillments: Vec<Fulfillment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fulfillment {
    pub(super) status: String,
    #[serde(default)]
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) tracking_info: Vec<TrackingInfo>,
}

#[derive(Deserialize)]
pub(super) struct TrackingInfo {
    #[serde(default)]
    pub(super) company: Option<String>,
    #[serde(default)]
    pub(super) number: Option<String>,
    #[serde(default)]
    pub(super) url: Option<String>,
}

/// The number of a thing, which answers write as a text.
pub(super) fn id_of(value: &Value) -> Option<i64> {
    let id = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Number(number) => number.as_i64()?,
        _ => return None,
    };
    (id > 0).then_some(id)
}

/// The id of a thing, as queries want it.
pub(super) fn gid(kind: &str, id: i64) -> String {
    format!("gid://shopify/{kind}/{id}")
}
