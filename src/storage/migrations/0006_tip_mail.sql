-- Logins by a link in a letter. Kept for a day when they are over, to count how many letters went where.
CREATE TABLE tip_mail_logins (
    link       BLOB    PRIMARY KEY,              -- SHA-256 of what stands in the link
    browser    BLOB    NOT NULL,                 -- SHA-256 of the cookie of the browser that asked
    code       BLOB    NOT NULL,                 -- SHA-256 of that cookie and the code, so worth nothing without it
    email      TEXT    NOT NULL,
    mailbox    TEXT    NOT NULL,                 -- the same for all forms of an address; for counting
    user_id    INTEGER,                          -- whose address it is to become; nobody yet: whoever owns it logs in
    tip        TEXT,                             -- the tip whose page asked
    tries      INTEGER NOT NULL DEFAULT 0,       -- wrong codes
    used       INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tip_mail_logins_by_browser ON tip_mail_logins (browser, created_at);
CREATE INDEX tip_mail_logins_by_mailbox ON tip_mail_logins (mailbox, created_at);
CREATE INDEX tip_mail_logins_by_time ON tip_mail_logins (created_at);

-- Reminders that go out as letters.
CREATE TABLE tip_letters (
    tip_id  INTEGER NOT NULL REFERENCES tips (id),
    kind    TEXT    NOT NULL,
    user_id INTEGER NOT NULL REFERENCES tip_users (id),
    due_at  INTEGER NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tip_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX tip_letters_to_send ON tip_letters (due_at);
CREATE INDEX tip_letters_by_user ON tip_letters (user_id);
