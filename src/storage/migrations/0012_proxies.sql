-- Somebody's HTTP service, sold by the request.
CREATE TABLE l402_proxies (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id           TEXT    NOT NULL UNIQUE,
    account_id          INTEGER REFERENCES accounts (id),   -- NULL: the operator's own
    name                TEXT    NOT NULL,
    description         TEXT,
    target_url          TEXT    NOT NULL,                   -- no slash at its end
    default_price_sat   INTEGER NOT NULL CHECK (default_price_sat > 0),
    is_active           INTEGER NOT NULL,
    retired_at          INTEGER,
    retired_reason      TEXT,
    auth_header         TEXT,
    auth_value          TEXT,                               -- a secret
    timeout_secs        INTEGER NOT NULL,
    allowed_methods     TEXT    NOT NULL,                   -- JSON arrays
    allowed_paths       TEXT    NOT NULL,
    blocked_paths       TEXT    NOT NULL,
    token_validity_secs INTEGER,                            -- NULL: as configured for all
    manifest_enabled    INTEGER NOT NULL,
    manifest_listed     INTEGER NOT NULL,
    service_description TEXT,
    categories          TEXT    NOT NULL,                   -- JSON array
    logo_url            TEXT,
    contact_email       TEXT,
    documentation_url   TEXT,
    terms_url           TEXT,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    CHECK ((auth_header IS NULL) = (auth_value IS NULL))
) STRICT;
CREATE INDEX l402_proxies_by_account ON l402_proxies (account_id, id);
CREATE INDEX l402_proxies_listed ON l402_proxies (id)
    WHERE manifest_enabled AND manifest_listed AND is_active AND retired_at IS NULL;

-- What has a price of its own.
CREATE TABLE l402_endpoints (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    proxy_id    INTEGER NOT NULL REFERENCES l402_proxies (id) ON DELETE CASCADE,
    endpoint_id TEXT    NOT NULL,
    path        TEXT    NOT NULL,                           -- a pattern
    method      TEXT    NOT NULL,
    price_sat   INTEGER NOT NULL CHECK (price_sat >= 0),    -- 0: free
    summary     TEXT,
    description TEXT,
    is_active   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (proxy_id, endpoint_id)
) STRICT;
