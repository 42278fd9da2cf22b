-- Money out by the wallet's coins, to an address.
CREATE TABLE coin_sends (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    family      TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    amount_msat INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    txid        TEXT,
    created_at  INTEGER NOT NULL,
    deadline    INTEGER NOT NULL,
    sent_at     INTEGER,                -- when the wallet was asked
    finished_at INTEGER,
    error       TEXT
) STRICT;
-- An address is paid once: what pays it is the proof that this was done.
CREATE UNIQUE INDEX coin_sends_by_address ON coin_sends (address) WHERE status <> 'failed';
CREATE INDEX coin_sends_open ON coin_sends (id) WHERE status IN ('queued', 'sending', 'sent');

ALTER TABLE payment_refunds ADD COLUMN coin_send_id INTEGER REFERENCES coin_sends (id);
CREATE UNIQUE INDEX payment_refunds_by_coins ON payment_refunds (coin_send_id) WHERE coin_send_id IS NOT NULL;
