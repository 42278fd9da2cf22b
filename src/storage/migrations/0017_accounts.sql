-- What each account has: earned by payments and by requests that were sold, less what went out again.
CREATE TABLE account_balances (
    account_id   INTEGER PRIMARY KEY REFERENCES accounts (id),
    msat         INTEGER NOT NULL CHECK (msat >= 0),
    pending_msat INTEGER NOT NULL DEFAULT 0 CHECK (pending_msat >= 0)  -- withdrawals under way, with their fee reserves
) STRICT;

-- Every change of a balance: the account's statement.
CREATE TABLE account_lines (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    at           INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    reference    TEXT    NOT NULL,          -- public id of what caused it
    msat         INTEGER NOT NULL,          -- in: positive, out: negative
    balance_msat INTEGER NOT NULL           -- afterwards
) STRICT;
CREATE INDEX account_lines_by_time ON account_lines (account_id, at, id);

-- What was withheld from an account for the fees of something under way.
CREATE TABLE fee_reserves (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    reserve_msat INTEGER NOT NULL,
    charged_msat INTEGER,                   -- once settled: what it cost; the rest went back
    settled_at   INTEGER
) STRICT;
CREATE INDEX fee_reserves_open ON fee_reserves (id) WHERE settled_at IS NULL;

-- Coins to an address: who bears the miners' fee, and how much it may be.
ALTER TABLE coin_sends ADD COLUMN account_id INTEGER REFERENCES accounts (id);
ALTER TABLE coin_sends ADD COLUMN fee_reserve_id INTEGER REFERENCES fee_reserves (id);  -- NULL: the operator bears it
ALTER TABLE coin_sends ADD COLUMN max_fee_msat INTEGER NOT NULL DEFAULT 0;
ALTER TABLE coin_sends ADD COLUMN fee_rate INTEGER;                                     -- sat for 1,000 weight units
ALTER TABLE coin_sends ADD COLUMN fee_msat INTEGER;                                     -- what the miners got, once known
CREATE INDEX coin_sends_by_time ON coin_sends (created_at);

-- Intents to pay a BOLT12 offer: their payment hash is known only late, their payment id only once they were sent.
CREATE TABLE offer_payouts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id     TEXT    NOT NULL UNIQUE,  -- the payer note, by which the node's record is found again
    family        TEXT    NOT NULL,
    offer         TEXT    NOT NULL,
    amount_msat   INTEGER NOT NULL,
    max_fee_msat  INTEGER NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('queued', 'dispatching', 'in_flight', 'unknown', 'paid', 'failed')),
    attempts      INTEGER NOT NULL DEFAULT 0,
    payment_id    BLOB UNIQUE,
    payment_hash  BLOB,
    doubtful      INTEGER NOT NULL DEFAULT 0,  -- 1: the process stopped while it was under way, so that a failure proves nothing
    created_at    INTEGER NOT NULL,
    deadline      INTEGER NOT NULL,
    next_try_at   INTEGER NOT NULL,
    dispatched_at INTEGER,
    finished_at   INTEGER,
    preimage      BLOB,
    fee_msat      INTEGER,
    error         TEXT,
    failure_reported TEXT,                  -- the node said that it failed, which proves nothing yet: why
    forgotten     INTEGER NOT NULL DEFAULT 0   -- 1: the node has no record of it any more
) STRICT;
CREATE INDEX offer_payouts_to_forget ON offer_payouts (finished_at) WHERE status IN ('paid', 'failed') AND forgotten = 0;
CREATE INDEX offer_payouts_open ON offer_payouts (status, next_try_at) WHERE status NOT IN ('paid', 'failed');

-- What an account takes out. Carried by exactly one payout, offer payout or coin send.
CREATE TABLE withdrawals (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id       TEXT    NOT NULL UNIQUE,
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    key_id          INTEGER REFERENCES api_keys (id),           -- NULL: the operator, or a sweep
    target          TEXT    NOT NULL,
    amount_msat     INTEGER NOT NULL,
    reserve_msat    INTEGER NOT NULL,                           -- withheld for fees
    fee_reserve_id  INTEGER REFERENCES fee_reserves (id),       -- NULL: the operator bears them
    fee_msat        INTEGER,                                    -- what the account was charged
    uncovered_msat  INTEGER NOT NULL DEFAULT 0,                 -- of one that arrived late: what the account no longer had
    status          TEXT    NOT NULL CHECK (status IN ('pending', 'completed', 'failed')),
    payout_id       INTEGER UNIQUE REFERENCES payouts (id),
    offer_payout_id INTEGER UNIQUE REFERENCES offer_payouts (id),
    coin_send_id    INTEGER UNIQUE REFERENCES coin_sends (id),
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    error           TEXT,
    CHECK ((payout_id IS NOT NULL) + (offer_payout_id IS NOT NULL) + (coin_send_id IS NOT NULL) = 1)
) STRICT;
CREATE INDEX withdrawals_by_account ON withdrawals (account_id, id);

-- What a key may withdraw in a day (UTC) in sat; NULL: as configured, 0: as much as there is.
ALTER TABLE api_keys ADD COLUMN withdraw_day_sat INTEGER;
CREATE TABLE withdrawal_days (
    key_id INTEGER NOT NULL REFERENCES api_keys (id),
    day    INTEGER NOT NULL,                                    -- days since 1970
    msat   INTEGER NOT NULL,
    PRIMARY KEY (key_id, day)
) STRICT, WITHOUT ROWID;

-- Accounts whose earnings go to a lightning address by themselves.
CREATE TABLE account_sweeps (
    account_id  INTEGER PRIMARY KEY REFERENCES accounts (id),
    target      TEXT    NOT NULL,
    min_msat    INTEGER NOT NULL,           -- not before there is so much to withdraw
    next_try_at INTEGER NOT NULL,
    failures    INTEGER NOT NULL DEFAULT 0,
    error       TEXT
) STRICT;
CREATE INDEX account_sweeps_due ON account_sweeps (next_try_at);

-- What was earned before there were balances, as one line.
INSERT INTO account_balances (account_id, msat)
    SELECT a.id, coalesce((SELECT sum(p.received_msat - p.refunding_msat) FROM payments p WHERE p.account_id = a.id), 0)
               + coalesce((SELECT sum(e.received_msat) FROM l402_earnings e WHERE e.account_id = a.id), 0)
    FROM accounts a;
INSERT INTO account_lines (account_id, at, kind, reference, msat, balance_msat)
    SELECT account_id, CAST(unixepoch('subsec') * 1000 AS INTEGER), 'opening', '', msat, msat FROM account_balances WHERE msat > 0;
