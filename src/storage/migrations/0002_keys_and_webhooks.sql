-- Whom API keys belong to.
CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL             -- unix milliseconds, like every time here
) STRICT;

-- API keys: only their hash, and as much of the text as may be shown.
CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    hash         BLOB    NOT NULL UNIQUE,   -- SHA-256 of the whole text
    prefix       TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,          -- names, separated by spaces
    from_file    INTEGER NOT NULL,          -- 1: the operator's key file brought it in
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    last_used_at INTEGER                    -- true to the hour
) STRICT;
CREATE INDEX api_keys_by_account ON api_keys (account_id);

-- Answers to requests that carried an Idempotency-Key, written with what they did.
CREATE TABLE idempotency (
    caller     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    route      TEXT    NOT NULL,
    body_hash  BLOB    NOT NULL,
    status     INTEGER NOT NULL,
    response   BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_to_prune ON idempotency (created_at);

-- What happened, for the operator. Ids are never used twice, so a reader can go on where it stopped.
CREATE TABLE event_log (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    data    TEXT    NOT NULL                -- JSON
) STRICT;
CREATE INDEX event_log_to_prune ON event_log (at);

-- Where webhooks go. The schedule is the endpoint's: one queue each, in order.
CREATE TABLE webhook_endpoints (
    id          INTEGER PRIMARY KEY,
    family      TEXT    NOT NULL,
    url         TEXT    NOT NULL,
    secret      TEXT    NOT NULL,           -- empty: unsigned
    next_try_at INTEGER,                    -- NULL: the queue is empty
    UNIQUE (family, url, secret)
) STRICT;
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (next_try_at) WHERE next_try_at IS NOT NULL;

CREATE TABLE webhook_messages (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    endpoint_id  INTEGER NOT NULL REFERENCES webhook_endpoints (id),
    kind         TEXT    NOT NULL,
    payload      TEXT    NOT NULL,          -- JSON, sent byte for byte
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'parked')),
    created_at   INTEGER NOT NULL,
    queued_at    INTEGER NOT NULL,          -- creation, or the last replay: from here the give-up time runs
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_try_at  INTEGER,
    last_status  INTEGER,                   -- HTTP status of the last answer, if there was one
    last_error   TEXT,
    finished_at  INTEGER
) STRICT;
CREATE INDEX webhook_messages_queue ON webhook_messages (endpoint_id, id) WHERE state = 'waiting';
CREATE INDEX webhook_messages_parked ON webhook_messages (id) WHERE state = 'parked';
CREATE INDEX webhook_messages_to_prune ON webhook_messages (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_messages_by_endpoint ON webhook_messages (endpoint_id);
