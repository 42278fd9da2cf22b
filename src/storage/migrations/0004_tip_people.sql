-- Who tips and who is tipped: holders of API keys, guests of a browser, owners of a Lightning wallet or an
-- e-mail address. Times are unix milliseconds. Guests are removed, so ids are never used twice: whoever holds one
-- in memory must not mean somebody else by it later.
CREATE TABLE tip_users (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id         TEXT    NOT NULL UNIQUE,              -- c and 24 characters
    account_id        INTEGER UNIQUE REFERENCES accounts (id), -- its API keys open this user
    auth_key          BLOB    UNIQUE,                       -- lnurl-auth: compressed public key, 33 bytes
    email             TEXT    UNIQUE,
    name              TEXT,
    lightning_address TEXT,                                 -- where refunds go: lightning address or BOLT12 offer
    refund_try_at     INTEGER NOT NULL DEFAULT 0,
    refund_tries      INTEGER NOT NULL DEFAULT 0,
    claimed           INTEGER NOT NULL DEFAULT 0,           -- 1: has claimed a tip, so is kept
    created_at        INTEGER NOT NULL
) STRICT;

-- Logged-in browsers; the cookie's SHA-256.
CREATE TABLE tip_sessions (
    hash       BLOB    PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES tip_users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tip_sessions_to_prune ON tip_sessions (expires_at);
CREATE INDEX tip_sessions_by_user ON tip_sessions (user_id);
