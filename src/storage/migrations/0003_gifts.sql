-- What a gift is besides its voucher, whose row id it shares. Its amount, state, expiry and refund address are
-- the voucher's, its invoice the charge's.
CREATE TABLE gifts (
    id                INTEGER PRIMARY KEY REFERENCES vouchers (id),
    order_id          BLOB    NOT NULL UNIQUE,  -- 24 bytes
    sender_name       TEXT,
    sender_message    TEXT,
    verify_code       INTEGER,
    code_wrong        INTEGER NOT NULL DEFAULT 0,
    code_locked_until INTEGER,                  -- unix milliseconds
    notify            TEXT,
    notify_secret     TEXT,
    manage_hash       BLOB                      -- SHA-256 of the manage key; NULL: nobody has one
) STRICT;

-- The family's own secret; ids and LNURL tokens are derived from it.
CREATE TABLE gift_secret (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB    NOT NULL
) STRICT;
