-- A group of tips, funded by one invoice.
CREATE TABLE tip_groups (
    id          INTEGER PRIMARY KEY,
    public_id   TEXT    NOT NULL UNIQUE,
    user_id     INTEGER NOT NULL REFERENCES tip_users (id),    -- who gives
    quantity    INTEGER NOT NULL,
    charge_id   INTEGER NOT NULL REFERENCES charges (id),      -- the invoice that is shown
    static_link INTEGER NOT NULL,                              -- 1: one link leads everybody to a tip
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER
) STRICT;
CREATE INDEX tip_groups_by_charge ON tip_groups (charge_id);

-- What a tip is besides its voucher, whose row id it shares. Its amount and state are the voucher's, its
-- invoice the charge's. What the voucher calls expired is RECLAIMED here, returned is REFUNDED.
CREATE TABLE tips (
    id                INTEGER PRIMARY KEY REFERENCES vouchers (id),
    public_id         TEXT    NOT NULL UNIQUE,
    user_id           INTEGER NOT NULL REFERENCES tip_users (id),  -- who gives
    group_id          INTEGER REFERENCES tip_groups (id),
    group_index       INTEGER,
    fee_msat          INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    onboarding_flow   TEXT    NOT NULL,
    anonymous         INTEGER NOT NULL,
    tippee_name       TEXT,
    tippee_locale     TEXT,
    currency          TEXT,
    note              TEXT,
    wallet            TEXT,
    ad_url            TEXT,
    ad_image_url      TEXT,
    passphrase_hash   BLOB    UNIQUE,
    passphrase_sealed BLOB,
    claim_webhook     TEXT,
    withdraw_webhook  TEXT,
    tippee_id         INTEGER REFERENCES tip_users (id),        -- who claimed it
    seen_at           INTEGER,
    claimed_at        INTEGER,
    claimed_printed   INTEGER NOT NULL DEFAULT 0,
    copied_at         INTEGER,
    withdrawal_at     INTEGER,                                  -- when somebody last tried to withdraw it
    updated_at        INTEGER NOT NULL,
    deleted_at        INTEGER
) STRICT;
CREATE INDEX tips_by_user ON tips (user_id, id);
CREATE INDEX tips_by_group ON tips (group_id, group_index) WHERE group_id IS NOT NULL;
CREATE INDEX tips_by_tippee ON tips (tippee_id, id) WHERE tippee_id IS NOT NULL;
CREATE INDEX tips_to_remind ON tips (claimed_at) WHERE claim_webhook IS NOT NULL;

-- Every invoice a tip or group ever showed: an old one may still be paid.
CREATE TABLE tip_charges (
    charge_id INTEGER PRIMARY KEY REFERENCES charges (id),
    tip_id    INTEGER REFERENCES tips (id),
    group_id  INTEGER REFERENCES tip_groups (id)
) STRICT;

-- LNURL-withdraw codes: each for a fixed set of tips.
CREATE TABLE tip_links (
    id         BLOB    PRIMARY KEY,                             -- 16 random bytes
    user_id    INTEGER REFERENCES tip_users (id),               -- NULL: for whoever has it
    flow       TEXT    NOT NULL,
    amount_msat INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tip_links_by_user ON tip_links (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX tip_links_to_prune ON tip_links (created_at) WHERE user_id IS NOT NULL;

CREATE TABLE tip_link_tips (
    link_id BLOB    NOT NULL REFERENCES tip_links (id),
    tip_id  INTEGER NOT NULL REFERENCES tips (id),
    PRIMARY KEY (link_id, tip_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tip_link_tips_by_tip ON tip_link_tips (tip_id);

-- Reminders that were given.
CREATE TABLE tip_reminders (
    tip_id INTEGER NOT NULL REFERENCES tips (id),
    kind   TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (tip_id, kind)
) STRICT, WITHOUT ROWID;

-- The family's own secret: magic words are sealed and LNURL's k1 derived with it.
CREATE TABLE tip_secret (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB    NOT NULL
) STRICT;

CREATE INDEX tip_users_to_refund ON tip_users (refund_try_at) WHERE refund_try_at > 0;
