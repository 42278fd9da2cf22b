-- Keys that end by themselves, that only some networks may use, and whose text can be replaced while the old one still works.
ALTER TABLE api_keys ADD COLUMN expires_at     INTEGER;                      -- NULL: never
ALTER TABLE api_keys ADD COLUMN networks       TEXT NOT NULL DEFAULT '';     -- CIDR, separated by spaces; empty: any
ALTER TABLE api_keys ADD COLUMN old_hash       BLOB;                         -- SHA-256 of the text before the rotation
ALTER TABLE api_keys ADD COLUMN old_expires_at INTEGER;
CREATE UNIQUE INDEX api_keys_by_old_hash ON api_keys (old_hash) WHERE old_hash IS NOT NULL;
