-- Shopify shops behind stores, as far as they were read.
CREATE TABLE shopify_shops (
    store_id  INTEGER PRIMARY KEY REFERENCES shop_stores (id),
    domain    TEXT    NOT NULL,
    tried_at  INTEGER,                                -- when it was last begun to read it
    synced_at INTEGER,                                -- when the newest whole reading began
    error     TEXT,                                   -- why the last attempt failed; NULL: it did not
    problems  TEXT    NOT NULL DEFAULT '[]',          -- a JSON array: what of the last reading was left out, and why
    problem_count INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Which of its products and variants are which of ours. Ours keep their ids whatever becomes of Shopify's.
CREATE TABLE shopify_products (
    product_id INTEGER PRIMARY KEY REFERENCES shop_products (id),
    store_id   INTEGER NOT NULL REFERENCES shop_stores (id),
    remote_id  INTEGER NOT NULL,
    UNIQUE (store_id, remote_id)
) STRICT;

CREATE TABLE shopify_variants (
    variant_id INTEGER PRIMARY KEY REFERENCES shop_variants (id),
    store_id   INTEGER NOT NULL REFERENCES shop_stores (id),
    remote_id  INTEGER NOT NULL,
    UNIQUE (store_id, remote_id)
) STRICT;

-- Claimed orders that must be at Shopify, or must be cancelled there. No personal data: that is read when it is sent.
CREATE TABLE shopify_orders (
    order_id    INTEGER PRIMARY KEY REFERENCES shop_orders (id),
    store_id    INTEGER NOT NULL REFERENCES shop_stores (id),
    state       TEXT    NOT NULL CHECK (state IN (
        'waiting',                                    -- it is certain that it is not there
        'unknown',                                    -- a request that makes it was begun
        'written',                                    -- it is there
        'cancel',                                     -- the seller gave it up: it is or may be there, and must be cancelled
        'done'                                        -- it was cancelled there, or never went there
    )),
    plain       INTEGER NOT NULL DEFAULT 0,           -- 1: refused once; sent without what Shopify checks
    attempts    INTEGER NOT NULL DEFAULT 0,           -- since something last went well
    next_try_at INTEGER NOT NULL,
    error       TEXT,                                 -- of the last attempt
    remote_id   INTEGER,
    name        TEXT,                                 -- as Shopify calls it: '#1001'; never changed
    written_at  INTEGER,                              -- when we knew
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX shopify_orders_due ON shopify_orders (store_id, next_try_at) WHERE state IN ('waiting', 'unknown', 'cancel');
CREATE INDEX shopify_orders_written ON shopify_orders (store_id, written_at);
