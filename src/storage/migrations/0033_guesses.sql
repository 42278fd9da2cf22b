-- Wrong codes of gifts by who gave them: a lock is theirs alone. Rows go a day after the last.
CREATE TABLE gift_guesses (
    gift_id      INTEGER NOT NULL,              -- not a reference: rows of gifts that are gone go in time
    network      TEXT    NOT NULL,              -- /24 or /48, or an account; as payouts name their source
    wrong        INTEGER NOT NULL,              -- since the last lock
    locked_until INTEGER,                       -- unix milliseconds
    day          INTEGER NOT NULL,              -- since 1970
    of_day       INTEGER NOT NULL,              -- wrong ones of that day
    last_at      INTEGER NOT NULL,
    late_at      INTEGER,                       -- a wrong one after the gift's free ones of the day were used up
    PRIMARY KEY (gift_id, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX gift_guesses_to_prune ON gift_guesses (last_at);

-- Letters to log in are counted by who asks too.
ALTER TABLE tip_mail_logins ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE tip_mail_logins ADD COLUMN known INTEGER NOT NULL DEFAULT 0;  -- asked by a browser that showed it has to do with it
CREATE INDEX tip_mail_logins_by_network ON tip_mail_logins (mailbox, network, created_at);
CREATE INDEX tip_mail_logins_by_asker ON tip_mail_logins (network, created_at);
