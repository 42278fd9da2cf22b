-- BOLT12 offers that may be paid instead of a charge's invoice.
CREATE TABLE charge_offers (
    offer_id  BLOB    PRIMARY KEY,
    charge_id INTEGER NOT NULL UNIQUE REFERENCES charges (id),
    offer     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Every payment over Lightning to a charge that has an offer, by its invoice or by the offer: an offer can be paid
-- often, each time with another hash.
CREATE TABLE charge_receipts (
    id            INTEGER PRIMARY KEY,
    payment_hash  BLOB    NOT NULL UNIQUE,
    charge_id     INTEGER NOT NULL REFERENCES charges (id),
    amount_msat   INTEGER NOT NULL,
    credited_msat INTEGER NOT NULL,         -- how much of it the family was given; the rest is in suspense
    at            INTEGER NOT NULL
) STRICT;
CREATE INDEX charge_receipts_by_charge ON charge_receipts (charge_id);
