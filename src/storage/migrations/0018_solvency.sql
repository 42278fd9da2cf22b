-- For whom a payout is made: a client or an account. One of them can't take all slots of the channels.
ALTER TABLE payouts ADD COLUMN source TEXT;

-- What is owed to holders, by amount: which of it can't be paid out in one payment.
CREATE INDEX vouchers_owed ON vouchers (amount_msat) WHERE state IN ('open', 'expired');

-- What the operator was told last, so that nothing is told twice.
CREATE TABLE alerts (
    name    TEXT    PRIMARY KEY,
    raised  INTEGER NOT NULL,               -- 1: it is so; 0: it is over
    text    TEXT    NOT NULL,
    since   INTEGER NOT NULL,               -- unix milliseconds of when it was first seen so
    told_at INTEGER NOT NULL                -- 0: not yet
) STRICT, WITHOUT ROWID;
