-- What tokens are signed with: made at the first start.
CREATE TABLE l402_secret (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB    NOT NULL
) STRICT;

-- A price that was asked of somebody. Its invoice, and what has come in, are the charge's; its token is made from
-- this row again whenever it is asked for.
CREATE TABLE l402_challenges (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    charge_id       INTEGER NOT NULL UNIQUE REFERENCES charges (id),
    payment_hash    BLOB    NOT NULL UNIQUE,
    account_id      INTEGER REFERENCES accounts (id),  -- NULL: the operator's own
    resource        TEXT    NOT NULL,
    price_sat       INTEGER NOT NULL CHECK (price_sat > 0),
    description     TEXT,
    token_id        BLOB    NOT NULL,
    valid_until     INTEGER NOT NULL,                  -- of the token, unix seconds
    asked_by        BLOB    NOT NULL,                  -- digest of who asked for what: the same gets the same
    idempotency_key TEXT,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,                  -- of the invoice
    paid_at         INTEGER,
    received_msat   INTEGER,
    used_at         INTEGER                            -- when its payment was taken for one answer, without a token
) STRICT;
CREATE INDEX l402_challenges_by_account ON l402_challenges (account_id, id);
CREATE INDEX l402_challenges_paid ON l402_challenges (account_id, id) WHERE paid_at IS NOT NULL;
CREATE INDEX l402_challenges_unpaid ON l402_challenges (account_id, expires_at) WHERE paid_at IS NULL;
CREATE INDEX l402_challenges_by_asker ON l402_challenges (asked_by, created_at);
CREATE INDEX l402_challenges_by_key ON l402_challenges (account_id, idempotency_key, id)
    WHERE idempotency_key IS NOT NULL;

-- Sums of what was paid, kept in the transaction that says so.
CREATE TABLE l402_earnings (
    account_id    INTEGER NOT NULL,                    -- 0: the operator's own
    resource      TEXT    NOT NULL,
    payments      INTEGER NOT NULL,
    received_msat INTEGER NOT NULL,
    PRIMARY KEY (account_id, resource)
) STRICT, WITHOUT ROWID;
