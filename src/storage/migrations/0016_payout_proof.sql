-- A failure that the node reported and that is not proved yet: why, in the node's words. A payout that has one is never
-- sent again. The two columns belonged to a protocol that asked the node to send again what it may have lost.
ALTER TABLE payouts ADD COLUMN failure_reported TEXT;
ALTER TABLE payouts DROP COLUMN resent;
ALTER TABLE payouts DROP COLUMN dispatched_height;
-- What left the channels for a payout that arrived, in msat, where that could be read off its HTLCs: its amount, routing
-- fees, and what the recipient was paid more than asked.
ALTER TABLE payouts ADD COLUMN left_msat INTEGER;
