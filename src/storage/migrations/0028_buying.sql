-- Purses that may pay services over plain http at public hosts.
ALTER TABLE purses ADD COLUMN allow_http INTEGER NOT NULL DEFAULT 0;

-- For which day's limit a payment counts: days since 1970, never fewer than of an earlier payment of the purse.
ALTER TABLE purse_payments ADD COLUMN day INTEGER;
UPDATE purse_payments SET day = created_at / 86400000;

-- What an account asked for in the last hour, whatever became of it.
CREATE INDEX agent_agreements_made ON agent_agreements (requester_account, created_at);
