-- Gifts and tips can be paid to BOLT12 offers: then a row of offer_payouts carries the voucher. A voucher has at most one
-- payout at a time, whatever it pays.
ALTER TABLE vouchers ADD COLUMN offer_payout_id INTEGER REFERENCES offer_payouts (id)
    CHECK (offer_payout_id IS NULL OR payout_id IS NULL);

-- Which payouts to offers have tried to redeem a voucher; as voucher_payouts.
CREATE TABLE voucher_offer_payouts (
    voucher_id      INTEGER NOT NULL REFERENCES vouchers (id),
    offer_payout_id INTEGER NOT NULL REFERENCES offer_payouts (id),
    taker           TEXT    NOT NULL CHECK (taker IN ('recipient', 'sender')),
    amount_msat     INTEGER NOT NULL,       -- its part of the payout
    PRIMARY KEY (voucher_id, offer_payout_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX voucher_offer_payouts_by_payout ON voucher_offer_payouts (offer_payout_id);
