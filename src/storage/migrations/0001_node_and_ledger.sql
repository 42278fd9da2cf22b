-- LDK's own state: monitors, manager, events, wallet, payments.
CREATE TABLE ldk_kv (
    primary_ns   TEXT NOT NULL,
    secondary_ns TEXT NOT NULL,
    key          TEXT NOT NULL,
    value        BLOB NOT NULL,
    PRIMARY KEY (primary_ns, secondary_ns, key)
) STRICT, WITHOUT ROWID;

-- Double entry. Every journal's entries sum to zero; `subject` and `kind` make each journal happen once.
CREATE TABLE journals (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,               -- unix milliseconds
    kind    TEXT    NOT NULL,
    subject INTEGER NOT NULL,               -- row id of the charge or payout
    UNIQUE (kind, subject)
) STRICT;

CREATE TABLE entries (
    journal INTEGER NOT NULL REFERENCES journals (id),
    account TEXT    NOT NULL,
    msat    INTEGER NOT NULL,               -- debit positive, credit negative
    PRIMARY KEY (journal, account)
) STRICT, WITHOUT ROWID;

-- Running sums of `entries`, kept in the same transaction.
CREATE TABLE balances (
    account TEXT    PRIMARY KEY,
    msat    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Money in: one invoice of ours.
CREATE TABLE charges (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: unpaid ones are removed
    payment_hash  BLOB    NOT NULL UNIQUE,
    family        TEXT    NOT NULL,
    amount_msat   INTEGER,                  -- NULL: the payer decides
    invoice       TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('unpaid', 'paid', 'expired')),
    created_at    INTEGER NOT NULL,         -- unix milliseconds, like every time here
    expires_at    INTEGER NOT NULL,
    received_msat INTEGER,
    settled_at    INTEGER,
    settled_by    TEXT CHECK (settled_by IN ('lightning', 'internal')),
    preimage      BLOB,                     -- of a charge that we claim ourselves: a secret until it is paid
    held_at       INTEGER,                  -- when its payment came, which waits to be claimed
    held_msat     INTEGER,                  -- how much
    held_until    INTEGER                   -- block height at which the node gives it back
) STRICT;
CREATE INDEX charges_held ON charges (id) WHERE held_at IS NOT NULL AND status <> 'paid';
CREATE INDEX charges_by_expiry ON charges (expires_at, id);

-- Money that came in for a hash we made no invoice for.
CREATE TABLE unclaimed (
    id           INTEGER PRIMARY KEY,
    payment_hash BLOB    NOT NULL UNIQUE,
    amount_msat  INTEGER NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

-- How far a background task has come, so that its cost does not grow with age.
CREATE TABLE marks (
    name TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL,
    id   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Money out: one intent to pay one invoice.
CREATE TABLE payouts (
    id            INTEGER PRIMARY KEY,
    public_id     TEXT    NOT NULL UNIQUE,
    family        TEXT    NOT NULL,
    payment_hash  BLOB    NOT NULL UNIQUE,  -- the idempotency key, for ever
    invoice       TEXT    NOT NULL,
    amount_msat   INTEGER NOT NULL,
    max_fee_msat  INTEGER NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('queued', 'dispatching', 'in_flight', 'unknown', 'paid', 'failed')),
    attempts      INTEGER NOT NULL DEFAULT 0,  -- times the node was asked
    routeless     INTEGER NOT NULL DEFAULT 0,  -- times there was no route although nothing was in the way
    resent        INTEGER NOT NULL DEFAULT 0,  -- 1: sent again by recovery, so the next failure may be about the first time; 2: that one has come
    created_at    INTEGER NOT NULL,
    deadline      INTEGER NOT NULL,         -- a payout never sent by then fails
    next_try_at   INTEGER NOT NULL,
    dispatched_at INTEGER,
    dispatched_height INTEGER,              -- block height when the node was last asked
    granted_msat      INTEGER,              -- what routing might cost when it was last asked
    finished_at   INTEGER,
    preimage      BLOB,
    fee_msat      INTEGER,
    error         TEXT
) STRICT;
CREATE INDEX payouts_open ON payouts (status, next_try_at) WHERE status NOT IN ('paid', 'failed');
CREATE INDEX payouts_to_prune ON payouts (finished_at, id) WHERE status IN ('paid', 'failed');

-- A claim on sats that someone may redeem.
CREATE TABLE vouchers (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: unpaid ones are removed
    family      TEXT    NOT NULL,
    charge_id   INTEGER NOT NULL REFERENCES charges (id),
    amount_msat INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('unfunded', 'open', 'claiming', 'redeemed', 'expired', 'returning', 'returned')),
    payout_id   INTEGER REFERENCES payouts (id),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    return_to   TEXT,                       -- lightning address or BOLT12 offer for what nobody redeemed
    return_try_at INTEGER
) STRICT;
CREATE INDEX vouchers_by_charge ON vouchers (charge_id);
CREATE INDEX vouchers_to_expire ON vouchers (expires_at) WHERE expires_at IS NOT NULL AND state = 'open';
CREATE INDEX vouchers_to_return ON vouchers (return_try_at) WHERE state = 'expired' AND return_to IS NOT NULL;

-- Which payouts have tried to redeem a voucher. One payout may redeem several.
CREATE TABLE voucher_payouts (
    voucher_id INTEGER NOT NULL REFERENCES vouchers (id),
    payout_id  INTEGER NOT NULL REFERENCES payouts (id),
    taker      TEXT    NOT NULL CHECK (taker IN ('recipient', 'sender')),
    amount_msat INTEGER NOT NULL,           -- its part of the payout
    PRIMARY KEY (voucher_id, payout_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX voucher_payouts_by_payout ON voucher_payouts (payout_id);

-- What routing has cost, hour by hour, so that a limit can be kept.
CREATE TABLE routing_hours (
    hour INTEGER PRIMARY KEY,               -- hours since 1970
    msat INTEGER NOT NULL
) STRICT;

-- Numbers that only ever grow and must survive a restart: channels closed, late successes.
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events of the node that could not be applied however often they were tried, for a person to look at.
CREATE TABLE quarantine (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    event TEXT    NOT NULL,
    error TEXT    NOT NULL
) STRICT;
