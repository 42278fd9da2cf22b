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
