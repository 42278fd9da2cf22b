-- What credentials of purses are sealed with: made at the first start.
CREATE TABLE purse_secret (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB    NOT NULL
) STRICT;

-- What an API key may spend of its account's balance, and where.
CREATE TABLE purses (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL,
    key_id           INTEGER NOT NULL UNIQUE REFERENCES api_keys (id),
    account_id       INTEGER NOT NULL REFERENCES accounts (id),
    budget_msat      INTEGER NOT NULL CHECK (budget_msat >= 0),       -- in all
    per_day_msat     INTEGER,                                         -- in a day (UTC); NULL: no limit of its own
    per_request_msat INTEGER,                                         -- for one request; NULL: no limit of its own
    spent_msat       INTEGER NOT NULL DEFAULT 0 CHECK (spent_msat >= 0),  -- with what is reserved for payments under way
    hosts            TEXT    NOT NULL,                                -- names with a space between them; * for any
    invoices         INTEGER NOT NULL,                                -- 1: may pay invoices that it is given
    created_at       INTEGER NOT NULL,
    revoked_at       INTEGER
) STRICT;
CREATE UNIQUE INDEX purses_by_name ON purses (name) WHERE revoked_at IS NULL;

-- What was spent in each day (UTC), with what is reserved for payments begun in it.
CREATE TABLE purse_days (
    purse_id INTEGER NOT NULL REFERENCES purses (id),
    day      INTEGER NOT NULL,                                        -- days since 1970
    msat     INTEGER NOT NULL,
    PRIMARY KEY (purse_id, day)
) STRICT, WITHOUT ROWID;

-- Payments of purses: the receipts. Each is carried by one payout.
CREATE TABLE purse_payments (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id      TEXT    NOT NULL UNIQUE,
    purse_id       INTEGER NOT NULL REFERENCES purses (id),
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    payout_id      INTEGER NOT NULL UNIQUE REFERENCES payouts (id),
    request_key    TEXT,                                              -- Idempotency-Key of the request
    request_hash   BLOB,                                              -- digest of what was asked with it
    origin         TEXT,                                              -- what was bought; NULL: an invoice was paid
    path           TEXT,
    proof          BLOB,                                              -- sealed: with the preimage it is the credential
    usable         INTEGER NOT NULL DEFAULT 0,                        -- 1: later requests for the same path show it
    amount_msat    INTEGER NOT NULL CHECK (amount_msat > 0),
    reserve_msat   INTEGER NOT NULL,                                  -- withheld for routing
    fee_reserve_id INTEGER REFERENCES fee_reserves (id),
    fee_msat       INTEGER,                                           -- what the account was charged
    uncovered_msat INTEGER NOT NULL DEFAULT 0,                        -- of one that arrived late: what the account no longer had
    status         TEXT    NOT NULL CHECK (status IN ('pending', 'paid', 'failed')),
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,
    error          TEXT
) STRICT;
CREATE UNIQUE INDEX purse_payments_once ON purse_payments (purse_id, request_key)
    WHERE request_key IS NOT NULL AND status <> 'failed';
CREATE INDEX purse_payments_by_purse ON purse_payments (purse_id, id);
CREATE INDEX purse_payments_usable ON purse_payments (purse_id, origin, path, id) WHERE usable = 1;
CREATE INDEX purse_payments_by_account ON purse_payments (account_id);
