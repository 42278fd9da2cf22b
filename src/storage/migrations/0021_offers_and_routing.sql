-- For whom a payout to an offer is made: one of them can't take all places.
ALTER TABLE offer_payouts ADD COLUMN source TEXT;
-- The most that routing might cost when the node was asked.
ALTER TABLE offer_payouts ADD COLUMN granted_msat INTEGER;

-- For which account the operator bears the routing of a payout; it counts for what one account may cost in an hour.
-- NULL: it is no account's, or the account bears it.
ALTER TABLE payouts ADD COLUMN routing_account_id INTEGER REFERENCES accounts (id);
ALTER TABLE offer_payouts ADD COLUMN routing_account_id INTEGER REFERENCES accounts (id);
CREATE INDEX payouts_by_routing_account ON payouts (routing_account_id, finished_at) WHERE routing_account_id IS NOT NULL;
CREATE INDEX offer_payouts_by_routing_account ON offer_payouts (routing_account_id, finished_at)
    WHERE routing_account_id IS NOT NULL;

-- What is under way already.
UPDATE payouts SET routing_account_id =
    (SELECT w.account_id FROM withdrawals w WHERE w.payout_id = payouts.id AND w.fee_reserve_id IS NULL)
    WHERE family = 'accounts' AND status NOT IN ('paid', 'failed');
UPDATE offer_payouts SET granted_msat = max_fee_msat WHERE status NOT IN ('queued', 'failed');
UPDATE offer_payouts SET routing_account_id =
        (SELECT w.account_id FROM withdrawals w WHERE w.offer_payout_id = offer_payouts.id AND w.fee_reserve_id IS NULL),
    source = (SELECT 'account ' || w.account_id FROM withdrawals w WHERE w.offer_payout_id = offer_payouts.id)
    WHERE family = 'accounts' AND status NOT IN ('paid', 'failed');
