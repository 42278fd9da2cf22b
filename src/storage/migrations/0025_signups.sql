-- Accounts that bought themselves an API key. The key is derived from the seed and the payment hash, and is nowhere kept.
CREATE TABLE signups (
    payment_hash BLOB    PRIMARY KEY,
    account_id   INTEGER NOT NULL UNIQUE REFERENCES accounts (id),
    email        TEXT    NOT NULL,
    paid_sat     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
