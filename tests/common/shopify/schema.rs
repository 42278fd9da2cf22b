//! The part of Shopify's published Admin schema (2026-10) that a client of ours may use: types, their fields, and the
//! input objects of its mutations.

/// An object type: its fields and their types. A scalar's type is empty; `[]` stands before a list's.
pub const TYPES: &[(&str, &[(&str, &str)])] = &[
    (
        "Query",
        &[
            ("shop", "Shop"),
            ("products", "ProductConnection"),
            ("productVariants", "ProductVariantConnection"),
            ("orders", "OrderConnection"),
            ("nodes", "[]Node"),
        ],
    ),
    ("Mutation", &[("orderCreate", "OrderCreatePayload"), ("orderCancel", "OrderCancelPayload")]),
    ("Shop", &[("id", ""), ("name", ""), ("currencyCode", ""), ("myshopifyDomain", "")]),
    ("PageInfo", &[("hasNextPage", ""), ("hasPreviousPage", ""), ("startCursor", ""), ("endCursor", "")]),
    ("ProductConnection", &[("nodes", "[]Product"), ("pageInfo", "PageInfo")]),
    ("ProductVariantConnection", &[("nodes", "[]ProductVariant"), ("pageInfo", "PageInfo")]),
    ("OrderConnection", &[("nodes", "[]Order"), ("pageInfo", "PageInfo")]),
    (
        "Product",
        &[
            ("id", ""),
            ("legacyResourceId", ""),
            ("handle", ""),
            ("title", ""),
            ("descriptionHtml", ""),
            ("status", ""),
            ("publishedAt", ""),
            ("media", "MediaConnection"),
        ],
    ),
    ("MediaConnection", &[("nodes", "[]Media"), ("pageInfo", "PageInfo")]),
    ("Media", &[("id", ""), ("preview", "MediaPreviewImage")]),
    ("MediaPreviewImage", &[("image", "Image"), ("status", "")]),
    ("Image", &[("url", ""), ("altText", "")]),
    (
        "ProductVariant",
        &[
            ("id", ""),
            ("legacyResourceId", ""),
            ("title", ""),
            ("sku", ""),
            ("price", ""),
            ("taxable", ""),
            ("inventoryPolicy", ""),
            ("inventoryQuantity", ""),
            ("product", "Product"),
            ("inventoryItem", "InventoryItem"),
        ],
    ),
    ("InventoryItem", &[("id", ""), ("tracked", ""), ("requiresShipping", ""), ("sku", "")]),
    ("Node", &[("id", "")]),
    (
        "Order",
        &[
            ("id", ""),
            ("legacyResourceId", ""),
            ("name", ""),
            ("sourceIdentifier", ""),
            ("tags", ""),
            ("cancelledAt", ""),
            ("displayFinancialStatus", ""),
            ("displayFulfillmentStatus", ""),
            ("fulfillments", "[]Fulfillment"),
        ],
    ),
    (
        "Fulfillment",
        &[("id", ""), ("status", ""), ("createdAt", ""), ("trackingInfo", "[]FulfillmentTrackingInfo")],
    ),
    ("FulfillmentTrackingInfo", &[("company", ""), ("number", ""), ("url", "")]),
    ("OrderCreatePayload", &[("order", "Order"), ("userErrors", "[]OrderCreateUserError")]),
    ("OrderCreateUserError", &[("code", ""), ("field", ""), ("message", "")]),
    ("OrderCancelPayload", &[("job", "Job"), ("orderCancelUserErrors", "[]OrderCancelUserError")]),
    ("OrderCancelUserError", &[("code", ""), ("field", ""), ("message", "")]),
    ("Job", &[("id", ""), ("done", "")]),
];

/// Arguments of fields, by type and field: those that are needed end with `!`.
pub const ARGUMENTS: &[(&str, &[&str])] = &[
    ("Query.products", &["first", "after", "sortKey", "reverse", "query"]),
    ("Query.productVariants", &["first", "after", "sortKey", "reverse", "query"]),
    ("Query.orders", &["first", "after", "sortKey", "reverse", "query"]),
    ("Query.nodes", &["ids!"]),
    ("Product.media", &["first", "after"]),
    ("Order.fulfillments", &["first"]),
    ("Fulfillment.trackingInfo", &["first"]),
    ("Mutation.orderCreate", &["order!", "options"]),
    (
        "Mutation.orderCancel",
        &["orderId!", "reason!", "restock!", "notifyCustomer", "refundMethod", "staffNote"],
    ),
];

/// Input objects: their fields and types, likewise. `!` ends what is needed.
pub const INPUTS: &[(&str, &[(&str, &str)])] = &[
    (
        "OrderCreateOrderInput",
        &[
            ("billingAddress", "MailingAddressInput"),
            ("buyerAcceptsMarketing", "Boolean"),
            ("currency", "CurrencyCode"),
            ("customAttributes", "[]OrderCreateCustomAttributeInput"),
            ("email", "String"),
            ("financialStatus", "OrderCreateFinancialStatus"),
            ("fulfillmentStatus", "String"),
            ("lineItems", "[]OrderCreateLineItemInput"),
            ("name", "String"),
            ("note", "String"),
            ("phone", "String"),
            ("poNumber", "String"),
            ("presentmentCurrency", "CurrencyCode"),
            ("processedAt", "DateTime"),
            ("shippingAddress", "MailingAddressInput"),
            ("shippingLines", "[]OrderCreateShippingLineInput"),
            ("sourceIdentifier", "String"),
            ("sourceName", "String"),
            ("sourceUrl", "String"),
            ("tags", "[]String"),
            ("taxLines", "[]OrderCreateTaxLineInput"),
            ("taxesIncluded", "Boolean"),
            ("test", "Boolean"),
            ("transactions", "[]OrderCreateOrderTransactionInput"),
        ],
    ),
    (
        "OrderCreateOptionsInput",
        &[
            ("inventoryBehaviour", "OrderCreateInputsInventoryBehavior"),
            ("sendFulfillmentReceipt", "Boolean"),
            ("sendReceipt", "Boolean"),
        ],
    ),
    ("OrderCreateCustomAttributeInput", &[("key", "String!"), ("value", "String!")]),
    (
        "OrderCreateLineItemInput",
        &[
            ("priceSet", "MoneyBagInput"),
            ("productId", "ID"),
            ("quantity", "Int!"),
            ("requiresShipping", "Boolean"),
            ("sku", "String"),
            ("taxLines", "[]OrderCreateTaxLineInput"),
            ("taxable", "Boolean"),
            ("title", "String"),
            ("variantId", "ID"),
            ("variantTitle", "String"),
            ("vendor", "String"),
        ],
    ),
    (
        "OrderCreateShippingLineInput",
        &[
            ("code", "String"),
            ("priceSet", "MoneyBagInput!"),
            ("source", "String"),
            ("taxLines", "[]OrderCreateTaxLineInput"),
            ("title", "String!"),
        ],
    ),
    (
        "OrderCreateTaxLineInput",
        &[
            ("channelLiable", "Boolean"),
            ("priceSet", "MoneyBagInput"),
            ("rate", "Decimal!"),
            ("title", "String!"),
        ],
    ),
    (
        "OrderCreateOrderTransactionInput",
        &[
            ("amountSet", "MoneyBagInput!"),
            ("authorizationCode", "String"),
            ("gateway", "String"),
            ("kind", "OrderTransactionKind"),
            ("processedAt", "DateTime"),
            ("receiptJson", "JSON"),
            ("status", "OrderTransactionStatus"),
            ("test", "Boolean"),
        ],
    ),
    ("MoneyBagInput", &[("shopMoney", "MoneyInput!"), ("presentmentMoney", "MoneyInput")]),
    ("MoneyInput", &[("amount", "Decimal!"), ("currencyCode", "CurrencyCode!")]),
    (
        "MailingAddressInput",
        &[
            ("address1", "String"),
            ("address2", "String"),
            ("city", "String"),
            ("company", "String"),
            ("countryCode", "CountryCode"),
            ("firstName", "String"),
            ("lastName", "String"),
            ("phone", "String"),
            ("provinceCode", "String"),
            ("zip", "String"),
        ],
    ),
    ("OrderCancelRefundMethodInput", &[("originalPaymentMethodsRefund", "Boolean")]),
];

/// Enums, as far as they matter.
pub const ENUMS: &[(&str, &[&str])] = &[
    ("CurrencyCode", &["USD", "EUR", "GBP", "CAD", "AUD", "JPY", "CHF", "CNY", "INR", "BRL"]),
    ("CountryCode", &["US", "CA", "GB", "DE", "FR", "AU", "JP", "BR", "SV", "CH", "AT"]),
    (
        "OrderCreateFinancialStatus",
        &[
            "AUTHORIZED",
            "EXPIRED",
            "PAID",
            "PARTIALLY_PAID",
            "PARTIALLY_REFUNDED",
            "PENDING",
            "REFUNDED",
            "VOIDED",
        ],
    ),
    (
        "OrderCreateInputsInventoryBehavior",
        &["BYPASS", "DECREMENT_IGNORING_POLICY", "DECREMENT_OBEYING_POLICY"],
    ),
    (
        "OrderTransactionKind",
        &["AUTHORIZATION", "CAPTURE", "CHANGE", "EMV_AUTHORIZATION", "REFUND", "SALE", "VOID"],
    ),
    ("OrderTransactionStatus", &["AWAITING_RESPONSE", "ERROR", "FAILURE", "PENDING", "SUCCESS", "UNKNOWN"]),
    ("OrderCancelReason", &["CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"]),
];
