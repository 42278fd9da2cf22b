-- Stores: what accounts sell by the piece.
CREATE TABLE shop_stores (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    slug          TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    description   TEXT    NOT NULL DEFAULT '',
    currency      TEXT    NOT NULL,                   -- of all its prices; a currency's code or 'sats'
    country       TEXT    NOT NULL,                   -- ISO 3166, two letters: where it is
    state         TEXT    NOT NULL DEFAULT '',
    active        INTEGER NOT NULL DEFAULT 1,
    when_sold_out TEXT    NOT NULL CHECK (when_sold_out IN ('refund', 'backorder')),
    free_from     INTEGER,                            -- domestic shipping is free from this subtotal on; NULL: never
    tax_shipping  INTEGER NOT NULL DEFAULT 0,         -- 1: shipping is taxed too
    next_number   INTEGER NOT NULL DEFAULT 1001,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX shop_stores_by_account ON shop_stores (account_id);

-- All amounts are in the smallest unit of the store's currency: cents, yen, sats.
CREATE TABLE shop_products (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    store_id    INTEGER NOT NULL REFERENCES shop_stores (id),
    handle      TEXT    NOT NULL,
    title       TEXT    NOT NULL,
    description TEXT    NOT NULL DEFAULT '',
    images      TEXT    NOT NULL DEFAULT '[]',        -- a JSON array of addresses, the first is shown in lists
    active      INTEGER NOT NULL DEFAULT 1,
    updated_at  INTEGER NOT NULL,
    UNIQUE (store_id, handle)
) STRICT;

-- Never removed: orders name them.
CREATE TABLE shop_variants (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES shop_products (id),
    store_id   INTEGER NOT NULL REFERENCES shop_stores (id),
    title      TEXT    NOT NULL,                      -- its options: 'Large / Blue'
    sku        TEXT    NOT NULL DEFAULT '',
    price      INTEGER NOT NULL CHECK (price >= 0),
    stock      INTEGER,                               -- NULL: not counted; below zero: back orders
    oversell   INTEGER NOT NULL DEFAULT 0,            -- 1: sold also when there is none
    ships      INTEGER NOT NULL DEFAULT 1,
    taxable    INTEGER NOT NULL DEFAULT 1,
    active     INTEGER NOT NULL DEFAULT 1,
    UNIQUE (product_id, title)
) STRICT;
CREATE INDEX shop_variants_by_store ON shop_variants (store_id, id);

-- What shipping costs. The most exact row counts: country and state, country, '*'.
CREATE TABLE shop_shipping (
    store_id INTEGER NOT NULL REFERENCES shop_stores (id),
    country  TEXT    NOT NULL,
    state    TEXT    NOT NULL DEFAULT '',
    price    INTEGER NOT NULL CHECK (price >= 0),
    PRIMARY KEY (store_id, country, state)
) STRICT, WITHOUT ROWID;

-- What tax is added, in parts per million.
CREATE TABLE shop_taxes (
    store_id INTEGER NOT NULL REFERENCES shop_stores (id),
    country  TEXT    NOT NULL,
    state    TEXT    NOT NULL DEFAULT '',
    ppm      INTEGER NOT NULL CHECK (ppm >= 0 AND ppm <= 1000000),
    PRIMARY KEY (store_id, country, state)
) STRICT, WITHOUT ROWID;

-- Orders. One that nobody paid goes with its charge. Whoever bought is in shop_customers alone.
CREATE TABLE shop_orders (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id        TEXT    NOT NULL UNIQUE,
    store_id         INTEGER NOT NULL REFERENCES shop_stores (id),
    account_id       INTEGER NOT NULL REFERENCES accounts (id),
    charge_id        INTEGER NOT NULL UNIQUE REFERENCES charges (id),
    payment_hash     BLOB    NOT NULL UNIQUE,
    token_id         BLOB    NOT NULL,                -- its macaroon is made from it again whenever it is asked for
    claim_token      TEXT    NOT NULL,
    claim_hash       BLOB    NOT NULL UNIQUE,         -- by which the token is found
    status_token     TEXT    NOT NULL,                -- lets whoever ordered follow the payment
    status           TEXT    NOT NULL CHECK (status IN ('awaiting_payment', 'awaiting_details', 'processing', 'shipped',
                         'refund_due', 'refunding', 'refunded')),
    currency         TEXT    NOT NULL,
    subtotal         INTEGER NOT NULL,
    shipping         INTEGER NOT NULL,
    tax              INTEGER NOT NULL,
    total            INTEGER NOT NULL,
    total_usd        TEXT,                            -- as it was shown; NULL: no rate
    total_msat       INTEGER NOT NULL,                -- the price, fixed with the invoice
    rate             TEXT,
    country          TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    ships            INTEGER NOT NULL,
    idempotency_key  TEXT,
    number           INTEGER,                         -- once it is paid
    backordered      INTEGER NOT NULL DEFAULT 0,
    received_msat    INTEGER NOT NULL DEFAULT 0,
    fee_msat         INTEGER NOT NULL DEFAULT 0,
    refunding_msat   INTEGER NOT NULL DEFAULT 0,      -- of a refund that has not failed
    reserve_id       INTEGER REFERENCES fee_reserves (id), -- withheld from the account while a refund is due
    tracking_number  TEXT,
    tracking_carrier TEXT,
    tracking_url     TEXT,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    paid_at          INTEGER,
    claimed_at       INTEGER,
    shipped_at       INTEGER,
    refunded_at      INTEGER,
    CHECK (refunding_msat <= received_msat)
) STRICT;
CREATE INDEX shop_orders_by_store ON shop_orders (store_id, id);
CREATE INDEX shop_orders_by_status ON shop_orders (store_id, status, id);
CREATE INDEX shop_orders_by_account ON shop_orders (account_id);
CREATE UNIQUE INDEX shop_orders_by_key ON shop_orders (store_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE shop_order_items (
    order_id      INTEGER NOT NULL REFERENCES shop_orders (id),
    variant_id    INTEGER NOT NULL REFERENCES shop_variants (id),
    product_title TEXT    NOT NULL,
    variant_title TEXT    NOT NULL,
    sku           TEXT    NOT NULL,
    quantity      INTEGER NOT NULL CHECK (quantity > 0),
    price         INTEGER NOT NULL,                   -- of one, fixed with the invoice
    PRIMARY KEY (order_id, variant_id)
) STRICT, WITHOUT ROWID;

-- Personal data, all of it: `satchel store forget` removes the row.
CREATE TABLE shop_customers (
    order_id INTEGER PRIMARY KEY REFERENCES shop_orders (id),
    email    TEXT    NOT NULL,
    address  TEXT    NOT NULL                         -- JSON
) STRICT;

-- What goes back to buyers.
CREATE TABLE shop_refunds (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id       INTEGER NOT NULL REFERENCES shop_orders (id),
    payout_id      INTEGER NOT NULL UNIQUE REFERENCES payouts (id),
    msat           INTEGER NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('pending', 'completed', 'failed')),
    uncovered_msat INTEGER NOT NULL DEFAULT 0,        -- of one that arrived after it had failed: the operator's loss
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,
    error          TEXT
) STRICT;
CREATE INDEX shop_refunds_by_order ON shop_refunds (order_id, id);

-- Letters to buyers that have not left yet.
CREATE TABLE shop_letters (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id    INTEGER NOT NULL REFERENCES shop_orders (id),
    kind        TEXT    NOT NULL CHECK (kind IN ('claimed', 'shipped')),
    next_try_at INTEGER NOT NULL,
    give_up_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX shop_letters_due ON shop_letters (next_try_at);
