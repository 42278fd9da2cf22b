-- When a payment that was taken for one answer had it: what was taken and not answered goes back at a start.
ALTER TABLE l402_challenges ADD COLUMN answered_at INTEGER;
UPDATE l402_challenges SET answered_at = used_at;
CREATE INDEX l402_challenges_unanswered ON l402_challenges (used_at) WHERE used_at IS NOT NULL AND answered_at IS NULL;
