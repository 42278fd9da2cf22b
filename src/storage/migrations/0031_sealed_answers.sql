-- Answers to requests with an Idempotency-Key may hold secrets. From now on `caller` and `key` are SHA-256 digests and
-- `response` is sealed with the key that the client sent. Older rows (sealed = 0) are gone after 24 hours.
ALTER TABLE idempotency ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
