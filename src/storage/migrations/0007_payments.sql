-- What an account is told of its payments.
CREATE TABLE payment_merchants (
    account_id     INTEGER PRIMARY KEY REFERENCES accounts (id),
    webhook_url    TEXT,
    webhook_secret TEXT    NOT NULL,
    callback_url   TEXT,
    updated_at     INTEGER NOT NULL
) STRICT;

-- An order of a shop. Its invoice, and what has come in, are the charge's.
CREATE TABLE payments (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id      TEXT    NOT NULL UNIQUE,
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    order_id       TEXT    NOT NULL,
    charge_id      INTEGER NOT NULL UNIQUE REFERENCES charges (id),
    status         TEXT    NOT NULL,
    amount         TEXT    NOT NULL,            -- as ordered, exact
    currency       TEXT    NOT NULL,
    amount_msat    INTEGER NOT NULL,
    rate           TEXT,                        -- fiat for a bitcoin; NULL: ordered in bitcoin
    rate_source    TEXT,
    rate_at        INTEGER,
    received_msat  INTEGER NOT NULL DEFAULT 0,
    refunding_msat INTEGER NOT NULL DEFAULT 0,  -- refunds that have not failed
    refunded_msat  INTEGER NOT NULL DEFAULT 0,  -- refunds that have arrived
    description    TEXT,
    customer_email TEXT,
    customer_name  TEXT,
    success_url    TEXT,
    cancel_url     TEXT,
    metadata       TEXT,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    paid_at        INTEGER,
    expiry_told    INTEGER NOT NULL DEFAULT 0,  -- 1: it was over before, and a payment that came then went back
    CHECK (refunded_msat <= refunding_msat AND refunding_msat <= received_msat)
) STRICT;
CREATE INDEX payments_by_order ON payments (account_id, order_id);
CREATE INDEX payments_by_account ON payments (account_id, id);
CREATE INDEX payments_by_status ON payments (account_id, status, id);
CREATE INDEX payments_to_expire ON payments (expires_at) WHERE status = 'unpaid';

-- Money that goes back to a customer.
CREATE TABLE payment_refunds (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id    TEXT    NOT NULL UNIQUE,
    payment_id   INTEGER NOT NULL REFERENCES payments (id),
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    payout_id    INTEGER UNIQUE REFERENCES payouts (id),   -- NULL: on-chain
    address      TEXT,                                     -- NULL: to an invoice
    amount       TEXT    NOT NULL,
    amount_msat  INTEGER NOT NULL,
    reason       TEXT,
    status       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    completed_at INTEGER,
    -- Of one that arrived after it had failed: what had been refunded otherwise meanwhile.
    uncovered_msat INTEGER NOT NULL DEFAULT 0,
    CHECK ((payout_id IS NULL) <> (address IS NULL))
) STRICT;
CREATE INDEX payment_refunds_by_payment ON payment_refunds (payment_id, id);
CREATE INDEX payment_refunds_by_account ON payment_refunds (account_id, id);
