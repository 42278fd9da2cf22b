-- Agents: programs that sell and buy, each known by a Nostr key (BIP-340, the x coordinate alone).
CREATE TABLE agents (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    pubkey       BLOB    NOT NULL UNIQUE CHECK (length(pubkey) = 32),
    name         TEXT,
    description  TEXT,
    is_active    INTEGER NOT NULL DEFAULT 1,
    verified_at  INTEGER,                              -- when it proved that it holds the key
    sold         INTEGER NOT NULL DEFAULT 0,           -- payments for what it offers
    revenue_msat INTEGER NOT NULL DEFAULT 0,           -- what they brought, before the operator's fee
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_by_account ON agents (account_id, id);

-- What an agent has to sign; removed when it has.
CREATE TABLE agent_challenges (
    challenge  BLOB    PRIMARY KEY,
    pubkey     BLOB    NOT NULL,
    account_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_challenges_by_account ON agent_challenges (account_id, expires_at);
CREATE INDEX agent_challenges_by_end ON agent_challenges (expires_at);

-- What agents offer.
CREATE TABLE agent_capabilities (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    agent_id        INTEGER REFERENCES agents (id),
    service_id      TEXT    NOT NULL,
    content         TEXT    NOT NULL,
    categories      TEXT    NOT NULL,                  -- JSON arrays
    hashtags        TEXT    NOT NULL,
    price_sat       INTEGER NOT NULL CHECK (price_sat >= 0),
    endpoint        TEXT,
    proxy_id        TEXT,                              -- public id of the proxy that sells it
    d_tag           TEXT    NOT NULL UNIQUE,           -- its address on relays
    event_id        BLOB    NOT NULL UNIQUE,           -- the first event, by which clients know it
    latest_event_id BLOB    NOT NULL,                  -- the event that replaced it
    event_at        INTEGER NOT NULL,                  -- of the latest event, unix seconds
    listed          INTEGER NOT NULL,                  -- whether it is found
    removed_at      INTEGER,
    sold            INTEGER NOT NULL DEFAULT 0,
    revenue_msat    INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX agent_capabilities_listed ON agent_capabilities (id) WHERE listed;
CREATE INDEX agent_capabilities_by_account ON agent_capabilities (account_id, id) WHERE removed_at IS NULL;
CREATE INDEX agent_capabilities_by_agent ON agent_capabilities (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX agent_capabilities_by_latest ON agent_capabilities (latest_event_id);
CREATE INDEX agent_capabilities_by_proxy ON agent_capabilities (proxy_id, id) WHERE proxy_id IS NOT NULL;
CREATE INDEX agent_capabilities_removed ON agent_capabilities (removed_at) WHERE removed_at IS NOT NULL;
CREATE UNIQUE INDEX agent_capabilities_one_a_proxy ON agent_capabilities (proxy_id)
    WHERE proxy_id IS NOT NULL AND removed_at IS NULL;

-- Only what is listed, by row id. `words` is what people type, `tags` are categories and hashtags in hex, so that
-- each is one token and matches whole.
CREATE VIRTUAL TABLE agent_search USING fts5 (
    words, tags, content = '', contentless_delete = 1, prefix = '3 4 5 6',
    tokenize = 'unicode61 remove_diacritics 2'
);

-- A request for a capability, and the agreement it led to.
CREATE TABLE agent_agreements (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    capability_id      INTEGER NOT NULL REFERENCES agent_capabilities (id),
    provider_account   INTEGER NOT NULL,
    provider_agent     INTEGER REFERENCES agents (id),
    requester_account  INTEGER NOT NULL,
    requester_agent    INTEGER REFERENCES agents (id),
    request_event_id   BLOB    NOT NULL UNIQUE,
    agreement_event_id BLOB    NOT NULL UNIQUE,        -- the first event, by which clients know it
    latest_event_id    BLOB    NOT NULL,
    d_tag              TEXT    NOT NULL UNIQUE,
    event_at           INTEGER NOT NULL,               -- of the latest event, unix seconds
    budget_sat         INTEGER NOT NULL,
    price_sat          INTEGER NOT NULL,
    parameters         TEXT,
    status             TEXT    NOT NULL CHECK (status IN ('offered', 'active', 'completed', 'expired')),
    payment_hash       BLOB,                           -- what completed it
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    completed_at       INTEGER
) STRICT;
CREATE INDEX agent_agreements_open ON agent_agreements (capability_id, status, id) WHERE status IN ('offered', 'active');
CREATE INDEX agent_agreements_due ON agent_agreements (expires_at) WHERE status IN ('offered', 'active');
CREATE INDEX agent_agreements_expired ON agent_agreements (expires_at) WHERE status = 'expired';
CREATE INDEX agent_agreements_active ON agent_agreements (provider_agent, expires_at) WHERE status = 'active';
CREATE INDEX agent_agreements_by_capability ON agent_agreements (capability_id);
CREATE INDEX agent_agreements_by_requester ON agent_agreements (requester_account, id);
CREATE INDEX agent_agreements_by_provider ON agent_agreements (provider_account, id);
CREATE INDEX agent_agreements_by_latest ON agent_agreements (latest_event_id);

-- What others say of an agent.
CREATE TABLE agent_attestations (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    reviewer       BLOB    NOT NULL,
    subject        BLOB    NOT NULL,
    agreement_ref  TEXT    NOT NULL,
    attestation_id TEXT    NOT NULL,
    rating         INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    content        TEXT    NOT NULL,
    proof          TEXT,
    event_id       BLOB    NOT NULL UNIQUE,
    verified       INTEGER NOT NULL,                   -- whether the reviewer bought from the subject here
    created_at     INTEGER NOT NULL,
    UNIQUE (account_id, subject, agreement_ref),
    UNIQUE (account_id, attestation_id)
) STRICT;
CREATE INDEX agent_attestations_by_subject ON agent_attestations (subject, id);

-- Signed Nostr events. What has been replaced stays until every relay has what replaced it.
CREATE TABLE nostr_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id   BLOB    NOT NULL UNIQUE,
    kind       INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    is_current INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- The relays of the configuration.
CREATE TABLE nostr_relays (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    url        TEXT    NOT NULL UNIQUE,
    failures   INTEGER NOT NULL DEFAULT 0,             -- in a row
    next_at    INTEGER NOT NULL DEFAULT 0,             -- not before this
    refused    INTEGER NOT NULL DEFAULT 0,             -- events it doesn't want
    last_error TEXT
) STRICT;

-- What a relay has not taken yet, to be sent in this order.
CREATE TABLE nostr_outbox (
    relay_id INTEGER NOT NULL REFERENCES nostr_relays (id) ON DELETE CASCADE,
    event    INTEGER NOT NULL REFERENCES nostr_events (id),
    tries    INTEGER NOT NULL DEFAULT 0,               -- refused for a time
    PRIMARY KEY (relay_id, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX nostr_outbox_by_event ON nostr_outbox (event);

-- Which proxy a challenge was for: a long path is not kept in full.
ALTER TABLE l402_challenges ADD COLUMN product TEXT;
