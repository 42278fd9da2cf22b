-- What people did by hand with an admin key. Rows are never removed, and never change once they have an end.
CREATE TABLE operator_acts (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    key_id   INTEGER NOT NULL,
    key_name TEXT    NOT NULL,              -- as it was then
    act      TEXT    NOT NULL,
    subject  TEXT    NOT NULL,              -- what it was done to: the id of a payout, channel, key, ...
    details  TEXT    NOT NULL,              -- JSON, without secrets
    outcome  TEXT    NOT NULL CHECK (outcome IN ('begun', 'done', 'refused', 'failed', 'unknown')),
    message  TEXT,                          -- why it was refused or failed
    ended_at INTEGER
) STRICT;
CREATE INDEX operator_acts_by_subject ON operator_acts (subject, id);
CREATE INDEX operator_acts_begun ON operator_acts (id) WHERE outcome = 'begun';
CREATE TRIGGER operator_acts_are_kept BEFORE DELETE ON operator_acts
BEGIN SELECT RAISE(ABORT, 'acts of operators are never removed'); END;
CREATE TRIGGER operator_acts_stand BEFORE UPDATE ON operator_acts WHEN OLD.outcome <> 'begun'
BEGIN SELECT RAISE(ABORT, 'acts of operators are never changed'); END;

-- What became of money in suspense: of each journal that brought some, one settlement that has not failed.
CREATE INDEX entries_in_suspense ON entries (journal) WHERE account = 'suspense';
CREATE TABLE suspense_settlements (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    journal     INTEGER NOT NULL REFERENCES journals (id),
    amount_msat INTEGER NOT NULL CHECK (amount_msat > 0),
    way         TEXT    NOT NULL CHECK (way IN ('operator', 'account', 'payout')),
    account_id  INTEGER REFERENCES accounts (id),
    payout_id   INTEGER UNIQUE REFERENCES payouts (id),
    -- lost: its payout arrived after it had failed, when the money had been settled otherwise
    status      TEXT    NOT NULL CHECK (status IN ('paying', 'done', 'failed', 'lost')),
    at          INTEGER NOT NULL,
    CHECK ((way = 'account') = (account_id IS NOT NULL)),
    CHECK ((way = 'payout') = (payout_id IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX suspense_settled_once ON suspense_settlements (journal) WHERE status IN ('paying', 'done');

-- What a gift costs its sender besides its amount: earned once it is paid for.
ALTER TABLE gifts ADD COLUMN fee_msat INTEGER NOT NULL DEFAULT 0;

-- What is special about coins that the operator sends.
CREATE TABLE operator_sends (
    coin_send_id INTEGER PRIMARY KEY REFERENCES coin_sends (id),
    everything   INTEGER NOT NULL,          -- 1: all above the reserve, so the amount is only an estimate until it is known
    amount_known INTEGER NOT NULL
) STRICT;

-- What the operator takes of what pays a shop: as ordered, and as earned once it is paid.
ALTER TABLE payments ADD COLUMN fee_msat INTEGER NOT NULL DEFAULT 0;
ALTER TABLE l402_challenges ADD COLUMN fee_msat INTEGER NOT NULL DEFAULT 0;
ALTER TABLE l402_earnings ADD COLUMN fee_msat INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payment_refunds ADD COLUMN fee_back_msat INTEGER NOT NULL DEFAULT 0;  -- fee that went back with it
