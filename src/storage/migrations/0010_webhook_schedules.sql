-- An endpoint that doesn't answer pauses as a whole; a message that is refused has a schedule of its own.
ALTER TABLE webhook_endpoints ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;  -- in a row, as far as the pauses go
ALTER TABLE webhook_endpoints ADD COLUMN failed_row INTEGER;                   -- the message of the last of them
ALTER TABLE webhook_endpoints ADD COLUMN taken_at INTEGER;                     -- when it last took one
ALTER TABLE webhook_messages ADD COLUMN next_try_at INTEGER NOT NULL DEFAULT 0; -- 0: in its turn
ALTER TABLE webhook_messages ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;   -- failures that were its own
ALTER TABLE webhook_messages ADD COLUMN listener TEXT;                         -- who is told; NULL: an address alone
CREATE INDEX webhook_messages_due ON webhook_messages (endpoint_id, next_try_at, id) WHERE state = 'waiting';
CREATE INDEX webhook_messages_by_listener ON webhook_messages (listener)
    WHERE listener IS NOT NULL AND state <> 'delivered';
-- What was put off by the old rules is due now.
UPDATE webhook_endpoints SET next_try_at = 0 WHERE next_try_at IS NOT NULL;

-- Who can change the address where they listen: their messages go with them.
CREATE TABLE webhook_listeners (
    name        TEXT    PRIMARY KEY,                                -- the family's own; never another's
    endpoint_id INTEGER REFERENCES webhook_endpoints (id)           -- NULL: nowhere
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_listeners_by_endpoint ON webhook_listeners (endpoint_id);
